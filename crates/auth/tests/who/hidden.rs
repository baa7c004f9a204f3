//! What goes on to the origin, and into logs.

use crate::signing::{ALGORITHMS, claims};
use crate::support::{answer, by_header, by_key, by_password, by_token, head, policy};
use http::{HeaderMap, HeaderName};
use serin_auth::{Answer, Identity, Method, Policy, TrustedHeaders, redacted};

fn found(policy: &Policy, lines: &[(&str, &str)], query: Option<&str>, peer: &str) -> Box<Identity> {
    match answer(policy, lines, query, peer) {
        Answer::Known(identity) => identity,
        Answer::Password(guess) => Box::new(guess.settle(true).expect("a known name")),
        other => panic!("{other:?}"),
    }
}

/// The names of the fields that go on.
fn left(policy: &Policy, lines: &[(&str, &str)], peer: &str) -> Vec<String> {
    let identity = found(policy, lines, None, peer);
    let mut headers: HeaderMap = head(lines);
    for name in policy.unbelieved(Some(&identity)).chain(policy.hidden()) {
        headers.remove(name);
    }
    headers.keys().map(HeaderName::to_string).collect()
}

#[test]
fn origin_sees_no_credential_of_any_method_unless_the_policy_shows_it() {
    let token = ALGORITHMS.token("RS256", &claims());
    let hides = policy(vec![by_key(), by_password(), by_token(&ALGORITHMS.jwks()), by_header()]);
    let shows = Policy { hide_credentials: false, ..hides.clone() };
    let (basic, bearer) = ("Basic YWxpY2VAc2hvcDp4", format!("Bearer {token}"));
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str], &'c [&'c str]);
    let cases: &[Case<'_>] = &[
        (&[("apikey", "key of bob"), ("x-api-key", "x"), ("a", "b")], &["a"], &["apikey", "x-api-key", "a"]),
        (&[("authorization", basic), ("a", "b")], &["a"], &["authorization", "a"]),
        (&[("authorization", &bearer), ("a", "b")], &["a"], &["authorization", "a"]),
        // Nobody looked at the password; it is one all the same.
        (&[("apikey", "key of bob"), ("authorization", basic)], &[], &["apikey", "authorization"]),
        // These name somebody, and nobody looked whom.
        (&[("apikey", "key of bob"), ("x-auth-request-user", "alice")], &[], &["apikey"]),
        (&[("x-auth-request-user", "alice"), ("x-auth-request-groups", "g")], &[], &["x-auth-request-user", "x-auth-request-groups"]),
    ];
    for (lines, hidden, shown) in cases {
        assert_eq!(left(&hides, lines, "10.0.0.1"), *hidden, "{lines:?}");
        assert_eq!(left(&shows, lines, "10.0.0.1"), *shown, "{lines:?}");
    }
}

#[test]
fn query_goes_on_byte_for_byte_without_its_key() {
    let policy = policy(vec![by_password(), by_key()]);
    let shows = Policy { hide_credentials: false, ..policy.clone() };
    let cases = [
        ("apikey=key+of+bob", Some("")),
        ("a=%2f&apikey=x&b=+c%20&&d", Some("a=%2f&b=+c%20&&d")),
        ("%61pikey=x&a", Some("a")),
        ("key+of=x&key%20of&a=apikey=", Some("a=apikey=")),
        ("a=b&c", None),
        ("apikeys=x", None),
        ("", None),
    ];
    for (query, expected) in cases {
        assert_eq!(policy.withhold_query(query).as_deref(), expected, "{query}");
        assert_eq!(shows.withhold_query(query), None);
    }
}

#[test]
fn field_that_proxies_of_two_networks_use_is_believed_from_both() {
    let Method::TrustedHeaders(first) = by_header() else { panic!("trusted headers") };
    let second = TrustedHeaders { groups: None, from: vec!["192.0.2.0/24".parse().expect("a network")], ..first.clone() };
    let policy = policy(vec![by_key(), Method::TrustedHeaders(first), Method::TrustedHeaders(second)]);
    let unbelieved = |lines, peer| {
        let identity = found(&policy, lines, None, peer);
        policy.unbelieved(Some(&identity)).map(HeaderName::to_string).collect::<Vec<_>>()
    };
    let named = &[("x-auth-request-user", "alice")];
    assert!(unbelieved(named, "10.0.0.1").is_empty());
    assert_eq!(unbelieved(named, "192.0.2.7"), ["x-auth-request-groups"], "which the second does not read");
    let by_key = unbelieved(&[("apikey", "key of bob")], "192.0.2.7");
    assert_eq!(by_key, ["x-auth-request-user", "x-auth-request-groups", "x-auth-request-user"]);
}

#[test]
fn logs_have_a_query_without_its_keys() {
    let parameters: Vec<String> = policy(vec![by_key()]).key_parameters().map(str::to_owned).collect();
    assert_eq!(
        redacted("a=b&apikey=secret&%61pikey=secret&key+of", &parameters).as_deref(),
        Some("a=b&apikey=***&%61pikey=***&key+of=***")
    );
    assert_eq!(redacted("a=b", &parameters), None);
}

#[test]
fn fields_that_say_who_asks_are_known_for_trailers() {
    let policy = policy(vec![by_key(), by_password(), by_header()]);
    let names: Vec<&str> = policy.fields().map(HeaderName::as_str).collect();
    assert_eq!(names, ["apikey", "x-api-key", "authorization", "x-auth-request-user", "x-auth-request-groups"]);
}
