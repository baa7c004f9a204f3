//! Bytes that nobody should send.

use crate::signing::ALGORITHMS;
use crate::support::{answer, by_header, by_key, by_password, by_token, policy};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use serin_auth::{Answer, ApiKey, Asked, Jwks, PasswordHash, Policy};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8, Just(b'\t'), Just(b'.'), Just(b','), Just(b'=')];
    let scheme = prop_oneof![Just(""), Just("Basic "), Just("basic"), Just("Bearer "), Just("Bearer eyJhbGciOiJub25lIn0.")];
    (scheme, prop::collection::vec(byte, 0..200)).prop_map(|(scheme, rest)| [scheme.as_bytes(), &rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_in_any_place_panic_or_pass(
        values in prop::collection::vec((0..5_usize, value()), 0..4),
        query in "(apikey|key\\+of|%61pikey|%)?[=&%+a-f0-9]{0,40}",
        inside in any::<bool>(),
    ) {
        static POLICY: LazyLock<Policy> =
            LazyLock::new(|| policy(vec![by_key(), by_password(), by_token(&ALGORITHMS.jwks()), by_header()]));
        let policy = &*POLICY;
        let names = ["apikey", "authorization", "x-auth-request-user", "x-auth-request-groups", "x-api-key"];
        let mut headers = HeaderMap::new();
        for (place, value) in &values {
            headers.append(names[*place], HeaderValue::from_bytes(value).expect("the gate lets these through"));
        }
        let peer: IpAddr = if inside { [10, 0, 0, 1].into() } else { Ipv4Addr::LOCALHOST.into() };
        let asked = Asked { headers: &headers, query: Some(&query), peer: Some(peer), now: Timestamp::UNIX_EPOCH };
        match policy.authenticate(&asked) {
            Answer::Known(identity) => {
                prop_assert!(inside && headers.contains_key("x-auth-request-user"), "{identity:?}");
            }
            Answer::Password(guess) => prop_assert!(guess.settle(false).is_err()),
            Answer::Refused(refusal) => prop_assert!(!policy.challenges(refusal).is_empty()),
            Answer::Nobody => prop_assert!(false, "nobody is let in"),
        }
        policy.unbelieved(None).for_each(|name| drop(headers.remove(name)));
        prop_assert!(!headers.contains_key("x-auth-request-user"));
        prop_assert!(policy.withhold_query(&query).is_none_or(|left| policy.withhold_query(&left).is_none()), "a key is left");
    }

    #[test]
    fn no_bytes_of_a_secret_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..4_usize) {
        let start = ["", "$2b$04$", "$argon2id$v=19$", "{\"keys\":["][start];
        let bytes = [start.as_bytes(), &bytes].concat();
        let _ = (ApiKey::of_secret(&bytes), PasswordHash::parse(&bytes).is_ok(), Jwks::parse(&bytes).is_ok());
    }
}

#[test]
fn values_as_long_as_a_head_may_be_are_refused() {
    let policy = policy(vec![by_key(), by_password(), by_token(&ALGORITHMS.jwks())]);
    let long = "a".repeat(64 * 1024);
    for value in [long.clone(), format!("Basic {long}"), format!("Bearer {long}"), format!("Bearer {long}.{long}.{long}")] {
        let lines = [(if value.starts_with('B') { "authorization" } else { "apikey" }, value.as_str())];
        assert!(matches!(answer(&policy, &lines, None, "192.0.2.7"), Answer::Refused(_)), "{}", &value[..10]);
    }
}
