//! Which side requests go to, counted at the origins.

use crate::support::{Client, Message, Origin, publish, release_of, serve, settings};
use serin_proxy::{ClientIp, Proxy, Settings};
use serin_routing::config::{By, Match, Override, Side, Source, Traffic};
use std::thread;

/// Requests over so many connections at once; how many of the answers were the canary's.
fn canaries(proxy: &Proxy, requests: usize, connections: usize) -> usize {
    let of = |connection: usize| requests / connections + usize::from(connection < requests % connections);
    thread::scope(|scope| {
        let count = |requests| {
            let mut client = Client::of(proxy);
            (0..requests).filter(|_| client.get("/").text() == "canary").count()
        };
        let threads: Vec<_> = (0..connections).map(|connection| scope.spawn(move || count(of(connection)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

#[test]
fn s6_ten_percent_of_10_000_requests_are_exactly_1_000_with_any_workers_and_connections() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    for workers in [1, 2, 4] {
        for connections in [1, 64] {
            let proxy = serve(Settings { workers, ..settings() }, release_of(&[stable.address], &[canary.address], 1000, 100));
            let before = canary.count();
            assert_eq!(canaries(&proxy, 10_000, connections), 1000, "{workers} workers, {connections} connections");
            assert_eq!(canary.count() - before, 1000);
            let counts = proxy.counters().snapshot();
            let requests: Vec<_> = counts.iter().map(|row| (row.side, row.counts.requests, row.counts.failures)).collect();
            assert_eq!(requests, [(serin_split::Side::Stable, 9000, 0), (serin_split::Side::Canary, 1000, 0)]);
            assert_eq!(counts.iter().map(|row| row.counts.latency.count()).sum::<u64>(), 10_000);
        }
    }
}

#[test]
fn s15_weights_of_100_to_1_are_10_of_1_010() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let proxy = serve(settings(), release_of(&[stable.address], &[canary.address], 101, 1));
    assert_eq!(canaries(&proxy, 1010, 4), 10);
}

#[test]
fn s4_side_is_decided_for_each_request_of_a_connection() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let mut config = release_of(&[stable.address], &[canary.address], 100, 0);
    let source = Source::Header("x-canary".into());
    config.releases[0].overrides = vec![Override::Value { source, matches: Match::AlwaysNever }];
    let proxy = serve(settings(), config);
    let mut client = Client::of(&proxy);
    let with = |value: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Canary: {value}\r\n\r\n");
    for (value, expected) in [("always", "canary"), ("never", "stable"), ("always", "canary"), ("Always", "stable")] {
        assert_eq!(client.send(with(value)).response().text(), expected, "{value}");
    }
    let by_override: u64 = proxy.counters().snapshot().iter().map(|row| row.counts.by_override).sum();
    assert_eq!(by_override, 3);
}

#[test]
fn s14_rolled_back_release_sends_everyone_to_stable_at_once() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let mut config = release_of(&[stable.address], &[canary.address], 100, 100);
    let source = Source::Cookie("canary".into());
    config.releases[0].overrides = vec![Override::Value { source, matches: Match::Exact("yes".into(), Side::Canary) }];
    let proxy = serve(settings(), config.clone());
    let mut client = Client::of(&proxy);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; canary=yes\r\n\r\n";
    assert_eq!(client.send(request).response().text(), "canary");
    config.releases[0].traffic = Traffic::RolledBack { epoch: 2 };
    publish(&proxy, config);
    assert_eq!(client.send(request).response().text(), "stable");
}

#[test]
fn canary_without_a_ready_endpoint_is_replaced_by_stable_or_fails_as_asked() {
    let stable = Origin::saying("stable");
    let mut config = release_of(&[stable.address], &[], 100, 100);
    config.backends[1].draining = vec![stable.address];
    let proxy = serve(Settings { decision_header: true, ..settings() }, config.clone());
    let mut client = Client::of(&proxy);
    let response = client.get("/");
    assert_eq!(response.text(), "stable");
    assert_eq!(response.field("serin-decision"), Some("release=shop/checkout; side=stable; rule=unavailable; bucket=0; k=100"));
    config.releases[0].fail_when_unavailable = true;
    publish(&proxy, config);
    let response = client.get("/");
    assert_eq!((response.status(), response.text()), (503, "the canary has no ready endpoint\n"));
    let counts = proxy.counters().snapshot();
    assert_eq!((counts[0].counts.unavailable, counts[0].counts.failures), (1, 0));
    assert_eq!((counts[1].counts.requests, counts[1].counts.failures), (1, 1));
}

#[test]
fn stable_falls_back_to_endpoints_that_are_on_their_way_out() {
    let (ready, draining) = (Origin::saying("ready"), Origin::saying("draining"));
    let mut config = release_of(&[ready.address], &[], 100, 0);
    config.backends[0].draining = vec![draining.address];
    let proxy = serve(settings(), config.clone());
    let mut client = Client::of(&proxy);
    assert_eq!(client.get("/").text(), "ready");
    config.backends[0].ready.clear();
    publish(&proxy, config);
    assert_eq!(client.get("/").text(), "draining");
}

#[test]
fn endpoints_of_a_side_take_turns() {
    let origins: Vec<_> = (0..4).map(|_| Origin::saying("")).collect();
    let endpoints: Vec<_> = origins.iter().map(|origin| origin.address).collect();
    let proxy = serve(Settings { workers: 1, ..settings() }, crate::support::everything_to(&endpoints));
    let mut client = Client::of(&proxy);
    for _ in 0..40 {
        assert_eq!(client.get("/").status(), 200);
    }
    let heard: Vec<Vec<Message>> = origins.iter().map(Origin::heard).collect();
    assert_eq!(heard.iter().map(Vec::len).collect::<Vec<_>>(), [10; 4]);
}

#[test]
fn s5_address_behind_a_trusted_proxy_is_hashed_and_a_missing_one_is_counted() {
    let (stable, canary) = (Origin::saying("stable"), Origin::saying("canary"));
    let mut config = release_of(&[stable.address], &[canary.address], 1000, 163);
    config.releases[0].by = By::ClientIp;
    let client_ip = ClientIp { trusted: vec!["127.0.0.0/8".parse().expect("a CIDR")], ..ClientIp::default() };
    let proxy = serve(Settings { client_ip, decision_header: true, ..settings() }, config);
    let mut client = Client::of(&proxy);
    // The published vectors of salt shop/checkout, and one that a proxy further away wrote.
    for (list, side, bucket) in [("192.0.2.7", "canary", 162), ("2001:db8::1", "stable", 709), ("2001:db8::1, 192.0.2.7", "canary", 162)] {
        let response = client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {list}\r\n\r\n")).response();
        let expected = format!("release=shop/checkout; side={side}; rule=bucket; bucket={bucket}; k=163");
        assert_eq!((response.text(), response.field("serin-decision")), (side, Some(expected.as_str())), "{list}");
    }
    assert_eq!(canary.heard()[1].field("x-forwarded-for"), Some("2001:db8::1, 192.0.2.7, 127.0.0.1"));
    client.get("/");
    let fallbacks: u64 = proxy.counters().snapshot().iter().map(|row| row.counts.fallbacks.to_request).sum();
    assert_eq!(fallbacks, 1);
}
