//! `spec.analysis`: how the canary is judged.

use super::value::{Confidence, DURATION, LABEL, Limit, Percent, Percentile, Ratio, URL};
use crate::schema::rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the canary is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSpec {
    /// Time between judgements. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = "30s"))]
    pub interval: Option<String>,
    /// Requests on each side before a verdict other than NoData. Default: 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), extend("default" = 200))]
    pub min_requests: Option<i32>,
    /// What a step does whose time is over while data is still missing. Default: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Hold"))]
    pub no_traffic: Option<NoTraffic>,
    /// What a failed analysis does. Default: Abort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Abort"))]
    pub on_fail: Option<OnFail>,
    /// How many failed judgements are too many. Default: {consecutive: 1, total: 3}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = {}))]
    pub failure_limit: Option<FailureLimit>,
    /// Confidence of a verdict, in percent. Default: 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 99))]
    pub confidence: Option<Confidence>,
    /// What is judged. Default: [{name: errors, errorRate: {versusStable: {maxIncrease: "1%"}}}].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 16),
        extend(
            "default" = [{"name": "errors", "errorRate": {"versusStable": {"maxIncrease": "1%"}}}],
            "x-kubernetes-validations" = [
                rule("self.all(a, self.exists_one(b, b.name == a.name))", "each check needs a name of its own"),
            ]
        )
    )]
    pub checks: Option<Vec<CheckSpec>>,
}

/// What a step does whose time is over while data is still missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum NoTraffic {
    /// Waits for data.
    Hold,
    /// Goes on all the same.
    Continue,
    /// Aborts.
    Abort,
}

/// What a failed analysis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum OnFail {
    /// Weight 0 at once.
    Abort,
    /// Keeps the weight and waits for a person.
    Pause,
}

/// How many failed judgements are too many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureLimit {
    /// Failed judgements in a row that end the attempt. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    pub consecutive: Option<i32>,
    /// Failed judgements of one attempt that end it. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub total: Option<i32>,
}

/// One check: exactly one of errorRate, latency, prometheus and http.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.errorRate) ? 1 : 0) + (has(self.latency) ? 1 : 0) + (has(self.prometheus) ? 1 : 0) + (has(self.http) ? 1 : 0) == 1",
        "a check needs exactly one of errorRate, latency, prometheus, http",
    ),
]))]
pub struct CheckSpec {
    /// Name of the check, unique in the list. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: String,
    /// Share of failed requests. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<ErrorRateCheck>,
    /// Time to the first byte. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyCheck>,
    /// The result of a query. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCheck>,
    /// The answer to a call. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Judged and shown, but decides nothing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Share of failed requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.max) || has(self.versusStable)", "errorRate needs max, versusStable or both"),
]))]
pub struct ErrorRateCheck {
    /// Highest error rate of the canary, in percent. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Percent>,
    /// Compared with stable over the same window. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versus_stable: Option<ErrorRateVersusStable>,
}

/// The canary's error rate beside stable's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorRateVersusStable {
    /// How far above stable's it may be, in percentage points. Required.
    pub max_increase: Percent,
}

/// Time from the whole request head to the first byte of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.max) || has(self.versusStable)", "latency needs max, versusStable or both"),
]))]
pub struct LatencyCheck {
    /// Percentile that is judged. Required.
    pub percentile: Percentile,
    /// Highest latency of the canary. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub max: Option<String>,
    /// Compared with stable over the same window. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versus_stable: Option<LatencyVersusStable>,
}

/// The canary's latency beside stable's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyVersusStable {
    /// Highest ratio to stable's. Required.
    pub max_ratio: Ratio,
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.min) || has(self.max)", "prometheus needs min, max or both"),
]))]
pub struct PrometheusCheck {
    /// Address of Prometheus: a Service of this namespace, or what the operator allowed. Required.
    #[schemars(length(min = 1, max = 2048), regex(pattern = URL))]
    pub address: String,
    /// A query with one number as result. Required.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// Lowest good result. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Limit>,
    /// Highest good result. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Limit>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// Address that is called: a Service of this namespace, or what the operator allowed. Required.
    #[schemars(length(min = 1, max = 2048), regex(pattern = URL))]
    pub url: String,
    /// Status codes that pass. Default: 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(range(min = 100, max = 599)))]
    pub expect_status: Option<Vec<i32>>,
}
