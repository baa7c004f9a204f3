//! What a table serves of a release, and what outlives the table.

use super::route;
use jiff::{SignedDuration, Timestamp};
use serin_routing::config::{Backend, By, Config, Match, Override, PathRewrite, People, Release, RouteRelease, Side, Source, Traffic};
use serin_routing::{Policies, Table};
use serin_split::{Decision, Facts, Groups, Rule, Segment, decide};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// 0 to 100 of 100 buckets in 100 s.
fn line() -> Segment {
    let end = after(100);
    Segment { to: 100, ends_at: end, until: end, ..Segment::flat("1", 100, 0, 7, START) }
}

fn after(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

fn release(traffic: Traffic) -> Release {
    Release {
        namespace: "shop".into(),
        name: "checkout".into(),
        id: "1".into(),
        people: People::Anyone,
        uid: "u".into(),
        by: By::Request,
        buckets: 100,
        salt: String::new(),
        overrides: Vec::new(),
        path: Some(PathRewrite::Prefix("/v2".into())),
        fail_when_unavailable: false,
        drain_on_abort: std::time::Duration::ZERO,
        traffic,
    }
}

fn config(release: Release) -> Config {
    let applied = RouteRelease { release: 0, stable: Some(0), canary: Some(1) };
    let backend = |name: &str| Backend { name: name.into(), ..Backend::default() };
    Config {
        routes: vec![serin_routing::config::Route { backend: Some(0), releases: vec![applied], ..route("* /shop") }],
        backends: vec![backend("shop/checkout:80"), backend("shop/checkout-v2:80")],
        releases: vec![release],
        ..Config::default()
    }
}

/// A request of which nothing is known but the group of its consumer.
struct In(&'static str);

impl Facts for In {
    fn header(&self, _: &str) -> impl Iterator<Item = &[u8]> {
        std::iter::empty()
    }
    fn cookie(&self, _: &str) -> Option<&[u8]> {
        None
    }
    fn query(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
    fn client_ip(&self) -> Option<IpAddr> {
        None
    }
    fn consumer(&self) -> Option<&str> {
        None
    }
    fn in_group(&self, group: &str) -> bool {
        self.0 == group
    }
    fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

fn next(table: &Table) -> Decision {
    next_of(table, "")
}

fn next_of(table: &Table, group: &'static str) -> Decision {
    let release = &table.releases()[0];
    decide(&release.policy, &release.served(after(50)), &In(group))
}

#[test]
fn weight_follows_its_line_up_to_what_the_spec_was_lowered_to() {
    let table = Table::new(&config(release(Traffic::Segment { segment: line(), cap: 30 })), &mut Policies::default());
    let release = &table.releases()[0];
    assert_eq!([0, 10, 30, 50, 500].map(|s| release.served(after(s)).k), [0, 10, 30, 30, 30]);
    assert_eq!(release.epoch(), 7);
}

#[test]
fn s19_groups_of_the_segment_decide_between_overrides_and_buckets() {
    let segment = Segment { to: 0, groups: Some(Groups::Admitted(vec!["staff".into(), "testers".into()])), ..line() };
    let overrides = vec![Override::ConsumerGroups(vec!["staff".into()], Side::Stable)];
    let table = Table::new(&config(Release { overrides, ..release(Traffic::Segment { segment, cap: 100 }) }), &mut Policies::default());
    let decided = |group| {
        let decision = next_of(&table, group);
        (decision.side, decision.rule)
    };
    assert_eq!(decided("testers"), (serin_split::Side::Canary, Rule::Group));
    assert_eq!(decided("staff"), (serin_split::Side::Stable, Rule::Override(0)));
    assert_eq!(decided("others"), (serin_split::Side::Stable, Rule::Bucket));
}

#[test]
fn s14_rolled_back_release_serves_side_a() {
    let table = Table::new(&config(release(Traffic::RolledBack { epoch: 3 })), &mut Policies::default());
    assert_eq!(next(&table).rule, Rule::Rollback);
    assert_eq!(table.releases()[0].epoch(), 3);
}

#[test]
fn route_names_both_sides_and_rewrites_for_the_canary() {
    let table = Table::new(&config(release(Traffic::RolledBack { epoch: 0 })), &mut Policies::default());
    let route = table.lookup("a", "/shop/cart").expect("a route");
    let applied = &route.releases()[0];
    assert_eq!(route.backend.as_ref().map(|b| b.name.as_str()), Some("shop/checkout:80"));
    assert_eq!(applied.canary.as_ref().map(|b| (b.name.as_str(), b.index)), Some(("shop/checkout-v2:80", 1)));
    let canary = applied.canary.as_ref().expect("a canary");
    assert_eq!(route.rewrite(&applied.release, canary, "/shop/cart"), "/v2/cart");
}

#[test]
fn index_that_points_nowhere_does_not_resolve() {
    let table = Table::new(&Config { backends: Vec::new(), ..config(release(Traffic::RolledBack { epoch: 0 })) }, &mut Policies::default());
    let route = table.lookup("a", "/shop").expect("a route");
    assert!(route.backend.is_none() && route.releases()[0].canary.is_none());
}

#[test]
fn s6_turns_go_on_over_tables_while_uid_and_id_stay() {
    let served = || Traffic::Segment { segment: line(), cap: 100 };
    let mut policies = Policies::default();
    let mut first = Vec::new();
    for _ in 0..10 {
        // A table a request: the walk is the same as with one table for all.
        first.push(next(&Table::new(&config(release(served())), &mut policies)).bucket);
    }
    let table = Table::new(&config(release(served())), &mut Policies::default());
    let second: Vec<_> = (0..10).map(|_| next(&table).bucket).collect();
    assert_eq!(first, second);

    let other = Release { id: "2".into(), ..release(served()) };
    assert_eq!(next(&Table::new(&config(other), &mut policies)).bucket, first[0], "a new id begins anew");
    assert_eq!(next(&Table::new(&config(release(served())), &mut policies)).bucket, first[0], "what left is forgotten");
}

#[test]
fn policy_is_made_once_and_again_when_overrides_change() {
    let with = |pattern: &str| Release {
        overrides: vec![Override::Value { source: Source::Header("x".into()), matches: Match::Regex(pattern.into(), Side::Canary) }],
        ..release(Traffic::Segment { segment: line(), cap: 100 })
    };
    let mut policies = Policies::default();
    let mut build = |release| Arc::clone(&Table::new(&config(release), &mut policies).releases()[0].policy);
    let (a, b, c) = (build(with("a")), build(with("a")), build(with("b")));
    assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&b, &c));
}

#[test]
fn release_whose_expression_does_not_compile_serves_side_a() {
    let broken = Release {
        overrides: vec![Override::Value { source: Source::Header("x".into()), matches: Match::Regex("(".into(), Side::Canary) }],
        ..release(Traffic::Segment { segment: line(), cap: 100 })
    };
    let table = Table::new(&config(broken), &mut Policies::default());
    assert_eq!(next(&table).rule, Rule::Rollback);
}

#[test]
fn table_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Table>();
}
