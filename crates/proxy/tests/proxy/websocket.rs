//! WebSocket: a tunnel only where client and origin agreed on one.

use crate::streams::held_back;
use crate::support::{Client, Message, Origin, eventually, everything_to, publish, release_of, serve, settings};
use serin_proxy::{AccessLog, Proxy, Settings, Timeouts};
use serin_routing::config::Traffic;
use serin_routing::{Policies, Table};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees at once, and then says back whatever comes.
fn echo() -> Origin {
    saying(AGREE)
}

fn saying(agree: &'static str) -> Origin {
    Origin::talking(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        if Message::read(&mut reader, false).is_none() || stream.write_all(agree.as_bytes()).is_err() {
            return;
        }
        let _ = std::io::copy(&mut reader, &mut stream);
    })
}

/// A client with a tunnel.
fn open(proxy: &Proxy) -> Client {
    let mut client = Client::of(proxy);
    client.send(ASK);
    let answer = Message::read(&mut client.reader, true).expect("an answer");
    assert_eq!(answer.status(), 101, "{answer:?}");
    let told = ["connection", "upgrade", "sec-websocket-accept"].map(|name| answer.field(name).map(str::to_ascii_lowercase));
    assert_eq!(told, [Some("upgrade".into()), Some("websocket".into()), Some("s3pplmbitxaq9kygzzhzrbk+xoo=".into())]);
    client
}

fn echoes(client: &mut Client, text: &str) {
    client.send(text);
    let mut back = vec![0; text.len()];
    client.reader.read_exact(&mut back).expect("the echo");
    assert_eq!(back, text.as_bytes());
}

#[test]
fn bytes_go_both_ways_once_the_origin_agreed_and_it_is_told_when_it_is_over() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (origin, lines) = (echo(), Lines::default());
    let logged = Settings { access_log: AccessLog::Text, ..settings() };
    let proxy = Proxy::start_logging_to(logged, Box::new(lines.clone())).expect("a proxy");
    publish(&proxy, everything_to(&[origin.address]));
    let mut client = open(&proxy);
    echoes(&mut client, "GET / HTTP/1.1\r\n\r\n: no request");
    echoes(&mut client, &"x".repeat(100_000));
    assert_eq!(proxy.counters().totals().websockets, 1);
    client.half_close();
    assert_eq!(client.rest(), b"", "the end goes on too");
    eventually("it is over", || proxy.counters().totals().websockets == 0 && proxy.counters().totals().upstream_connections == 0);
    assert_eq!(proxy.counters().totals().failures, Default::default());
    assert_eq!(proxy.counters().totals().responses[1], 1);
    drop(proxy);
    let line = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    assert!(line.contains("status=101 grpc_status=- bytes=100030 "), "{line}");
}

