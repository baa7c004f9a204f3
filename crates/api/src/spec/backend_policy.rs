//! The spec of a BackendPolicy: how a Service is spoken to, whichever side of a release it is.

// Two printer columns may well have one type.
#![allow(clippy::duplicated_attributes)]

use super::backend::{ConnectionsSpec, OriginTlsSpec, RetriesSpec, TimeoutsSpec};
use super::balancing::{HealthCheckSpec, LoadBalancingSpec};
use super::value::{SENT_PATH, SERVICE};
use crate::status::ConditionsStatus;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the Service is spoken to. Required.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "serin.dev",
    version = "v1alpha1",
    kind = "BackendPolicy",
    plural = "backendpolicies",
    doc = "A backend policy: how serin speaks to one Service, whichever side of a release it is.",
    namespaced,
    shortname = "bpol",
    category = "serin",
    status = "ConditionsStatus",
    derive = "PartialEq",
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.service", description = "Service that it is about"),
    printcolumn(name = "Path", type_ = "string", json_path = ".spec.path", description = "Path before that of each request"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age of the object"),
    crates(
        kube_core = "::kube_core",
        k8s_openapi = "::k8s_openapi",
        schemars = "::schemars",
        serde = "::serde",
        serde_json = "::serde_json"
    )
)]
pub struct BackendPolicySpec {
    /// A Service of this namespace. Of several policies for one Service the oldest holds. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = SERVICE))]
    pub service: String,
    /// Put before the path of every request to the Service, unless a release rewrites that. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = SENT_PATH))]
    pub path: Option<String>,
    /// How long the Service is waited for; 504 when one is over. Default: as the operator has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsSpec>,
    /// When a request is sent again, always to the same side. Default: twice, and only when no connection could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetriesSpec>,
    /// Which endpoint a request goes to. Default: RoundRobin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancing: Option<LoadBalancingSpec>,
    /// Which endpoints are passed over though they are ready. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheckSpec>,
    /// How many connections there may be. Default: as the operator has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsSpec>,
    /// TLS to the endpoints, which are verified always. Default: none, but for hosts outside the cluster that ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<OriginTlsSpec>,
}
