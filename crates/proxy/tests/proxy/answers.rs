//! Answers of every framing, whole and cut, in one piece and in many: what the client gets, and whether their connection serves again.

use crate::support::{Client, Message, Origin, eventually, everything_to, serve, settings};
use std::io::{BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer to `GET` and what its client gets of it.
const WHOLE: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", "hello"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n000\r\nX-Sum: 1\r\nB: c\r\n\r\n", "hello"),
    ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
    ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", ""),
];

/// An origin that takes requests one after the other, and does with each answer as it likes.
fn origin(answer: impl Fn(&Message, &mut dyn Write) -> Option<()> + Send + Sync + 'static) -> Origin {
    Origin::talking(move |mut stream| {
        stream.set_nodelay(true).expect("no delay");
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        while let Some(request) = Message::read(&mut reader, false) {
            if answer(&request, &mut stream).is_none() {
                return;
            }
        }
    })
}

/// The numbers in a path.
fn numbers(request: &Message) -> Vec<usize> {
    let path = request.line.split(' ').nth(1).expect("a path");
    path.split('/').filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn whole_answers_in_single_bytes_leave_one_connection_open() {
    let origin = origin(|request, stream| {
        let (bytes, _) = WHOLE[numbers(request)[0]];
        bytes.bytes().try_for_each(|byte| stream.write_all(&[byte]).ok())
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for (number, (bytes, body)) in WHOLE.iter().enumerate() {
        assert_eq!(client.get(&format!("/{number}")).text(), *body, "{bytes:?}");
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    assert!(proxy.counters().totals().failures.is_empty());
}

#[test]
fn answer_that_ends_at_any_byte_never_looks_whole() {
    let origin = origin(|request, stream| {
        let [number, end] = numbers(request)[..] else { return None };
        stream.write_all(&WHOLE[number].0.as_bytes()[..end]).ok();
        None
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    for (number, (bytes, _)) in WHOLE.iter().enumerate() {
        for end in 0..bytes.len() {
            let mut client = Client::of(&proxy);
            let response = client.try_get(&format!("/{number}/{end}"));
            let told = response.is_none_or(|response| response.status() == 502);
            assert!(told, "{:?} passes for whole", &bytes[..end]);
        }
    }
    eventually("all are let go", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn connection_with_anything_behind_its_answer_is_closed() {
    let cases = WHOLE.iter().map(|(bytes, _)| ("GET", *bytes)).chain([
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
    ]);
    for (method, bytes) in cases {
        let origin = origin(move |_, stream| stream.write_all(format!("{bytes}HTTP/1.1 200 OK\r\n").as_bytes()).ok());
        let proxy = serve(settings(), everything_to(&[origin.address]));
        for turn in 1..=2 {
            let mut client = Client::of(&proxy);
            client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).try_response(method == "HEAD").expect("a response");
            eventually("it is closed", || proxy.counters().totals().upstream_connections == 0);
            assert_eq!(origin.connections.load(Ordering::SeqCst), turn, "{method} {bytes:?}");
        }
    }
}

#[test]
fn answer_that_nobody_asked_for_is_nobodys() {
    let said = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&said);
    let origin = origin(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
        count.fetch_add(1, Ordering::SeqCst);
        eventually("the first is taken", || count.load(Ordering::SeqCst) % 3 == 2);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").ok()?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(())
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for turn in 1..=10 {
        assert_eq!(client.get("/").text(), "ok");
        said.fetch_add(1, Ordering::SeqCst);
        eventually("more is said", || said.load(Ordering::SeqCst) == 3 * turn);
        assert_eq!(origin.connections.load(Ordering::SeqCst), turn);
    }
}

#[test]
fn connection_that_its_origin_wants_to_end_serves_once() {
    let ending = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    ];
    for bytes in ending {
        let origin = origin(move |_, stream| stream.write_all(bytes.as_bytes()).ok());
        let proxy = serve(settings(), everything_to(&[origin.address]));
        let mut client = Client::of(&proxy);
        for turn in 1..=3 {
            assert!(matches!(client.get("/").status(), 200 | 204));
            assert_eq!(origin.connections.load(Ordering::SeqCst), turn, "{bytes:?}");
        }
        assert_eq!(proxy.counters().totals().upstream_connections, 0);
    }
}

#[test]
fn heads_of_answers_have_limits() {
    let origin = origin(|request, stream| {
        let head = match numbers(request)[..] {
            [0, fields] => "a: b\r\n".repeat(fields - 1),
            [1, bytes] => format!("x: {}\r\n", "y".repeat(bytes - "HTTP/1.1 200 OK\r\nx: \r\nContent-Length: 0\r\n\r\n".len())),
            [2, hints] => {
                stream.write_all("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(hints).as_bytes()).ok()?;
                String::new()
            }
            _ => return None,
        };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n").as_bytes()).ok()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let cases =
        [("/0/100", 200), ("/0/101", 502), ("/1/32768", 200), ("/1/32769", 502), ("/1/1000000", 502), ("/2/16", 200), ("/2/17", 502)];
    for (path, status) in cases {
        assert_eq!(client.get(path).status(), status, "{path}");
    }
    assert_eq!(proxy.counters().totals().failures.get("bad-response"), Some(&3));
    assert_eq!(proxy.counters().totals().failures.get("unasked"), Some(&1));
    eventually("none is kept behind a bad one", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn length_over_all_bytes_there_are_is_passed_on_and_never_whole() {
    let lengths = ["Content-Length: 9999999999999999999\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"];
    for length in lengths {
        let origin = origin(move |_, stream| stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}").as_bytes()).ok().and(None));
        let proxy = serve(settings(), everything_to(&[origin.address]));
        let mut client = Client::of(&proxy);
        assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response(false), None);
        eventually("it is counted", || proxy.counters().totals().failures.get("reset") == Some(&1));
    }
}

#[test]
fn client_of_http_1_0_hears_of_no_chunks() {
    let origin = Origin::answering(|request| {
        let status = if request.line.contains("/304") { "304 Not Modified" } else { "200 OK" };
        let body = if request.line.starts_with("GET /200") { "0\r\nX-Sum: 1\r\n\r\n" } else { "" };
        format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{body}").into_bytes()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    for request in ["GET /200", "GET /304", "HEAD /200"] {
        let answer = Client::of(&proxy).send(format!("{request} HTTP/1.0\r\n\r\n")).rest();
        let text = String::from_utf8(answer).expect("text");
        assert!(text.ends_with("\r\n\r\n") && !text.to_ascii_lowercase().contains("transfer-encoding"), "{request}: {text}");
    }
}