#[test]
fn only_what_the_origin_agreed_to_is_a_tunnel() {
    for refusal in [
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    ] {
        let origin = Origin::answering(move |_| refusal.into());
        let proxy = serve(settings(), everything_to(&[origin.address]));
        let mut client = Client::of(&proxy);
        let answer = client.send(ASK).response();
        assert_eq!((answer.text(), answer.field("upgrade")), ("no", None));
        assert_eq!(client.get("/next").text(), "no", "the connection goes on as HTTP");
        let heard = origin.heard();
        assert_eq!((heard[0].field("upgrade"), heard[0].field("connection")), (Some("websocket"), Some("upgrade")));
        assert_eq!(heard[1].field("upgrade"), None);
    }
    for (what, other) in [
        ("another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        ("two protocols", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n"),
        ("no protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"),
        ("no option", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ] {
        let origin = saying(other);
        let proxy = serve(settings(), everything_to(&[origin.address]));
        assert_eq!(Client::of(&proxy).send(ASK).response().status(), 502, "{what}");
        eventually("the connection is not kept", || proxy.counters().totals().upstream_connections == 0);
    }
}

#[test]
fn other_upgrades_and_such_with_a_body_are_not_passed_on() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let asks = [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for ask in asks {
        assert_eq!(Client::of(&proxy).send(ask).response().status(), 200, "{ask}");
    }
    assert!(origin.heard().iter().all(|heard| heard.field("upgrade").is_none() && heard.field("connection").is_none()));
    assert_eq!(origin.count(), asks.len());
}

#[test]
fn bytes_before_the_origin_agreed_close_the_connection() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let origin = Origin::talking(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        Message::read(&mut reader, false).expect("a request");
        // The client's own early bytes are there by now: they came in the same piece.
        stream.write_all(AGREE.as_bytes()).expect("the proxy reads");
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        heard.lock().expect("no panic").extend(rest);
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let answer = client.send(format!("{ASK}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")).response();
    assert_eq!(answer.status(), 400, "{answer:?}");
    assert_eq!(client.rest(), b"");
    eventually("the origin is let go", || proxy.counters().totals().upstream_connections == 0);
    assert_eq!(told.lock().expect("no panic").as_slice(), b"", "none of it reached the origin");
}

#[test]
fn each_end_is_held_back_by_the_other() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let origin = Origin::talking(move |mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        stream.write_all(AGREE.as_bytes()).expect("the proxy reads");
        pour(stream, &count);
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let client = open(&proxy);
    let down = held_back(&sent);
    let (up, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (stream, told) = (client.stream.try_clone().expect("a stream"), Arc::clone(&up));
    std::thread::spawn(move || pour(stream, &told));
    let up = held_back(&up);
    assert!(down < ENDLESS / 4 && up < ENDLESS / 4, "{down} and {up} bytes are on their way to nobody");
    drop((client, count));
}

const ENDLESS: usize = 256 * 1024 * 1024;

fn pour(mut stream: TcpStream, sent: &AtomicUsize) {
    while sent.load(Ordering::SeqCst) < ENDLESS && stream.write_all(&[b'x'; 65536]).is_ok() {
        sent.fetch_add(65536, Ordering::SeqCst);
    }
}

#[test]
fn tunnel_keeps_no_table_and_outlives_its_endpoint() {
    let origin = echo();
    let proxy = serve(settings(), everything_to(&[]));
    let table = Arc::new(Table::new(&everything_to(&[origin.address]), &mut Policies::default()));
    let seen = Arc::downgrade(&table);
    crate::support::wait_for(proxy.publish(table));
    let mut client = open(&proxy);
    // Its pod is gone.
    publish(&proxy, everything_to(&[]));
    assert!(seen.upgrade().is_none(), "nobody holds the old table");
    assert_eq!(Client::of(&proxy).get("/").status(), 503);
    echoes(&mut client, "still here");
}

#[test]
fn tunnel_to_the_canary_ends_after_an_abort_and_one_to_stable_goes_on() {
    let (stable, canary) = (echo(), echo());
    let proxy = serve(settings(), release_of(&[stable.address], &[canary.address], 2, 1));
    let mut clients = [open(&proxy), open(&proxy)];
    let mut aborted = release_of(&[stable.address], &[canary.address], 2, 1);
    aborted.releases[0].traffic = Traffic::RolledBack { epoch: 2 };
    aborted.releases[0].drain_on_abort = Duration::from_millis(50);
    publish(&proxy, aborted);
    eventually("one is left", || proxy.counters().totals().websockets == 1);
    assert_eq!(proxy.counters().totals().failures.get("drained"), Some(&1));
    let failures: u64 = proxy.counters().snapshot().iter().map(|row| row.counts.failures).sum();
    assert_eq!(failures, 0, "what ended as it was asked to is no failure");
    let mut left = 0;
    for client in &mut clients {
        let _ = client.stream.write_all(b"hello");
        let mut back = [0; 5];
        left += usize::from(client.reader.read_exact(&mut back).is_ok());
    }
    assert_eq!(left, 1);
}

#[test]
fn tunnel_outlives_the_drain_of_its_proxy_until_it_ends() {
    let origin = echo();
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = open(&proxy);
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| crate::support::wait_for(proxy.drain(Duration::ZERO, Duration::from_secs(3600))));
        eventually("nobody listens", || TcpStream::connect(proxy.local_addr()).is_err());
        echoes(&mut client, "still here");
        assert!(!drained.is_finished());
        drop(client);
        drained.join().expect("it ends with its last tunnel");
    });
}

#[test]
fn tunnel_on_which_nothing_happens_ends() {
    let origin = echo();
    let short = Timeouts { websocket_idle: Duration::from_millis(100), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts: short, ..settings() }, everything_to(&[origin.address]));
    let mut client = open(&proxy);
    echoes(&mut client, "once");
    assert_eq!(client.try_rest().unwrap_or_default(), b"");
    eventually("it is told", || proxy.counters().totals().failures.get("websocket-idle") == Some(&1));
}

#[test]
fn origin_that_breaks_off_counts_and_a_client_that_does_does_not() {
    let origin = Origin::talking(|mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        stream.write_all(AGREE.as_bytes()).expect("the proxy reads");
        let mut byte = [0];
        // What is unread at the end makes it a reset.
        let _ = stream.peek(&mut byte);
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    open(&proxy).send("x");
    eventually("it is told", || proxy.counters().totals().websockets == 0);
    let label = |label: &str| proxy.counters().totals().failures.get(label).copied().unwrap_or_default();
    eventually("it is counted", || label("reset") + label("client-left") == 1);
}
