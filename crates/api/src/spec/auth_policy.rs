//! The spec of an AuthPolicy: how serin learns who a request comes from.

// Two printer columns may well have one type.
#![allow(clippy::duplicated_attributes)]

use super::scope::RouteRef;
use super::secret::SecretKeyRef;
use super::value::{CIDR, CLAIM, PLAIN, REALM, SERVICE, TOKEN, URL};
use crate::schema::{rule, rule_at};
use crate::status::AuthPolicyStatus;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked. Required.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "serin.dev",
    version = "v1alpha1",
    kind = "AuthPolicy",
    doc = "How serin learns who the requests of a scope come from, and what becomes of those that do not say.",
    namespaced,
    shortname = "authp",
    category = "serin",
    status = "AuthPolicyStatus",
    derive = "PartialEq",
    printcolumn(name = "Scope", type_ = "string", json_path = ".status.resolved.scope", description = "Scope in force"),
    printcolumn(
        name = "Anonymous",
        type_ = "string",
        json_path = ".spec.anonymous",
        description = "What becomes of requests without a credential"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it is served; if not, its scope answers 503"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age of the object"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", description = "What is so, then what to do"),
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    )
)]
pub struct AuthPolicySpec {
    /// Which requests: the most specific policy decides, none are merged, of equals the oldest. At least one part. Required.
    pub scope: AuthScopeSpec,
    /// Ways to say who one is, in order: the first that finds a credential decides. Required.
    #[schemars(length(min = 1, max = 8))]
    pub methods: Vec<MethodSpec>,
    /// What becomes of a request without a credential: 401 with the right challenge, or on without identity. Default: Deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Deny"))]
    pub anonymous: Option<Anonymous>,
    /// Whether credentials are taken out of the request before the origin sees it. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub hide_credentials: Option<bool>,
}

/// Which requests: every part that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.service) || has(self.route) || (has(self.all) && self.all)", "scope needs at least one of service, route, all"),
    rule_at(
        ".all",
        "!has(self.all) || !self.all || !(has(self.service) || has(self.route))",
        "all stands alone: it excludes service and route",
    ),
    rule_at(".allNamespaces", "!has(self.allNamespaces) || !self.allNamespaces || (has(self.all) && self.all)", "allNamespaces needs all"),
]))]
pub struct AuthScopeSpec {
    /// A Service of this namespace: requests that a route sends to it. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = SERVICE))]
    pub service: Option<String>,
    /// One route of this namespace, or a part of it. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteRef>,
    /// Every route of this namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// With all: every namespace. Only in serin's own namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_namespaces: Option<bool>,
}

/// What becomes of a request without a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Anonymous {
    /// 401.
    Deny,
    /// It goes on without identity.
    Allow,
}

/// One way to say who one is: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.keyAuth) ? 1 : 0) + (has(self.basicAuth) ? 1 : 0) + (has(self.jwt) ? 1 : 0) + (has(self.trustedHeaders) ? 1 : 0) == 1",
        "a method is exactly one of keyAuth, basicAuth, jwt, trustedHeaders",
    ),
]))]
pub struct MethodSpec {
    /// A key in a header or parameter. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_auth: Option<KeyAuthSpec>,
    /// A name and a password, as RFC 7617 has it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuthSpec>,
    /// A signed token, as RFC 6750 and RFC 7519 have it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSpec>,
    /// Headers that a proxy before serin sets. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_headers: Option<TrustedHeadersSpec>,
}

/// A key in a header or parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("has(self.headers) || has(self.query)", "keyAuth needs headers, query or both")]))]
pub struct KeyAuthSpec {
    /// Headers that hold a key, in order. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 253), regex(pattern = TOKEN)))]
    pub headers: Option<Vec<String>>,
    /// Query parameters that hold a key, in order, after the headers. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 253), regex(pattern = PLAIN)))]
    pub query: Option<Vec<String>>,
}

/// A name and a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuthSpec {
    /// What the client is told that it logs in to. Default: serin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = REALM))]
    pub realm: Option<String>,
}

/// A signed token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JwtSpec {
    /// What `iss` must be, byte for byte. Required.
    #[schemars(length(min = 1, max = 2048), regex(pattern = PLAIN))]
    pub issuer: String,
    /// One of these must be in `aud`. Default: any audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 2048), regex(pattern = PLAIN)))]
    pub audiences: Option<Vec<String>>,
    /// The keys that tokens are signed with. Required.
    pub jwks: JwksSpec,
    /// The claim that names the consumer where no Consumer has the issuer and subject. Default: sub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = CLAIM))]
    pub consumer_claim: Option<String>,
    /// The claim that lists groups. Default: none, then a token gives no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = CLAIM))]
    pub groups_claim: Option<String>,
}

/// A JSON Web Key Set: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("has(self.secretRef) != has(self.url)", "jwks is exactly one of secretRef, url")]))]
pub struct JwksSpec {
    /// A Secret of this namespace that holds it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Where it is fetched: a Service of this namespace, or what the operator allowed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = URL))]
    pub url: Option<String>,
}

/// Headers that a proxy before serin sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedHeadersSpec {
    /// The header that names the consumer. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = TOKEN))]
    pub consumer: String,
    /// The header that lists groups, with commas between. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = TOKEN))]
    pub groups: Option<String>,
    /// Networks of the proxies that are believed. Required.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 43), regex(pattern = CIDR)))]
    pub from: Vec<String>,
}
