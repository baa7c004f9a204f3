//! What a look-up costs does not depend on how many consumers there are.
#![expect(clippy::disallowed_methods, reason = "it is time that is measured")]

use crate::support::{answer, by_key, by_password, policy, who};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serin_auth::{Answer, ApiKey, Asked, Consumer, Credential, Directory, Policy};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn policy_of(count: usize) -> Policy {
    let consumer = |number: usize| {
        let key = ApiKey::of_secret(format!("key-{number}").as_bytes()).expect("a key");
        let (username, credentials) = (format!("user-{number}").into(), vec![Credential::KeyAuth(key)]);
        Arc::new(Consumer { username, groups: Vec::new(), credentials })
    };
    Policy { consumers: Arc::new(Directory::new((0..count).map(consumer).collect())), ..policy(vec![by_key()]) }
}

/// How long requests of ten consumers take.
fn time(policy: &Policy, heads: &[HeaderMap]) -> Duration {
    let start = Instant::now();
    for headers in heads {
        let asked = Asked { headers, query: None, peer: Some(Ipv4Addr::LOCALHOST.into()), now: Timestamp::UNIX_EPOCH };
        assert!(matches!(black_box(policy.authenticate(&asked)), Answer::Known(_)));
    }
    start.elapsed()
}

#[test]
fn one_of_10_000_consumers_costs_what_one_of_10_does() {
    let (few, many) = (policy_of(10), policy_of(10_000));
    assert_eq!(who(&many, &[("apikey", "key-9999")], None, "192.0.2.7"), "user-9999");
    let head = |number: usize| {
        HeaderMap::from_iter([(http::HeaderName::from_static("apikey"), HeaderValue::try_from(format!("key-{number}")).expect("a value"))])
    };
    let heads: Vec<_> = (0..200).map(|number| head(number % 10)).collect();
    // The quickest of many rounds, in turn, so that whatever else the machine does is over both alike.
    let mut best = [Duration::MAX; 2];
    for _ in 0..200 {
        best[0] = best[0].min(time(&few, &heads));
        best[1] = best[1].min(time(&many, &heads));
    }
    let [few, many] = best.map(|best| best.as_nanos() as f64 / heads.len() as f64);
    println!("a request of one of 10 consumers: {few:.0} ns, of one of 10,000: {many:.0} ns");
    assert!(many < few * 1.5, "{few:.0} ns and {many:.0} ns");
}

#[test]
fn unknown_name_takes_as_long_as_a_known_one() {
    let policy = policy(vec![by_password()]);
    let quickest = |credentials: &str| {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        let Answer::Password(guess) = answer(&policy, &[("authorization", &value)], None, "192.0.2.7") else { panic!("it is a password") };
        let check = || {
            let start = Instant::now();
            assert!(!black_box(guess.check()));
            start.elapsed()
        };
        (0..10).map(|_| check()).min().unwrap_or_default().as_secs_f64()
    };
    let (known, unknown) = (quickest("alice@shop:wrong"), quickest("mallory:wrong"));
    println!("a known name: {known:.4} s, an unknown one: {unknown:.4} s");
    assert!((0.5..2.0).contains(&(known / unknown)), "{known} and {unknown}");
}

#[test]
fn directory_that_did_not_change_is_compared_at_once() {
    let policy = policy_of(10_000);
    let (same, equal) = (policy.clone(), policy_of(10_000));
    let quickest = |other: &Policy| {
        let time = || {
            let start = Instant::now();
            assert!(black_box(&policy) == black_box(other));
            start.elapsed()
        };
        (0..20).map(|_| time()).min().unwrap_or_default()
    };
    let (same, equal) = (quickest(&same), quickest(&equal));
    println!("the same directory: {same:?}, an equal one: {equal:?}");
    assert!(same * 20 < equal, "{same:?} and {equal:?}");
}
