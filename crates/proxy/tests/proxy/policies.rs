//! What a BackendPolicy makes of endpoints: choice, health, retries, timeouts and limits, by real origins with real faults.

use crate::support::{Client, Message, Origin, PATIENCE, eventually, everything_to, publish, release_of, serve, settings};
use serin_proxy::{Proxy, Settings};
use serin_routing::config::Config;
use serin_routing::upstream::{ActiveCheck, Balance, HashOn, PassiveCheck, Retries, Timeouts, Upstream};
use socket2::{Domain, Socket, Type};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BAD: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

fn upstream() -> Upstream {
    Upstream { namespace: "shop".into(), name: "checkout".into(), ..Upstream::default() }
}

/// The same for every backend.
fn with(mut config: Config, upstream: &Upstream) -> Config {
    for backend in &mut config.backends {
        backend.upstream = Some(Arc::new(upstream.clone()));
    }
    config
}

fn passive(consecutive_failures: u32, base_ejection: Duration, max_ejected_percent: u32) -> Upstream {
    Upstream { passive: Some(PassiveCheck { consecutive_failures, base_ejection, max_ejected_percent }), ..upstream() }
}

fn retries(on_reset: bool, on_timeout: bool, percent: u32) -> Retries {
    Retries { attempts: 2, on_connect_failure: true, on_reset, on_timeout, percent, min_per_second: 0 }
}

/// An endpoint that nobody listens at.
fn closed() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}

/// What each of 8 clients gets for 60 requests, one after the other.
fn load(proxy: &Proxy) {
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::of(proxy);
            thread::spawn(move || (0..60).for_each(|_| assert_eq!(client.get("/").status(), 200)))
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
}

/// Of a hundred requests so many go to the slow one of three endpoints.
fn to_the_slow_one(balance: Balance) -> usize {
    let answer = |pause| {
        Origin::answering(move |_| {
            thread::park_timeout(pause);
            OK.to_vec()
        })
    };
    let (slow, fast) = (answer(Duration::from_millis(40)), [answer(Duration::ZERO), answer(Duration::ZERO)]);
    let config = everything_to(&[slow.address, fast[0].address, fast[1].address]);
    let proxy = serve(settings(), with(config, &Upstream { balance, ..upstream() }));
    load(&proxy);
    let all = slow.count() + fast[0].count() + fast[1].count();
    assert_eq!(all, 480);
    slow.count() * 100 / all
}

#[test]
fn slow_endpoint_gets_its_turn_in_a_round_and_less_by_its_requests_and_by_its_latency() {
    let round = to_the_slow_one(Balance::RoundRobin);
    let least = to_the_slow_one(Balance::LeastRequest);
    let ewma = to_the_slow_one(Balance::Ewma);
    println!("of 100 requests to the slow one of three: {round} round robin, {least} least request, {ewma} EWMA");
    assert!((30..=36).contains(&round), "{round}");
    assert!(least * 2 < round, "{least} of 100, not {round}");
    assert!(ewma * 2 < round, "{ewma} of 100, not {round}");
}

#[test]
fn hashed_requests_stay_at_their_endpoint_whichever_worker_has_them() {
    let origins = ["a", "b", "c", "d"].map(Origin::saying);
    let addresses = origins.each_ref().map(|origin| origin.address);
    let policy = Upstream { balance: Balance::ConsistentHash(HashOn::Header("x-tenant".into())), ..upstream() };
    let proxy = serve(settings(), with(everything_to(&addresses), &policy));
    let of = |tenant: usize| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: t{tenant}\r\n\r\n");
        Client::of(&proxy).send(request).response().text().to_owned()
    };
    let placed = || (0..60).map(of).collect::<Vec<_>>();
    let before = placed();
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), 4, "all of them are used: {before:?}");
    assert_eq!(placed(), before);
    publish(&proxy, with(everything_to(&addresses[..3]), &policy));
    for (before, after) in before.iter().zip(placed()) {
        assert!(*before == after || before == "d", "{before} became {after}");
    }
    // Without the header it is the address, which all clients here share.
    let mut unnamed = (0..20).map(|_| Client::of(&proxy).get("/").text().to_owned()).collect::<HashSet<_>>();
    assert_eq!(unnamed.drain().count(), 1);
}

/// An origin that fails while it is told to.
fn failing(is_bad: &Arc<AtomicBool>) -> Origin {
    let is_bad = Arc::clone(is_bad);
    Origin::answering(move |_| if is_bad.load(Ordering::SeqCst) { BAD.to_vec() } else { OK.to_vec() })
}

