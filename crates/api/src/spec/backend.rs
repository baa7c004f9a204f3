//! `spec.timeouts`, `spec.retries`, `spec.connections` and `spec.tls` of a BackendPolicy.

use super::secret::{SecretKeyRef, SecretRef};
use super::value::{DURATION, HOST};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the Service is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutsSpec {
    /// Until a connection is made. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub connect: Option<String>,
    /// From the last byte of the request to the whole head of the response. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub response: Option<String>,
    /// Between two pieces of a response, and while the endpoint takes nothing of a request. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub idle: Option<String>,
    /// From the head of the request to the end of its response, all attempts together. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub request: Option<String>,
}

/// When a request is sent again. Never once a byte of a response came, and never a second time when that may do a thing twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetriesSpec {
    /// How many times at most, each to another endpoint while there is one. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5), extend("default" = 2))]
    pub attempts: Option<i32>,
    /// After what: ConnectFailure, with any method; Reset and Timeout, without a byte of a response and with idempotent methods only. Default:
    /// ConnectFailure and Reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub when: Option<Vec<RetryWhen>>,
    /// How much more load retries may be. After a ConnectFailure they are none, since no endpoint has the request. Default: 20 percent and 10 a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RetryBudgetSpec>,
}

/// After what a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(description = "")]
pub enum RetryWhen {
    /// No connection could be made, or no TLS on it.
    ConnectFailure,
    /// The connection ended without a byte of a response.
    Reset,
    /// No byte of a response came within the timeout.
    Timeout,
}

/// How much more load retries may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryBudgetSpec {
    /// Retries for a hundred requests. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), extend("default" = 20))]
    pub percent: Option<i32>,
    /// Retries a second of one replica beside that, so that few requests have some too. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000), extend("default" = 10))]
    pub min_per_second: Option<i32>,
}

/// How many connections there may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionsSpec {
    /// Open ones from one replica to one endpoint; a request that needs one more is answered 503. Default: 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub max: Option<i32>,
}

/// TLS to the endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OriginTlsSpec {
    /// The name that is asked for (SNI), and that the certificate of each endpoint must be for: a DNS name or an address. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST))]
    pub server_name: String,
    /// Who issues these certificates. Default: whom the operator believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<CaCertificateSpec>,
    /// What serin shows to an endpoint that asks for a certificate. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificateSpec>,
}

/// Who issues the certificates of the endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificateSpec {
    /// A key of a Secret that holds certificates in PEM; nobody else is believed then. Required.
    pub secret_ref: SecretKeyRef,
}

/// What serin shows to an endpoint that asks for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificateSpec {
    /// A Secret of type kubernetes.io/tls: `tls.crt`, its own certificate first, and `tls.key`. Required.
    pub secret_ref: SecretRef,
}
