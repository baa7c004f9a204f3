//! Policies, consumers and requests, in as few words as they take.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serin_auth::{
    Anonymous, Answer, ApiKey, Asked, BasicAuth, Consumer, Credential, Directory, Identity, Jwt, KeyAuth, Method, PasswordHash, Policy,
    TrustedHeaders,
};
use std::net::IpAddr;
use std::sync::Arc;

/// 2026-12-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_796_083_200;
/// `secret`, at the lowest cost that there is.
pub(crate) const BCRYPT: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";
/// The password of that hash.
pub(crate) const PASSWORD: &str = "correctbatteryhorsestapler";

pub(crate) fn policy(methods: Vec<Method>) -> Policy {
    let (name, consumers) = ("shop/policy".to_owned(), Arc::new(consumers()));
    Policy { name, methods, anonymous: Anonymous::Deny, hide_credentials: true, consumers }
}

/// alice of testers, and bob of staff: each has a key, a password and a token's subject.
pub(crate) fn consumers() -> Directory {
    let consumer = |name: &str, group: &str| {
        let hash = PasswordHash::parse(BCRYPT.as_bytes()).expect("a hash");
        Arc::new(Consumer {
            username: name.into(),
            groups: vec![group.to_owned()],
            credentials: vec![
                Credential::KeyAuth(ApiKey::of_secret(format!("key of {name}").as_bytes()).expect("a key")),
                Credential::BasicAuth { username: format!("{name}@shop"), hash },
                Credential::Jwt { issuer: ISSUER.to_owned(), subject: format!("id-of-{name}") },
            ],
        })
    };
    Directory::new(vec![consumer("alice", "testers"), consumer("bob", "staff")])
}

pub(crate) const ISSUER: &str = "https://id.example";

pub(crate) fn by_key() -> Method {
    let headers = vec![HeaderName::from_static("apikey"), HeaderName::from_static("x-api-key")];
    Method::KeyAuth(KeyAuth { headers, query: vec!["apikey".into(), "key of".into()] })
}

pub(crate) fn by_password() -> Method {
    Method::BasicAuth(BasicAuth { realm: "the \"shop\"".into() })
}

pub(crate) fn by_header() -> Method {
    Method::TrustedHeaders(TrustedHeaders {
        consumer: HeaderName::from_static("x-auth-request-user"),
        groups: Some(HeaderName::from_static("x-auth-request-groups")),
        from: vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")],
    })
}

pub(crate) fn by_token(keys: &str) -> Method {
    Method::Jwt(Jwt {
        issuer: ISSUER.into(),
        audiences: vec!["shop".into()],
        keys: Arc::new(serin_auth::Jwks::parse(keys.as_bytes()).expect("keys")),
        consumer_claim: "preferred_username".into(),
        groups_claim: Some("groups".into()),
    })
}

pub(crate) fn head(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        (HeaderName::from_bytes(name.as_bytes()).expect("a name"), value)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(line) {
        headers.append(name, value);
    }
    headers
}

/// The answer to a request with these fields and this query, from this peer.
pub(crate) fn answer(policy: &Policy, lines: &[(&str, &str)], query: Option<&str>, peer: &str) -> Answer {
    let (headers, now) = (head(lines), Timestamp::from_second(NOW).expect("a time"));
    let peer: IpAddr = peer.parse().expect("an address");
    policy.authenticate(&Asked { headers: &headers, query, peer: Some(peer), now })
}

/// The same in a word or two; a password is checked.
pub(crate) fn who(policy: &Policy, lines: &[(&str, &str)], query: Option<&str>, peer: &str) -> String {
    match answer(policy, lines, query, peer) {
        Answer::Known(identity) => named(&identity),
        Answer::Nobody => "nobody".into(),
        Answer::Refused(refusal) => format!("{refusal:?}"),
        Answer::Password(guess) => {
            let right = guess.check();
            guess.settle(right).map_or_else(|refusal| format!("{refusal:?}"), |identity| named(&identity))
        }
    }
}

/// `alice of testers,others`.
pub(crate) fn named(identity: &Identity) -> String {
    let groups: Vec<&str> = identity.groups().collect();
    let name = identity.consumer().map_or("-", |name| &**name);
    if groups.is_empty() { name.to_owned() } else { format!("{name} of {}", groups.join(",")) }
}
