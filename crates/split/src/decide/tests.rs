use super::*;
use crate::{Source, ValueMatch};
use std::borrow::Cow;
use std::net::IpAddr;

#[derive(Default)]
struct Plain {
    headers: Vec<(&'static str, &'static [u8])>,
    cookies: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
    ip: Option<IpAddr>,
    consumer: Option<&'static str>,
    groups: Vec<&'static str>,
}

impl Facts for Plain {
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v)
    }
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.cookies.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_bytes())
    }
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.query.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_bytes().into())
    }
    fn client_ip(&self) -> Option<IpAddr> {
        self.ip
    }
    fn consumer(&self) -> Option<&str> {
        self.consumer
    }
    fn in_group(&self, group: &str) -> bool {
        self.groups.contains(&group)
    }
    fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

fn policy(by: SplitBy, overrides: Vec<Override>) -> Policy {
    Policy::new("shop/checkout".to_owned(), by, 1000, overrides, Arc::default())
}

fn at(k: u32) -> Served<'static> {
    Served { k, groups: None, rolled_back: false }
}

fn canary_header() -> Override {
    Override::AlwaysNever(Source::Header("x-canary".to_owned()))
}

fn with_header(value: &'static [u8]) -> Plain {
    Plain { headers: vec![("x-canary", value)], ..Plain::default() }
}

#[test]
fn always_and_never_are_compared_byte_for_byte() {
    let policy = policy(SplitBy::Request, vec![canary_header()]);
    assert_eq!(decide(&policy, &at(0), &with_header(b"always")).side, Side::Canary);
    assert_eq!(decide(&policy, &at(1000), &with_header(b"never")).side, Side::Stable);
    for other in [&b"Always"[..], b"", b"always ", b"1"] {
        assert_eq!(decide(&policy, &at(0), &with_header(other)).rule, Rule::Bucket);
    }
}

#[test]
fn a_header_given_twice_decides_only_when_both_agree() {
    let policy = policy(SplitBy::Request, vec![canary_header()]);
    let twice = |second| Plain { headers: vec![("x-canary", b"always"), ("x-canary", second)], ..Plain::default() };
    assert_eq!(decide(&policy, &at(0), &twice(b"always")).rule, Rule::Override(0));
    assert_eq!(decide(&policy, &at(0), &twice(b"never")).rule, Rule::Bucket);
}

#[test]
fn the_first_matching_override_wins_over_groups_and_buckets() {
    let team = Override::Value {
        source: Source::Header("x-team".to_owned()),
        matches: ValueMatch::Exact("payments".to_owned()),
        to: Side::Canary,
    };
    let policy = policy(SplitBy::Request, vec![canary_header(), team]);
    let facts = Plain { headers: vec![("x-team", b"payments"), ("x-canary", b"never")], ..Plain::default() };
    let nobody = Groups::Deny(vec![]);
    let served = Served { groups: Some(&nobody), ..at(1000) };
    let decision = decide(&policy, &served, &facts);
    assert_eq!((decision.side, decision.rule, decision.bucket), (Side::Stable, Rule::Override(0), None));
}

#[test]
fn s14_a_rollback_wins_over_overrides_and_groups() {
    let policy = policy(SplitBy::Request, vec![canary_header()]);
    let nobody = Groups::Deny(vec![]);
    let served = Served { rolled_back: true, groups: Some(&nobody), ..at(1000) };
    let decision = decide(&policy, &served, &with_header(b"always"));
    assert_eq!((decision.side, decision.rule), (Side::Stable, Rule::Rollback));
}

#[test]
fn s19_allow_leaves_the_unidentified_on_stable_and_deny_sends_them_to_the_canary() {
    let policy = policy(SplitBy::Request, vec![]);
    let tester = Plain { groups: vec!["testers"], ..Plain::default() };
    let listed = || vec!["testers".to_owned()];
    let side = |groups: Groups, facts: &Plain| decide(&policy, &Served { groups: Some(&groups), ..at(0) }, facts).side;
    assert_eq!(side(Groups::Allow(listed()), &tester), Side::Canary);
    assert_eq!(side(Groups::Allow(listed()), &Plain::default()), Side::Stable);
    assert_eq!(side(Groups::Deny(listed()), &tester), Side::Stable);
    assert_eq!(side(Groups::Deny(listed()), &Plain::default()), Side::Canary);
    assert_eq!(side(Groups::Admitted(listed()), &tester), Side::Canary);
    assert_eq!(side(Groups::Admitted(listed()), &Plain::default()), Side::Stable);
}

#[test]
fn s8_a_missing_identity_falls_to_the_next_kind() {
    let ip = Some(IpAddr::from([192, 0, 2, 7]));
    let identity = |by, facts: &Plain| {
        let d = decide(&policy(by, vec![]), &at(0), facts);
        let kind = match d.identity.expect("a bucket decided") {
            Identity::Value { kind, .. } => Some(kind),
            Identity::Request | Identity::Issued => None,
        };
        (kind, d.fallback)
    };
    let header = || SplitBy::Header("x-tenant".to_owned());
    let known = Plain { ip, consumer: Some("alice"), headers: vec![("x-tenant", b"tenant-42")], ..Plain::default() };
    assert_eq!(identity(header(), &known), (Some(Kind::Header), false));
    for missing in [&b""[..], b"\xff"] {
        let facts = Plain { headers: vec![("x-tenant", missing)], consumer: Some("alice"), ip, ..Plain::default() };
        assert_eq!(identity(header(), &facts), (Some(Kind::Consumer), true));
    }
    let address = Plain { ip, ..Plain::default() };
    assert_eq!(identity(SplitBy::Consumer, &address), (Some(Kind::Ip), true));
    assert_eq!(identity(SplitBy::ClientIp, &address), (Some(Kind::Ip), false));
    assert_eq!(identity(SplitBy::Consumer, &Plain::default()), (None, true));
    let named = Plain { consumer: Some("alice"), ..Plain::default() };
    assert_eq!(identity(SplitBy::ClientIp, &named), (None, true));
}

