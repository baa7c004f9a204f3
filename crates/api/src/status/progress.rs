//! What the next decision is made from and no other field of the status holds. Users read the other fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a release remembers between decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProgressStatus {
    /// uid of the object that this status was written for; a copy of it in another object is no memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Digest of the strategy that the position belongs to; another one is an edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Revision of the canary workload as it was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// The step to enter when none runs.
    pub position: i32,
    /// The running step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningStep>,
    /// What keeps the release paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pauses: Option<PausesStatus>,
    /// Failed judgements in a row.
    pub fails_in_row: i32,
    /// Failed judgements of this attempt.
    pub fails: i32,
}

/// The step that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunningStep {
    /// Its place in the plan, from 0.
    pub index: i32,
    /// The epoch that replicas must serve before its clock starts.
    pub epoch: i64,
    /// When it was entered.
    pub entered_at: String,
    /// When its clock started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// When its time is planned to be over.
    pub planned_end: String,
    /// About when it was last decided.
    pub seen_at: String,
    /// Since when it is paused or outside its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<String>,
    /// Its last judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// When the next judgement is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

/// One judgement; it counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Judgement {
    /// Pass, Fail, Inconclusive or NoData.
    pub verdict: String,
    /// When it was made.
    pub at: String,
}

/// What keeps a release paused; each cause ends on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PausesStatus {
    /// The command pause.
    pub command: bool,
    /// The analysis or the deadline.
    pub analysis: bool,
    /// A pause step.
    pub step: bool,
}
