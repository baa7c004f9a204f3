//! Requests that go through, and what they look like at the other end.

use crate::support::{Client, Origin, everything_to, release_of, serve, settings};
use serin_proxy::Settings;
use serin_routing::Config;
use serin_routing::config::PathRewrite;
use std::sync::atomic::Ordering;

#[test]
fn request_goes_through_and_its_connection_serves_the_next_one() {
    let origin = Origin::saying("hello");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for turn in 0..3 {
        let response = client.get(&format!("/cart?turn={turn}"));
        assert_eq!((response.status(), response.text()), (200, "hello"));
        assert_eq!(response.field("connection"), None);
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    let heard = origin.heard();
    let lines: Vec<_> = heard.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines, ["GET /cart?turn=0 HTTP/1.1", "GET /cart?turn=1 HTTP/1.1", "GET /cart?turn=2 HTTP/1.1"]);
    let port = proxy.local_addr().port().to_string();
    let expected = [
        ("host", "shop.example"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-port", port.as_str()),
        ("x-forwarded-proto", "http"),
    ];
    let mut fields: Vec<_> = heard[0].fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.sort_unstable();
    assert_eq!(fields, expected);
}

#[test]
fn nothing_published_is_404_and_nobody_behind_a_route_503() {
    let proxy = serve(settings(), Config::default());
    assert_eq!(Client::of(&proxy).get("/").status(), 404);
    let proxy = serve(settings(), everything_to(&[]));
    let response = Client::of(&proxy).get("/");
    assert_eq!((response.status(), response.text()), (503, "the backend has no endpoint\n"));
    let mut unresolved = everything_to(&[]);
    unresolved.routes[0].backend = None;
    assert_eq!(Client::of(&serve(settings(), unresolved)).get("/").status(), 503);
}

#[test]
fn decision_is_told_when_asked_for_and_nobody_else_may_tell_it() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nSerin-Decision: forged\r\nContent-Length: 0\r\n\r\n".to_vec());
    let config = release_of(&[origin.address], &[origin.address], 100, 100);
    let proxy = serve(Settings { decision_header: true, ..settings() }, config.clone());
    let mut client = Client::of(&proxy);
    let response = client.send("GET / HTTP/1.1\r\nHost: a\r\nSerin-Decision: forged\r\n\r\n").response();
    assert_eq!(response.field("serin-decision"), Some("release=shop/checkout; side=canary; rule=bucket; bucket=0; k=100"));
    assert_eq!(origin.heard()[0].field("serin-decision"), None);
    assert_eq!(Client::of(&serve(settings(), config)).get("/").field("serin-decision"), None);
}

#[test]
fn s17_canary_gets_its_path_and_stable_the_canonical_one() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let mut config = release_of(&[stable.address], &[canary.address], 2, 1);
    config.releases[0].path = Some(PathRewrite::Prefix("/v2".into()));
    let proxy = serve(settings(), config);
    let mut client = Client::of(&proxy);
    let bodies = [client.get("/a/../cart//x?y=/../z").body, client.get("/a/../cart//x?y=/../z").body];
    assert!(bodies.contains(&b"stable".to_vec()) && bodies.contains(&b"canary".to_vec()), "{bodies:?}");
    assert_eq!(canary.heard()[0].line, "GET /v2/cart/x?y=/../z HTTP/1.1");
    assert_eq!(stable.heard()[0].line, "GET /cart/x?y=/../z HTTP/1.1");
}

#[test]
fn path_without_a_canonical_form_is_400_and_the_connection_goes_on() {
    let origin = Origin::saying("");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for path in ["/a%2fb", "/%00", "/a%5cb", "/..;/b", "/%"] {
        assert_eq!(client.get(path).status(), 400, "{path}");
    }
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(origin.count(), 1);
}

#[test]
fn head_has_no_body_and_the_connection_goes_on() {
    let origin = Origin::answering(|request| {
        let body = if request.line.starts_with("HEAD") { "" } else { "hello" };
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}").into_bytes()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert_eq!((head.status(), head.field("content-length")), (200, Some("5")));
    assert_eq!(client.get("/").text(), "hello");
    let refused = client.send("HEAD /%00 HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert_eq!(refused.status(), 400);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn http_1_0_is_served_and_closes_unless_asked_not_to() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec());
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let answer = client.send("GET / HTTP/1.0\r\n\r\n").rest();
    let text = String::from_utf8(answer).expect("text");
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n") && text.ends_with("\r\n\r\nhello") && !text.contains("chunked"), "{text}");
    assert_eq!(origin.heard()[0].field("host"), Some(proxy.local_addr().to_string().as_str()));
}

#[test]
fn absolute_target_goes_on_in_origin_form() {
    let origin = Origin::saying("");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    assert_eq!(client.send("GET http://Shop.example/a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n").response().status(), 200);
    assert_eq!(client.send("OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n").response().status(), 200);
    let heard = origin.heard();
    assert_eq!((heard[0].line.as_str(), heard[0].field("host")), ("GET /a?b HTTP/1.1", Some("shop.example")));
    assert_eq!(heard[1].line, "OPTIONS * HTTP/1.1");
}

#[test]
fn absolute_target_without_a_path_goes_on_with_the_root() {
    let origin = Origin::saying("");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for (target, line) in [("http://a", "GET / HTTP/1.1"), ("http://a?b=c", "GET /?b=c HTTP/1.1"), ("http://a/?b", "GET /?b HTTP/1.1")] {
        assert_eq!(client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).response().status(), 200);
        assert_eq!(origin.heard().last().map(|request| request.line.as_str()), Some(line));
    }
}

#[test]
fn upgrade_is_not_passed_on() {
    let origin = Origin::saying("no");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(client.send(upgrade).response().status(), 200);
    assert_eq!(client.get("/").status(), 200);
    assert_eq!((origin.heard()[0].field("upgrade"), origin.heard()[0].field("connection")), (None, None));
}
