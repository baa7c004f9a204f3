//! What is sent again when an origin closes a connection that it kept, and what never is.

use crate::support::{Client, Message, Origin, everything_to, serve, settings};
use std::io::{BufReader, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// An origin that answers the first request of each connection, and to the second says only this and closes; and the lines it heard.
fn closing(last: &'static str) -> (Origin, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&heard);
    let origin = Origin::talking(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", last] {
            let Some(request) = Message::read(&mut reader, false) else { return };
            lines.lock().expect("no panic").push(request.line);
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    (origin, heard)
}

/// The status of this request, sent on a connection that was used before, and how often the origin heard it.
fn sent_second(request: &str, last: &'static str) -> (u16, usize) {
    let (origin, heard) = closing(last);
    let proxy = serve(settings(), everything_to(&[origin.address, origin.address]));
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/first").status(), 200);
    let response = client.send(request).try_response(request.starts_with("HEAD")).expect("a response");
    let times = heard.lock().expect("no panic").iter().filter(|line| request.starts_with(*line)).count();
    assert_eq!(origin.connections.load(Ordering::SeqCst), times);
    (response.status(), times)
}

#[test]
fn request_without_a_body_that_may_be_repeated_is_sent_again_when_nothing_was_answered() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(sent_second(&request, ""), (200, 2), "{method}");
    }
}

#[test]
fn nothing_else_is_sent_twice() {
    for method in ["POST", "PATCH", "get", "PURGE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(sent_second(&request, ""), (502, 1), "{method}");
    }
    for framing in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
        for method in ["GET", "PUT", "POST"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{framing}");
            assert_eq!(sent_second(&request, ""), (502, 1), "{method} {framing}");
        }
    }
}

#[test]
fn nothing_is_sent_again_once_anything_was_answered() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for last in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "SSH-2.0\r\n"] {
        assert_eq!(sent_second(get, last), (502, 1), "{last:?}");
    }
}

#[test]
fn new_connection_that_is_closed_without_an_answer_is_not_tried_again() {
    let origin = Origin::answering(|_| Vec::new());
    let proxy = serve(settings(), everything_to(&[origin.address, origin.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 502);
    assert_eq!(origin.count(), 1);
}
