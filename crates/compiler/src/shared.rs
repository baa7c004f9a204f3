//! Other routes of a Service that a finalising edit would change (S12).

use crate::declared::{Declared, Sides};
use crate::edit;
use crate::ingress::Place;
use crate::judge::{Judge, On};
use crate::scope;
use serin_api::release::{Canary, People, WhenUnavailable};
use std::collections::BTreeSet;

/// What is not done yet of the routes that send to the Services which the release's edits change: routes without a release first.
///
/// Only an edit of the Service itself, of the workload behind it, or of its BackendPolicy touches them: what points a route at another backend touches that route
/// alone.
pub(crate) fn waits_for(judge: &Judge<'_>, declared: &Declared, sides: Sides<'_>, on: &[On]) -> Vec<String> {
    let Some(canary) = sides.canary else { return Vec::new() };
    let by_images = sides.workloads.is_some_and(|workloads| workloads.stable.is_some());
    let mut services: BTreeSet<&str> = BTreeSet::new();
    if by_images || canary.pods.is_some() || canary.host.is_some() {
        services.extend(on.iter().filter_map(|on| on.place.service.as_deref()));
    }
    if sides.rewrites() {
        // Where no policy can do what the rewrite does, none is told of.
        let by_policy = |on: &&On| edit::policy_path(&on.place, sides).is_some();
        services.extend(on.iter().filter(by_policy).filter_map(|on| Some(on.canary.as_ref()?.service.name.as_str())));
    }
    let (mut without, mut unfinished) = (Vec::new(), BTreeSet::new());
    for place in services.into_iter().flat_map(|service| judge.places.of_service(service)) {
        if scope::takes(sides.scope, place) {
            continue;
        }
        let others: Vec<_> = releases_of(judge, place).filter(|other| other.key != declared.key).collect();
        if others.is_empty() {
            without.push(format!("{} {}{}, which has no release", place.object, place.host, place.path));
        } else if !others.iter().any(|other| is_done(other, canary)) {
            unfinished.extend(others.iter().map(|other| format!("CanaryRelease {}", other.key)));
        }
    }
    without.into_iter().chain(unfinished).collect()
}

/// The releases of everyone on a route: one of some consumers leaves all others where they are.
fn releases_of<'j>(judge: &'j Judge<'_>, place: &'j Place) -> impl Iterator<Item = &'j Declared> {
    let takes = move |other: &&Declared| {
        let scope = other.parsed.scope.as_ref();
        scope.is_some_and(|scope| scope.people == People::Anyone && scope::takes(scope, place))
    };
    judge.releases().filter(|other| other.parsed.enabled).filter(takes)
}

/// Promoted or Completed, of this spec and not of one before, with the same canary.
fn is_done(other: &Declared, canary: &Canary) -> bool {
    let phase = matches!(other.status.phase.as_str(), "Promoted" | "Completed");
    let same_release = other.status.traffic.as_ref().is_some_and(|traffic| other.is_of(traffic));
    let plain = |canary: &Canary| Canary { when_unavailable: WhenUnavailable::Stable, ..canary.clone() };
    phase && same_release && other.parsed.canary.as_ref().map(plain) == Some(plain(canary))
}
