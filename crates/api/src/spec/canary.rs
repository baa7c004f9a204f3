//! `spec.canary`: side B.

use super::value::{HOST, PortRef, SENT_PATH, SERVICE};
use crate::schema::{rule, rule_at, rule_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Side B.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.service) ? 1 : 0) + (has(self.podSelector) ? 1 : 0) + (has(self.host) ? 1 : 0) <= 1",
        "of service, podSelector and host at most one may be given",
    ),
    rule(
        "has(self.service) || has(self.podSelector) || has(self.host) || has(self.port) || has(self.path)",
        "canary needs at least one of service, podSelector, host, port, path",
    ),
    rule_required(".port", "!has(self.host) || has(self.port)", "host needs port"),
    rule("has(self.host) || (!has(self.scheme) && (!has(self.preserveHost) || !self.preserveHost))", "scheme and preserveHost need host"),
]))]
pub struct CanarySpec {
    /// A Service of this namespace. Of service, podSelector and host at most one. Default: the Service that the route names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = SERVICE))]
    pub service: Option<String>,
    /// Number or name of the port. Default: the stable port, else the Service's only port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// Pods behind the stable Service itself: two Deployments, one Service. Default: every pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// A DNS name or IP address outside the cluster, only when the operator allowed it; needs the number of a port. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub host: Option<String>,
    /// With host: how it is spoken to. Default: https for port 443, else http.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// With host: send the client's Host header instead of the host. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_host: Option<bool>,
    /// How the path is rewritten for the canary; the query is kept. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathSpec>,
    /// Where the canary's share goes while it has no ready endpoint. Default: Stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Stable"))]
    pub when_unavailable: Option<WhenUnavailable>,
}

/// Pods by their labels, as elsewhere in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.matchLabels) || has(self.matchExpressions)", "podSelector needs matchLabels, matchExpressions or both"),
]))]
pub struct LabelSelector {
    /// Labels that a pod must have. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Expressions that a pod must satisfy. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub match_expressions: Option<Vec<LabelRequirement>>,
}

/// One expression of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_at(".values", "has(self.values) == (self.operator in ['In', 'NotIn'])", "values are required with In and NotIn, and not allowed without"),
]))]
pub struct LabelRequirement {
    /// Key of the label. Required.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// Relation of key and values. Required.
    pub operator: Relation,
    /// Values, for In and NotIn. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(max = 63)))]
    pub values: Option<Vec<String>>,
}

/// Relation of a label's key and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Relation {
    /// The value is one of these.
    In,
    /// The value is none of these.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

/// How a host outside the cluster is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(description = "")]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS; the SNI is the host.
    Https,
}

/// A rewrite of the path, as in Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "self.type == 'ReplacePrefixMatch' ? has(self.replacePrefixMatch) && !has(self.replaceFullPath) : has(self.replaceFullPath) && !has(self.replacePrefixMatch)",
        "type names the one field that must be given: replacePrefixMatch or replaceFullPath",
    ),
]))]
pub struct PathSpec {
    /// What is replaced. Required.
    #[serde(rename = "type")]
    pub type_: PathType,
    /// What takes the place of the prefix that the matched route names. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = SENT_PATH))]
    pub replace_prefix_match: Option<String>,
    /// What takes the place of the whole path. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = SENT_PATH))]
    pub replace_full_path: Option<String>,
}

/// What of the path is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum PathType {
    /// The prefix that the matched route names.
    ReplacePrefixMatch,
    /// The whole path.
    ReplaceFullPath,
}

/// Where the canary's share goes while it has no ready endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WhenUnavailable {
    /// To stable.
    Stable,
    /// 503.
    Fail,
}
