//! Consumers and AuthPolicies as the cache holds them: their specs parsed, once, when they come.

use crate::Key;
use crate::key::Age;
use serde_json::Value;
use serin_api::auth::{Credential, Jwks, Method};
use serin_api::{ParsedAuthPolicy, ParsedConsumer};

/// What of a Consumer decides who is known.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredConsumer {
    pub(crate) key: Key,
    pub(crate) age: Age,
    pub(crate) parsed: ParsedConsumer,
    /// It is being deleted, and only someone's finalizer keeps it: nobody is it any more.
    pub(crate) deleting: bool,
}

/// What of an AuthPolicy decides. One that is being deleted holds until it is gone: routes must not fall open before.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredAuthPolicy {
    pub(crate) key: Key,
    pub(crate) age: Age,
    pub(crate) parsed: ParsedAuthPolicy,
}

/// A Consumer of any shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyConsumer(
    /// The whole object.
    pub Value,
);

/// An AuthPolicy of any shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyAuthPolicy(
    /// The whole object.
    pub Value,
);

impl DeclaredConsumer {
    pub(crate) fn new(key: Key, object: &Value) -> Self {
        let parsed = serin_api::parse_consumer(object);
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        Self { age: Age::new(parsed.metadata.created, &key), parsed, deleting, key }
    }

    /// The Secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let credentials = self.parsed.profile.iter().filter(|_| !self.deleting).flat_map(|profile| &profile.credentials);
        credentials.filter_map(|credential| match credential {
            Credential::Key(secret) => Some(secret.name.as_str()),
            Credential::Password(secret) => Some(secret.as_str()),
            Credential::Token { .. } => None,
        })
    }
}

impl DeclaredAuthPolicy {
    pub(crate) fn new(key: Key, object: &Value) -> Self {
        let parsed = serin_api::parse_auth_policy(object);
        Self { age: Age::new(parsed.metadata.created, &key), parsed, key }
    }

    /// The key sets that it names by URL, each with the number of its method.
    pub(crate) fn key_sets(&self) -> impl Iterator<Item = (usize, &str)> {
        let methods = self.parsed.policy.iter().flat_map(|policy| &policy.methods).enumerate();
        methods.filter_map(|(index, method)| match method {
            Method::Jwt(jwt) => match &jwt.jwks {
                Jwks::Url(url) => Some((index, url.as_str())),
                Jwks::Secret(_) => None,
            },
            Method::Key { .. } | Method::Basic { .. } | Method::TrustedHeaders { .. } => None,
        })
    }

    /// The Secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.parsed.policy.iter().flat_map(|policy| &policy.methods).filter_map(|method| match method {
            Method::Jwt(jwt) => match &jwt.jwks {
                Jwks::Secret(secret) => Some(secret.name.as_str()),
                Jwks::Url(_) => None,
            },
            Method::Key { .. } | Method::Basic { .. } | Method::TrustedHeaders { .. } => None,
        })
    }
}
