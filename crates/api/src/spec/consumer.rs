//! The spec of a Consumer: who a request comes from.

// Two printer columns may well have one type.
#![allow(clippy::duplicated_attributes)]

use super::secret::{SecretKeyRef, SecretRef};
use super::value::PLAIN;
use crate::schema::rule;
use crate::status::ConsumerStatus;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who it is. Default: {}.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "serin.dev",
    version = "v1alpha1",
    kind = "Consumer",
    doc = "Who a request comes from: a username with groups, and the credentials that prove it. It is looked up by the AuthPolicies of its namespace; one in serin's own namespace by all.",
    namespaced,
    shortname = "cons",
    category = "serin",
    status = "ConsumerStatus",
    derive = "PartialEq",
    printcolumn(name = "Username", type_ = "string", json_path = ".status.resolved.username", description = "Name that is hashed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether all of its credentials are served"
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
pub struct ConsumerSpec {
    /// Name of the consumer: what scopes name, and what is hashed. Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = PLAIN))]
    pub username: Option<String>,
    /// What other systems call it; kept and shown, never compared. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = PLAIN))]
    pub custom_id: Option<String>,
    /// Groups that it is in. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253), regex(pattern = PLAIN)))]
    pub groups: Option<Vec<String>>,
    /// What proves that a request is its own: any one of them. Default: none, then only a trusted header names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub credentials: Option<Vec<CredentialSpec>>,
}

/// One credential: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.keyAuth) ? 1 : 0) + (has(self.basicAuth) ? 1 : 0) + (has(self.jwt) ? 1 : 0) == 1",
        "a credential is exactly one of keyAuth, basicAuth, jwt",
    ),
]))]
pub struct CredentialSpec {
    /// A key that is sent in a header or parameter. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_auth: Option<KeyCredential>,
    /// A name and a password. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<PasswordCredential>,
    /// The subject of a token. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<TokenCredential>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyCredential {
    /// Where the key is kept. Required.
    pub secret_ref: SecretKeyRef,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordCredential {
    /// A Secret with the keys username and password; the password is a hash of bcrypt or argon2. Required.
    pub secret_ref: SecretRef,
}

/// The subject of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCredential {
    /// Issuer of the token. Required.
    #[schemars(length(min = 1, max = 2048), regex(pattern = PLAIN))]
    pub issuer: String,
    /// What its `sub` says. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = PLAIN))]
    pub subject: String,
}
