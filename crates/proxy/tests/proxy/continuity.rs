//! Nobody notices a change: tables swapped, endpoints moved, the proxy drained.

use crate::support::{Client, Message, Origin, PATIENCE, eventually, everything_to, publish, release_of, serve, settings, wait_for};
use serin_proxy::Settings;
use serin_routing::{Policies, Table};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn no_request_fails_over_200_tables_under_load() {
    let origins: Vec<_> = (0..4).map(|n| Origin::saying(["a", "b", "c", "d"][n])).collect();
    let at = |n: usize| origins[n % 4].address;
    let proxy = serve(settings(), release_of(&[at(0)], &[at(1)], 100, 10));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::of(&proxy);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/").status(), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 0..200 {
            let before = answered.load(Ordering::Relaxed);
            publish(&proxy, release_of(&[at(n)], &[at(n + 1)], 100, u32::try_from(n % 100).expect("small")));
            eventually("requests go on", || answered.load(Ordering::Relaxed) >= before + 4);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(proxy.counters().totals().failures.is_empty(), "{:?}", proxy.counters().totals().failures);
}

#[test]
fn table_is_served_when_publish_says_so_and_a_long_response_keeps_no_old_one() {
    let (send, receive) = channel::<Vec<u8>>();
    let receive = Mutex::new(receive);
    let slow = Origin::talking(move |mut stream: TcpStream| {
        Message::read(&mut BufReader::new(stream.try_clone().expect("a stream")), false);
        let receive = receive.lock().expect("no panic");
        while let Ok(bytes) = receive.recv() {
            stream.write_all(&bytes).expect("the proxy reads");
        }
    });
    let fast = Origin::saying("fast");
    let proxy = serve(settings(), everything_to(&[]));
    let old = Arc::new(Table::new(&everything_to(&[slow.address]), &mut Policies::default()));
    let seen = Arc::downgrade(&old);
    wait_for(proxy.publish(old));
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    send.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab".to_vec()).expect("an origin");
    let mut head = [0; 15];
    client.reader.read_exact(&mut head).expect("the response begins");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    publish(&proxy, everything_to(&[fast.address]));
    for _ in 0..16 {
        assert_eq!(Client::of(&proxy).get("/").text(), "fast");
    }
    assert!(seen.upgrade().is_none(), "nobody holds the old table");
    send.send(b"cd".to_vec()).expect("an origin");
    let mut rest = Vec::new();
    while !rest.ends_with(b"\r\n\r\nabcd") {
        let mut byte = [0];
        client.reader.read_exact(&mut byte).expect("the response ends");
        rest.extend(byte);
    }
}

#[test]
fn drain_ends_what_is_under_way_and_loses_nothing() {
    let release = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&release);
    let origin = Origin::answering(move |request| {
        while request.line.contains("/slow") && !held.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let (address, counters) = (proxy.local_addr(), proxy.counters());
    let mut idle = Client::of(&proxy);
    assert_eq!(idle.get("/").text(), "done");
    let mut busy: Vec<_> = (0..4).map(|_| Client::of(&proxy)).collect();
    for client in &mut busy {
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("all are accepted", || counters.totals().open_connections == 5);
    let (start, propagation) = (Instant::now(), Duration::from_millis(300));
    let draining = thread::spawn(move || wait_for(proxy.drain(propagation, PATIENCE)));
    // While the news spreads, new connections are served.
    let late = TcpStream::connect(address).map(|stream| Client::on(stream).try_get("/").map(|response| response.status()));
    assert!(start.elapsed() >= propagation || late.is_ok_and(|status| status == Some(200)));
    assert_eq!(idle.rest(), b"", "an idle connection is closed");
    eventually("new ones are refused", || TcpStream::connect(address).is_err());
    release.store(true, Ordering::Relaxed);
    for client in &mut busy {
        let response = client.response();
        assert_eq!((response.text(), response.field("connection")), ("done", Some("close")));
        assert_eq!(client.rest(), b"");
    }
    draining.join().expect("the drain ends");
}

#[test]
fn a_table_that_comes_while_the_proxy_drains_is_served() {
    let (before, after) = (Origin::saying("before"), Origin::saying("after"));
    let proxy = Arc::new(serve(settings(), everything_to(&[before.address])));
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").text(), "before");
    let drains = Arc::clone(&proxy);
    // Longer than the test: the process does not wait for it.
    thread::spawn(move || wait_for(drains.drain(PATIENCE * 10, Duration::ZERO)));
    publish(&proxy, everything_to(&[after.address]));
    assert_eq!(client.get("/").text(), "after");
}

#[test]
fn while_a_drain_still_accepts_each_connection_ends_behind_its_next_response() {
    let origin = Origin::saying("done");
    let proxy = Arc::new(serve(settings(), everything_to(&[origin.address])));
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").field("connection"), None);
    let drains = Arc::clone(&proxy);
    // Longer than the test: the process does not wait for it.
    thread::spawn(move || wait_for(drains.drain(PATIENCE * 10, Duration::ZERO)));
    // Its worker may hear of the drain some requests later.
    assert!((0..10_000).any(|_| client.get("/").field("connection") == Some("close")), "it is kept");
    assert_eq!(client.rest(), b"");
    assert_eq!(Client::of(&proxy).get("/").status(), 200, "it still accepts");
}

#[test]
fn drain_waits_a_moment_for_the_first_request_of_who_has_just_connected() {
    let origin = Origin::saying("done");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let (address, counters) = (proxy.local_addr(), proxy.counters());
    let (mut silent, connected) = (Client::of(&proxy), Instant::now());
    let mut late = Client::of(&proxy);
    eventually("both are accepted", || counters.totals().open_connections == 2);
    let draining = thread::spawn(move || wait_for(proxy.drain(Duration::ZERO, PATIENCE)));
    eventually("new ones are refused", || TcpStream::connect(address).is_err());
    let served = late.try_get("/").map(|response| (response.status(), response.field("connection") == Some("close")));
    // What the moment is.
    assert!(served == Some((200, true)) || connected.elapsed() > Duration::from_secs(1), "{served:?}");
    assert_eq!(silent.rest(), b"");
    draining.join().expect("the drain ends");
}

#[test]
fn drain_cuts_off_after_its_grace() {
    let origin = Origin::talking(|_stream| thread::park());
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let connections = Arc::clone(&origin.connections);
    eventually("the origin is asked", || connections.load(Ordering::SeqCst) == 1);
    wait_for(proxy.drain(Duration::ZERO, Duration::from_millis(50)));
    assert_eq!(client.try_rest().unwrap_or_default(), b"");
}

#[test]
fn one_worker_is_not_left_with_all_connections() {
    let origin = Origin::saying("");
    let proxy = serve(Settings { workers: 4, ..settings() }, everything_to(&[origin.address]));
    let mut clients: Vec<_> = (0..40).map(|_| Client::of(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status(), 200);
    }
    let loads = proxy.counters().connections_by_worker();
    let (least, most) = (loads.iter().min(), loads.iter().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 6), "{loads:?}");
}
