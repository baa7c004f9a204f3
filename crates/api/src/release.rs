//! A CanaryRelease whose spec was parsed: every value here is valid, and every default is applied.

mod pods;
mod schedule;
mod workloads;

use jiff::{SignedDuration, Timestamp};
pub use pods::{PodSelector, Requirement};
pub use schedule::{Schedule, Window};
use std::fmt;
use std::net::IpAddr;
pub use workloads::{Workload, WorkloadKind, Workloads};

/// The whole, in ten-thousandths of a percent: shares are exact decimals with four places.
pub const WHOLE: u32 = 1_000_000;

/// What a valid CanaryRelease asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.creationTimestamp`; the oldest of equals holds a scope. `None` sorts last.
    pub created: Option<Timestamp>,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether this release decides anything.
    pub enabled: bool,
    /// Which requests take part.
    pub scope: Scope,
    /// Side B.
    pub canary: Canary,
    /// How identities become buckets.
    pub split: Split,
    /// In order; the first match wins.
    pub overrides: Vec<Override>,
    /// How the weight moves.
    pub strategy: Strategy,
    /// How it is judged; absent: time alone advances.
    pub analysis: Option<Analysis>,
    /// When it may start, advance and be promoted.
    pub schedule: Schedule,
    /// `spec.revision`.
    pub revision: Option<String>,
    /// How long a step may run past its planned end.
    pub progress_deadline: SignedDuration,
    /// `spec.paused`.
    pub paused: bool,
    /// How long canary streams live after an abort.
    pub drain_on_abort: SignedDuration,
}

/// Which requests take part; at least one part is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Requests that a route sends to this Service of the release's namespace.
    pub service: Option<String>,
    /// Requests of this route.
    pub route: Option<RouteScope>,
    /// Whose requests.
    pub people: People,
    /// Every route of the namespace.
    pub all: bool,
    /// Routes of every namespace; only with `all` or people.
    pub all_namespaces: bool,
}

/// Whose requests take part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum People {
    /// Anyone's.
    #[default]
    Anyone,
    /// Those of the authenticated consumer of this username.
    Consumer(String),
    /// Those of authenticated consumers of this group.
    Group(String),
}

/// A route of the release's namespace, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteScope {
    /// The Ingress's name.
    pub name: String,
    /// Only rules with exactly this host.
    pub host: Option<String>,
    /// Only paths that are exactly this text.
    pub path: Option<String>,
}

/// Side B: at least one of service, pods, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// A Service of the release's namespace; absent: the route's own.
    pub service: Option<String>,
    /// Of the route's own Service only these pods; then stable has the others. Never with `service`.
    pub pods: Option<PodSelector>,
    /// A host outside the cluster. Never with `service` or `pods`.
    pub host: Option<Host>,
    /// Absent: the stable port, else the Service's only port. With `host` always a number.
    pub port: Option<Port>,
    /// How the path is rewritten.
    pub path: Option<PathRewrite>,
    /// Where the canary's share goes while it has no ready endpoint.
    pub when_unavailable: WhenUnavailable,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By number, 1..=65535.
    Number(u16),
    /// By name.
    Name(String),
}

/// A host outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Spoken to by TLS.
    pub tls: bool,
    /// It gets the client's Host header instead of its own name.
    pub preserve: bool,
}

