//! Side B on a route, and as the proxy serves it.

use crate::Key;
use crate::backends::{Backends, Part, Target, Wanted};
use crate::declared::{Declared, Sides};
use crate::ingress::Place;
use crate::unresolved::Unresolved;
use serin_api::release::{self, Canary, Host, Override, PodSelector, Port};
use serin_routing::config::{self, Match, PathRewrite, Traffic};
use serin_routing::path::{PathFault, canonical};
use std::time::Duration;

/// What the canary is on this route: its own Service or the route's, or some pods of that, on its own port, else on the route's, else on
/// its only one.
/// `None` when it cannot be read, or is the route's own backend and that is none.
pub(crate) fn on(place: &Place, sides: Sides<'_>, backends: &Backends<'_>) -> Result<Option<Target>, Unresolved> {
    let Some(canary) = sides.canary else { return Ok(None) };
    if let Some(host) = &canary.host {
        // The path of the route's own Service goes before the host's too (S1): what the canary does not name stays.
        let own = Key::new(&*place.ingress.namespace, place.service.as_deref().unwrap_or_default());
        return outside(host, canary, own, backends);
    }
    if canary.service.is_none() && canary.port.is_none() {
        return Ok(place.target.as_deref().cloned().map(|target| part(target, canary)));
    }
    let named = canary.service.as_ref().map(|service| Key::new(sides.namespace, service));
    let own = || place.service.as_ref().map(|service| Key::new(&place.ingress.namespace, service));
    let Some(service) = named.or_else(own) else { return Ok(None) };
    let wanted = match (&canary.port, &place.port) {
        (Some(port), _) => Wanted::Port(port),
        (None, Some(port)) => Wanted::PortOrOnly(port),
        (None, None) => Wanted::Only,
    };
    backends.resolve(&service, wanted, sides.scope.service.as_deref()).map(|target| Some(part(target, canary)))
}

/// A host outside the cluster, in the place of a Service.
fn outside(host: &Host, canary: &Canary, service: Key, backends: &Backends<'_>) -> Result<Option<Target>, Unresolved> {
    let Some(Port::Number(port)) = canary.port else { return Ok(None) };
    match backends.refusal(&host.name) {
        Some(unresolved) => Err(unresolved),
        None => Ok(Some(Target { service, port, part: Part::Outside(host.clone()) })),
    }
}

/// What stable is on this route: what the route does without the release, but for the pods of the canary (S1).
pub(crate) fn stable(place: &Place, sides: Sides<'_>) -> Option<Target> {
    let others = |pods: &PodSelector| Part::Others(pods.clone());
    let part = sides.canary.and_then(|canary| canary.pods.as_ref()).map_or(Part::Whole, others);
    place.target.as_deref().cloned().map(|target| Target { part, ..target })
}

/// The canary's part of a target.
fn part(target: Target, canary: &Canary) -> Target {
    let part = canary.pods.clone().map_or(Part::Whole, Part::Selected);
    Target { part, ..target }
}

/// What the canary is without any route, as far as the spec alone says it.
pub(crate) fn alone(sides: Sides<'_>, backends: &Backends<'_>) -> Result<Option<Target>, Unresolved> {
    let Some(canary @ Canary { service, port, .. }) = sides.canary else { return Ok(None) };
    if let Some(host) = &canary.host {
        let own = Key::new(sides.namespace, sides.scope.service.as_deref().unwrap_or_default());
        return outside(host, canary, own, backends);
    }
    let Some(service) = service.as_ref().or(sides.scope.service.as_ref()) else { return Ok(None) };
    let wanted = port.as_ref().map_or(Wanted::Only, Wanted::Port);
    match backends.resolve(&Key::new(sides.namespace, service), wanted, sides.scope.service.as_deref()) {
        // Which of its ports it is, a route will say.
        Err(Unresolved::NoPort { wanted: None, .. }) => Ok(None),
        other => other.map(|target| Some(part(target, canary))),
    }
}

