//! HTTP/2 to origins: shared connections, flow control, goodbyes, and answers that are no good.

use crate::http2_origin::{Http2Origin, frame, go_away, h2c, headers, hostile, reset, whole};
use crate::streams::held_back;
use crate::support::{Client, Message, Origin, PATIENCE, eventually, release_of, serve, settings};
use bytes::Bytes;
use h2::Reason;
use http::Response;
use serin_proxy::{Settings, Timeouts};
use serin_routing::config::Protocol;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn one_worker() -> Settings {
    Settings { workers: 1, ..settings() }
}

#[test]
fn request_goes_on_with_its_head_body_and_trailers_and_none_of_its_connection() {
    let origin = Http2Origin::answering(
        || Response::builder().header("x-a", "1").body(()).expect("a head"),
        b"abc",
        &[("x-sum", "1"), ("set-cookie", "a=b")],
    );
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let mut client = Client::of(&proxy);
    let head = "POST /a?b=c HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\
                TE: trailers, deflate\r\nX-Forwarded-For: 6.6.6.6\r\nUpgrade: h2c\r\nCookie: a=b\r\n\r\n";
    client.send(head).send("3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text(), answer.field("x-a")), (200, "abc", Some("1")));
    let heard = &origin.heard()[0];
    assert_eq!((heard.method.as_str(), heard.uri.as_str(), heard.body.as_slice()), ("POST", "http://shop.example/a?b=c", &b"abc"[..]));
    let mut names: Vec<_> = heard.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
    names.sort();
    let port = format!("x-forwarded-port: {}", proxy.local_addr().port());
    let expected =
        ["cookie: a=b", "te: trailers", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: shop.example", &port, "x-forwarded-proto: http"];
    assert_eq!(names, expected);
    let trailers: Vec<_> = heard.trailers.iter().flat_map(|trailers| trailers.keys()).collect();
    assert_eq!(trailers, ["x-sum"]);
    assert_eq!(client.get("/").status(), 200, "the client's connection goes on");
}

#[test]
fn one_connection_carries_many_requests_at_once() {
    let (waiting, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (count, told) = (Arc::clone(&waiting), Arc::clone(&all));
    let origin = Http2Origin::serving(move |request, mut respond| {
        let (count, told) = (Arc::clone(&count), Arc::clone(&told));
        async move {
            let path = request.uri().path().to_owned();
            let wait = told.notified();
            count.fetch_add(1, Ordering::SeqCst);
            wait.await;
            let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
            stream.send_data(Bytes::from(path), true).expect("a stream");
        }
    });
    let proxy = serve(one_worker(), h2c(&[origin.address()]));
    let mut clients: Vec<_> = (0..50).map(|_| Client::of(&proxy)).collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET /{nth} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    eventually("all are at the origin", || waiting.load(Ordering::SeqCst) == 50);
    all.notify_waiters();
    for (nth, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/{nth}"));
    }
    assert_eq!(origin.origin.connections.load(Ordering::SeqCst), 1);
    assert_eq!(proxy.counters().totals().upstream_connections, 1);
}

#[test]
fn connection_that_nobody_uses_is_closed() {
    let origin = Http2Origin::answering(|| Response::new(()), b"ok", &[]);
    let short = Timeouts { pool_idle: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts: short, ..settings() }, h2c(&[origin.address()]));
    assert_eq!(Client::of(&proxy).get("/").text(), "ok");
    eventually("it is closed", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn origin_is_held_back_by_a_client_that_does_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let origin = Http2Origin::serving(move |_request, mut respond| {
        let count = Arc::clone(&count);
        async move {
            let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
            loop {
                stream.reserve_capacity(16 * 1024);
                let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                if stream.send_data(Bytes::from(vec![b'x'; room]), false).is_err() {
                    return;
                }
                count.fetch_add(room, Ordering::SeqCst);
            }
        }
    });
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let held = held_back(&sent);
    assert!(held < 64 * 1024 * 1024, "{held} bytes are on their way to nobody");
    drop(client);
}

#[test]
fn client_is_held_back_by_an_origin_that_does_not_read() {
    let origin = Http2Origin::serving(|request, respond| async move {
        std::future::pending::<()>().await;
        drop((request, respond));
    });
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n");
    let (mut stream, sent) = (client.stream.try_clone().expect("a stream"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        while std::io::Write::write_all(&mut stream, &[b'x'; 65536]).is_ok() {
            count.fetch_add(65536, Ordering::SeqCst);
        }
    });
    let held = held_back(&sent);
    assert!(held < 64 * 1024 * 1024, "{held} bytes are on their way to nobody");
}

#[test]
fn large_bodies_go_both_ways_whole() {
    let origin = Http2Origin::serving(|request, mut respond| async move {
        let body = whole(request).await.expect("a request").body;
        let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
        stream.send_data(Bytes::from(body), true).expect("a stream");
    });
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = Client::of(&proxy);
    client.send([format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat());
    assert!(client.response().body == body);
}

#[test]
fn answer_comes_while_the_request_is_still_sent() {
    let origin = Http2Origin::serving(|request, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).expect("capacity");
            stream.send_data(data, false).expect("a stream");
        }
        stream.send_data(Bytes::new(), true).expect("a stream");
    });
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut client.reader, &mut line).expect("a line");
        line
    };
    assert!(line().starts_with("HTTP/1.1 200"), "the head comes before any of the body");
    while line() != "\r\n" {}
    for piece in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        let mut echo = String::new();
        for _ in 0..2 {
            std::io::BufRead::read_line(&mut client.reader, &mut echo).expect("a line");
        }
        assert_eq!(echo, format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    client.send("0\r\n\r\n");
}

