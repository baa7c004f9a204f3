//! Shares of 200,000 identities of each kind, and that two salts share the same people out without regard to each other.

use serin_split::{Facts, Identity, Kind, Policy, Served, Share, Side, SplitBy, Turns, decide};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

const IDENTITIES: u32 = 200_000;
const BUCKETS: u32 = 1_000;
const KINDS: [Kind; 6] = [Kind::Consumer, Kind::Ip, Kind::Header, Kind::Cookie, Kind::Query, Kind::Claim];
/// Two releases, two revisions of one, and two salts that differ in one bit.
const PAIRS: [(&str, &str); 3] = [("shop/checkout", "shop/cart"), ("shop/checkout@1", "shop/checkout@2"), ("b", "c")];
/// The level of significance of each comparison of two salts, so that it is 1 % over all of them.
const EACH: f64 = 0.01 / (KINDS.len() * PAIRS.len()) as f64;
/// Buckets are put together so that each cell of the table has many people.
const CLASSES: usize = 20;

/// Someone who is known in one way only.
struct Person {
    kind: Kind,
    name: String,
    number: u32,
}

impl Person {
    fn known(&self, kind: Kind) -> Option<&str> {
        (self.kind == kind).then_some(self.name.as_str())
    }
}

impl Facts for Person {
    fn header(&self, _: &str) -> impl Iterator<Item = &[u8]> {
        self.known(Kind::Header).into_iter().map(str::as_bytes)
    }
    fn cookie(&self, _: &str) -> Option<&[u8]> {
        self.known(Kind::Cookie).map(str::as_bytes)
    }
    fn query(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        self.known(Kind::Query).map(|name| name.as_bytes().into())
    }
    fn client_ip(&self) -> Option<IpAddr> {
        // Addresses of one network, one after the other, as they are given out.
        (self.kind == Kind::Ip).then(|| IpAddr::from((0x0a00_0000 + self.number).to_be_bytes()))
    }
    fn consumer(&self) -> Option<&str> {
        self.known(Kind::Consumer)
    }
    fn in_group(&self, _: &str) -> bool {
        false
    }
    fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
        self.known(Kind::Claim).map(Into::into)
    }
}

/// The bucket of everyone of a kind, as the decision has it.
fn buckets(kind: Kind, salt: &str) -> Vec<u32> {
    let by = match kind {
        Kind::Consumer => SplitBy::Consumer,
        Kind::Ip => SplitBy::ClientIp,
        Kind::Header => SplitBy::Header("x-user".into()),
        Kind::Cookie => SplitBy::Cookie("user".into()),
        Kind::Query => SplitBy::QueryParam("user".into()),
        Kind::Claim => SplitBy::Claim("user".into()),
    };
    let policy = Policy::new(salt.into(), by, BUCKETS, Vec::new(), Arc::new(Turns::default()));
    let served = Served { k: BUCKETS / 2, groups: None, rolled_back: false };
    let bucket = |number| {
        let decision = decide(&policy, &served, &Person { kind, name: format!("user-{number}"), number });
        let bucket = decision.bucket.expect("a bucket decides");
        assert!(matches!(decision.identity, Some(Identity::Value { kind: of, .. }) if of == kind) && !decision.fallback);
        assert_eq!(decision.side == Side::Canary, bucket < served.k);
        bucket
    };
    (0..IDENTITIES).map(bucket).collect()
}

#[test]
fn s7_of_200_000_identities_of_each_kind_1_5_10_and_50_percent_are_within_4_standard_deviations() {
    for kind in KINDS {
        let buckets = buckets(kind, "shop/checkout");
        for percent in [1, 5, 10, 50] {
            let k = Share::new(percent, 100).expect("a share").threshold(BUCKETS);
            let seen = buckets.iter().filter(|bucket| **bucket < k).count() as f64;
            let (number, share) = (f64::from(IDENTITIES), f64::from(percent) / 100.0);
            let deviations = (seen - number * share) / (number * share * (1.0 - share)).sqrt();
            println!("{}: {percent} % asked, {:.3} % seen, {deviations:+.2} standard deviations", kind.name(), 100.0 * seen / number);
            assert!(deviations.abs() <= 4.0, "{}: {seen} of {IDENTITIES} at {percent} %", kind.name());
        }
    }
}

#[test]
fn two_salts_are_not_correlated_by_pearsons_test_at_1_percent() {
    for kind in KINDS {
        for (one, other) in PAIRS {
            let p = chance(&buckets(kind, one), &buckets(kind, other));
            println!("{}: {one:?} and {other:?}: p = {p:.4}", kind.name());
            assert!(p > EACH, "{}: {one} and {other} are correlated: p = {p}", kind.name());
        }
    }
}

#[test]
fn what_is_correlated_is_found() {
    let all = buckets(Kind::Header, "shop/checkout");
    assert!(chance(&all, &all) < EACH);
    // One in fifty keeps the bucket of the other salt.
    let mut some = buckets(Kind::Header, "shop/cart");
    some.iter_mut().zip(&all).step_by(50).for_each(|(bucket, other)| *bucket = *other);
    assert!(chance(&all, &some) < EACH);
}

/// How likely chance alone makes two ways to share the same people out as dependent as these are (Pearson's chi-squared test).
fn chance(one: &[u32], other: &[u32]) -> f64 {
    let mut cells = [[0_u32; CLASSES]; CLASSES];
    let class = |bucket: u32| bucket as usize * CLASSES / BUCKETS as usize;
    for (a, b) in one.iter().zip(other) {
        cells[class(*a)][class(*b)] += 1;
    }
    let rows = cells.map(|row| f64::from(row.iter().sum::<u32>()));
    let columns: Vec<f64> = (0..CLASSES).map(|b| f64::from(cells.iter().map(|row| row[b]).sum::<u32>())).collect();
    let mut statistic = 0.0;
    for (row, of_row) in cells.iter().zip(rows) {
        for (seen, of_column) in row.iter().zip(&columns) {
            let expected = of_row * of_column / one.len() as f64;
            statistic += (f64::from(*seen) - expected).powi(2) / expected;
        }
    }
    let degrees = ((CLASSES - 1) * (CLASSES - 1)) as f64;
    ChiSquared::new(degrees).expect("degrees above 0").sf(statistic)
}
