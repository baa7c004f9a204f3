//! Requests of any framing and split arrive as they were sent.

use crate::gate::long_or;
use crate::support::{Client, Message, Origin, everything_to, serve, settings};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use std::sync::atomic::Ordering;

/// A request as it is written, and the body and trailers that it has.
fn request() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, bool)> {
    let size = prop_oneof![Just(1_usize), 1..100_usize, 1000..5000_usize, Just(40_000_usize)];
    let data = (size, any::<u8>()).prop_map(|(size, seed)| (0..size).map(|n| seed.wrapping_add((n % 251) as u8)).collect::<Vec<u8>>());
    let chunks = prop::collection::vec(data, 0..6);
    (chunks, any::<bool>(), any::<bool>()).prop_map(|(chunks, chunked, trailers)| {
        let body = chunks.concat();
        if !chunked {
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
            return ([head.as_bytes(), &body].concat(), body, false);
        }
        let mut bytes = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n".to_vec();
        for chunk in &chunks {
            bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        bytes.extend(if trailers { &b"0\r\nX-Sum: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
        (bytes, body, trailers)
    })
}

#[test]
fn requests_arrive_as_they_were_sent_on_one_connection() {
    let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let client = std::cell::RefCell::new(Client::of(&proxy));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(long_or(300, 20_000)) });
    let cases = (request(), prop::collection::vec(any::<Index>(), 0..5));
    let tried = runner.run(&cases, |((bytes, body, trailers), cuts)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut client, mut start) = (client.borrow_mut(), 0);
        for end in cuts.into_iter().chain([bytes.len()]) {
            client.send(&bytes[start..end]);
            start = end;
        }
        prop_assert_eq!(client.response().status(), 200);
        let Message { body: heard, trailers: heard_trailers, .. } = origin.heard().pop().expect("it was heard");
        prop_assert!(heard == body, "{} bytes of {}", heard.len(), body.len());
        prop_assert_eq!(heard_trailers.len(), usize::from(trailers));
        origin.forget();
        Ok(())
    });
    assert!(tried.is_ok(), "{}", tried.expect_err("a failure"));
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}
