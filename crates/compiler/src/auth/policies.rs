//! AuthPolicies to what the proxy authenticates by. One that cannot be resolved answers 503 for its scope: it never falls open.

use super::consumers::Directories;
use super::secret::{self, Secrets};
use super::{DeclaredAuthPolicy, KeySets, Order, Rank};
use crate::{Key, scope};
use http::HeaderName;
use serin_api::auth;
use serin_api::release::Scope;
use serin_api::{Condition, Finding, reason};
use serin_auth::{Anonymous, BasicAuth, Jwks, Jwt, KeyAuth, Method, Policy, TrustedHeaders};
use std::sync::Arc;

/// What an AuthPolicy rules, wherever its routes are.
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) key: Key,
    pub(crate) order: Order,
    /// `None`: it takes no route of any kind that is served.
    pub(crate) scope: Option<Scope>,
    /// `None`: it cannot be resolved.
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) resolved_scope: String,
    pub(crate) findings: Vec<Finding>,
}

/// What policies refer to.
pub(crate) struct Known<'o> {
    pub(crate) secrets: Secrets<'o>,
    pub(crate) key_sets: KeySets<'o>,
}

pub(crate) fn rule(declared: &DeclaredAuthPolicy, known: &Known<'_>, directories: &Directories, own_namespace: &str) -> Ruling {
    let (key, mut findings) = (&declared.key, declared.parsed.findings.clone());
    let mut scope = declared.parsed.scope.clone();
    if scope.is_none() && is_unreadable(&findings) {
        // Which routes it means to protect nobody knows, so it is all that it may: they are closed until it can be read.
        scope = Some(Scope { all: true, all_namespaces: key.namespace == own_namespace, ..Scope::default() });
    }
    if let Some(scope) = scope.as_mut().filter(|scope| scope.all_namespaces && key.namespace != own_namespace) {
        let message = format!("allNamespaces is for policies in namespace {own_namespace}. Move the policy there, or remove it.");
        let field = "spec.scope.allNamespaces".to_owned();
        findings.push(Finding { condition: Condition::Accepted, reason: reason::NOT_PERMITTED, field, message });
        scope.all_namespaces = false;
    }
    let policy = declared.parsed.policy.as_ref().map(|policy| {
        let methods = policy.methods.iter().enumerate();
        let methods = methods.filter_map(|(index, method)| {
            let method = self::method(method, &key.namespace, &format!("spec.methods[{index}]"), known);
            method.map_err(|finding| findings.push(finding)).ok()
        });
        Policy {
            name: key.to_string(),
            methods: methods.collect(),
            anonymous: if policy.anonymous { Anonymous::Allow } else { Anonymous::Deny },
            hide_credentials: policy.hide_credentials,
            consumers: directories.reach(&key.namespace),
        }
    });
    let rank = scope.as_ref().map_or(Rank::Everything, rank);
    let resolved_scope = scope.as_ref().map(scope::describe).unwrap_or_default();
    let policy = policy.filter(|_| findings.is_empty()).map(Arc::new);
    // These close nothing.
    findings.extend(known.key_sets.stale(declared));
    Ruling { key: key.clone(), order: Order { rank, age: declared.age.clone() }, scope, policy, resolved_scope, findings }
}

/// Whether the scope is not what a scope is, rather than one of a kind of route that is not served yet.
fn is_unreadable(findings: &[Finding]) -> bool {
    let of_scope = |finding: &&Finding| finding.field == "spec" || finding.field.starts_with("spec.scope");
    findings.iter().filter(of_scope).any(|finding| finding.reason == reason::INVALID_SPEC)
}

fn rank(scope: &Scope) -> Rank {
    match (scope.route.is_some(), scope.service.is_some(), scope.all_namespaces) {
        (true, true, _) => Rank::RouteService,
        (true, false, _) => Rank::Route,
        (false, true, _) => Rank::Service,
        (false, false, false) => Rank::Namespace,
        (false, false, true) => Rank::Everything,
    }
}

fn method(method: &auth::Method, namespace: &str, field: &str, known: &Known<'_>) -> Result<Method, Finding> {
    match method {
        auth::Method::Key { headers, query } => {
            let headers = headers.iter().map(|header| name(header, field)).collect::<Result<_, _>>()?;
            Ok(Method::KeyAuth(KeyAuth { headers, query: query.clone() }))
        }
        auth::Method::Basic { realm } => Ok(Method::BasicAuth(BasicAuth { realm: realm.clone() })),
        auth::Method::Jwt(jwt) => Ok(Method::Jwt(Jwt {
            issuer: jwt.issuer.clone(),
            audiences: jwt.audiences.clone(),
            keys: keys(&jwt.jwks, namespace, &format!("{field}.jwt.jwks"), known)?,
            consumer_claim: jwt.consumer_claim.clone(),
            groups_claim: jwt.groups_claim.clone(),
        })),
        auth::Method::TrustedHeaders { consumer, groups, from } => Ok(Method::TrustedHeaders(TrustedHeaders {
            consumer: name(consumer, field)?,
            groups: groups.as_ref().map(|groups| name(groups, field)).transpose()?,
            from: from.clone(),
        })),
    }
}

/// The schema lets only tokens through, so this is for objects that were stored past it.
fn name(text: &str, field: &str) -> Result<HeaderName, Finding> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        let message = format!("{text:?} is no name of a header.");
        Finding { condition: Condition::Accepted, reason: reason::INVALID_SPEC, field: field.to_owned(), message }
    })
}

fn keys(jwks: &auth::Jwks, namespace: &str, field: &str, known: &Known<'_>) -> Result<Arc<Jwks>, Finding> {
    match jwks {
        auth::Jwks::Secret(auth::SecretKey { name, key }) => {
            let field = format!("{field}.secretRef");
            let value = known.secrets.value(namespace, name, key, &field)?;
            Jwks::parse(value).map(Arc::new).map_err(|fault| secret::invalid(namespace, name, key, &field, fault))
        }
        auth::Jwks::Url(url) => known.key_sets.keys(url, namespace, &format!("{field}.url")),
    }
}
