//! Choice, ejection and what outlives a table, without a socket.

use super::*;
use serin_routing::config::{self, Config};
use serin_routing::upstream::HashOn;
use serin_routing::{Policies, Table};
use std::net::{Ipv4Addr, SocketAddr};

fn address(last: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, u8::try_from(last).expect("a small number")), 8080).into()
}

fn table(upstream: &Upstream, endpoints: impl IntoIterator<Item = usize>) -> Table {
    let ready = endpoints.into_iter().map(address).collect();
    let backend = config::Backend { ready, upstream: Some(Arc::new(upstream.clone())), ..config::Backend::default() };
    Table::new(&Config { backends: vec![backend], ..Config::default() }, &mut Policies::default())
}

fn group(registry: &Registry, upstream: &Upstream, endpoints: impl IntoIterator<Item = usize>) -> Arc<Group> {
    registry.succeed(&table(upstream, endpoints))[0].clone().expect("it has a policy")
}

fn upstream(balance: Balance) -> Upstream {
    Upstream { namespace: "shop".into(), name: "checkout".into(), balance, ..Upstream::default() }
}

fn passive(consecutive_failures: u32, max_ejected_percent: u32) -> Upstream {
    let passive = PassiveCheck { consecutive_failures, base_ejection: Duration::from_secs(3600), max_ejected_percent };
    Upstream { passive: Some(passive), ..upstream(Balance::RoundRobin) }
}

#[test]
fn key_stays_at_its_endpoint_and_only_those_of_one_that_goes_move() {
    let registry = Registry::new(1);
    let hashed = upstream(Balance::ConsistentHash(HashOn::ClientIp));
    let (ten, chance) = (group(&registry, &hashed, 0..10), Chance::new());
    let keys = || (0..10_000_u64).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let placed = |group: &Group, count| keys().map(|key| group.choose(count, Some(key), 0, &chance, |_| true)).collect::<Vec<_>>();
    let before = placed(&ten, 10);
    assert_eq!(before, placed(&group(&Registry::new(8), &hashed, 0..10), 10), "another replica chooses the same");
    for endpoint in 0..10 {
        let count = before.iter().filter(|chosen| **chosen == Some(endpoint)).count();
        assert!((850..=1150).contains(&count), "{endpoint} has {count} of 10,000 keys");
    }
    // Without the fourth: its own keys go to all others, and no other key moves.
    let without = placed(&group(&registry, &hashed, (0..10).filter(|index| *index != 3)), 9);
    let name = |chosen: &Option<usize>| chosen.map(|index| if index < 3 { index } else { index + 1 });
    let moved = before.iter().zip(&without).filter(|(before, after)| **before != name(after)).collect::<Vec<_>>();
    assert!(moved.iter().all(|(before, _)| **before == Some(3)), "only keys of the one that went move");
    assert_eq!(moved.len(), before.iter().filter(|chosen| **chosen == Some(3)).count());
    // An unhealthy one is as one that is gone.
    let passed_over = keys().map(|key| ten.choose(10, Some(key), 0, &chance, |index| index != 3)).collect::<Vec<_>>();
    assert!(passed_over.iter().zip(&without).all(|(over, without)| *over == name(without)));
    assert_eq!(ten.choose(10, None, 7, &chance, |_| true), Some(7), "a request without a key takes its turn");
}

#[test]
fn of_two_the_one_with_fewer_requests_under_way() {
    let (registry, chance) = (Registry::new(1), Chance::new());
    let group = group(&registry, &upstream(Balance::LeastRequest), 0..2);
    let busy = group.begin(0);
    assert!((0..100).all(|_| group.choose(2, None, 0, &chance, |_| true) == Some(1)));
    let busier: Vec<_> = (0..2).map(|_| group.begin(1)).collect();
    assert!((0..100).all(|_| group.choose(2, None, 0, &chance, |_| true) == Some(0)));
    drop((busy, busier));
    let counts = (0..1000).filter(|_| group.choose(2, None, 0, &chance, |_| true) == Some(0)).count();
    assert!((350..650).contains(&counts), "{counts} of 1000 when both are idle");
    assert_eq!(group.choose(2, None, 0, &chance, |index| index == 0), Some(0), "the only one");
    assert_eq!(group.choose(2, None, 0, &chance, |_| false), None);
    assert_eq!(group.choose(0, None, 0, &chance, |_| true), None);
}

