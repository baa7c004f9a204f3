//! `spec.strategy`: how the weight moves.

use super::value::{DURATION, MOMENT, Percent};
use crate::schema::{rule, rule_at};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the weight moves: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.percentage) ? 1 : 0) + (has(self.weights) ? 1 : 0) + (has(self.linear) ? 1 : 0) + (has(self.groups) ? 1 : 0) + (has(self.blueGreen) ? 1 : 0) + (has(self.steps) ? 1 : 0) == 1",
        "exactly one of percentage, weights, linear, groups, blueGreen, steps must be given",
    ),
]))]
pub struct StrategySpec {
    /// A fixed share in percent: a whole number, or a text with up to four decimals ("12.5"). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// A fixed share as plain weights: {stable: 100, canary: 1} is 1/101. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSpec>,
    /// Rises evenly from 0 to 100 percent; {} is now, over an hour. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<LinearSpec>,
    /// By group alone. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsSpec>,
    /// One switch from 0 to 100 percent. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenSpec>,
    /// One step after another, then everyone. Weights never fall. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub steps: Option<Vec<StepSpec>>,
}

/// Plain weights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("self.stable + self.canary > 0", "stable and canary must not both be 0"),
    rule("self.stable + self.canary <= 1000000", "stable and canary together must be at most 1000000"),
]))]
pub struct WeightsSpec {
    /// Weight of stable. Required.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub stable: i32,
    /// Weight of the canary. Required.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub canary: i32,
}

/// A line from 0 to 100 percent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinearSpec {
    /// When the line begins, RFC 3339; a moment in the past counts in full. Default: when the release was first Programmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = MOMENT), extend("format" = "date-time"))]
    pub start: Option<String>,
    /// How long the line takes. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "1h"))]
    pub duration: Option<String>,
}

/// By group alone: no bucket decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.allow) != has(self.deny)", "exactly one of allow and deny must be given"),
]))]
pub struct GroupsSpec {
    /// These groups go to the canary, all others to stable. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub allow: Option<Vec<String>>,
    /// These groups go to stable, all others to the canary. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub deny: Option<Vec<String>>,
}

/// One switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenSpec {
    /// Switch by itself after this time, counted from ready and Programmed. Default: waits for the command promote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub auto_switch_after: Option<String>,
    /// How long after the switch the checks go on and abort switches back. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "1h"))]
    pub keep_old: Option<String>,
}

/// One step: exactly one of groups, weight and pause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.groups) ? 1 : 0) + (has(self.weight) ? 1 : 0) + (has(self.pause) ? 1 : 0) == 1",
        "a step needs exactly one of groups, weight, pause",
    ),
    rule_at(".pause", "!has(self.pause) || (self.pause && !has(self.__for__))", "pause must be true and has no for"),
    rule_at(".ramp", "!has(self.ramp) || has(self.weight)", "ramp needs weight"),
]))]
pub struct StepSpec {
    /// Groups that go to the canary from here on. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)))]
    pub groups: Option<Vec<String>>,
    /// Share of the canary in percent, not below the last step's. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// With weight: how long the way to it takes. Default: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub ramp: Option<String>,
    /// How long the step is held once its weight is reached. Default: until it is programmed, with analysis one interval.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub for_: Option<String>,
    /// True: keeps the weight that is served until the command resume. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<bool>,
}