const OK: &[(&[u8], &[u8])] = &[(b":status", b"200")];

#[test]
fn answer_that_is_no_good_is_502_and_its_connection_is_not_used_again() {
    type Say = fn(u32) -> Vec<u8>;
    let says: [(&str, Say); 14] = [
        ("a line break in a value", |id| headers(id, true, &[(b":status", b"200"), (b"x-a", b"1\r\nset-cookie: a=b")])),
        ("NUL in a value", |id| headers(id, true, &[(b":status", b"200"), (b"x-a", b"a\0b")])),
        ("a colon in a name", |id| headers(id, true, &[(b":status", b"200"), (b"x:a", b"1")])),
        ("a name in upper case", |id| headers(id, true, &[(b":status", b"200"), (b"X-A", b"1")])),
        ("a blank in a name", |id| headers(id, true, &[(b":status", b"200"), (b"x a", b"1")])),
        ("transfer-encoding", |id| headers(id, false, &[(b":status", b"200"), (b"transfer-encoding", b"chunked")])),
        ("connection", |id| headers(id, true, &[(b":status", b"200"), (b"connection", b"close")])),
        ("two lengths", |id| headers(id, false, &[(b":status", b"200"), (b"content-length", b"3"), (b"content-length", b"4")])),
        ("a length that is none", |id| headers(id, false, &[(b":status", b"200"), (b"content-length", b"+3")])),
        ("a length without a body", |id| headers(id, true, &[(b":status", b"200"), (b"content-length", b"3")])),
        ("no status", |id| headers(id, true, &[(b"x-a", b"1")])),
        ("101", |id| headers(id, true, &[(b":status", b"101")])),
        ("a frame that is none", |id| frame(1, 4, id, b"\xff\xff\xff\xff\xff")),
        ("data before a head", |id| frame(0, 1, id, b"abc")),
    ];
    for (what, say) in says {
        let origin = hostile(say);
        let proxy = serve(one_worker(), h2c(&[origin.address]));
        for nth in 1..=2 {
            let answer = Client::of(&proxy).get("/");
            assert_eq!(answer.status(), 502, "{what}: {answer:?}");
            assert_eq!(origin.connections.load(Ordering::SeqCst), nth, "{what}");
        }
        let failures = proxy.counters().totals().failures;
        assert_eq!(failures.values().sum::<u64>(), 2, "{what}: {failures:?}");
    }
}

