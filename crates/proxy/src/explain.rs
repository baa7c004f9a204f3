//! What would be done with a request, without doing it: by the same steps as for a live one.

use crate::auth::{self, Refused};
use crate::record::{rule_name, side_name};
use crate::{Failure, RequestFacts, target};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serin_auth::{Asked, Guess, Identity, Policy, Refusal};
use serin_routing::config::{HostMatch, PathMatch};
use serin_routing::{Auth, Route, RouteRelease, Table};
use serin_split::{Kind, Rule, Side, foresee};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// What a request would get, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The host, as routes are looked up by it.
    pub host: String,
    /// The canonical path; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The route that takes both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteExplained>,
    /// Who sends it, if the route's policy found that out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<AuthorExplained>,
    /// Whether a key or a password decides who that is, which was not looked at: the rest depends on it.
    #[serde(skip_serializing_if = "is_false")]
    pub unchecked: bool,
    /// The release that decides, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseExplained>,
    /// `namespace/service:port` that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The path that the backend gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_path: Option<String>,
    /// Why it is answered by serin itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteExplained {
    /// `kind/namespace/name`.
    pub object: String,
    /// Its hosts, `*` for all.
    pub host: String,
    /// `Exact` or `Prefix`, and the path.
    pub path: String,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorExplained {
    /// `namespace/name` of the AuthPolicy.
    pub policy: String,
    /// The consumer's user name; absent when a token names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// Their groups.
    pub groups: Vec<String>,
}

/// How a release decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseExplained {
    /// `namespace/name`.
    pub name: String,
    /// The id of the release.
    pub id: String,
    /// `stable` or `canary`: where it goes; absent when its turn among all requests decides, or a random identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<&'static str>,
    /// `rollback`, `override`, `group`, `bucket`, or `unavailable` when stable takes the canary's place.
    pub rule: &'static str,
    /// Which override, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_index: Option<usize>,
    /// What the bucket is computed from: a kind of identity, or `request`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<&'static str>,
    /// Whether that is a cookie which the client would be given: it is random, so no bucket and no side are known.
    #[serde(skip_serializing_if = "is_false")]
    pub issued: bool,
    /// Whether that took the place of an identity that is missing.
    pub fallback: bool,
    /// The salt.
    pub salt: String,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u32>,
    /// Buckets below this one are the canary's.
    pub k: u32,
    /// How many buckets there are.
    pub buckets: u32,
}

/// A request that is only asked about.
#[derive(Debug, Clone, Copy)]
pub struct Case<'r> {
    /// Its head.
    pub parts: &'r Parts,
    /// The originating address, as [`crate::ClientIp`] found it.
    pub client_ip: Option<IpAddr>,
    /// The other end of its connection, which headers about the consumer must come from to count.
    pub peer: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
    /// Whether whoever asks may learn if a key or a password is right.
    pub checks_secrets: bool,
}

/// Explains a request. Where that takes a password this takes as long as checking it does.
pub fn explain(table: &Table, case: &Case<'_>) -> Explanation {
    let host = target::host(case.parts).into_owned();
    let (path, route, author, release) = (None, None, None, None);
    let mut explanation =
        Explanation { host, path, route, author, unchecked: false, release, backend: None, forwarded_path: None, failure: None };
    if let Err(failure) = follow(table, case, &mut explanation) {
        explanation.failure = Some(failure.to_string());
    }
    explanation
}

