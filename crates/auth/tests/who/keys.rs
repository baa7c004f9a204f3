//! keyAuth, and the order of methods.

use crate::support::{by_header, by_key, by_password, policy, who};
use serin_auth::{Anonymous, ApiKey, Consumer, Credential, Directory, Policy, Refusal};
use std::sync::Arc;

#[test]
fn key_is_found_in_each_of_its_places_and_nowhere_else() {
    let policy = policy(vec![by_key()]);
    type Case<'c> = (&'c [(&'c str, &'c str)], Option<&'c str>, &'c str);
    let cases: &[Case<'_>] = &[
        (&[("apikey", "key of alice")], None, "alice of testers"),
        (&[("X-Api-Key", " key of bob\t")], None, "bob of staff"),
        (&[("apikey", "key of bob"), ("x-api-key", "key of alice")], None, "bob of staff"),
        (&[], Some("a=b&apikey=key+of%20alice"), "alice of testers"),
        (&[], Some("key%20of=key+of+bob"), "bob of staff"),
        (&[("apikey", "key of bob")], Some("apikey=key+of+alice"), "bob of staff"),
        (&[("apikey", "key of alicia")], Some("apikey=key+of+alice"), "Wrong"),
        (&[("apikey", "key of alice"), ("apikey", "key of alice")], None, "Wrong"),
        (&[("apikey", "key of bob"), ("apikey", "")], None, "Wrong"),
        (&[], Some("apikey=key+of+alice&apikey=x"), "Wrong"),
        (&[("apikey", "KEY OF ALICE")], None, "Wrong"),
        (&[("apikey", "key of alice,key of bob")], None, "Wrong"),
        (&[("api_key", "key of alice")], Some("Apikey=key+of+alice"), "Missing"),
        (&[("apikey", " ")], Some("apikey="), "Missing"),
        (&[("authorization", "key of alice")], Some("apikey"), "Missing"),
    ];
    for (lines, query, expected) in cases {
        assert_eq!(who(&policy, lines, *query, "192.0.2.7"), *expected, "{lines:?} {query:?}");
    }
}

#[test]
fn first_method_that_finds_a_credential_decides() {
    let policy = policy(vec![by_header(), by_key(), by_password()]);
    let right = "Basic YWxpY2VAc2hvcDpjb3JyZWN0YmF0dGVyeWhvcnNlc3RhcGxlcg==";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("apikey", "key of bob"), ("authorization", right)], "bob of staff"),
        (&[("apikey", "wrong"), ("authorization", right)], "Wrong"),
        (&[("authorization", right)], "alice of testers"),
        (&[("x-auth-request-user", "bob"), ("authorization", right)], "alice of testers"),
        (&[("x-auth-request-user", "bob")], "Missing"),
    ];
    for (lines, expected) in cases {
        assert_eq!(who(&policy, lines, None, "192.0.2.7"), *expected, "{lines:?}");
    }
    assert_eq!(who(&policy, &[("x-auth-request-user", "bob"), ("apikey", "key of alice")], None, "10.0.0.1"), "bob of staff");
}

#[test]
fn nobody_is_let_in_only_without_any_credential() {
    let policy = Policy { anonymous: Anonymous::Allow, ..policy(vec![by_key(), by_password()]) };
    assert_eq!(who(&policy, &[], None, "192.0.2.7"), "nobody");
    for line in [("apikey", "x"), ("authorization", "Basic x"), ("authorization", "Basic")] {
        assert_eq!(who(&policy, &[line], None, "192.0.2.7"), "Wrong", "{line:?}");
    }
    assert_eq!(who(&policy, &[("authorization", "Digest x")], None, "192.0.2.7"), "nobody", "a scheme that no method reads");
}

#[test]
fn challenges_name_each_way_in_once() {
    let told = |methods, refusal| {
        let challenges = policy(methods).challenges(refusal);
        challenges.iter().map(|value| value.to_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let basic = r#"Basic realm="the \"shop\"", charset="UTF-8""#;
    assert_eq!(told(vec![by_key(), by_password(), by_key(), by_header()], Refusal::Missing), [r#"Key realm="serin""#, basic]);
    assert_eq!(told(vec![by_header()], Refusal::Missing), ["TrustedHeaders"]);
}

#[test]
fn oldest_has_a_name_or_credential_that_two_claim() {
    let consumer = |name: &str, group: &str, key: &[u8]| {
        let credentials = vec![Credential::KeyAuth(ApiKey::of_secret(key).expect("a key"))];
        Arc::new(Consumer { username: name.into(), groups: vec![group.into()], credentials })
    };
    let directory = Directory::new(vec![consumer("alice", "old", b"k"), consumer("mallory", "new", b"k"), consumer("alice", "new", b"l")]);
    let policy = Policy { consumers: Arc::new(directory), ..policy(vec![by_key(), by_header()]) };
    assert_eq!(who(&policy, &[("apikey", "k")], None, "192.0.2.7"), "alice of old");
    assert_eq!(who(&policy, &[("x-auth-request-user", "alice")], None, "10.0.0.1"), "alice of old");
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let policy = policy(vec![by_key(), by_password()]);
    let shown = format!("{policy:?} {:?} {}", policy.consumers.consumers(), serde_json::to_string(&policy).expect("JSON"));
    for secret in ["key of alice", "$2b$", "correctbattery"] {
        assert!(!shown.replace("\"key of\"", "").contains(secret), "{secret} in {shown}");
    }
    assert!(
        shown.contains("alice in [testers] by [keyAuth, basicAuth of alice@shop, jwt of id-of-alice by https://id.example]"),
        "{shown}"
    );
}