#[test]
fn body_that_is_not_as_long_as_it_should_be_is_cut_off() {
    for length in [&b"2"[..], b"4"] {
        let origin =
            hostile(move |id| [headers(id, false, &[(b":status", b"200"), (b"content-length", length)]), frame(0, 1, id, b"abc")].concat());
        let proxy = serve(settings(), h2c(&[origin.address]));
        let mut client = Client::of(&proxy);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = Message::read(&mut client.reader, false);
        // The fault may be seen before the head has gone on.
        assert!(answer.is_none_or(|answer| answer.status() == 502), "it must not pass for a whole answer");
    }
}

#[test]
fn request_that_an_origin_did_nothing_for_goes_elsewhere_whatever_its_method() {
    type Say = fn(u32) -> Vec<u8>;
    let refusals: [Say; 2] = [|id| reset(id, Reason::REFUSED_STREAM), |_| go_away(0, Reason::NO_ERROR)];
    for say in refusals {
        let refusing = hostile(say);
        let other = Http2Origin::answering(|| Response::new(()), b"ok", &[]);
        let proxy = serve(one_worker(), h2c(&[refusing.address, other.address()]));
        let mut client = Client::of(&proxy);
        for _ in 0..4 {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(client.response().text(), "ok");
        }
        assert!(refusing.connections.load(Ordering::SeqCst) > 0, "it was asked");
        assert_eq!(other.heard().len(), 4);
    }
}

