//! The status of a CanaryRelease: what serin tells, and what its next decision is made from. That of the other kinds is conditions alone.
//!
//! One writer, the leader, and always the whole status. Times are RFC 3339 UTC with milliseconds, percentages shortest decimals ("12.5"), both
//! as text. What is absent is left out: a status holds no null.

mod auth;
mod conditions;
mod progress;
mod report;
mod serving;

pub use auth::{AuthPolicyStatus, ConsumerStatus, ResolvedAuthPolicy, ResolvedConsumer};
pub use conditions::ConditionsStatus;
pub use progress::{Judgement, PausesStatus, ProgressStatus, RunningStep};
pub use report::{
    AbortStatus, AnalysisStatus, CheckNumbers, CheckStatus, CommandStatus, FinalizeEdit, FinalizeRoute, FinalizeStatus, HistoryEntry,
};
pub use serving::{MeasuredStatus, ReleaseStatus, ReplicasStatus, ResolvedStatus, StepStatus, TrafficStatus};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many ended attempts a status remembers.
pub const HISTORY: usize = 20;

/// What serin tells about a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryReleaseStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Scheduled, Progressing, Paused, Steady, Promoted, Completed, Aborted or Disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What is so, then what to do, in at most 120 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The attempt under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseStatus>,
    /// The running step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepStatus>,
    /// What replicas serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficStatus>,
    /// Percentage asked for at the moment of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// What the last minute's requests did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<MeasuredStatus>,
    /// What the spec means for the objects of this cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<ResolvedStatus>,
    /// How many replicas of serin serve what this status says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicasStatus>,
    /// What the analysis says, with its numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStatus>,
    /// What became of the last command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandStatus>,
    /// What became of the last abort; cleared when its annotation is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_abort: Option<AbortStatus>,
    /// How to make the canary the stable side before this object is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalize: Option<FinalizeStatus>,
    /// Attempts that ended, the newest first, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub history: Vec<HistoryEntry>,
    /// Side A, such as `checkout:8080`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// Side B, such as `checkout-v2:8080`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// One of each type: Accepted, ResolvedRefs, Programmed, Ready, Progressing, Promoted, Finished, ReadyToFinalize, Degraded, Skewed, Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What the next decision is made from and no other field holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
}
