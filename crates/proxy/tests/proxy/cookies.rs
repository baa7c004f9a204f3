//! The identity that a browser without one is given (`split.issueCookie`).

use crate::support::{Client, Message, Origin, release_of, serve, settings};
use serin_proxy::{ClientIp, Proxy, Settings};
use serin_routing::config::{By, Config, Match, Override, Source, Traffic};
use std::collections::HashSet;
use std::io::Write;

/// Half of the browsers, by the cookie `id`.
fn half(stable: &Origin, canary: &Origin) -> Config {
    let mut config = release_of(&[stable.address], &[canary.address], 1000, 500);
    config.releases[0].by = By::IssuedCookie("id".into());
    config
}

fn serving(config: Config) -> Proxy {
    serve(Settings { decision_header: true, ..settings() }, config)
}

fn get(cookie: Option<&str>) -> String {
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}\r\n")
}

/// The identity that the response gives; its attributes are as they must be.
fn given(response: &Message) -> Option<String> {
    let (value, attributes) = response.field("set-cookie")?.strip_prefix("id=")?.split_once("; ")?;
    assert_eq!(attributes, "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    assert!(value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()), "{value}");
    assert_eq!(response.field("cache-control"), Some("private"));
    Some(value.to_owned())
}

#[test]
fn browser_without_a_cookie_is_given_one_that_keeps_it_on_the_side_of_that_answer() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let proxy = serving(half(&stable, &canary));
    let (mut client, mut identities, mut canaries) = (Client::of(&proxy), HashSet::new(), 0);
    for _ in 0..400 {
        let first = client.send(get(None)).response();
        let identity = given(&first).expect("an identity");
        for cookies in [format!("id={identity}"), format!("a=b; id={identity}; c")] {
            let next = client.send(get(Some(&cookies))).response();
            assert_eq!((next.text(), next.field("set-cookie")), (first.text(), None));
            assert_eq!(next.field("serin-decision"), first.field("serin-decision"));
        }
        canaries += usize::from(first.text() == "canary");
        identities.insert(identity);
    }
    assert_eq!(identities.len(), 400);
    // 200, with a standard deviation of 10.
    assert!((150..=250).contains(&canaries), "{canaries}");
    let rows = proxy.counters().snapshot();
    let count = |of: fn(&serin_proxy::Counts) -> u64| rows.iter().map(|row| of(&row.counts)).sum::<u64>();
    assert_eq!((count(|c| c.by_bucket), count(|c| c.fallbacks.to_request), count(|c| c.fallbacks.to_client_ip)), (1200, 0, 0));
    let seen = proxy.counters().identities("u", "1").expect("identities");
    assert_eq!((seen.cells.iter().sum::<u32>(), seen.first.len() >= 32), (1200, true));
}

#[test]
fn cookie_that_is_empty_or_no_text_counts_as_missing() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let proxy = serving(half(&stable, &canary));
    let mut client = Client::of(&proxy);
    for cookies in ["id=", "id", "ID=x; Id=x; xid=x", "a=b"] {
        assert!(given(&client.send(get(Some(cookies))).response()).is_some(), "{cookies}");
    }
    assert!(given(&client.send(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: id=\xff\r\n\r\n").response()).is_some());
    for cookies in ["id=x", "id=\"\"", "id==", "a=b;id=x", "id=x; id="] {
        assert_eq!(client.send(get(Some(cookies))).response().field("set-cookie"), None, "{cookies}");
    }
}

#[test]
fn nobody_is_given_a_cookie_where_no_bucket_decides() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let mut config = half(&stable, &canary);
    config.releases[0].overrides = vec![Override::Value { source: Source::Header("x-canary".into()), matches: Match::AlwaysNever }];
    let proxy = serving(config.clone());
    for value in ["always", "never"] {
        let response = Client::of(&proxy).send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Canary: {value}\r\n\r\n")).response();
        assert_eq!((response.field("set-cookie"), response.field("cache-control")), (None, None));
    }
    let Traffic::Segment { segment, .. } = &mut config.releases[0].traffic else { panic!("a segment") };
    segment.groups = Some(serin_split::Groups::Allow(vec!["testers".into()]));
    assert_eq!(Client::of(&serving(config.clone())).send(get(None)).response().field("set-cookie"), None, "groups");
    config.releases[0].traffic = Traffic::RolledBack { epoch: 2 };
    assert_eq!(Client::of(&serving(config.clone())).send(get(None)).response().field("set-cookie"), None, "rolled back");
    config.releases[0].by = By::Cookie("id".into());
    assert_eq!(Client::of(&serving(config)).send(get(None)).response().field("set-cookie"), None, "not asked for");
}

#[test]
fn answers_of_serins_own_give_no_cookie() {
    let origin = Origin::answering(|_| Vec::new());
    let mut config = half(&origin, &origin);
    let proxy = serving(config.clone());
    let response = Client::of(&proxy).send(get(None)).response();
    assert_eq!((response.status(), response.field("set-cookie")), (502, None));
    config.backends.iter_mut().for_each(|backend| backend.ready.clear());
    let response = Client::of(&serving(config)).send(get(None)).response();
    assert_eq!((response.status(), response.field("set-cookie")), (503, None));
}

#[test]
fn any_answer_of_an_origin_gives_it_streamed_or_without_a_body_and_to_http_1_0() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
    ] {
        let origin = Origin::talking(move |mut stream| {
            let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
            while Message::read(&mut reader, false).is_some() {
                if stream.write_all(answer.as_bytes()).is_err() || answer.starts_with("HTTP/1.0") {
                    return;
                }
            }
        });
        let proxy = serving(half(&origin, &origin));
        assert!(given(&Client::of(&proxy).send(get(None)).response()).is_some(), "{answer}");
        let old = Client::of(&proxy).send("GET / HTTP/1.0\r\n\r\n").try_response(true).expect("a head");
        assert!(given(&old).is_some(), "{answer}");
    }
    let origin = Origin::saying("ok");
    let proxy = serving(half(&origin, &origin));
    let head = Client::of(&proxy).send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert!(given(&head).is_some());
}

#[test]
fn answer_that_comes_before_the_whole_request_gives_it_too() {
    let origin = Origin::talking(|mut stream| {
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
        Message::read(&mut reader, true);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
    });
    let proxy = serving(half(&origin, &origin));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let response = client.response();
    assert!(given(&response).is_some(), "{response:?}");
}

#[test]
fn origin_that_gives_a_cookie_of_that_name_keeps_the_word() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nSet-Cookie: id=own\r\nContent-Length: 0\r\n\r\n".to_vec());
    let proxy = serving(half(&origin, &origin));
    let response = Client::of(&proxy).send(get(None)).response();
    assert_eq!((response.field("set-cookie"), response.field("cache-control")), (Some("id=own"), None));
}

#[test]
fn cookie_is_for_https_only_when_a_trusted_peer_says_that_the_client_came_by_it() {
    let origin = Origin::saying("ok");
    for (trusted, secure) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let client_ip = ClientIp { trusted: vec![trusted.parse().expect("a CIDR")], ..ClientIp::default() };
        let proxy = serve(Settings { client_ip, ..settings() }, half(&origin, &origin));
        let response = Client::of(&proxy).send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n").response();
        assert_eq!(response.field("set-cookie").expect("a cookie").ends_with("; SameSite=Lax; Secure"), secure);
    }
}
