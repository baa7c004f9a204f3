//! A BackendPolicy whose spec was parsed: every value here is valid. What is `None` is as the operator has it.

use crate::auth::SecretKey;
use crate::release::HostName;
use std::time::Duration;

/// How a Service is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The Service, of the policy's namespace.
    pub service: String,
    /// What is put before the path of each request.
    pub path: Option<String>,
    /// How long it is waited for.
    pub timeouts: Timeouts,
    /// When a request is sent again.
    pub retries: Option<Retries>,
    /// Which endpoint a request goes to.
    pub balance: Balance,
    /// How endpoints are asked whether they are healthy.
    pub active: Option<ActiveCheck>,
    /// When endpoints are left out for what requests met there.
    pub passive: Option<PassiveCheck>,
    /// Open connections to an endpoint.
    pub max_connections: Option<usize>,
    /// TLS to the endpoints.
    pub tls: Option<Tls>,
}

/// How long a Service is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Until a connection is made.
    pub connect: Option<Duration>,
    /// Until the head of the response is there.
    pub response: Option<Duration>,
    /// Between two pieces of it.
    pub idle: Option<Duration>,
    /// For the whole of a request.
    pub request: Option<Duration>,
}

/// When a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How many times at most.
    pub attempts: usize,
    /// When no connection could be made.
    pub on_connect_failure: bool,
    /// When one ended without a byte of a response.
    pub on_reset: bool,
    /// When no byte came in time.
    pub on_timeout: bool,
    /// Retries for a hundred requests.
    pub percent: u32,
    /// Retries a second beside that.
    pub min_per_second: u32,
}

/// Which endpoint a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// Of two the one with fewer requests under way.
    LeastRequest,
    /// Of two the one that answers sooner.
    Ewma,
    /// The same one for the same key.
    ConsistentHash(HashOn),
}

/// What of a request is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The authenticated consumer.
    Consumer,
    /// The originating address.
    ClientIp,
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    QueryParam(String),
    /// A claim.
    Claim(String),
}

/// How endpoints are asked whether they are healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveCheck {
    /// The path that is asked for.
    pub path: String,
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Good answers in a row until healthy.
    pub healthy_threshold: u32,
    /// Bad answers in a row until unhealthy.
    pub unhealthy_threshold: u32,
    /// Good statuses; with none those of 200 to 299.
    pub expect_status: Vec<u16>,
}

/// When endpoints are left out for what requests met there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveCheck {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// For how long at first.
    pub base_ejection: Duration,
    /// Of a hundred endpoints, at once.
    pub max_ejected_percent: u32,
}

/// TLS to endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The name that the certificates must be for.
    pub server_name: HostName,
    /// Who issues them.
    pub ca_certificate: Option<SecretKey>,
    /// A Secret of type kubernetes.io/tls, with what serin shows.
    pub client_certificate: Option<String>,
}
