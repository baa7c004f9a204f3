//! `spec.split` and `spec.overrides`: which side a request takes.

use super::value::TOKEN;
use crate::schema::{rule, rule_at, rule_forbidden, rule_required};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How requests become buckets.
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
    rule_forbidden(
        ".issueCookie",
        "!has(self.issueCookie) || !self.issueCookie || (has(self.by) && self.by == 'Cookie')",
        "issueCookie is only for by Cookie",
    ),
]))]
pub struct SplitSpec {
    /// What is hashed. Default: Consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Consumer"))]
    pub by: Option<SplitBy>,
    /// Name of the header, cookie, parameter or claim; required for those. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// By Cookie: give a browser without one a random identity, never the decision itself. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_cookie: Option<bool>,
    /// Number of buckets. Default: 1000, with strategy.weights their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub buckets: Option<i32>,
    /// What is hashed with each identity, verbatim. Default: namespace/name, with @revision when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub salt: Option<String>,
}

/// What is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum SplitBy {
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
    /// Nothing: every request takes its turn.
    Request,
}

/// One entry of the overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.header) ? 1 : 0) + (has(self.cookie) ? 1 : 0) + (has(self.consumerGroups) ? 1 : 0) == 1",
        "an override needs exactly one of header, cookie, consumerGroups",
    ),
    rule_at(
        ".to",
        "has(self.to) == (has(self.consumerGroups) || (has(self.header) && (has(self.header.exact) || has(self.header.regex))) || (has(self.cookie) && (has(self.cookie.exact) || has(self.cookie.regex))))",
        "to is required with exact, regex and consumerGroups, and not allowed without them (the values always and never decide then)",
    ),
]))]
pub struct OverrideSpec {
    /// A header: its value always goes to the canary, never to stable, unless exact or regex is given. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<ValueMatch>,
    /// A cookie: its value always goes to the canary, never to stable, unless exact or regex is given. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<ValueMatch>,
    /// Groups of Consumers. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub consumer_groups: Option<Vec<String>>,
    /// The side of a request that matches; required with exact, regex and consumerGroups. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Side>,
}

/// A header or a cookie, and which values match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("!(has(self.exact) && has(self.regex))", "of exact and regex at most one may be given"),
]))]
pub struct ValueMatch {
    /// Name of the header or cookie. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = TOKEN))]
    pub name: String,
    /// The value that matches, byte for byte. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exact: Option<String>,
    /// An expression that a part of the value matches; ^ and $ stand for its ends. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub regex: Option<String>,
}

/// The two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Side {
    /// Side B.
    Canary,
    /// Side A.
    Stable,
}
