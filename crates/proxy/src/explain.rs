//! What would be done with a request, without doing it: by the same steps as for a live one.

use crate::record::{rule_name, side_name};
use crate::{Failure, RequestFacts, target};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serin_routing::config::{HostMatch, PathMatch};
use serin_routing::{Route, RouteRelease, Table};
use serin_split::{Identity, Rule, Side, foresee};
use std::net::IpAddr;

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

/// How a release decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseExplained {
    /// `namespace/name`.
    pub name: String,
    /// The id of the release.
    pub id: String,
    /// `stable` or `canary`: where it goes; absent when its turn among all requests decides.
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

/// Explains a request with this head, from this originating address, at this moment.
pub fn explain(table: &Table, parts: &Parts, client_ip: Option<IpAddr>, now: Timestamp) -> Explanation {
    let host = target::host(parts).into_owned();
    let mut explanation = Explanation { host, path: None, route: None, release: None, backend: None, forwarded_path: None, failure: None };
    if let Err(failure) = follow(table, &RequestFacts { parts, client_ip }, now, &mut explanation) {
        explanation.failure = Some(failure.to_string());
    }
    explanation
}

fn follow(table: &Table, facts: &RequestFacts<'_>, now: Timestamp, explanation: &mut Explanation) -> Result<(), Failure> {
    let path = target::path(&facts.parts.uri)?;
    explanation.path = Some(path.clone().into_owned());
    let route = table.lookup(&explanation.host, &path).ok_or(Failure::NoRoute)?;
    explanation.route = Some(RouteExplained::of(route));
    let mut rewritten = None;
    let mut backend = route.backend.as_deref().ok_or(Failure::NotResolved);
    if let Some(applied) = route.decider(facts) {
        let (release, side) = ReleaseExplained::of(applied, facts, now);
        let by_turn = release.side.is_none();
        explanation.release = Some(release);
        if by_turn {
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

impl RouteExplained {
    fn of(route: &Route) -> Self {
        let host = match &route.host {
            HostMatch::Exact(host) => host.clone(),
            HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
            HostMatch::Any | HostMatch::Default => "*".to_owned(),
        };
        let path = match &route.path {
            PathMatch::Exact(path) => format!("Exact {path}"),
            PathMatch::Prefix(path) => format!("Prefix {path}"),
        };
        Self { object: route.object.clone(), host, path }
    }
}

impl ReleaseExplained {
    fn of(applied: &RouteRelease, facts: &RequestFacts<'_>, now: Timestamp) -> (Self, Side) {
        let release = &applied.release;
        let decision = foresee(&release.policy, &release.served(now), facts);
        let side = applied.serving(decision.side);
        let by_turn = decision.identity == Some(Identity::Request);
        let explained = Self {
            name: format!("{}/{}", release.namespace, release.name),
            id: release.id.clone(),
            side: (!by_turn).then(|| side_name(side)),
            rule: if side == decision.side { rule_name(decision.rule) } else { "unavailable" },
            override_index: if let Rule::Override(index) = decision.rule { Some(index) } else { None },
            identity: decision.identity.map(identity_name),
            fallback: decision.fallback,
            salt: release.policy.salt().to_owned(),
            bucket: decision.bucket,
            k: decision.k,
            buckets: release.policy.buckets(),
        };
        (explained, side)
    }
}

fn identity_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Request => "request",
        Identity::Value { kind, .. } => kind.name(),
    }
}
