//! What a table is built from: plain data, compared to tell whether anything changed, and shown in goldens.

use crate::Certificate;
use crate::upstream::Upstream;
use serde::Serialize;
use serin_auth::Policy;
use serin_split::Segment;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is served. Equal configs give equal tables.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Config {
    /// In no order that matters: the table orders them by precedence.
    pub routes: Vec<Route>,
    /// What routes and releases point at, by index.
    pub backends: Vec<Backend>,
    /// What routes point at, by index.
    pub releases: Vec<Release>,
    /// What routes point at, by index: how they learn who asks.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "shared")]
    pub policies: Vec<Arc<Policy>>,
    /// What clients that speak TLS are shown, each host once. Whoever names no host, or another one, is shown that of [`HostMatch::Any`].
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "shown")]
    pub certificates: Vec<(HostMatch, Arc<Certificate>)>,
}

/// One host and path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The object it comes from, `kind/namespace/name`, for logs.
    pub object: Arc<str>,
    /// Which hosts.
    pub host: HostMatch,
    /// Which paths.
    pub path: PathMatch,
    /// What it does without a release: an index of [`Config::backends`]; `None`: 503, the reference does not resolve.
    pub backend: Option<usize>,
    /// Requests that come without TLS are sent to the same place with it. `None`: as the operator says for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<bool>,
    /// How it learns who asks; as a rule not at all.
    #[serde(skip_serializing_if = "Auth::is_none")]
    pub auth: Auth,
    /// The releases that may decide, the most specific first (S13). The first one that the request's author is among decides.
    pub releases: Vec<RouteRelease>,
}

/// How a route learns who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub enum Auth {
    /// Not at all: nobody is anyone.
    #[default]
    None,
    /// By this policy: an index of [`Config::policies`].
    Policy(usize),
    /// By a policy of this name, `namespace/name`, which cannot be resolved: 503, it never falls open.
    Unresolved(String),
}

impl Auth {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// A release on one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteRelease {
    /// An index of [`Config::releases`].
    pub release: usize,
    /// Side A on this route: an index of [`Config::backends`]; as a rule the route's own.
    pub stable: Option<usize>,
    /// Side B on this route: an index of [`Config::backends`]; `None`: it does not resolve, so it has no endpoint.
    pub canary: Option<usize>,
}

/// Whose requests a release may decide.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub enum People {
    /// Anyone's.
    #[default]
    Anyone,
    /// Those of the authenticated consumer of this username.
    Consumer(String),
    /// Those of authenticated consumers of this group.
    Group(String),
}

impl People {
    fn is_anyone(&self) -> bool {
        *self == Self::Anyone
    }
}

/// Which hosts a route takes. All text is lower case, without port and trailing dot. The order is that of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum HostMatch {
    /// Exactly this one.
    Exact(Arc<str>),
    /// `*.suffix`: one label more, as Ingress says; holds the suffix without `*.`.
    Wildcard(Arc<str>),
    /// Every one.
    Any,
    /// What no other route takes: the default backend, whatever its path says.
    Default,
}

/// Which paths a route takes, in canonical spelling. Exact goes before Prefix; of prefixes that match, the longest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum PathMatch {
    /// Exactly this one.
    Exact(Arc<str>),
    /// Element by element; no trailing slash but for `/` itself.
    Prefix(Arc<str>),
}

/// One port of one Service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Backend {
    /// `namespace/service:port`, for logs and metrics.
    pub name: String,
    /// Ready ones, sorted, each once.
    pub ready: Vec<SocketAddr>,
    /// Serving and terminating ones: used as stable while none is ready (KEP-1669), never as canary.
    pub draining: Vec<SocketAddr>,
    /// What is put before the path of each request (Kong's Service path), in canonical spelling and without a slash at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What goes as `Host` in place of the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How HTTP is spoken to it.
    #[serde(skip_serializing_if = "Protocol::is_http1")]
    pub protocol: Protocol,
    /// TLS is spoken to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// What it needs does not resolve: nothing is sent to it, and the answer is 503. It has no endpoints.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unresolved: bool,
    /// How it is spoken to beside that, where its Service has a policy that says so.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "one")]
    pub upstream: Option<Arc<Upstream>>,
}

/// How HTTP is spoken to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: without TLS from its first byte (RFC 9113, section 3.3), by TLS it must be agreed on.
    Http2,
    /// By TLS whichever the two agree on (ALPN); HTTP/1.1 without.
    Negotiated,
}

impl Protocol {
    fn is_http1(&self) -> bool {
        *self == Self::Http1
    }
}