#[test]
fn endpoint_that_fails_is_left_out_by_all_workers() {
    let (bad, good) = (Origin::answering(|_| BAD.to_vec()), Origin::saying("ok"));
    let proxy = serve(settings(), with(everything_to(&[bad.address, good.address]), &passive(5, LONG, 50)));
    // Each connection may be another worker's: together they count five failures, in whatever order.
    let statuses: Vec<_> = (0..60).map(|_| Client::of(&proxy).get("/").status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 5, "{statuses:?}");
    let [counts] = &proxy.counters().policies()[..] else { panic!("one policy") };
    assert_eq!((counts.healthy, counts.ejected, counts.ejections), (1, 1, 1));
}

#[test]
fn endpoint_that_was_left_out_comes_back() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let (bad, good) = (failing(&is_bad), Origin::saying("ok"));
    let proxy = serve(settings(), with(everything_to(&[bad.address, good.address]), &passive(5, Duration::from_millis(300), 50)));
    let counts = || proxy.counters().policies()[0].clone();
    eventually("it is left out", || {
        Client::of(&proxy).get("/");
        counts().ejections >= 1
    });
    is_bad.store(false, Ordering::SeqCst);
    bad.forget();
    eventually("it is used again", || {
        assert_eq!(Client::of(&proxy).get("/").status(), 200);
        bad.count() > 0
    });
    assert_eq!((counts().healthy, counts().ejected), (2, 0));
}

#[test]
fn no_connection_counts_as_a_failure_and_no_more_than_the_share_is_left_out() {
    let good = Origin::saying("ok");
    let config = everything_to(&[closed(), closed(), closed(), good.address]);
    let policy = Upstream { retries: Some(Retries { attempts: 3, ..retries(false, false, 0) }), ..passive(1, LONG, 50) };
    let proxy = serve(settings(), with(config, &policy));
    for _ in 0..40 {
        assert_eq!(Client::of(&proxy).get("/").status(), 200, "what was not sent is sent elsewhere");
    }
    let [counts] = &proxy.counters().policies()[..] else { panic!("one policy") };
    assert_eq!((counts.healthy, counts.ejected), (2, 2));
}

#[test]
fn when_all_are_left_out_stable_uses_them_all_and_the_canary_none() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let origins = [failing(&is_bad), failing(&is_bad)];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let proxy = serve(settings(), with(everything_to(&addresses), &passive(1, LONG, 100)));
    let mut client = Client::of(&proxy);
    for _ in 0..10 {
        assert_eq!(client.get("/").status(), 500, "the origin's own answer");
    }
    let [counts] = &proxy.counters().policies()[..] else { panic!("one policy") };
    assert_eq!((counts.healthy, counts.ejected), (0, 2));

    let stable = Origin::saying("stable");
    let mut config = with(release_of(&[stable.address], &addresses, 100, 100), &passive(1, LONG, 100));
    publish(&proxy, config.clone());
    // They are those of another table, and no others.
    assert_eq!((client.get("/").status(), stable.count()), (200, 1));
    let counts = proxy.counters().snapshot();
    let row = counts.iter().find(|row| row.side == serin_split::Side::Stable).expect("stable");
    assert_eq!((row.counts.requests, row.counts.unavailable), (1, 1));
    config.releases[0].fail_when_unavailable = true;
    publish(&proxy, config);
    let response = client.get("/");
    assert_eq!((response.status(), response.text()), (503, "the canary has no ready endpoint\n"));
    assert_eq!(stable.count(), 1);
}

