//! A decision in a table of 1,000 releases on 5,000 routes: it allocates nothing, and what is not for its route costs it nothing.
//! `cargo bench -p serin-routing` says how long it takes.

mod shop;

use serin_split::{Rule, Side};
use shop::{RELEASES, ROUTES, Visitor, ask, host, table};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A request to each route, as a proxy has it at hand: host and path are parts of the request.
fn requests() -> Vec<(String, String, Visitor)> {
    (0..ROUTES).map(|n| (host(n), format!("/{n}/items/{n}"), Visitor { tenant: format!("tenant-{n}") })).collect()
}

#[test]
fn a_decision_among_1_000_releases_on_5_000_routes_allocates_nothing() {
    let (table, requests) = (table(RELEASES), requests());
    let ask_all = || requests.iter().filter_map(|(host, path, visitor)| ask(&table, host, path, visitor)).map(|d| (d.side, d.rule));
    // An expression gets its working memory once, when it is first asked: this is the first time.
    let decided: Vec<_> = ask_all().collect();
    assert_eq!(decided.len(), RELEASES);
    assert!(decided.iter().all(|(_, rule)| *rule == Rule::Bucket), "the buckets decide, after all that comes before them said nothing");
    let canaries = decided.iter().filter(|(side, _)| *side == Side::Canary).count();
    // A tenth of the six sevenths that split by who asks; and of the others each its first turn, which is bucket 0.
    assert!((180..280).contains(&canaries), "{canaries} of {RELEASES}");

    let mut count = 0;
    let allocated = allocation_counter::measure(|| count = (0..10).map(|_| ask_all().count()).sum());
    assert_eq!(count, 10 * RELEASES);
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0), "{allocated:?}");
    assert!(allocation_counter::measure(|| drop(black_box(Box::new(1)))).count_total > 0, "the counter counts");
}

/// How many decisions are timed together.
const TIMED: u32 = 500;

/// The least time that a decision of one route took, of many rounds in turn: others use the machine too.
#[expect(clippy::disallowed_methods, reason = "a time is measured, and decides nothing")]
fn least(tables: [&serin_routing::Table; 2], route: usize) -> [Duration; 2] {
    let (host, path, visitor) = (host(route), format!("/{route}/items"), Visitor { tenant: "tenant-3".into() });
    let mut least = [Duration::MAX; 2];
    for _ in 0..40 {
        for (table, least) in tables.iter().zip(&mut least) {
            let start = Instant::now();
            for _ in 0..TIMED {
                black_box(ask(black_box(table), black_box(&host), &path, &visitor));
            }
            *least = start.elapsed().min(*least);
        }
    }
    least.map(|of_all| of_all / TIMED)
}

#[test]
fn releases_that_are_not_for_the_route_cost_a_decision_nothing() {
    let (few, many) = (table(10), table(RELEASES));
    for (route, by) in ["consumer", "address", "header", "cookie", "parameter", "claim", "request"].into_iter().enumerate() {
        let [of_few, of_many] = least([&few, &many], route);
        println!("by {by}: {of_few:?} beside 9 other releases, {of_many:?} beside {}", RELEASES - 1);
        // A hundred times as many: a cost that grew with them would show far above this.
        assert!(of_many < of_few * 2, "by {by}: {of_few:?} beside 9 other releases, {of_many:?} beside {}", RELEASES - 1);
        // Without optimisation the figure says nothing.
        assert!(cfg!(debug_assertions) || of_many < Duration::from_micros(1), "by {by}: {of_many:?}");
    }
}

#[test]
fn the_shop_has_every_way_to_split() {
    let table = table(RELEASES);
    let seen: BTreeSet<_> = requests()
        .iter()
        .filter_map(|(host, path, visitor)| ask(&table, host, path, visitor)?.identity)
        .map(|identity| match identity {
            serin_split::Identity::Value { kind, .. } => kind.name(),
            serin_split::Identity::Request | serin_split::Identity::Issued => "request",
        })
        .collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["claim", "consumer", "cookie", "header", "ip", "query", "request"]);
}
