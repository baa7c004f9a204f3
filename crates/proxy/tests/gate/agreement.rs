//! hyper sees the same requests with the same ends, given what the gate released.

use crate::cases::requests;
use crate::mutate::mutated;
use crate::support::{Seen, long_or, send};
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use proptest::prelude::*;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// A connection whose client has sent everything, reads nothing and stays.
struct Wire {
    bytes: Vec<u8>,
    sent: usize,
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.sent == self.bytes.len() {
            return Poll::Pending;
        }
        let end = self.bytes.len().min(self.sent + buffer.remaining());
        buffer.put_slice(&self.bytes[self.sent..end]);
        self.sent = end;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request as hyper saw it: its target and the bytes of its body, `None` if that ended in an error.
type Heard = (String, Option<u64>);

/// The requests that hyper hears in these bytes.
fn hear(bytes: Vec<u8>) -> Vec<Heard> {
    let heard = RefCell::new(Vec::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let (target, body) = (request.uri().to_string(), length(request.into_body()).await);
        heard.borrow_mut().push((target, body));
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    {
        let mut connection = pin!(http1::Builder::new().serve_connection(Wire { bytes, sent: 0 }, service));
        let mut context = Context::from_waker(Waker::noop());
        // Nothing wakes hyper, which yields in between: it is asked again until it heard both requests, or long enough.
        let goes_on = |pending| pending && heard.borrow().len() < 2;
        let _waits = (0..2000).all(|_| goes_on(connection.as_mut().poll(&mut context).is_pending()));
    }
    heard.into_inner()
}

async fn length(mut body: Incoming) -> Option<u64> {
    let mut length = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        length += frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Some(length)
}

const NEXT: &[u8] = b"GET /the-next-one HTTP/1.1\r\nHost: next\r\n\r\n";

/// Gives hyper each complete request with another behind it: if hyper saw another end, it would not see that one.
fn disagreement(bytes: &[u8], seen: &Seen) -> Option<String> {
    for (range, head) in &seen.requests {
        let request = &bytes[range.clone()];
        let heard = hear([request, NEXT].concat());
        let next = heard.iter().skip(1).map(|(target, body)| (target.as_str(), *body)).collect::<Vec<_>>();
        let expected: &[_] = if head.keep_alive { &[("/the-next-one", Some(0))] } else { &[] };
        let whole = heard.first().is_some_and(|(_, body)| body.is_some());
        if !whole || next != expected {
            return Some(format!("{}: hyper heard {heard:?}", request.escape_ascii()));
        }
    }
    None
}

#[test]
fn hyper_sees_the_ends_of_every_case() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for case in requests() {
        let seen = send(&case.bytes, []);
        compared += seen.requests.len();
        wrong.extend(disagreement(&case.bytes, &seen));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 50, "only {compared} requests were compared");
}

/// Every byte in every place of a head that the gate reads: what it lets through, hyper takes.
#[test]
fn hyper_takes_every_byte_that_the_gate_lets_through() {
    let places = [
        ("GE", "T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET /x", "y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET /?x", "y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET http://a/x", "y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET http://a?x", "y HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET http://a", " HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: x", "y\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: b\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: b", "c\r\n\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A:", "\r\n\r\n"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1", "\r\na\r\n0\r\n\r\n"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a", "\r\na\r\n0\r\n\r\n"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX", "Y: b\r\n\r\n"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: b", "c\r\n\r\n"),
    ];
    let mut wrong = Vec::new();
    for (before, after) in places {
        for byte in 0..=u8::MAX {
            let bytes = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            wrong.extend(disagreement(&bytes, &send(&bytes, [])));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hyper_takes_what_fills_the_limits_of_the_gate() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let full = [
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(99)),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16 * 1024 - 1)),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(32 * 1024 - 32)),
        format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(32)),
        format!("{chunked}{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "e".repeat(63)).repeat(64)),
        format!("{chunked}0\r\n{}\r\n", "a: b\r\n".repeat(32)),
        format!("{chunked}0\r\na:{}\r\n\r\n", "b".repeat(8192 - 4)),
    ];
    for request in full {
        let seen = send(request.as_bytes(), []);
        assert_eq!((seen.requests.len(), seen.released), (1, request.len()), "{}", seen.trace);
        assert_eq!(disagreement(request.as_bytes(), &seen), None);
    }
}

#[test]
fn another_end_would_be_noticed() {
    let mut seen = send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", []);
    seen.requests[0].0.end -= 1;
    assert!(disagreement(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &seen).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(long_or(20_000, 1_000_000)))]

    #[test]
    fn hyper_sees_the_ends_of_mutated_cases(bytes in mutated()) {
        prop_assert_eq!(disagreement(&bytes, &send(&bytes, [])), None);
    }
}
