//! Origins that are not there, lie, stop, or are slow: what the client is told, and what is counted.

use crate::support::{Client, Message, Origin, PATIENCE, eventually, everything_to, publish, release_of, serve, settings};
use serin_proxy::{Limits, Settings, Timeouts};
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}

fn within(timeouts: Timeouts) -> Settings {
    Settings { timeouts, ..settings() }
}

#[test]
fn endpoint_that_refuses_is_passed_over_and_counted_and_all_that_refuse_are_502() {
    let origin = Origin::saying("ok");
    let endpoints = [nobody(), origin.address];
    let proxy = serve(settings(), release_of(&endpoints, &[], 100, 0));
    let mut client = Client::of(&proxy);
    for _ in 0..10 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(client.send(post).response().text(), "ok");
    }
    let counts = &proxy.counters().snapshot()[0].counts;
    assert_eq!((counts.requests, counts.failures, counts.responses[2]), (10, 5, 10));
    assert_eq!(proxy.counters().totals().failures.get("connect"), Some(&5));
    assert!(origin.heard().iter().all(|request| request.body == b"abc"));
    publish(&proxy, everything_to(&[nobody()]));
    let response = client.get("/");
    assert_eq!((response.status(), response.text()), (502, "no connection to the backend\n"));
}

#[test]
fn s4_retry_stays_on_its_side() {
    let stable = Origin::saying("stable");
    let proxy = serve(settings(), release_of(&[stable.address], &[nobody()], 100, 100));
    assert_eq!(Client::of(&proxy).get("/").status(), 502);
    assert_eq!(stable.count(), 0);
    let counts = proxy.counters().snapshot();
    assert_eq!((counts[1].counts.requests, counts[1].counts.failures, counts[1].counts.responses[5]), (1, 1, 1));
}

#[test]
fn bad_response_is_502_and_its_connection_is_not_used_again() {
    let bad: &[&str] = &[
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2000 OK\r\n\r\n",
    ];
    for response in bad {
        let origin = Origin::answering(|_| response.as_bytes().to_vec());
        let proxy = serve(settings(), release_of(&[origin.address], &[], 100, 0));
        let mut client = Client::of(&proxy);
        for turn in 1..=2 {
            assert_eq!(client.get("/").status(), 502, "{response:?}");
            assert_eq!(origin.connections.load(Ordering::SeqCst), turn, "{response:?}");
        }
        assert_eq!(proxy.counters().snapshot()[0].counts.failures, 2);
    }
}

#[test]
fn bytes_behind_a_response_are_nobodys_response() {
    let split = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let origin = Origin::answering(|_| split.as_bytes().to_vec());
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for turn in 1..=5 {
        assert_eq!(client.get("/").text(), "ok");
        assert_eq!(origin.connections.load(Ordering::SeqCst), turn);
    }
}

#[test]
fn response_that_ends_early_never_looks_whole() {
    let early: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
    ];
    for response in early {
        let origin = Origin::talking(|mut stream| {
            Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
            stream.write_all(response.as_bytes()).expect("the proxy reads");
        });
        let proxy = serve(settings(), release_of(&[origin.address], &[], 100, 0));
        let mut client = Client::of(&proxy);
        assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response(false), None, "{response:?}");
        eventually("the failure is counted", || proxy.counters().snapshot()[0].counts.failures == 1);
        assert_eq!(proxy.counters().snapshot()[0].counts.responses[2], 1);
    }
}

