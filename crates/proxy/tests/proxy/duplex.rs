//! Answers that come while their request is still on its way.

use crate::support::{Client, Message, Origin, eventually, everything_to, serve, settings};
use serin_proxy::{Settings, Timeouts};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More than all buffers of the system and of the proxy can hold together.
const ENDLESS: usize = 256 * 1024 * 1024;

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// The head of a request, and nothing behind it.
fn head_of(reader: &mut impl BufRead) {
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
}

/// A reader that takes nothing ahead.
fn unbuffered(stream: &TcpStream) -> BufReader<TcpStream> {
    BufReader::with_capacity(1, stream.try_clone().expect("a stream"))
}

/// Sends this much in the background, or what goes out.
fn send_on(client: &Client, length: usize) {
    let mut stream = client.stream.try_clone().expect("a stream");
    std::thread::spawn(move || {
        let piece = vec![b'x'; 64 * 1024];
        let mut left = length;
        while left > 0 && stream.write_all(&piece[..left.min(piece.len())]).is_ok() {
            left -= left.min(piece.len());
        }
    });
}

#[test]
fn each_piece_is_answered_before_the_next_is_sent_and_the_connection_is_used_again() {
    let origin = Origin::talking(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        loop {
            head_of(&mut reader);
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                stream.write_all(line.as_bytes()).ok();
                if line == "0\r\n" {
                    reader.read_line(&mut line).expect("the end");
                    stream.write_all(b"\r\n").ok();
                    break;
                }
                line.clear();
            }
        }
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        head_of(&mut client.reader);
        for piece in ["1\r\na\r\n", "3\r\nbcd\r\n", "0\r\n\r\n"] {
            client.send(piece);
            let mut echo = vec![0; piece.len()];
            client.reader.read_exact(&mut echo).expect("an echo");
            assert_eq!(echo, piece.as_bytes());
        }
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn request_goes_on_while_its_client_does_not_take_the_answer() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let origin = Origin::talking(move |mut stream| {
        let mut reader = unbuffered(&stream);
        head_of(&mut reader);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n").ok();
        let mut writer = stream.try_clone().expect("a stream");
        std::thread::spawn(move || while writer.write_all(&[b'y'; 64 * 1024]).is_ok() {});
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            count.fetch_add(length, Ordering::SeqCst);
        }
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send(post(ENDLESS));
    send_on(&client, ENDLESS);
    eventually("all of the request is there", || taken.load(Ordering::SeqCst) == ENDLESS);
    drop(client);
    eventually("the origin is let go", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn connection_of_an_upload_that_was_answered_early_is_not_used_again() {
    let origin = Origin::talking(|mut stream| {
        let mut reader = unbuffered(&stream);
        head_of(&mut reader);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok();
        reader.read_to_end(&mut Vec::new()).ok();
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    for turn in 1..=3 {
        let mut client = Client::of(&proxy);
        assert_eq!(client.send(post(9)).send("abc").response().text(), "ok");
        eventually("the origin is let go", || proxy.counters().totals().upstream_connections == 0);
        assert_eq!(origin.connections.load(Ordering::SeqCst), turn);
        client.stream.write_all(b"defghiGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").ok();
        assert_eq!(client.try_rest().unwrap_or_default(), b"");
    }
}

#[test]
fn refusal_of_an_origin_that_closes_at_once_reaches_a_client_that_is_still_sending() {
    let origin = Origin::talking(|mut stream| {
        head_of(&mut unbuffered(&stream));
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n").ok();
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    for _ in 0..20 {
        let mut client = Client::of(&proxy);
        client.send(post(ENDLESS));
        send_on(&client, ENDLESS);
        let response = client.response();
        assert_eq!((response.status(), response.text()), (413, "no\n"));
    }
    assert!(proxy.counters().totals().failures.is_empty());
    assert_eq!(origin.connections.load(Ordering::SeqCst), 20);
}

#[test]
fn upload_that_its_origin_breaks_off_is_502_and_goes_to_nobody_else() {
    let origin = Origin::talking(|stream| {
        head_of(&mut unbuffered(&stream));
    });
    let proxy = serve(settings(), everything_to(&[origin.address, origin.address]));
    let mut client = Client::of(&proxy);
    client.send(post(ENDLESS));
    send_on(&client, ENDLESS);
    assert_eq!(client.response().status(), 502);
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    assert_eq!(proxy.counters().totals().failures.get("reset"), Some(&1));
}

#[test]
fn body_until_the_end_of_a_connection_that_is_reset_is_not_whole() {
    let (full, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, go) = (Arc::clone(&full), Arc::clone(&end));
    let origin = Origin::talking(move |mut stream| {
        head_of(&mut unbuffered(&stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nabc").ok();
        wait.store(1, Ordering::SeqCst);
        // What is unread makes the system reset the connection.
        eventually("the upload is stuck", || go.load(Ordering::SeqCst) == 1);
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send(post(ENDLESS));
    let sent = Arc::new(AtomicUsize::new(0));
    let (count, mut stream) = (Arc::clone(&sent), client.stream.try_clone().expect("a stream"));
    std::thread::spawn(move || {
        while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    head_of(&mut client.reader);
    let mut start = [0; 8];
    client.reader.read_exact(&mut start).expect("what came before");
    assert_eq!(&start, b"3\r\nabc\r\n");
    crate::streams::held_back(&sent);
    end.store(1, Ordering::SeqCst);
    assert_eq!(client.try_rest().unwrap_or_default(), b"", "no last chunk");
    eventually("it is counted", || proxy.counters().totals().failures.get("reset") == Some(&1));
}

#[test]
fn origin_that_answers_early_and_then_takes_nothing_is_cut_off() {
    let origin = Origin::talking(|mut stream| {
        head_of(&mut unbuffered(&stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").ok();
        std::thread::park();
    });
    let timeouts = Timeouts { origin_idle: Duration::from_millis(100), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts, ..settings() }, everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send(post(ENDLESS));
    send_on(&client, ENDLESS);
    assert_eq!(client.try_response(false), None);
    eventually("it is counted", || proxy.counters().totals().failures.get("origin-idle") == Some(&1));
    assert_eq!(proxy.counters().totals().upstream_connections, 0);
}

#[test]
fn request_that_turns_out_bad_after_its_answer_began_ends_both_and_is_counted_as_what_it_is() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let bytes = Arc::clone(&heard);
    let origin = Origin::talking(move |mut stream| {
        let mut reader = unbuffered(&stream);
        head_of(&mut reader);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").ok();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).ok();
        bytes.lock().expect("no panic").push(all);
    });
    let timeouts = Timeouts { body_idle: Duration::from_millis(400), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts, ..settings() }, everything_to(&[origin.address]));
    for (turn, rest, label) in [(1, "x\r\n", "chunk-size"), (2, "", "body-timeout")] {
        let mut client = Client::of(&proxy);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        head_of(&mut client.reader);
        let mut start = [0; 8];
        client.reader.read_exact(&mut start).expect("what came before");
        client.send(rest);
        assert_eq!(client.try_rest().unwrap_or_default(), b"", "no last chunk");
        eventually("the origin is let go", || heard.lock().expect("no panic").len() == turn);
        assert_eq!(heard.lock().expect("no panic").last().map(Vec::as_slice), Some(&b"1\r\na\r\n"[..]), "no last chunk");
        eventually("it is counted", || proxy.counters().totals().failures.get(label) == Some(&1));
    }
}

#[test]
fn answers_of_one_fast_origin_keep_no_other_client_waiting() {
    let fast = Origin::talking(|mut stream| {
        Message::read(&mut unbuffered(&stream), false);
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok();
        let chunks = b"1\r\na\r\n".repeat(8192);
        while stream.write_all(&chunks).is_ok() {}
    });
    let proxy = serve(Settings { workers: 1, ..settings() }, everything_to(&[fast.address]));
    let mut greedy = Client::of(&proxy);
    greedy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut reader = greedy.stream.try_clone().expect("a stream");
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        let mut piece = vec![0; 1024 * 1024];
        while let Ok(length @ 1..) = reader.read(&mut piece) {
            count.fetch_add(length, Ordering::SeqCst);
        }
    });
    eventually("it flows", || taken.load(Ordering::SeqCst) > 1_000_000);
    let mut other = Client::of(&proxy);
    for _ in 0..50 {
        let before = taken.load(Ordering::SeqCst);
        assert_eq!(other.get("/%00").status(), 400);
        let meanwhile = taken.load(Ordering::SeqCst) - before;
        assert!(meanwhile < 64 * 1024 * 1024, "{meanwhile} bytes of another's answer came before");
    }
}
