//! What is served, and for which release.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One attempt at a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleaseStatus {
    /// Identity of the release: 10 hex digits.
    pub id: String,
    /// Revision of the release, given or observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Counts every beginning of this object.
    pub attempt: i64,
    /// When the attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// When it is expected to end, if nothing stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_end: Option<String>,
}

/// The running step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepStatus {
    /// Its place in spec.strategy.steps, from 0.
    pub index: i32,
    /// How many steps there are.
    pub of: i32,
    /// Both as people count them, such as `2/5`.
    pub label: String,
    /// When its clock started: every ready replica served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it is planned to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
}

/// What replicas serve: `k(t) = max(floor, from + floor((to - from) * f))`, f being the share of the line that is past at `min(t, until)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficStatus {
    /// How many buckets there are.
    pub buckets: i32,
    /// Buckets of the canary at the beginning of the line.
    pub from: i32,
    /// Buckets of the canary at its end.
    pub to: i32,
    /// When the line begins.
    pub starts_at: String,
    /// When it ends.
    pub ends_at: String,
    /// After this moment nothing rises.
    pub until: String,
    /// Buckets that the canary has at least.
    pub floor: i32,
    /// Groups admitted to the canary so far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Groups that are kept on stable while all others have the canary, as `strategy.groups.deny` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied_groups: Vec<String>,
    /// Grows with every change but that of `until`; a lower one is ignored.
    pub epoch: i64,
    /// Identity of the release that this is for; under another one stable serves all.
    pub release: String,
}

/// What the requests of the last minute did, or of the time since the line changed if that is shorter. Only what buckets decided counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MeasuredStatus {
    /// Percentage that went to the canary; `-` below 20 requests.
    pub weight: String,
    /// Requests that went to the canary.
    pub canary_requests: i64,
    /// Requests that went to stable.
    pub stable_requests: i64,
    /// How many identities they had, give or take a few percent; a request that counted for itself is one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<i64>,
    /// Percentage of the busiest identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_share: Option<String>,
    /// Since when this is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Requests that something else took: by Consumer, ClientIP or Request those whose identity was missing; by Stable those of a canary
    /// without a ready endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fallbacks: BTreeMap<String, i64>,
}

/// What the spec means for the objects of this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResolvedStatus {
    /// The scope in force; a misspelt part of the spec is missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The salt in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The number of buckets in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<i32>,
    /// The canary's port, by number or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// When a linear release began or begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// How many replicas of serin serve what this status says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicasStatus {
    /// Replicas that serve the epoch of traffic.
    pub programmed: i32,
    /// Replicas that are ready.
    pub ready: i32,
}