#[test]
fn latency_rises_at_once_and_falls_by_and_by() {
    let state = State::new(address(1));
    assert_eq!(state.cost(), 0, "one that was never asked is tried");
    state.measure(1_000, 1_000_000);
    state.measure(50_000, 2_000_000);
    assert_eq!(state.cost(), 50_000);
    state.measure(1_000, 3_000_000);
    assert!((44_000..49_000).contains(&state.cost()), "{} a second later", state.cost());
    state.measure(1_000, 60_000_000);
    assert!(state.cost() < 2_000, "{} a minute later", state.cost());
}

#[test]
fn failures_in_a_row_leave_an_endpoint_out_and_a_success_between_them_does_not() {
    let group = group(&Registry::new(2), &passive(3, 50), 0..4);
    let fail = |index| group.failed(index, 4, Failure::OriginReset, None);
    for _ in 0..10 {
        fail(0);
        fail(0);
        group.answered(0, 4, 200, None);
        group.failed(0, 4, Failure::ClientLeft, None);
        group.failed(0, 4, Failure::EndpointBusy, None);
    }
    assert!(group.is_healthy(0, group.now()));
    for index in [0, 1, 2, 3] {
        fail(index);
        group.answered(index, 4, 503, None);
        group.failed(index, 4, Failure::RequestTimeout, None);
    }
    let healthy = (0..4).filter(|index| group.is_healthy(*index, group.now())).collect::<Vec<_>>();
    assert_eq!(healthy, [2, 3], "at most half of them");
    assert_eq!(group.policy.ejections.load(Relaxed), 2);
}

#[test]
fn one_that_fails_again_soon_is_left_out_for_longer() {
    let (state, second) = (State::new(address(1)), 1_000_000);
    let mut now = second;
    let mut lengths = Vec::new();
    for _ in 0..12 {
        state.eject(now, Duration::from_secs(1), LONGEST_EJECTION);
        let length = (1..=20).find(|seconds| !state.is_ejected(now + seconds * second)).expect("it comes back");
        lengths.push(length);
        now += length * second;
    }
    assert_eq!(lengths, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
    // It has served for longer than it was out.
    state.eject(now + 11 * second, Duration::from_secs(1), LONGEST_EJECTION);
    assert!(!state.is_ejected(now + 12 * second));
}

#[test]
fn what_is_known_outlives_tables_and_ends_with_the_endpoint() {
    let registry = Registry::new(1);
    let policy = passive(1, 100);
    let first = group(&registry, &policy, [1, 2]);
    first.failed(0, 2, Failure::Connect, None);
    let changed = Upstream { max_connections: Some(1), ..policy.clone() };
    let second = group(&registry, &changed, [1, 2, 3]);
    assert!(!second.is_healthy(0, second.now()), "another table, and another edition of the policy");
    assert!(second.is_healthy(1, second.now()) && second.is_healthy(2, second.now()));
    let [counts] = &registry.counts()[..] else { panic!("one policy") };
    assert_eq!((counts.healthy, counts.down, counts.ejected, counts.ejections), (2, 0, 1, 1));
    // Of another policy it is another endpoint.
    let other = Upstream { name: "other".into(), ..policy.clone() };
    assert!(group(&registry, &other, [1]).is_healthy(0, second.now()));
    let back = group(&registry, &policy, [1]);
    assert!(back.is_healthy(0, back.now()), "it was gone in between");
    registry.succeed(&Table::new(&Config::default(), &mut Policies::default()));
    assert!(registry.counts().is_empty() && Arc::strong_count(&back.states[0]) == 1);
}