#[test]
fn post_that_an_origin_took_is_not_sent_again() {
    type Say = fn(u32) -> Vec<u8>;
    let refusals: [Say; 2] = [|id| reset(id, Reason::INTERNAL_ERROR), |id| go_away(id, Reason::INTERNAL_ERROR)];
    for (nth, say) in refusals.into_iter().enumerate() {
        let origin = hostile(move |id| [say(id), if nth == 1 { reset(id, Reason::CANCEL) } else { Vec::new() }].concat());
        let other = Http2Origin::answering(|| Response::new(()), b"ok", &[]);
        let proxy = serve(one_worker(), h2c(&[origin.address, other.address()]));
        let mut client = Client::of(&proxy);
        let statuses: Vec<_> =
            (0..4).map(|_| client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").response().status()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 2, "{statuses:?}");
        assert_eq!(other.heard().len(), 2);
    }
}

#[test]
fn goodbye_lets_what_is_under_way_end_and_the_next_request_takes_another_connection() {
    let origin = hostile(|id| {
        let head = headers(id, false, OK);
        [head, go_away(id, Reason::NO_ERROR), frame(0, 1, id, b"whole")].concat()
    });
    let proxy = serve(one_worker(), h2c(&[origin.address]));
    let mut client = Client::of(&proxy);
    for nth in 1..=3 {
        assert_eq!(client.get("/").text(), "whole");
        assert_eq!(origin.connections.load(Ordering::SeqCst), nth);
    }
}

#[test]
fn interim_answers_end_here_and_one_without_end_is_given_up() {
    let origin = hostile(|id| {
        [headers(id, false, &[(b":status", b"103"), (b"link", b"</a>")]), headers(id, true, &[(b":status", b"204")])].concat()
    });
    let proxy = serve(settings(), h2c(&[origin.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 204);
    let silent = hostile(|_| Vec::new());
    let short = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts: short, ..settings() }, h2c(&[silent.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 504);
    assert!(short.first_byte < PATIENCE);
}

#[test]
fn origin_that_does_not_speak_http2_is_no_origin() {
    let origin = Origin::saying("HTTP/1.1");
    let proxy = serve(settings(), h2c(&[origin.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 502);
}

#[test]
fn head_has_no_body_and_a_gone_client_takes_its_stream_along() {
    let origin = Http2Origin::answering(|| Response::builder().header("content-length", "5").body(()).expect("a head"), b"", &[]);
    let proxy = serve(settings(), h2c(&[origin.address()]));
    let mut client = Client::of(&proxy);
    let answer = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert_eq!((answer.status(), answer.field("content-length")), (200, Some("5")));
    eventually("it counts as whole", || proxy.counters().totals().failures.is_empty() && proxy.counters().totals().responses[2] == 1);
    let (left, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (told, seen) = (Arc::clone(&left), Arc::clone(&count));
    let waiting = Http2Origin::serving(move |_request, mut respond| {
        let (told, seen) = (Arc::clone(&told), Arc::clone(&seen));
        async move {
            seen.fetch_add(1, Ordering::SeqCst);
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            told.fetch_add(1, Ordering::SeqCst);
        }
    });
    let proxy = serve(settings(), h2c(&[waiting.address()]));
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is asked", || count.load(Ordering::SeqCst) == 1);
    drop(client);
    eventually("it is told", || left.load(Ordering::SeqCst) == 1);
    assert_eq!(proxy.counters().totals().upstream_connections, 1, "the connection stays");
}

const GRPC: &str =
    "POST /shop.Checkout/Pay HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0";

#[test]
fn status_of_grpc_counts_as_a_failure_of_its_side_by_its_class() {
    type Origins = fn() -> Http2Origin;
    let cases: [(&str, Origins, u64); 6] = [
        ("OK", || Http2Origin::answering(head, b"\0\0\0\0\0", &[("grpc-status", "0")]), 0),
        ("NOT_FOUND", || Http2Origin::answering(head, b"", &[("grpc-status", "5")]), 0),
        ("UNAVAILABLE", || Http2Origin::answering(head, b"\0\0\0\0\0", &[("grpc-status", "14")]), 1),
        ("INTERNAL in the head alone", || Http2Origin::answering(internal, b"", &[]), 1),
        ("RESOURCE_EXHAUSTED", || Http2Origin::answering(head, b"", &[("grpc-status", "8")]), 0),
        ("none", || Http2Origin::answering(head, b"\0\0\0\0\0", &[("x-a", "1")]), 1),
    ];
    fn head() -> Response<()> {
        Response::builder().header("content-type", "application/grpc").body(()).expect("a head")
    }
    fn internal() -> Response<()> {
        Response::builder().header("content-type", "application/grpc").header("grpc-status", "13").body(()).expect("a head")
    }
    for (what, origin, failures) in cases {
        let origin = origin();
        let mut config = release_of(&[], &[origin.address()], 1, 1);
        config.backends.iter_mut().for_each(|backend| backend.protocol = Protocol::Http2);
        let proxy = serve(settings(), config);
        assert_eq!(Client::of(&proxy).send(GRPC).response().status(), 200, "{what}");
        eventually("it is counted", || proxy.counters().snapshot().iter().map(|row| row.counts.requests).sum::<u64>() == 1);
        eventually(what, || proxy.counters().snapshot().iter().map(|row| row.counts.failures).sum::<u64>() == failures);
        assert_eq!(origin.heard()[0].headers["te"], "trailers");
    }
}

#[test]
fn failures_are_told_to_grpc_in_its_own_words() {
    let proxy = serve(settings(), h2c(&[]));
    let answer = Client::of(&proxy).send(GRPC).response();
    assert_eq!((answer.status(), answer.text()), (200, ""));
    let told = ["content-type", "grpc-status", "grpc-message"].map(|name| answer.field(name));
    assert_eq!(told, [Some("application/grpc"), Some("14"), Some("the backend has no endpoint")]);
    let plain = Client::of(&proxy).get("/");
    assert_eq!((plain.status(), plain.field("grpc-status")), (503, None));
}
