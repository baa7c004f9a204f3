//! What serin tells about judgements, commands, ends and the way to an end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the analysis says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AnalysisStatus {
    /// Pass, Fail, Inconclusive or NoData; off when nothing is judged.
    pub verdict: String,
    /// When it was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Each check, in the order of the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub checks: Vec<CheckStatus>,
}

/// What one check says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckStatus {
    /// Name of the check.
    pub name: String,
    /// Pass, Fail, Inconclusive or NoData.
    pub verdict: String,
    /// It decides nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What was compared, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Against the bound of the spec alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<CheckNumbers>,
    /// Against stable over the same window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versus_stable: Option<CheckNumbers>,
}

/// The numbers behind a verdict; rates and bounds are decimals as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckNumbers {
    /// Pass, Fail, Inconclusive or NoData.
    pub verdict: String,
    /// Requests of the canary.
    pub canary_requests: i64,
    /// Those that failed.
    pub canary_failures: i64,
    /// Requests of stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_requests: Option<i64>,
    /// Those that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_failures: Option<i64>,
    /// Value of the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Value of stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// Lower end of the confidence interval of what is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<String>,
    /// Upper end of the confidence interval of what is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<String>,
    /// What it may be at most, by the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandStatus {
    /// The whole text of the annotation.
    pub command: String,
    /// What follows the @ in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Field manager that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// When it was decided.
    pub at: String,
    /// Done, Refused or Ignored.
    pub result: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of an abort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AbortStatus {
    /// Value of the annotation.
    pub token: String,
    /// Field manager that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// When it was decided.
    pub at: String,
    /// Done or Refused.
    pub result: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How to make the canary the stable side before this object is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FinalizeStatus {
    /// Routes that take part, as recorded when the release began and at promotion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<FinalizeRoute>,
    /// One edit for each object to change, once there was a promotion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<FinalizeEdit>,
}

/// One route that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FinalizeRoute {
    /// Kind of the route.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Host of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Without the release it does what the canary does.
    pub done: bool,
}

/// One edit, as text that can be pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FinalizeEdit {
    /// Kind of the object to change.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The edit.
    pub text: String,
}

/// One attempt that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryEntry {
    /// Identity of its release.
    pub id: String,
    /// Revision of its release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Which beginning of this object it was.
    pub attempt: i64,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// The phase in which it ended.
    pub phase: String,
    /// Percentage that the canary had at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
