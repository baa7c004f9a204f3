//! Bodies: streamed both ways, held back when nobody takes them, cut off when their other end is.

use crate::support::{Client, Message, Origin, eventually, everything_to, serve, settings};
use serin_proxy::Proxy;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn chunks_go_both_ways_with_the_trailers_that_may() {
    let origin = Origin::answering(|request| {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n".to_vec();
        answer.extend(format!("{:x};ext=1\r\n", request.body.len()).bytes().chain(request.body.iter().copied()));
        answer.extend(b"\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n");
        answer
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Sum, X-Forwarded-For\r\n\r\n";
    client.send(head).send("3;a=b\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    let response = client.response();
    assert_eq!(response.text(), "abcdefg");
    assert_eq!(response.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    let heard = &origin.heard()[0];
    assert_eq!((heard.body.as_slice(), heard.field("content-length")), (&b"abcdefg"[..], None));
    assert_eq!(heard.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn large_bodies_go_both_ways_whole() {
    let origin = Origin::answering(|request| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        [head.as_bytes(), &request.body].concat()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = Client::of(&proxy);
    let mut sender = client.stream.try_clone().expect("a stream");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
            sender.write_all(head.as_bytes()).and_then(|()| sender.write_all(&body)).expect("bytes go out");
        });
        assert!(client.response().body == body);
    });
}

#[test]
fn expectation_is_answered_when_the_body_is_wanted() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(Message::read(&mut client.reader, false).map(|interim| interim.status()), Some(100));
    assert_eq!(client.send("abc").response().text(), "ok");
    assert_eq!((origin.heard()[0].body.as_slice(), origin.heard()[0].field("expect")), (&b"abc"[..], None));
}

#[test]
fn interim_responses_of_an_origin_are_not_the_answer() {
    let origin = Origin::answering(|_| {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").into_bytes()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").text(), "ok");
}

/// More than all buffers of the system and of the proxy can hold together.
const ENDLESS: usize = 256 * 1024 * 1024;

fn write_endlessly(mut stream: TcpStream, sent: &AtomicUsize) {
    let piece = vec![b'x'; 64 * 1024];
    while sent.load(Ordering::SeqCst) < ENDLESS && stream.write_all(&piece).is_ok() {
        sent.fetch_add(piece.len(), Ordering::SeqCst);
    }
}

/// Waits until nothing more goes out; how much did.
pub(crate) fn held_back(sent: &AtomicUsize) -> usize {
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        std::thread::park_timeout(std::time::Duration::from_millis(10));
        let now = sent.load(Ordering::SeqCst);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
    }
    last
}

#[test]
fn origin_is_held_back_by_a_client_that_does_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let origin = Origin::talking(move |mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n").expect("the proxy reads");
        write_endlessly(stream, &count);
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let held = held_back(&sent);
    assert!(held < ENDLESS / 4, "{held} bytes are on their way to nobody");
    drop(client);
    eventually("the origin is let go", || Arc::strong_count(&sent) > 0 && proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn client_is_held_back_by_an_origin_that_does_not_read() {
    let origin = Origin::talking(|_stream| std::thread::park());
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {ENDLESS}\r\n\r\n"));
    let (stream, sent) = (client.stream.try_clone().expect("a stream"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&sent);
    std::thread::spawn(move || write_endlessly(stream, &count));
    let held = held_back(&sent);
    assert!(held < ENDLESS / 4, "{held} bytes are on their way to nobody");
}

fn cancelled_when_the_client_leaves(proxy: &Proxy, request: &str) {
    let mut client = Client::of(proxy);
    client.send(request);
    eventually("the origin is asked", || proxy.counters().totals().upstream_connections == 1);
    drop(client);
    eventually("the origin is let go", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn origin_is_let_go_when_the_client_leaves() {
    let origin = Origin::talking(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok();
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    cancelled_when_the_client_leaves(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    cancelled_when_the_client_leaves(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    eventually("both are counted", || proxy.counters().totals().failures.values().sum::<u64>() == 2);
}

#[test]
fn body_that_nobody_read_is_not_taken_for_the_next_request() {
    let origin = Origin::talking(|mut stream| {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {}
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("the proxy reads");
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(client.response().status(), 413);
    client.stream.write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").ok();
    assert_eq!(client.try_rest().unwrap_or_default(), b"");
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}
