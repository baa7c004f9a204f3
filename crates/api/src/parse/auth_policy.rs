//! `spec` of an AuthPolicy.

use super::report::Report;
use super::{Metadata, scope, section, structure};
use crate::auth::{Jwks, Jwt, Method, Policy, SecretKey};
use crate::finding::Finding;
use crate::release::Scope;
use crate::spec::{Anonymous, AuthScopeSpec, JwtSpec, KeyAuthSpec, MethodSpec, TrustedHeadersSpec};
use ipnet::IpNet;
use serde_json::Value;

/// What an AuthPolicy says.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedAuthPolicy {
    /// Whose spec it is.
    pub metadata: Metadata,
    /// The policy, if its spec is accepted: then there are no findings.
    pub policy: Option<Policy>,
    /// The scope, if it can be served, also of a spec that is not accepted: it answers 503 there, and never falls open.
    pub scope: Option<Scope>,
    /// What is not as it should be; each makes Accepted False.
    pub findings: Vec<Finding>,
}

/// Parses an AuthPolicy of any shape.
pub fn parse_auth_policy(object: &Value) -> ParsedAuthPolicy {
    let (metadata, mut spec, mut report) = (Metadata::read(&object["metadata"]), object["spec"].clone(), Report::default());
    structure::check("AuthPolicy", &mut spec, &mut report);
    let scope = section::<AuthScopeSpec>(&spec, "scope", &mut report).and_then(|raw| scope::of_policy(raw, &mut report));
    let methods = section::<Vec<MethodSpec>>(&spec, "methods", &mut report).unwrap_or_default().into_iter().enumerate();
    let methods = methods.filter_map(|(index, raw)| method(raw, &format!("spec.methods[{index}]"), &mut report)).collect();
    let anonymous = section::<Anonymous>(&spec, "anonymous", &mut report) == Some(Anonymous::Allow);
    let hide_credentials = spec["hideCredentials"].as_bool().unwrap_or(true);
    let policy = scope.clone().filter(|_| report.0.is_empty()).map(|scope| Policy { scope, methods, anonymous, hide_credentials });
    ParsedAuthPolicy { metadata, policy, scope, findings: report.0 }
}

fn method(raw: MethodSpec, field: &str, report: &mut Report) -> Option<Method> {
    match (raw.key_auth, raw.basic_auth, raw.jwt, raw.trusted_headers) {
        (Some(raw), None, None, None) => key(raw, &format!("{field}.keyAuth"), report),
        (None, Some(raw), None, None) => Some(Method::Basic { realm: raw.realm.unwrap_or_else(|| "serin".to_owned()) }),
        (None, None, Some(raw), None) => jwt(raw, &format!("{field}.jwt"), report),
        (None, None, None, Some(raw)) => trusted_headers(raw, &format!("{field}.trustedHeaders"), report),
        _ => {
            report.invalid(
                field,
                "A method is exactly one of keyAuth, basicAuth, jwt and trustedHeaders. Give one, and each other an entry of its own.",
            );
            None
        }
    }
}

fn key(raw: KeyAuthSpec, field: &str, report: &mut Report) -> Option<Method> {
    if raw.headers.is_none() && raw.query.is_none() {
        report.invalid(field, "keyAuth looks nowhere. Give headers, query or both.");
        return None;
    }
    Some(Method::Key {
        headers: raw.headers.unwrap_or_default().iter().map(|name| lower(name)).collect(),
        query: raw.query.unwrap_or_default(),
    })
}

fn jwt(raw: JwtSpec, field: &str, report: &mut Report) -> Option<Method> {
    let jwks = match (raw.jwks.secret_ref, raw.jwks.url) {
        (Some(secret), None) => Jwks::Secret(SecretKey { name: secret.name, key: secret.key }),
        (None, Some(url)) => Jwks::Url(url),
        _ => {
            report.invalid(&format!("{field}.jwks"), "jwks is exactly one of secretRef and url. Keep one.");
            return None;
        }
    };
    Some(Method::Jwt(Jwt {
        issuer: raw.issuer,
        audiences: raw.audiences.unwrap_or_default(),
        jwks,
        consumer_claim: raw.consumer_claim.unwrap_or_else(|| "sub".to_owned()),
        groups_claim: raw.groups_claim,
    }))
}

fn trusted_headers(raw: TrustedHeadersSpec, field: &str, report: &mut Report) -> Option<Method> {
    let mut from = Vec::new();
    for (index, text) in raw.from.iter().enumerate() {
        let field = format!("{field}.from[{index}]");
        match text.parse::<IpNet>() {
            Ok(network) if network.prefix_len() == 0 => {
                report.invalid(
                    &field,
                    format!("from has {text}, which is everyone: anyone could be anyone. Name the networks of your proxies."),
                );
            }
            Ok(network) => from.push(network.trunc()),
            Err(_) => report.invalid(&field, format!("from has {text:?}, which is no network. Write it as 10.0.0.0/8 or 2001:db8::/32.")),
        }
    }
    Some(Method::TrustedHeaders { consumer: lower(&raw.consumer), groups: raw.groups.as_deref().map(lower), from })
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}
