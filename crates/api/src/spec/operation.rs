//! `spec.hooks`, `schedule`, `workloads` and `drain`: what surrounds a release.

use super::value::{DURATION, DURATION_OR_LEAVE, OBJECT, TIME_OF_DAY, URL};
use crate::schema::rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookSpec {
    /// When it is called. Required.
    #[schemars(length(min = 1, max = 8))]
    pub at: Vec<Moment>,
    /// Address that is called: a Service of this namespace, or what the operator allowed. Required.
    #[schemars(length(min = 1, max = 2048), regex(pattern = URL))]
    pub url: String,
    /// Time limit of one call. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub timeout: Option<String>,
    /// What an unreachable hook does. Default: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unreachable: Option<WhenUnreachable>,
}

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Moment {
    /// Before the first step.
    BeforeStart,
    /// Before each step.
    BeforeStep,
    /// Before the weight goes to everyone.
    BeforePromotion,
    /// When the release is Promoted.
    AfterPromotion,
    /// When the release is Aborted.
    OnAbort,
}

/// What an unreachable hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WhenUnreachable {
    /// Waits until it answers.
    Hold,
    /// Goes on without it.
    Continue,
    /// Aborts.
    Abort,
}

/// When the release may start, advance and be promoted; what is served stays, and an abort never waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleSpec {
    /// Times at which it may. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub windows: Option<Vec<Window>>,
    /// Stops starts, steps and promotion. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
}

/// A part of some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("self.from != self.to", "from and to must differ")]))]
pub struct Window {
    /// Days on which it begins. Default: every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Option<Vec<Day>>,
    /// When it begins, HH:MM in quotes. Required.
    #[schemars(length(min = 5, max = 5), regex(pattern = TIME_OF_DAY))]
    pub from: String,
    /// When it ends, HH:MM in quotes; before `from` it is on the next day. Required.
    #[schemars(length(min = 5, max = 5), regex(pattern = TIME_OF_DAY))]
    pub to: String,
    /// Time zone by its IANA name. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Workloads whose revisions serin follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadsSpec {
    /// Its revision is the revision of the release. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<WorkloadRef>,
    /// When it has rolled out the canary's images, the release is Completed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<WorkloadRef>,
}

/// A workload of this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    /// Kind of the workload. Required.
    pub kind: WorkloadKind,
    /// Name of the workload. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT))]
    pub name: String,
}

/// The kinds of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum WorkloadKind {
    /// `apps/v1`; its revision is the annotation `deployment.kubernetes.io/revision`.
    Deployment,
    /// `apps/v1`; its revision is `updateRevision`.
    StatefulSet,
}

/// What long-lived streams get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainSpec {
    /// How long streams to the canary may go on after an abort. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "30s"))]
    pub on_abort: Option<String>,
    /// How long streams to stable may go on after promotion, or leave. Default: leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_OR_LEAVE), extend("default" = "leave"))]
    pub on_promote: Option<String>,
}
