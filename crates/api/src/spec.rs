//! Specs as their authors write them: the types that the CRDs are generated from.
//!
//! Doc comments here are the descriptions that `kubectl explain` shows, so each ends with its default. Values are taken as they are written;
//! [`crate::parse()`] turns them into the valid types of [`crate::release`], [`crate::backend`] and [`crate::auth`].

// Two printer columns may well have one type.
#![allow(clippy::duplicated_attributes)]

mod analysis;
mod auth_policy;
mod backend;
mod backend_policy;
mod balancing;
mod canary;
mod consumer;
mod operation;
mod scope;
mod secret;
mod split;
mod strategy;
mod value;

pub use analysis::{
    AnalysisSpec, CheckSpec, ErrorRateCheck, ErrorRateVersusStable, FailureLimit, HttpCheck, LatencyCheck, LatencyVersusStable, NoTraffic,
    OnFail, PrometheusCheck,
};
pub use auth_policy::{
    Anonymous, AuthPolicy, AuthPolicySpec, AuthScopeSpec, BasicAuthSpec, JwksSpec, JwtSpec, KeyAuthSpec, MethodSpec, TrustedHeadersSpec,
};
pub use backend::{
    CaCertificateSpec, ClientCertificateSpec, ConnectionsSpec, OriginTlsSpec, RetriesSpec, RetryBudgetSpec, RetryWhen, TimeoutsSpec,
};
pub use backend_policy::{BackendPolicy, BackendPolicySpec};
pub use balancing::{ActiveCheckSpec, HashBy, HashOnSpec, HealthCheckSpec, LoadBalancingSpec, LoadBalancingType, PassiveCheckSpec};
pub use canary::{CanarySpec, LabelRequirement, LabelSelector, PathSpec, PathType, Relation, Scheme, WhenUnavailable};
pub use consumer::{Consumer, ConsumerSpec, CredentialSpec, KeyCredential, PasswordCredential, TokenCredential};
pub use operation::{Day, DrainSpec, HookSpec, Moment, ScheduleSpec, WhenUnreachable, Window, WorkloadKind, WorkloadRef, WorkloadsSpec};
pub use scope::{RouteKind, RouteRef, ScopeSpec};
pub use secret::{SecretKeyRef, SecretRef};
pub use split::{OverrideSpec, Side, SplitBy, SplitSpec, ValueMatch};
pub use strategy::{BlueGreenSpec, GroupsSpec, LinearSpec, StepSpec, StrategySpec, WeightsSpec};
pub(crate) use value::words;
pub use value::{Confidence, Limit, Percent, Percentile, PortRef, Ratio};

use crate::status::CanaryReleaseStatus;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked. Required.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "serin.dev",
    version = "v1alpha1",
    kind = "CanaryRelease",
    doc = "A canary release: serin splits the traffic of its scope between the stable side and the canary, and moves the weight.",
    namespaced,
    shortname = "crel",
    category = "serin",
    status = "CanaryReleaseStatus",
    derive = "PartialEq",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Where the release stands"),
    printcolumn(name = "Weight", type_ = "string", json_path = ".status.weight", description = "Percentage asked for"),
    printcolumn(
        name = "Measured",
        type_ = "string",
        json_path = ".status.measured.weight",
        description = "Percentage of the last minute's requests that buckets sent to the canary"
    ),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step.label", description = "Running step"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.analysis.verdict", description = "Last verdict of the analysis"),
    printcolumn(name = "Stable", type_ = "string", json_path = ".status.stable", description = "Side A", priority = 1),
    printcolumn(name = "Canary", type_ = "string", json_path = ".status.canary", description = "Side B", priority = 1),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.release.revision",
        description = "Revision of the release",
        priority = 1
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
pub struct CanaryReleaseSpec {
    /// Whether the release decides anything. With false, stable serves at once, status and history stay; true again is a new release.
    /// Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Which requests take part: every part that is given must match. At least one part. Required.
    pub scope: ScopeSpec,
    /// Side B; side A is what the route does without this release. Required.
    pub canary: CanarySpec,
    /// How requests become buckets. Default: {by: Consumer}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = {}))]
    pub split: Option<SplitSpec>,
    /// Requests that choose a side by themselves: in order, before groups and buckets; the first match wins. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub overrides: Option<Vec<OverrideSpec>>,
    /// How the weight moves: exactly one member. Required.
    pub strategy: StrategySpec,
    /// How the canary is judged; {} is one check that the error rate is at most 1 point above stable's. Default: nothing is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisSpec>,
    /// Calls with a JSON body, at least once, with an id; an answer 2xx lets the release go on. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub hooks: Option<Vec<HookSpec>>,
    /// When the release may start, advance and be promoted. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// A new value is a new release, from the first step. Quote what looks like a number. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub revision: Option<String>,
    /// Workloads whose revisions serin follows, so that a new one needs no edit of this object. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<WorkloadsSpec>,
    /// How long a step may run past its planned end. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = value::DURATION), extend("default" = "1h"))]
    pub progress_deadline: Option<String>,
    /// Keeps the weight that is served; nothing rises. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub paused: Option<bool>,
    /// What long-lived streams get. Default: {onAbort: 30s, onPromote: leave}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = {}))]
    pub drain: Option<DrainSpec>,
}
