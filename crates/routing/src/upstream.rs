//! How a backend is spoken to, by the policy of its Service. What is `None` is as the operator has it.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use serin_split::{Facts, Kind, place};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How a backend is spoken to. Equal ones of one name are the same over tables.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Upstream {
    /// The namespace of the policy.
    pub namespace: String,
    /// The name of the policy.
    pub name: String,
    /// How long it is waited for.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// When a request is sent again; `None`: only when no connection could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Which endpoint a request goes to.
    #[serde(skip_serializing_if = "is_default")]
    pub balance: Balance,
    /// How endpoints are asked whether they are healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveCheck>,
    /// When endpoints are left out for what requests met there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive: Option<PassiveCheck>,
    /// Open connections to an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
}

/// How long a backend is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// Retries a second of a replica beside that.
    pub min_per_second: u32,
}

/// Which endpoint a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveCheck {
    /// The path that is asked for, in canonical spelling.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PassiveCheck {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// For how long at first.
    pub base_ejection: Duration,
    /// Of a hundred endpoints, at once.
    pub max_ejected_percent: u32,
}

/// Reads who may issue certificates, in PEM.
///
/// # Errors
/// When there is none, or one that cannot be an issuer: the end of a sentence that names the value.
pub fn issuers(pem: &[u8]) -> Result<Arc<str>, &'static str> {
    let text = std::str::from_utf8(pem).map_err(|_| "is no text")?;
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| "is no PEM")?;
    if read.is_empty() {
        return Err("holds no certificate in PEM");
    }
    let mut roots = RootCertStore::empty();
    read.into_iter().try_for_each(|root| roots.add(root)).map_err(|_| "holds what is no certificate of an issuer")?;
    Ok(text.into())
}

impl ActiveCheck {
    /// Whether an answer of this status is good.
    pub fn expects(&self, status: u16) -> bool {
        if self.expect_status.is_empty() { (200..300).contains(&status) } else { self.expect_status.contains(&status) }
    }
}

impl HashOn {
    /// The hash of what identifies the request: what is named, else the consumer, else the originating address (S8); `None` when none of
    /// them is known. Allocates nothing but for an address.
    pub fn key(&self, facts: &impl Facts) -> Option<u64> {
        let (kind, value): (Kind, Option<Cow<'_, [u8]>>) = match self {
            Self::Consumer => (Kind::Consumer, None),
            Self::ClientIp => return ip(facts),
            Self::Header(name) => (Kind::Header, facts.header(name).next().map(Cow::Borrowed)),
            Self::Cookie(name) => (Kind::Cookie, facts.cookie(name).map(Cow::Borrowed)),
            Self::QueryParam(name) => (Kind::Query, facts.query(name)),
            Self::Claim(name) => (Kind::Claim, facts.claim(name).map(|claim| Cow::Owned(claim.into_owned().into_bytes()))),
        };
        let named = value.filter(|value| !value.is_empty()).map(|value| hash(kind, &value));
        named.or_else(|| Some(hash(Kind::Consumer, facts.consumer()?.as_bytes()))).or_else(|| ip(facts))
    }
}

fn ip(facts: &impl Facts) -> Option<u64> {
    facts.client_ip().map(|ip| hash(Kind::Ip, ip.to_canonical().to_string().as_bytes()))
}

/// As buckets are hashed, without a salt: every replica gets the same.
fn hash(kind: Kind, value: &[u8]) -> u64 {
    place("", kind, value, 1).hash
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