/// How TLS is spoken to a backend. There is no way to skip a check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tls {
    /// The name or address that certificates must be for, which also goes as SNI.
    pub name: String,
    /// Who may have issued them, as PEM, in place of those whom serin believes anyway.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "pem")]
    pub issuers: Option<Arc<str>>,
    /// What it is shown if it asks for a certificate.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "certificate")]
    pub client: Option<Arc<Certificate>>,
}

impl Tls {
    /// For this name, with an issuer whom serin believes anyway.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), issuers: None, client: None }
    }
}

/// One release, as the proxy serves it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Release {
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The id of the release that spec and observed revision give.
    pub id: String,
    /// The object's uid: counters of one uid and id go on over tables.
    pub uid: String,
    /// Whose requests it may decide.
    #[serde(skip_serializing_if = "People::is_anyone")]
    pub people: People,
    /// What is hashed.
    pub by: By,
    /// How many buckets.
    pub buckets: u32,
    /// The salt.
    pub salt: String,
    /// In order.
    pub overrides: Vec<Override>,
    /// How the path becomes the canary's.
    pub path: Option<PathRewrite>,
    /// 503 instead of stable while the canary has no ready endpoint.
    pub fail_when_unavailable: bool,
    /// How long streams to the canary go on after an abort (S20).
    #[serde(skip)]
    pub drain_on_abort: Duration,
    /// The weight: a segment, or all to stable with overrides off (S14).
    #[serde(serialize_with = "traffic")]
    pub traffic: Traffic,
}

/// What is served of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum Traffic {
    /// All to stable, overrides and groups are off: aborted, or status is another release's.
    RolledBack {
        /// The epoch that this replica saw in status.
        epoch: u64,
    },
    /// What status says, capped by what the spec lowered since.
    Segment {
        /// The line.
        segment: Segment,
        /// Never more buckets than this.
        cap: u32,
    },
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum By {
    /// The authenticated consumer.
    Consumer,
    /// The originating address.
    ClientIp,
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A cookie, which a browser without one is given.
    IssuedCookie(String),
    /// A query parameter.
    QueryParam(String),
    /// A claim.
    Claim(String),
    /// Nothing.
    Request,
}

/// One override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Override {
    /// By a value of the request.
    Value {
        /// The header (in lower case) or cookie that it reads.
        source: Source,
        /// What it must be.
        matches: Match,
    },
    /// By the consumer's groups: a member of any goes to that side.
    ConsumerGroups(Vec<String>, Side),
}

/// Where an override reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Source {
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// What the value must be, and where it goes then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Match {
    /// `always` to the canary, `never` to stable.
    AlwaysNever,
    /// Exactly this.
    Exact(String, Side),
    /// Matched by this.
    Regex(String, Side),
}

/// The two destinations of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Side {
    /// Side A.
    Stable,
    /// Side B.
    Canary,
}

/// A rewrite of the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum PathRewrite {
    /// The prefix that the matched route names becomes this; of an Exact match the whole path.
    Prefix(String),
    /// The whole path becomes this.
    Full(String),
}

impl Traffic {
    /// The epoch that is served, which a replica acknowledges.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::RolledBack { epoch } => *epoch,
            Self::Segment { segment, .. } => segment.epoch,
        }
    }
}

fn pem<S: serde::Serializer>(issuers: &Option<Arc<str>>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(issuers.as_deref().unwrap_or_default())
}

fn shared<S: serde::Serializer>(policies: &[Arc<Policy>], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(policies.iter().map(|policy| &**policy))
}

fn one<S: serde::Serializer>(upstream: &Option<Arc<Upstream>>, s: S) -> Result<S::Ok, S::Error> {
    upstream.as_deref().serialize(s)
}

fn shown<S: serde::Serializer>(certificates: &[(HostMatch, Arc<Certificate>)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(certificates.iter().map(|(host, certificate)| (host, &**certificate)))
}

fn certificate<S: serde::Serializer>(client: &Option<Arc<Certificate>>, s: S) -> Result<S::Ok, S::Error> {
    client.as_deref().serialize(s)
}

fn traffic<S: serde::Serializer>(traffic: &Traffic, s: S) -> Result<S::Ok, S::Error> {
    match traffic {
        Traffic::RolledBack { epoch } => s.collect_str(&format_args!("rolled back, epoch {epoch}")),
        Traffic::Segment { segment: g, cap } => {
            let groups = g.groups.as_ref().map_or(String::new(), |groups| format!(", groups {groups:?}"));
            s.collect_str(&format_args!(
                "{}..{} of {} over {}..{} until {}, floor {}, at most {cap}{groups}, epoch {}",
                g.from, g.to, g.buckets, g.starts_at, g.ends_at, g.until, g.floor, g.epoch
            ))
        }
    }
}