/// A DNS name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostName {
    /// A name in lower case, without a dot at its end.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl HostName {
    /// Reads a host; `None` when it is neither. A name whose last label is a number is none (RFC 1123, section 2.1): some would read an
    /// address there.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::Ip(ip.to_canonical()));
        }
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let label = |label: &str| {
            let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(may_stand) && !label.starts_with('-') && !label.ends_with('-')
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        (name.len() <= 253 && name.split('.').all(label) && !numeric).then(|| Self::Dns(name.to_owned()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// A rewrite of the path, as Gateway API defines them; the query is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// The prefix that the matched route names becomes this.
    Prefix(String),
    /// The whole path becomes this.
    Full(String),
}

/// Where the canary's share goes while it has no ready endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnavailable {
    /// To stable.
    Stable,
    /// 503.
    Fail,
}

/// How identities become buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What is hashed.
    pub by: SplitBy,
    /// How many buckets, 1..=1,000,000; with `weights` their sum unless given.
    pub buckets: u32,
    /// The salt: the one given, else `namespace/name`, with `@revision` when one is set, or observed ([`crate::Parsed::with_observed`]).
    pub salt: String,
    /// Whether a browser without the cookie gets one.
    pub issue_cookie: bool,
    /// Whether the author named `buckets`.
    pub names_buckets: bool,
    /// Whether the author named `salt`, which then is verbatim.
    pub names_salt: bool,
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitBy {
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
    /// Nothing: every request takes its turn.
    Request,
}

/// One entry of `spec.overrides`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Override {
    /// `always` and `never`.
    AlwaysNever(Source),
    /// A value that is exactly this.
    Exact(Source, String, Side),
    /// A value that matches this regular expression, which compiles.
    Regex(Source, String, Side),
    /// A consumer in any of these groups.
    ConsumerGroups(Vec<String>, Side),
}

/// Where an override reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// The two destinations of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Side A.
    Stable,
    /// Side B.
    Canary,
}

/// How the weight moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// A fixed share, 0..=[`WHOLE`].
    Percentage(u32),
    /// A fixed share as a fraction; the sum is 1..=1,000,000.
    Weights {
        /// Of stable.
        stable: u32,
        /// Of the canary.
        canary: u32,
    },
    /// 0 to 100 % on one line.
    Linear {
        /// Absent: when the release was first Programmed.
        start: Option<Timestamp>,
        /// How long the whole line takes.
        duration: SignedDuration,
    },
    /// By group alone: no bucket decides.
    Groups(Groups),
    /// One switch from 0 to 100 %.
    BlueGreen {
        /// How long after the canary is ready it switches by itself; absent: when it is told to.
        auto_switch_after: Option<SignedDuration>,
        /// How long after the switch the release is judged and can go back.
        keep_old: SignedDuration,
    },
    /// One step after another, then everyone. Weights never fall.
    Steps(Vec<Step>),
}

/// Groups that are the whole strategy, sorted and each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// These have the canary, all others stable.
    Allow(Vec<String>),
    /// These have stable, all others the canary.
    Deny(Vec<String>),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Admit these groups, then hold what is served.
    Groups {
        /// Sorted and each once.
        groups: Vec<String>,
        /// `for`: how long it is held.
        hold: SignedDuration,
    },
    /// Rise to `share` over `ramp`, then hold it.
    Weight {
        /// 0..=[`WHOLE`].
        share: u32,
        /// How long the rise takes.
        ramp: SignedDuration,
        /// `for`: how long the weight is held after it.
        hold: SignedDuration,
    },
    /// Wait for `resume`.
    Pause,
}

/// How the release is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Time between judgements.
    pub interval: SignedDuration,
    /// Requests on each side before a verdict other than NoData.
    pub min_requests: u64,
    /// What a step without data does when its time is over.
    pub no_traffic: NoTraffic,
    /// What a failed analysis does.
    pub on_fail: OnFail,
    /// Failed judgements in a row that are too many.
    pub consecutive: u32,
    /// Failed judgements of an attempt that are too many.
    pub total: u32,
    /// At least one.
    pub checks: Vec<Check>,
}

/// What a step without data does when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTraffic {
    /// Wait for data.
    Hold,
    /// Go on all the same.
    Continue,
    /// Abort.
    Abort,
}

/// What a failed analysis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// Weight 0 at once.
    Abort,
    /// Keep the weight, wait for a person.
    Pause,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Judged and shown, but decides nothing.
    pub dry_run: bool,
    /// The error rate may be at most this, in ten-thousandths of a percent.
    pub max: Option<u32>,
    /// The canary's error rate may be above stable's by at most this, in ten-thousandths of a percent.
    pub max_increase: Option<u32>,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Release {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
