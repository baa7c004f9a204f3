//! trustedHeaders: believed from whom the policy names, and from nobody else, however they are spelt.

use crate::support::{by_header, head, policy, who};
use serin_auth::{Anonymous, Policy};

/// As somebody would write them who wants to be alice: names that some origin or library reads as the same name.
const SPELLINGS: [&[(&str, &str)]; 12] = [
    &[("X-Auth-Request-User", "alice")],
    &[("x-auth-request-user", "alice")],
    &[("X-AUTH-REQUEST-USER", "alice")],
    &[("X_Auth_Request_User", "alice")],
    &[("x-auth_request-user", "alice")],
    &[("X-Auth-Request-User", "  alice\t")],
    &[("X-Auth-Request-User", "alice,")],
    &[("X-Auth-Request-User", ", alice")],
    &[("X-Auth-Request-User", "bob"), ("X-Auth-Request-User", "alice")],
    &[("X-Auth-Request-User", ""), ("X-Auth-Request-User", "alice")],
    &[("X-Auth-Request-User", "alice"), ("X-Auth-Request-Groups", "testers")],
    &[("X-Auth-Request-User", "alice"), ("Connection", "x-auth-request-user"), ("X-Forwarded-For", "10.0.0.1")],
];

#[test]
fn header_of_an_untrusted_peer_is_nobodys_and_goes_no_further() {
    for anonymous in [Anonymous::Deny, Anonymous::Allow] {
        let policy = Policy { anonymous, ..policy(vec![by_header()]) };
        let expected = if anonymous == Anonymous::Deny { "Missing" } else { "nobody" };
        for lines in SPELLINGS {
            for peer in ["192.0.2.7", "11.0.0.1", "::ffff:192.0.2.7", "fe80::1"] {
                assert_eq!(who(&policy, lines, None, peer), expected, "{lines:?} from {peer}");
            }
            let mut headers = head(lines);
            policy.unbelieved(None).for_each(|name| drop(headers.remove(name)));
            let left: Vec<_> = headers.keys().filter(|name| !name.as_str().contains('_') && name.as_str().starts_with("x-auth")).collect();
            assert!(left.is_empty(), "{lines:?} leaves {left:?}");
        }
    }
}

#[test]
fn header_of_a_trusted_peer_names_exactly_one() {
    let policy = policy(vec![by_header()]);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("X-Auth-Request-User", " alice ")], "alice of testers"),
        (&[("X-Auth-Request-User", "carol"), ("X-Auth-Request-Groups", "a, b,,c ,")], "carol of a,b,c"),
        (&[("X-Auth-Request-User", "carol"), ("X-Auth-Request-Groups", "a"), ("X-Auth-Request-Groups", "testers")], "Wrong"),
        (&[("X-Auth-Request-User", "alice"), ("X-Auth-Request-Groups", "staff")], "alice of testers,staff"),
        (&[("X-Auth-Request-User", "Alice")], "Alice"),
        (&[("X-Auth-Request-User", "bob"), ("X-Auth-Request-User", "alice")], "Wrong"),
        (&[("X-Auth-Request-User", "alice"), ("X-Auth-Request-User", "alice")], "Wrong"),
        (&[("X-Auth-Request-User", ""), ("X-Auth-Request-User", "alice")], "Wrong"),
        (&[("X-Auth-Request-User", "alice,")], "Wrong"),
        (&[("X-Auth-Request-User", "bob, alice")], "Wrong"),
        (&[("X-Auth-Request-User", "bob\talice")], "Wrong"),
        (&[("X-Auth-Request-User", " \t ")], "Missing"),
        (&[("X-Auth-Request-Groups", "staff")], "Missing"),
        (&[("X_Auth_Request_User", "alice")], "Missing"),
    ];
    for (lines, expected) in cases {
        for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"] {
            assert_eq!(who(&policy, lines, None, peer), *expected, "{lines:?} from {peer}");
        }
    }
}