#[test]
fn a_decision_carries_the_published_hash_of_its_identity() {
    let facts = Plain { headers: vec![("x-tenant", b"tenant-42")], ..Plain::default() };
    let decision = decide(&policy(SplitBy::Header("x-tenant".to_owned()), vec![]), &at(0), &facts);
    let Placement { hash, bucket } = place("shop/checkout", Kind::Header, b"tenant-42", 1000);
    assert_eq!((decision.identity, decision.bucket), (Some(Identity::Value { kind: Kind::Header, hash }), Some(bucket)));
}

#[test]
fn s5_a_mapped_address_has_the_bucket_of_its_ipv4() {
    let policy = policy(SplitBy::ClientIp, vec![]);
    for text in ["192.0.2.7", "::ffff:192.0.2.7"] {
        let facts = Plain { ip: Some(text.parse().expect("an address")), ..Plain::default() };
        assert_eq!(decide(&policy, &at(0), &facts).bucket, Some(162), "{text}");
    }
}

#[test]
fn cookies_and_parameters_have_kinds_of_their_own() {
    let facts = Plain { cookies: vec![("id", "x")], query: vec![("id", "x")], ..Plain::default() };
    let bucket = |by| decide(&policy(by, vec![]), &at(0), &facts).bucket;
    assert_ne!(bucket(SplitBy::Cookie("id".to_owned())), bucket(SplitBy::QueryParam("id".to_owned())));
}

#[test]
fn who_has_no_cookie_is_issued_one_only_where_its_bucket_decides() {
    let issuing = policy(SplitBy::IssuedCookie("id".to_owned()), vec![canary_header()]);
    assert_eq!((issuing.issues(), policy(SplitBy::Cookie("id".to_owned()), vec![]).issues()), (Some("id"), None));
    let asked = |served: &Served<'_>, facts: &Plain| {
        let mut issued = false;
        let decision = decide_issuing(&issuing, served, facts, || {
            issued = true;
            "5f2c9e"
        });
        (decision, issued)
    };
    // Whoever comes back with it is the same, on the same side.
    let back = Plain { cookies: vec![("id", "5f2c9e")], ..Plain::default() };
    for facts in [Plain::default(), Plain { cookies: vec![("id", "")], consumer: Some("alice"), ..Plain::default() }] {
        assert_eq!(asked(&at(500), &facts), (decide(&issuing, &at(500), &back), true));
        assert_eq!(foresee(&issuing, &at(500), &facts).identity, Some(Identity::Issued));
    }
    assert_eq!(asked(&at(500), &back), (decide(&issuing, &at(500), &back), false));
    assert!(decide(&issuing, &at(500), &Plain::default()).fallback, "nobody can be given one");

    let listed = Groups::Allow(vec!["testers".to_owned()]);
    let by_group = Served { groups: Some(&listed), ..at(500) };
    for (served, facts, rule) in [
        (at(500), with_header(b"always"), Rule::Override(0)),
        (by_group, Plain::default(), Rule::Group),
        (Served { rolled_back: true, ..at(500) }, Plain::default(), Rule::Rollback),
    ] {
        let (decision, issued) = asked(&served, &facts);
        assert_eq!((decision.rule, issued), (rule, false));
    }
}

#[test]
fn s2_by_groups_alone_no_bucket_decides_and_beside_steps_the_buckets_decide_for_all_others() {
    let policy = policy(SplitBy::Consumer, vec![]);
    let (listed, tester) = (vec!["testers".to_owned()], Plain { groups: vec!["testers"], consumer: Some("alice"), ..Plain::default() });
    let alice = Plain { consumer: Some("alice"), ..Plain::default() };
    for (groups, k, facts, side, rule) in [
        (Groups::Allow(listed.clone()), 1000, &alice, Side::Stable, Rule::Group),
        (Groups::Deny(listed.clone()), 1000, &tester, Side::Stable, Rule::Group),
        (Groups::Admitted(listed.clone()), 0, &tester, Side::Canary, Rule::Group),
        (Groups::Admitted(listed.clone()), 0, &alice, Side::Stable, Rule::Bucket),
        (Groups::Admitted(listed), 1000, &alice, Side::Canary, Rule::Bucket),
    ] {
        let decision = decide(&policy, &Served { groups: Some(&groups), ..at(k) }, facts);
        assert_eq!((decision.side, decision.rule), (side, rule), "{groups:?} at {k}");
    }
}

#[test]
fn an_override_by_group_decides_for_its_members_only() {
    let policy = policy(SplitBy::Consumer, vec![Override::ConsumerGroups { groups: vec!["staff".to_owned()], to: Side::Stable }]);
    let member = Plain { groups: vec!["staff"], ..Plain::default() };
    assert_eq!(decide(&policy, &at(1000), &member).rule, Rule::Override(0));
    assert_eq!(decide(&policy, &at(1000), &Plain::default()).rule, Rule::Bucket);
}
