//! Who asks, through the real proxy: what is refused and how, what an origin gets to see, and which side an identity is on.

mod passwords;
mod site;
mod tokens;

use crate::support::Client;
use crate::told::Lines;
use serin_auth::{Anonymous, Policy};
use serin_proxy::{AccessLog, Case, ClientIp, ClientIpFrom, Proxy, Settings, explain};
use serin_routing::config::{Auth, Match, Override, People, Side, Source};
use serin_routing::{Policies, Table};
use site::{Site, by_header, by_key, by_password, policy};

#[test]
fn request_without_credentials_is_told_how_to_show_some() {
    let site = Site::with(policy(vec![by_key(), by_password()]));
    let answer = site.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (401, "the request has no credentials\n"));
    let challenges: Vec<_> = answer.fields.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str()).collect();
    assert_eq!(challenges, [r#"Key realm="serin""#, r#"Basic realm="shop", charset="UTF-8""#]);
    let wrong = site.ask("GET / HTTP/1.1\r\nHost: shop.example\r\napikey: nobody's\r\n\r\n");
    assert_eq!((wrong.status(), wrong.text()), (401, "the credentials are wrong\n"));
    assert_eq!(site.origins().count(), 0, "no origin hears of it");
    let errors = site.proxy.counters().totals().failures;
    assert!(["unauthenticated", "wrong-credentials"].iter().all(|label| errors.get(label) == Some(&1)), "{errors:?}");
}

#[test]
fn right_key_chooses_the_consumers_side_and_goes_no_further() {
    let site = Site::with(policy(vec![by_key()]));
    let answer = site.ask("GET /a?b=%2f&apikey=key+of+alice&c=+ HTTP/1.1\r\nHost: shop.example\r\nX-Other: 1\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "canary"));
    let answer = site.ask("GET /a?b HTTP/1.1\r\nHost: shop.example\r\nApikey: key of bob\r\nX-Other: 1\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "stable"));
    let heard: Vec<_> = site.origins().collect();
    assert_eq!(heard.iter().map(|request| request.line.as_str()).collect::<Vec<_>>(), ["GET /a?b HTTP/1.1", "GET /a?b=%2f&c=+ HTTP/1.1"]);
    assert!(heard.iter().all(|request| request.field("apikey").is_none() && request.field("x-other") == Some("1")), "{heard:?}");
}

#[test]
fn credentials_go_on_where_the_policy_says_so() {
    let site = Site::with(Policy { hide_credentials: false, ..policy(vec![by_key()]) });
    site.ask("GET /?apikey=key+of+alice HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(site.origins().next().expect("a request").line, "GET /?apikey=key+of+alice HTTP/1.1");
}

/// As somebody would write it who wants to be alice. The last ones are no requests at all.
const SPELLINGS: [&str; 14] = [
    "X-Auth-Request-User: alice\r\n",
    "x-auth-request-user:alice\r\n",
    "X-AUTH-REQUEST-USER: \t alice \t\r\n",
    "X_Auth_Request_User: alice\r\n",
    "x-auth_request-user: alice\r\n",
    "X-Auth-Request-User: alice,\r\n",
    "X-Auth-Request-User: ,alice\r\n",
    "X-Auth-Request-User: bob\r\nX-Auth-Request-User: alice\r\n",
    "X-Auth-Request-User:\r\nX-Auth-Request-User: alice\r\n",
    "Connection: x-auth-request-user\r\nX-Auth-Request-User: alice\r\n",
    "X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nX-Auth-Request-User: alice\r\n",
    "X-Auth-Request-User: x\r\n alice\r\n",
    "X-Auth-Request-User : alice\r\n",
    "X-Auth-Request-User: alice\u{b}\r\n",
];

#[test]
fn nobody_is_another_by_a_header_however_it_is_spelt() {
    let site = Site::with(Policy { anonymous: Anonymous::Allow, ..policy(vec![by_header("10.0.0.0/8")]) });
    for spelling in SPELLINGS {
        for groups in ["", "X-Auth-Request-Groups: testers\r\n", "x_auth_request_groups: testers\r\n"] {
            let answer = site.ask(format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{spelling}{groups}Connection: close\r\n\r\n"));
            assert!((answer.status() == 200 && answer.text() == "stable") || answer.status() == 400, "{spelling:?}: {answer:?}");
        }
    }
    for request in site.origins() {
        let named: Vec<_> = request.fields.iter().filter(|(name, _)| name.contains("auth")).collect();
        assert!(named.is_empty(), "{request:?}");
    }
}

#[test]
fn no_release_reads_a_header_that_nobody_believes() {
    let mut config = Site::config(Policy { anonymous: Anonymous::Allow, ..policy(vec![by_header("10.0.0.0/8")]) });
    let source = Source::Header("x-auth-request-user".into());
    config.releases[0].overrides = vec![Override::Value { source, matches: Match::Exact("alice".into(), Side::Canary) }];
    (config.releases[0].people, config.releases[0].traffic) = (People::Anyone, crate::support::release(1000, 0).traffic);
    let table = Table::new(&config, &mut Policies::default());
    let site = Site::of(config, crate::support::settings());
    let answer = site.ask("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Auth-Request-User: alice\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "stable"));
    let asked = http::Request::get("/").header("host", "shop.example").header("x-auth-request-user", "alice").body(()).expect("a request");
    let (parts, ()) = asked.into_parts();
    let explained = |peer: [u8; 4]| {
        let case = Case { parts: &parts, client_ip: None, peer: Some(peer.into()), now: jiff::Timestamp::now(), checks_secrets: true };
        explain(&table, &case).release.and_then(|release| release.side)
    };
    // Without the override the request's turn decides, which nobody can foresee.
    assert_eq!([explained([127, 0, 0, 1]), explained([10, 0, 0, 1])], [None, Some("canary")]);
}

#[test]
fn explanation_knows_who_asks_as_the_proxy_does() {
    let config = Site::config(policy(vec![by_key(), by_password()]));
    let table = Table::new(&config, &mut Policies::default());
    let site = Site::of(config, crate::support::settings());
    let lines = [
        "",
        "apikey: key of alice",
        "apikey: key of bob",
        "apikey: x",
        "authorization: Basic YWxpY2U6cGFzc3dvcmQ=",
        "authorization: Basic YWxpY2U6eA==",
    ];
    let authors = lines.map(|line| {
        let request = line.split_once(": ").into_iter().fold(http::Request::get("/"), |request, (name, value)| request.header(name, value));
        let (parts, ()) = request.header("host", "shop.example").body(()).expect("a request").into_parts();
        let explained =
            explain(&table, &Case { parts: &parts, client_ip: None, peer: None, now: jiff::Timestamp::now(), checks_secrets: true });
        let answer = site.ask(format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{line}{}\r\n", if line.is_empty() { "" } else { "\r\n" }));
        match &explained.failure {
            Some(failure) => assert_eq!((answer.status(), answer.text().trim_end()), (401, failure.as_str()), "{line}"),
            None => assert_eq!(answer.text(), if explained.release.is_some() { "canary" } else { "stable" }, "{line}"),
        }
        explained.author.and_then(|author| author.consumer)
    });
    assert_eq!(authors.map(Option::unwrap_or_default), ["", "alice", "bob", "", "alice", ""]);
}

#[test]
fn trusted_peer_names_the_consumer_and_its_own_spoofs_are_refused() {
    let site = Site::with(policy(vec![by_header("127.0.0.1/32")]));
    let ask = |lines: &str| site.ask(format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{lines}Connection: close\r\n\r\n"));
    assert_eq!(ask("X-Auth-Request-User: alice\r\n").text(), "canary");
    assert_eq!(ask("X-Auth-Request-User: bob\r\n").text(), "stable");
    for both in ["X-Auth-Request-User: bob\r\nX-Auth-Request-User: alice\r\n", "X-Auth-Request-User: bob, alice\r\n"] {
        assert_eq!(ask(both).status(), 401, "{both:?}");
    }
    let elsewhere =
        site.client_from([127, 0, 0, 2]).send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Auth-Request-User: alice\r\n\r\n").response();
    assert_eq!(elsewhere.status(), 401, "of another peer");
}

#[test]
fn balancer_that_passes_bytes_on_vouches_for_no_header_of_its_clients() {
    let client_ip = ClientIp { trusted: vec!["127.0.0.0/8".parse().expect("a network")], from: ClientIpFrom::ProxyProtocol };
    let ask = |from: &str, said: &str| {
        let site =
            Site::of(Site::config(policy(vec![by_header(from)])), Settings { client_ip: client_ip.clone(), ..crate::support::settings() });
        site.ask(format!("{said}GET / HTTP/1.1\r\nHost: shop.example\r\nX-Auth-Request-User: alice\r\n\r\n"))
    };
    let client = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n";
    assert_eq!(ask("127.0.0.0/8", client).status(), 401, "the header is the client's");
    assert_eq!(ask("127.0.0.0/8", "PROXY UNKNOWN\r\n").status(), 401, "of nobody known");
    assert_eq!(ask("192.0.2.0/24", client).text(), "canary", "a trusted proxy behind the balancer");
}

#[test]
fn header_that_names_somebody_does_not_pass_as_a_trailer() {
    let site = Site::with(Policy { anonymous: Anonymous::Allow, ..policy(vec![by_header("10.0.0.0/8"), by_key()]) });
    let head = "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTrailer: x-auth-request-user\r\n\r\n";
    let trailers = "X-Auth-Request-User: alice\r\nx_auth_request_user: alice\r\nApikey: k\r\nAuthorization: Basic x\r\nX-Sum: 1\r\n";
    assert_eq!(site.ask(format!("{head}1\r\na\r\n0\r\n{trailers}\r\n")).status(), 200);
    let request = site.origins().next().expect("a request");
    assert_eq!(request.trailers, [("x-sum".to_owned(), "1".to_owned())]);
}

#[test]
fn policy_that_does_not_resolve_closes_its_routes_and_no_other() {
    let mut config = Site::config(policy(vec![by_key()]));
    config.routes[0].auth = Auth::Unresolved("shop/broken".into());
    let site = Site::of(config, crate::support::settings());
    for lines in ["", "apikey: key of alice\r\n"] {
        let answer = site.ask(format!("GET /?apikey=k HTTP/1.1\r\nHost: shop.example\r\n{lines}\r\n"));
        assert_eq!((answer.status(), answer.text()), (503, "the AuthPolicy of this route does not resolve\n"));
    }
    assert_eq!(site.ask("GET /open HTTP/1.1\r\nHost: shop.example\r\n\r\n").status(), 200);
}

#[test]
fn log_names_the_consumer_and_no_credential() {
    let (lines, settings) = (Lines::default(), Settings { access_log: AccessLog::Text, ..crate::support::settings() });
    let proxy = Proxy::start_logging_to(settings, Box::new(lines.clone())).expect("a proxy");
    let site = Site::on(proxy, Site::config(policy(vec![by_key(), by_password()])));
    site.ask("GET /a?x=1&apikey=key+of+alice HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    site.ask("GET /?apikey=secret HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    site.ask("GET /%00?%61pikey=secret HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    site.ask("GET / HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Basic c2VjcmV0OnNlY3JldA==\r\napikey: secret\r\n\r\n");
    drop(site);
    let text = lines.text();
    assert!(
        text.contains(r#" consumer="alice" method="GET" host="shop.example" path="/a?x=1&apikey=***" protocol=HTTP/1.1 status=200 "#),
        "{text}"
    );
    assert!(text.contains(r#" consumer=- method="GET" host="shop.example" path="/?apikey=***" protocol=HTTP/1.1 status=401 "#), "{text}");
    assert!(text.contains(r#" path="/%00?%61pikey=***" protocol=HTTP/1.1 status=400 "#), "{text}");
    assert!(!text.contains("secret") && !text.contains("c2VjcmV0") && !text.contains("key+of"), "{text}");
}

#[test]
fn client_of_many_requests_is_someone_else_with_each() {
    let site = Site::with(policy(vec![by_key()]));
    let mut client = Client::of(&site.proxy);
    for (key, status, side) in [("key of alice", 200, "canary"), ("x", 401, "the credentials are wrong\n"), ("key of bob", 200, "stable")] {
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: shop.example\r\napikey: {key}\r\n\r\n")).response();
        assert_eq!((answer.status(), answer.text()), (status, side));
    }
}
