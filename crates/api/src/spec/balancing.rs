//! `spec.loadBalancing` and `spec.healthCheck` of a BackendPolicy.

use super::value::{DURATION, SENT_PATH};
use crate::schema::{rule, rule_at, rule_forbidden, rule_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which endpoint a request goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_forbidden(
        ".hashOn",
        "!has(self.hashOn) || (has(self.type) && self.type == 'ConsistentHash')",
        "hashOn is only for type ConsistentHash",
    ),
]))]
pub struct LoadBalancingSpec {
    /// RoundRobin, LeastRequest, EWMA, or ConsistentHash. Default: RoundRobin.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    #[schemars(extend("default" = "RoundRobin"))]
    pub kind: Option<LoadBalancingType>,
    /// What of a request decides, with ConsistentHash. Default: the consumer, else the originating address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<HashOnSpec>,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum LoadBalancingType {
    /// In turn.
    RoundRobin,
    /// Of two the one with fewer requests under way.
    LeastRequest,
    /// Of two the one that answers sooner, by its latency and its requests under way.
    #[serde(rename = "EWMA")]
    Ewma,
    /// The same one for the same key.
    ConsistentHash,
}

/// What of a request is hashed. Missing, it falls to the consumer, then to the originating address, then to the request's turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule_required(
        ".name",
        "!has(self.by) || !(self.by in ['Header', 'Cookie', 'QueryParam', 'Claim']) || has(self.name)",
        "name is required for by Header, Cookie, QueryParam and Claim",
    ),
    rule_forbidden(
        ".name",
        "!has(self.name) || (has(self.by) && self.by in ['Header', 'Cookie', 'QueryParam', 'Claim'])",
        "name is only for by Header, Cookie, QueryParam and Claim",
    ),
    rule_at(
        ".name",
        "!has(self.name) || !has(self.by) || !(self.by in ['Header', 'Cookie']) || self.name.matches('^[!#$%&\\'*+.^_`|~0-9A-Za-z-]+$')",
        "the name of a header or cookie is letters, digits and !#$%&'*+.^_`|~-",
    ),
]))]
pub struct HashOnSpec {
    /// What is hashed. Default: Consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Consumer"))]
    pub by: Option<HashBy>,
    /// Name of the header, cookie, parameter or claim; required for those. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// What is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum HashBy {
    /// The authenticated consumer.
    Consumer,
    /// The originating address.
    #[serde(rename = "ClientIP")]
    ClientIp,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
    /// A query parameter.
    QueryParam,
    /// A claim of the token.
    Claim,
}

/// Which endpoints are passed over though they are ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.active) || has(self.passive)", "healthCheck needs at least one of active, passive"),
]))]
pub struct HealthCheckSpec {
    /// Each replica asks each endpoint. Default: not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveCheckSpec>,
    /// What requests meet counts. Default: not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive: Option<PassiveCheckSpec>,
}

/// What each endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveCheckSpec {
    /// The path that is asked for, with GET; spec.path is not put before it. Required.
    #[schemars(length(min = 1, max = 1024), regex(pattern = SENT_PATH))]
    pub path: String,
    /// Between two questions; at least 100ms. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "10s"))]
    pub interval: Option<String>,
    /// How long an answer is waited for. Default: 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "1s"))]
    pub timeout: Option<String>,
    /// Good answers in a row after which an unhealthy endpoint is healthy. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), extend("default" = 2))]
    pub healthy_threshold: Option<i32>,
    /// Bad answers in a row after which a healthy endpoint is unhealthy. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), extend("default" = 3))]
    pub unhealthy_threshold: Option<i32>,
    /// The statuses of good answers. Default: 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(range(min = 200, max = 599)))]
    pub expect_status: Option<Vec<i32>>,
}

/// When an endpoint is left out for what requests met there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PassiveCheckSpec {
    /// After so many failures in a row, over all workers of a replica: 5xx, no connection, a timeout, a reset, a malformed answer. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 5))]
    pub consecutive_failures: Option<i32>,
    /// For how long at first; each time that follows soon is as much longer, up to ten times that. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "30s"))]
    pub base_ejection: Option<String>,
    /// Of a hundred endpoints of a side at most so many are left out at once. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), extend("default" = 50))]
    pub max_ejected_percent: Option<i32>,
}
