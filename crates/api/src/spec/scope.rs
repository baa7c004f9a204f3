//! `spec.scope`: which requests take part.

use super::value::{OBJECT, PATH, SERVICE};
use crate::schema::{rule, rule_at};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which requests take part: every part that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "has(self.service) || has(self.route) || has(self.consumer) || has(self.consumerGroup) || (has(self.all) && self.all)",
        "scope needs at least one of service, route, consumer, consumerGroup, all",
    ),
    rule_at(
        ".all",
        "!has(self.all) || !self.all || !(has(self.service) || has(self.route) || has(self.consumer) || has(self.consumerGroup))",
        "all stands alone: it excludes service, route, consumer and consumerGroup",
    ),
    rule_at(
        ".consumerGroup",
        "!(has(self.consumer) && has(self.consumerGroup))",
        "consumer and consumerGroup exclude each other",
    ),
    rule_at(
        ".allNamespaces",
        "!has(self.allNamespaces) || !self.allNamespaces || has(self.consumer) || has(self.consumerGroup) || (has(self.all) && self.all)",
        "allNamespaces needs all, consumer or consumerGroup",
    ),
]))]
pub struct ScopeSpec {
    /// A Service of this namespace: requests that a route sends to it. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = SERVICE))]
    pub service: Option<String>,
    /// One route of this namespace, or a part of it. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteRef>,
    /// The username of a Consumer; needs an authenticated request. Default: anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub consumer: Option<String>,
    /// A group of Consumers; needs an authenticated request. Default: anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub consumer_group: Option<String>,
    /// Every route of this namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// With all, consumer or consumerGroup: every namespace. Only in serin's own namespace. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_namespaces: Option<bool>,
}

/// One route, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "self.kind == 'Ingress' ? !has(self.rule) : !has(self.host) && !has(self.path)",
        "host and path are for kind Ingress, rule is for HTTPRoute and GRPCRoute",
    ),
]))]
pub struct RouteRef {
    /// Kind of the route. Required.
    pub kind: RouteKind,
    /// Name of the route. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT))]
    pub name: String,
    /// Host of the Ingress rule, byte for byte as it is written there. Default: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// Path of the Ingress rule, byte for byte as it is written there. Default: every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = PATH))]
    pub path: Option<String>,
    /// Name of the rule of an HTTPRoute or GRPCRoute. Default: every rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub rule: Option<String>,
}

/// The kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum RouteKind {
    /// `networking.k8s.io/v1`.
    Ingress,
    /// `gateway.networking.k8s.io/v1`.
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    /// `gateway.networking.k8s.io/v1`.
    #[serde(rename = "GRPCRoute")]
    GrpcRoute,
}