/// The canary's path in the spelling that the proxy sends. An empty replacement of a prefix stays empty.
pub(crate) fn path(canary: &Canary) -> Result<Option<PathRewrite>, PathFault> {
    let spelled = |text: &str| canonical(text.as_bytes()).map(|path| path.into_owned());
    Ok(match &canary.path {
        None => None,
        Some(release::PathRewrite::Prefix(text)) if text.is_empty() => Some(PathRewrite::Prefix(String::new())),
        Some(release::PathRewrite::Prefix(text)) => Some(PathRewrite::Prefix(spelled(text)?)),
        Some(release::PathRewrite::Full(text)) => Some(PathRewrite::Full(spelled(text)?)),
    })
}

/// How long streams of an aborted release go on whose spec cannot be read: the default.
const DRAIN: Duration = Duration::from_secs(30);

/// A release as the proxy serves it.
///
/// While a segment is served its number of buckets counts: with `weights` an edit gives another sum, and until the leader has written
/// the new line, the old one and its buckets belong together.
pub(crate) fn served(declared: &Declared, path: Option<PathRewrite>, traffic: Traffic) -> config::Release {
    let Declared { key, id, parsed, .. } = declared;
    let split = parsed.split.as_ref();
    let buckets = match &traffic {
        Traffic::Segment { segment, .. } => segment.buckets,
        Traffic::RolledBack { .. } => split.map_or(1, |split| split.buckets),
    };
    config::Release {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        id: id.clone(),
        uid: parsed.metadata.uid.clone(),
        people: parsed.scope.as_ref().map(|scope| people(&scope.people)).unwrap_or_default(),
        // A split that cannot be read gives no id, so the release is rolled back and nobody asks.
        by: split.map_or(config::By::Request, by),
        buckets,
        salt: split.map(|split| split.salt.clone()).unwrap_or_default(),
        overrides: parsed.overrides.iter().map(entry).collect(),
        path,
        fail_when_unavailable: parsed.canary.as_ref().is_some_and(|c| c.when_unavailable == release::WhenUnavailable::Fail),
        drain_on_abort: parsed.release.as_ref().and_then(|release| release.drain_on_abort.try_into().ok()).unwrap_or(DRAIN),
        traffic,
    }
}

fn people(people: &release::People) -> config::People {
    match people {
        release::People::Anyone => config::People::Anyone,
        release::People::Consumer(username) => config::People::Consumer(username.clone()),
        release::People::Group(group) => config::People::Group(group.clone()),
    }
}

fn by(split: &release::Split) -> config::By {
    match &split.by {
        release::SplitBy::Consumer => config::By::Consumer,
        release::SplitBy::ClientIp => config::By::ClientIp,
        release::SplitBy::Header(name) => config::By::Header(name.clone()),
        release::SplitBy::Cookie(name) if split.issue_cookie => config::By::IssuedCookie(name.clone()),
        release::SplitBy::Cookie(name) => config::By::Cookie(name.clone()),
        release::SplitBy::QueryParam(name) => config::By::QueryParam(name.clone()),
        release::SplitBy::Claim(name) => config::By::Claim(name.clone()),
        release::SplitBy::Request => config::By::Request,
    }
}

fn entry(entry: &Override) -> config::Override {
    let (source, matches) = match entry {
        Override::AlwaysNever(source) => (source, Match::AlwaysNever),
        Override::Exact(source, text, to) => (source, Match::Exact(text.clone(), side(*to))),
        Override::Regex(source, text, to) => (source, Match::Regex(text.clone(), side(*to))),
        Override::ConsumerGroups(groups, to) => return config::Override::ConsumerGroups(groups.clone(), side(*to)),
    };
    let source = match source {
        release::Source::Header(name) => config::Source::Header(name.clone()),
        release::Source::Cookie(name) => config::Source::Cookie(name.clone()),
    };
    config::Override::Value { source, matches }
}

fn side(side: release::Side) -> config::Side {
    match side {
        release::Side::Stable => config::Side::Stable,
        release::Side::Canary => config::Side::Canary,
    }
}
