//! Clients that are slow, hold on, or ask for too much.

use crate::support::{Client, Origin, eventually, everything_to, serve, settings};
use serin_proxy::{Limits, Proxy, Settings, Timeouts};
use std::time::Duration;

/// Long enough for a client that does not wait, on any machine.
const SHORT: Duration = Duration::from_millis(400);

fn serving(origin: &Origin, timeouts: Timeouts) -> Proxy {
    serve(Settings { timeouts, ..settings() }, everything_to(&[origin.address]))
}

#[test]
fn head_that_takes_too_long_is_408_and_nothing_at_all_is_closed() {
    let origin = Origin::saying("ok");
    let proxy = serving(&origin, Timeouts { header: SHORT, ..Timeouts::default() });
    let response = Client::of(&proxy).send("GET / HTTP/1.1\r\nHost:").response();
    assert_eq!((response.status(), response.field("connection")), (408, Some("close")));
    assert_eq!(Client::of(&proxy).rest(), b"");
    let mut later = Client::of(&proxy);
    assert_eq!(later.get("/").status(), 200);
    assert_eq!(later.send("GET /").response().status(), 408);
    assert_eq!(later.rest(), b"");
    assert_eq!(proxy.counters().totals().failures.get("head-timeout"), Some(&2));
}

#[test]
fn body_that_takes_too_long_is_408() {
    let origin = Origin::saying("ok");
    let proxy = serving(&origin, Timeouts { body_idle: SHORT, ..Timeouts::default() });
    for framing in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = Client::of(&proxy);
        let response = client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}")).response();
        assert_eq!((response.status(), response.field("connection")), (408, Some("close")));
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn connection_between_requests_is_closed_by_time() {
    let origin = Origin::saying("ok");
    let proxy = serving(&origin, Timeouts { keep_alive: SHORT, ..Timeouts::default() });
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(client.rest(), b"");
}

#[test]
fn client_that_takes_nothing_of_its_response_is_closed() {
    let body = Box::leak("x".repeat(64 * 1024 * 1024).into_boxed_str());
    let origin = Origin::saying(body);
    let proxy = serving(&origin, Timeouts { write_idle: SHORT, ..Timeouts::default() });
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is accepted", || proxy.counters().totals().accepted_connections == 1);
    eventually("it is closed", || proxy.counters().totals().open_connections == 0);
    assert_eq!(client.try_response(false), None);
}

#[test]
fn heads_have_limits() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let fields = "A: b\r\n".repeat(100);
    let cases = [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40_000)), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16_000)), 200),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(32_000)), 200),
    ];
    for (request, status) in cases {
        assert_eq!(Client::of(&proxy).send(&request).response().status(), status, "{} bytes", request.len());
    }
}

#[test]
fn connections_of_clients_have_a_limit() {
    let origin = Origin::saying("ok");
    let limits = Limits { connections: 3, ..Limits::default() };
    let proxy = serve(Settings { limits, workers: 1, ..settings() }, everything_to(&[origin.address]));
    let mut clients: Vec<_> = (0..3).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status(), 200);
    }
    assert_eq!(Client::of(&proxy).try_rest().unwrap_or_default(), b"");
    assert_eq!(proxy.counters().totals().refused_connections, 1);
    drop(clients.pop());
    eventually("one has gone", || proxy.counters().totals().open_connections == 2);
    assert_eq!(Client::of(&proxy).get("/").status(), 200);
}

#[test]
fn answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send(format!("POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)));
    assert_eq!(client.response().status(), 400);
    client.half_close();
    assert_eq!(client.rest(), b"");
}
