use super::*;
use serin_proxy::FirstSeen;
use serin_split::{Kind, place};

const CELLS: usize = 8192;

/// Counters of requests by identities of a number each.
#[derive(Default)]
struct Proxy {
    identities: Option<Identities>,
    requests: u64,
}

impl Proxy {
    fn ask(&mut self, users: impl Iterator<Item = usize>) {
        let identities = self.identities.get_or_insert_with(Identities::default);
        assert_eq!(identities.cells.len(), CELLS);
        for user in users {
            let hash = place("shop/checkout", Kind::Header, format!("tenant-{user}").as_bytes(), 1000).hash;
            identities.cells[(hash % CELLS as u64) as usize] += 1;
            self.requests += 1;
        }
    }

    fn look(&self, crowd: &mut Crowd<u32>, line: u32, second: i64) -> (u64, u64) {
        let now = Timestamp::from_second(second).unwrap();
        crowd.observe(line, now, self.requests, 0, || self.identities.clone());
        (crowd.seen(), crowd.largest())
    }
}

#[test]
fn s7_from_1_to_20_000_identities_are_told_to_within_a_few_percent() {
    for identities in [0, 1, 2, 5, 10, 19, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000_u32] {
        let (mut proxy, mut crowd) = (Proxy::default(), Crowd::default());
        proxy.look(&mut crowd, 0, 0);
        for second in 1..=3 {
            proxy.ask(0..identities as usize);
            proxy.look(&mut crowd, 0, second);
        }
        let seen = crowd.seen();
        let off = (seen as f64 / f64::from(identities.max(1)) - f64::from(identities.min(1))).abs();
        println!("{identities} identities, {seen} told");
        assert!(if identities <= 20 { off == 0.0 } else { off <= 0.03 }, "{seen} of {identities}");
    }
}

#[test]
fn s7_the_window_forgets_who_came_before_it_and_another_line_forgets_all() {
    let (mut proxy, mut crowd) = (Proxy::default(), Crowd::default());
    proxy.look(&mut crowd, 0, 0);
    proxy.ask(0..15);
    assert_eq!(proxy.look(&mut crowd, 0, 1), (15, 1));
    proxy.ask((15..20).chain([20; 41]));
    assert_eq!(proxy.look(&mut crowd, 0, 30), (21, 41));
    assert_eq!(proxy.look(&mut crowd, 0, 60), (21, 41));
    assert_eq!(proxy.look(&mut crowd, 0, 61), (6, 41));
    assert_eq!(proxy.look(&mut crowd, 0, 90), (0, 0));
    proxy.ask(0..5);
    assert_eq!(proxy.look(&mut crowd, 0, 91), (5, 1));
    assert_eq!(proxy.look(&mut crowd, 1, 91), (0, 0), "a look that begins a line comes at once");
    proxy.ask(0..3);
    assert_eq!(proxy.look(&mut crowd, 1, 92), (3, 1));
}

#[test]
fn counters_are_read_only_when_more_was_decided_and_at_most_once_a_second() {
    let (mut proxy, mut crowd, mut reads) = (Proxy::default(), Crowd::default(), 0);
    proxy.ask(0..5);
    for quarter in 0..400 {
        let now = Timestamp::from_millisecond(quarter * 250).unwrap();
        crowd.observe(0, now, if quarter < 40 { quarter as u64 } else { 40 }, 0, || {
            reads += 1;
            proxy.identities.clone()
        });
    }
    assert_eq!(reads, 10);
}

#[test]
fn a_release_of_another_id_begins_with_nobody() {
    let (mut proxy, mut crowd) = (Proxy::default(), Crowd::default());
    proxy.ask(0..100);
    proxy.look(&mut crowd, 0, 0);
    Proxy::default().look(&mut crowd, 1, 10);
    assert_eq!(crowd.decided(), &Decided::default());
    let mut next = Proxy::default();
    next.ask(0..15);
    assert_eq!(next.look(&mut crowd, 1, 11), (15, 1));
}

#[test]
fn the_busiest_of_a_few_is_named_and_turns_are_somebody_each() {
    let seen = |hash, kind, name: Option<&str>| FirstSeen { hash, kind, name: name.map(Into::into) };
    let first = vec![seen(1, Kind::Ip, Some("192.0.2.1")), seen(2, Kind::Ip, Some("192.0.2.2"))];
    let mut identities = Identities { first, ..Identities::default() };
    (identities.cells[1], identities.cells[2]) = (10, 290);
    let busiest = Some("192.0.2.2".to_owned());
    let two = Decided { requests: 300, identities: 2, kind: Some(Kind::Ip), busiest: busiest.clone() };
    assert_eq!(decided(300, 0, &identities), two);
    identities.first[0].kind = Kind::Consumer;
    assert_eq!(decided(300, 18, &identities), Decided { requests: 300, identities: 20, kind: None, busiest });
}