#[test]
fn response_until_the_end_of_its_connection_is_passed_on() {
    let origin = Origin::talking(|mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold").expect("the proxy reads");
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").text(), "old");
    assert_eq!(client.get("/").text(), "old");
}

#[test]
fn origin_that_closes_without_an_answer_is_502_and_no_post_is_sent_twice() {
    let origin = Origin::answering(|_| Vec::new());
    let proxy = serve(settings(), everything_to(&[origin.address, origin.address]));
    let response = Client::of(&proxy).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").response();
    assert_eq!((response.status(), response.text()), (502, "the backend closed without an answer\n"));
    assert_eq!(origin.count(), 1);
}

#[test]
fn connection_that_the_origin_closed_while_idle_costs_no_request() {
    let origin = Origin::talking(|mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("the proxy reads");
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for _ in 0..200 {
        assert_eq!(client.get("/").status(), 200);
    }
    assert!(proxy.counters().totals().failures.is_empty());
}

#[test]
fn slow_origin_is_504_and_one_that_stops_within_its_answer_is_cut_off() {
    let silent = Origin::talking(|_stream| std::thread::park());
    let short = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = serve(within(short), release_of(&[silent.address], &[], 100, 0));
    let mut client = Client::of(&proxy);
    let response = client.get("/");
    assert_eq!((response.status(), response.text()), (504, "the backend took too long to answer\n"));
    let with_body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(client.send(with_body).response().status(), 504);
    assert_eq!(proxy.counters().snapshot()[0].counts.failures, 2);

    let stopping = Origin::talking(|mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").expect("the proxy reads");
        std::thread::park();
    });
    let short = Timeouts { origin_idle: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = serve(within(short), everything_to(&[stopping.address]));
    assert_eq!(Client::of(&proxy).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response(false), None);
    eventually("it is counted", || proxy.counters().totals().failures.get("origin-idle") == Some(&1));
}

#[test]
fn origin_that_takes_nothing_of_a_request_is_504() {
    let deaf = Origin::talking(|_stream| std::thread::park());
    let short = Timeouts { origin_idle: Duration::from_millis(100), ..Timeouts::default() };
    let proxy = serve(within(short), everything_to(&[deaf.address]));
    let mut client = Client::of(&proxy);
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 256 * 1024 * 1024));
    let mut sender = client.stream.try_clone().expect("a stream");
    std::thread::spawn(move || while sender.write_all(&[0; 64 * 1024]).is_ok() {});
    assert_eq!(client.response().status(), 504);
}

#[test]
fn origin_has_time_while_the_client_is_still_sending() {
    let origin = Origin::saying("ok");
    let short = Timeouts { first_byte: Duration::from_secs(1), ..Timeouts::default() };
    let proxy = serve(within(short), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    let start = Instant::now();
    for (byte, seconds) in [("a", 0.5), ("b", 1.0), ("c", 1.5)] {
        eventually("time passes", || start.elapsed().as_secs_f64() > seconds);
        client.send(byte);
    }
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn whole_request_may_have_a_limit() {
    let silent = Origin::talking(|_stream| std::thread::park());
    let short = Timeouts { request: Some(Duration::from_millis(400)), ..Timeouts::default() };
    let proxy = serve(within(short), everything_to(&[silent.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 504);
    let dripping = Origin::talking(|mut stream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        let mut bytes: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        while stream.write_all(bytes).is_ok() {
            bytes = b"1\r\na\r\n";
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    publish(&proxy, everything_to(&[dripping.address]));
    assert_eq!(Client::of(&proxy).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response(false), None);
    eventually("it is counted", || proxy.counters().totals().failures.get("request-timeout") == Some(&2));
}

#[test]
fn idle_connections_are_closed_by_time() {
    let origin = Origin::saying("ok");
    let short = Timeouts { pool_idle: Duration::from_millis(100), ..Timeouts::default() };
    let proxy = serve(within(short), everything_to(&[origin.address]));
    assert_eq!(Client::of(&proxy).get("/").status(), 200);
    eventually("the idle connection is closed", || proxy.counters().totals().upstream_connections == 0);
}

#[test]
fn connections_to_an_endpoint_have_a_limit() {
    let silent = Origin::talking(|_stream| std::thread::park_timeout(PATIENCE));
    let limits = Limits { connections_per_endpoint: 2, ..Limits::default() };
    let proxy = serve(Settings { limits, ..settings() }, everything_to(&[silent.address]));
    let mut waiting: Vec<_> = (0..2).map(|_| Client::of(&proxy)).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("both are sent on", || proxy.counters().totals().upstream_connections == 2);
    let response = Client::of(&proxy).get("/");
    assert_eq!((response.status(), response.text()), (503, "the backend has all the connections it may have\n"));
    drop(waiting);
    eventually("both are given back", || proxy.counters().totals().upstream_connections == 0);
}