#[test]
fn endpoint_is_down_while_its_active_checks_fail_and_nobody_is_asked_twice() {
    let is_bad = Arc::new(AtomicBool::new(false));
    let bad = failing(&is_bad);
    let good = Origin::saying("ok");
    let check = ActiveCheck {
        path: "/healthz".into(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        expect_status: Vec::new(),
    };
    let policy = Upstream { active: Some(check), ..upstream() };
    let config = with(everything_to(&[bad.address, good.address]), &policy);
    let proxy = serve(Settings { workers: 4, ..settings() }, config.clone());
    let counts = || proxy.counters().policies()[0].clone();
    eventually("both are asked", || counts().passed >= 8);
    let probe = &bad.heard()[0];
    assert_eq!((probe.line.as_str(), probe.field("host")), ("GET /healthz HTTP/1.1", Some(bad.address.to_string().as_str())));
    assert_eq!((counts().healthy, counts().failed), (2, 0));
    is_bad.store(true, Ordering::SeqCst);
    eventually("it is down", || counts().down == 1);
    // A table that is the same for it changes nothing.
    publish(&proxy, config.clone());
    bad.forget();
    let mut client = Client::of(&proxy);
    for _ in 0..20 {
        assert_eq!(client.get("/").status(), 200);
    }
    assert!(bad.heard().iter().all(|request| request.line.contains("/healthz")), "no request but those of the checks");
    assert_eq!(counts().down, 1);
    is_bad.store(false, Ordering::SeqCst);
    eventually("it is back", || counts().healthy == 2);
    eventually("it is used", || {
        Client::of(&proxy).get("/");
        bad.heard().iter().any(|request| request.line == "GET / HTTP/1.1")
    });
    // Once a replica, not once a worker: as many questions as one asker asks.
    let (asked, start) = (counts().passed + counts().failed, Instant::now());
    eventually("it goes on", || counts().passed + counts().failed >= asked + 20);
    let most = 2 * (start.elapsed().as_millis() / 20 + 2);
    assert!(u128::from(counts().passed + counts().failed - asked) <= most);
    // Nobody is asked any more who is not in the table.
    publish(&proxy, with(everything_to(&[good.address]), &policy));
    bad.forget();
    let asked = counts().passed;
    eventually("the other one is asked", || counts().passed >= asked + 10);
    assert!(bad.count() <= 1, "{:?}", bad.heard());
}

#[test]
fn request_that_does_nothing_twice_is_sent_again_after_a_reset_and_each_attempt_counts_against_its_side() {
    let (bad, good) = (Origin::answering(|_| Vec::new()), Origin::saying("ok"));
    let policy = Upstream { retries: Some(retries(true, false, 100)), ..upstream() };
    let proxy = serve(settings(), with(release_of(&[bad.address, good.address], &[], 100, 0), &policy));
    let mut client = Client::of(&proxy);
    for _ in 0..20 {
        assert_eq!(client.get("/").status(), 200);
    }
    let totals = proxy.counters().totals();
    let failed = bad.count();
    assert!((8..=12).contains(&failed), "{failed}");
    assert_eq!((totals.retries, totals.failures.get("reset").copied()), (failed as u64, Some(failed as u64)));
    let row = &proxy.counters().snapshot()[0];
    assert_eq!((row.counts.requests, row.counts.failures, row.counts.responses[2]), (20, failed as u64, 20));
    // Never a POST, whether its body was sent or it has none, once a byte of it went out.
    bad.forget();
    let posts: Vec<_> =
        (0..8).map(|_| client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na").response().status()).collect();
    assert_eq!(posts.iter().filter(|status| **status == 502).count(), bad.count());
    assert!(bad.count() >= 3 && proxy.counters().totals().retries == totals.retries, "{posts:?}");
    // But where there is no connection nothing was sent, whatever the method.
    publish(&proxy, with(everything_to(&[closed(), good.address]), &policy));
    for _ in 0..8 {
        assert_eq!(client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na").response().status(), 200);
    }
}

#[test]
fn nothing_is_sent_again_once_a_byte_of_an_answer_came_or_where_the_policy_says_no() {
    let heard = |answer: &'static [u8], retries: Option<Retries>| {
        let origin = Origin::talking(move |mut stream| {
            let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
            if Message::read(&mut reader, false).is_some() {
                std::io::Write::write_all(&mut stream, answer).ok();
            }
        });
        let proxy = serve(settings(), with(everything_to(&[origin.address]), &Upstream { retries, ..upstream() }));
        assert_eq!(Client::of(&proxy).get("/").status(), 502);
        origin.connections.load(Ordering::SeqCst)
    };
    assert_eq!(heard(b"", Some(retries(true, false, 100))), 2, "there is no other endpoint, and one earned retry");
    assert_eq!(heard(b"HTTP/1.1 2", Some(retries(true, false, 100))), 1);
    assert_eq!(heard(b"", Some(retries(false, true, 100))), 1);
    assert_eq!(heard(b"", Some(Retries { attempts: 0, ..retries(true, true, 100) })), 1);
    assert_eq!(heard(b"", Some(retries(true, false, 0))), 1, "no budget");
    assert_eq!(heard(b"", None), 1);
}

#[test]
fn retries_are_no_more_than_their_budget_however_much_fails() {
    for percent in [10, 20] {
        let origins = [Origin::answering(|_| Vec::new()), Origin::answering(|_| Vec::new())];
        let policy = Upstream { retries: Some(retries(true, false, percent)), ..upstream() };
        let proxy = serve(settings(), with(everything_to(&origins.each_ref().map(|origin| origin.address)), &policy));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let address = proxy.local_addr();
                thread::spawn(move || (0..250).for_each(|_| assert_eq!(Client::to(address).get("/").status(), 502)))
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("no panic"));
        let (sent, totals) = (origins[0].count() + origins[1].count(), proxy.counters().totals());
        let extra = sent - 1000;
        println!("1000 requests, all of which fail: {sent} at the origins with a budget of {percent} %");
        assert_eq!(extra as u64, totals.retries);
        assert!(extra <= 10 * percent as usize && extra + 4 >= 10 * percent as usize, "{extra} more");
        assert!(totals.retries_over_budget >= 800, "{totals:?}");
    }
}

#[test]
fn what_takes_too_long_by_the_policy_is_504_with_the_reason() {
    let silent = Origin::talking(|stream| {
        let mut reader = std::io::BufReader::new(stream);
        while Message::read(&mut reader, false).is_some() {}
    });
    // It answers, and then nothing more comes.
    let stuck = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab".to_vec());
    // Nobody accepts there, and nobody else has room to wait.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    full.listen(0).expect("it listens");
    let full_address = full.local_addr().expect("an address").as_socket().expect("of IPv4");
    let waiting: Vec<_> = (0..2).map(|_| TcpStream::connect_timeout(&full_address, Duration::from_millis(300))).collect();
    assert!(waiting[0].is_ok());

    let short = Some(Duration::from_millis(200));
    let cases = [
        (full_address, Timeouts { connect: short, ..Timeouts::default() }, "connect-timeout"),
        (silent.address, Timeouts { response: short, ..Timeouts::default() }, "first-byte-timeout"),
        (silent.address, Timeouts { request: short, ..Timeouts::default() }, "request-timeout"),
    ];
    for (address, timeouts, label) in cases {
        let proxy = serve(settings(), with(everything_to(&[address]), &Upstream { timeouts, ..upstream() }));
        let start = Instant::now();
        assert_eq!(Client::of(&proxy).get("/").status(), 504, "{label}");
        assert!(start.elapsed() < PATIENCE / 2, "{label}");
        assert_eq!(proxy.counters().totals().failures.get(label), Some(&1), "{label}: {:?}", proxy.counters().totals());
    }
    // The same connection, by the policy of the next table.
    for (timeouts, label) in [
        (Timeouts { idle: short, ..Timeouts::default() }, "origin-idle"),
        (Timeouts { request: short, ..Timeouts::default() }, "request-timeout"),
    ] {
        let proxy = serve(settings(), with(everything_to(&[stuck.address]), &Upstream { timeouts, ..upstream() }));
        assert_eq!(Client::of(&proxy).try_get("/"), None, "{label}: the body ends early");
        eventually(label, || proxy.counters().totals().failures.get(label) == Some(&1));
    }
    // A request that does nothing twice goes elsewhere, if the policy says so.
    let good = Origin::saying("ok");
    let timeouts = Timeouts { response: short, ..Timeouts::default() };
    let policy = Upstream { timeouts, retries: Some(retries(false, true, 100)), ..upstream() };
    let proxy = serve(settings(), with(everything_to(&[silent.address, good.address]), &policy));
    for _ in 0..2 {
        assert_eq!(Client::of(&proxy).get("/").status(), 200);
    }
    assert_eq!(proxy.counters().totals().retries, 1);
}

#[test]
fn connection_over_the_limit_is_503_with_a_time_to_come_again() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let origin = Origin::answering(move |request| {
        if request.line.contains("/slow") {
            released.lock().expect("no panic").recv().ok();
        }
        OK.to_vec()
    });
    let policy = Upstream { max_connections: Some(1), ..upstream() };
    let proxy = serve(settings(), with(everything_to(&[origin.address]), &policy));
    let mut slow = Client::of(&proxy);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is at the origin", || origin.connections.load(Ordering::SeqCst) == 1);
    let refused = Client::of(&proxy).get("/");
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert_eq!(refused.text(), "the backend has all the connections it may have\n");
    assert_eq!(proxy.counters().totals().failures.get("endpoint-busy"), Some(&1));
    release.send(()).expect("it waits");
    assert_eq!(slow.response().status(), 200);
    assert_eq!(slow.get("/").status(), 200, "on the connection that is there");
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn requests_under_way_are_counted_until_their_answers_end() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let streaming = Origin::talking(move |mut stream| {
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
        while Message::read(&mut reader, false).is_some() {
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").ok();
            released.lock().expect("no panic").recv().ok();
            std::io::Write::write_all(&mut stream, b"k").ok();
        }
    });
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let other = Origin::answering(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        OK.to_vec()
    });
    let policy = Upstream { balance: Balance::LeastRequest, ..upstream() };
    let proxy = serve(settings(), with(everything_to(&[streaming.address]), &policy));
    let mut long = Client::of(&proxy);
    long.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the head of its answer is there", || proxy.counters().totals().responses[2] == 1);
    // Also in the next table.
    publish(&proxy, with(everything_to(&[streaming.address, other.address]), &policy));
    for _ in 0..20 {
        assert_eq!(Client::of(&proxy).get("/").status(), 200);
    }
    assert_eq!(count.load(Ordering::SeqCst), 20);
    release.send(()).expect("it waits");
    assert_eq!(long.response().text(), "ok");
}