fn follow(table: &Table, case: &Case<'_>, explanation: &mut Explanation) -> Result<(), Failure> {
    let Case { parts, client_ip, peer, now, checks_secrets } = *case;
    let path = target::path(&parts.uri)?;
    explanation.path = Some(path.clone().into_owned());
    let route = table.lookup(&explanation.host, &path).ok_or(Failure::NoRoute)?;
    explanation.route = Some(RouteExplained::of(route));
    if let (Auth::Policy(policy), false) = (&route.auth, checks_secrets) {
        explanation.unchecked = policy.depends_on_secret(&Asked { headers: &parts.headers, query: parts.uri.query(), peer, now });
        if explanation.unchecked {
            return Ok(());
        }
    }
    let identity = auth::author(&route.auth, parts, peer, || now, judged).map_err(|refused: Refused| refused.failure)?;
    let identity = identity.as_deref();
    explanation.author = identity.and_then(|identity| AuthorExplained::of(&route.auth, identity));
    let mut parts = Cow::Borrowed(parts);
    if let Auth::Policy(policy) = &route.auth {
        auth::disbelieve(Some(policy), identity, &mut parts.to_mut().headers);
    }
    let facts = &RequestFacts { parts: &parts, client_ip, identity };
    let mut rewritten = None;
    let mut backend = route.backend.as_deref().ok_or(Failure::NotResolved);
    if let Some(applied) = route.decider(facts) {
        let (release, side) = ReleaseExplained::of(applied, facts, now);
        let by_chance = release.side.is_none();
        explanation.release = Some(release);
        if by_chance {
            return Ok(());
        }
        backend = match side {
            Side::Stable => applied.stable.as_deref().ok_or(Failure::NotResolved),
            Side::Canary => applied.canary.as_deref().ok_or(Failure::CanaryUnavailable),
        };
        if let (Side::Canary, Ok(canary)) = (side, &backend) {
            rewritten = Some(route.rewrite(&applied.release, canary, &path).into_owned());
        }
    }
    let backend = backend?;
    explanation.backend = Some(backend.name.clone());
    explanation.forwarded_path = Some(rewritten.unwrap_or_else(|| backend.path(&path).into_owned()));
    Ok(())
}

/// One password at a time: whoever asks many questions gets no more than a core.
fn judged(_: &Policy, guess: Guess) -> Result<Result<Identity, Refusal>, Refused> {
    static CHECKING: Mutex<()> = Mutex::new(());
    let _one = CHECKING.lock().unwrap_or_else(PoisonError::into_inner);
    let right = guess.check();
    Ok(guess.settle(right))
}

impl AuthorExplained {
    fn of(auth: &Auth, identity: &Identity) -> Option<Self> {
        let Auth::Policy(policy) = auth else { return None };
        let consumer = identity.consumer().map(|username| String::from(&**username));
        Some(Self { policy: policy.name.clone(), consumer, groups: identity.groups().map(str::to_owned).collect() })
    }
}

impl RouteExplained {
    fn of(route: &Route) -> Self {
        let host = match &route.host {
            HostMatch::Exact(host) => host.to_string(),
            HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
            HostMatch::Any | HostMatch::Default => "*".to_owned(),
        };
        let path = match &route.path {
            PathMatch::Exact(path) => format!("Exact {path}"),
            PathMatch::Prefix(path) => format!("Prefix {path}"),
        };
        Self { object: route.object.to_string(), host, path }
    }
}

impl ReleaseExplained {
    fn of(applied: &RouteRelease, facts: &RequestFacts<'_>, now: Timestamp) -> (Self, Side) {
        let release = &applied.release;
        let decision = foresee(&release.policy, &release.served(now), facts);
        let side = applied.serving(decision.side, |_| true);
        let issued = decision.identity == Some(serin_split::Identity::Issued);
        let by_chance = issued || decision.identity == Some(serin_split::Identity::Request);
        let explained = Self {
            name: format!("{}/{}", release.namespace, release.name),
            id: release.id.clone(),
            side: (!by_chance).then(|| side_name(side)),
            rule: if side == decision.side { rule_name(decision.rule) } else { "unavailable" },
            override_index: if let Rule::Override(index) = decision.rule { Some(index) } else { None },
            identity: decision.identity.map(identity_name),
            issued,
            fallback: decision.fallback,
            salt: release.policy.salt().to_owned(),
            bucket: decision.bucket,
            k: decision.k,
            buckets: release.policy.buckets(),
        };
        (explained, side)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn identity_name(identity: serin_split::Identity) -> &'static str {
    match identity {
        serin_split::Identity::Request => "request",
        serin_split::Identity::Issued => Kind::Cookie.name(),
        serin_split::Identity::Value { kind, .. } => kind.name(),
    }
}
