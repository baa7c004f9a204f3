//! Which AuthPolicy decides on which route: the most specific, of equals the oldest; none are merged.

use super::policies::Ruling;
use super::{AuthPolicyOutcome, Resolved};
use crate::backends::Backends;
use crate::declared::Sides;
use crate::ingress::{Lowered, Place};
use crate::{Key, Objects, hints, scope};
use serin_auth::Policy;
use serin_routing::config::Auth;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the table gets, and what authors are told.
pub(crate) struct Applied {
    /// For each of [`Lowered::places`].
    pub(crate) on: Vec<Auth>,
    /// Those that some route has, in the order of their names.
    pub(crate) policies: Vec<Arc<Policy>>,
    pub(crate) outcomes: BTreeMap<Key, AuthPolicyOutcome>,
}

/// The policies of one namespace, each where a route finds it without a look at all the others.
#[derive(Default)]
struct OfNamespace<'r> {
    by_route: BTreeMap<&'r str, Vec<usize>>,
    by_service: BTreeMap<&'r str, Vec<usize>>,
    all: Vec<usize>,
}

pub(crate) fn apply(resolved: &Resolved, objects: &Objects, lowered: &Lowered, backends: &Backends<'_>) -> Applied {
    let rulings = &resolved.rulings;
    let (mut of_namespaces, mut everywhere) = (BTreeMap::<&str, OfNamespace<'_>>::new(), Vec::new());
    for (index, ruling) in rulings.iter().enumerate() {
        let Some(scope) = &ruling.scope else { continue };
        let of_namespace = of_namespaces.entry(ruling.key.namespace.as_str()).or_default();
        match (&scope.route, &scope.service) {
            (Some(route), _) => of_namespace.by_route.entry(route.name.as_str()).or_default().push(index),
            (None, Some(service)) => of_namespace.by_service.entry(service.as_str()).or_default().push(index),
            (None, None) if scope.all_namespaces => everywhere.push(index),
            (None, None) => of_namespace.all.push(index),
        }
    }
    let mut has_route = vec![false; rulings.len()];
    let mut decide = |place: &Place| {
        let of_namespace = of_namespaces.get(place.ingress.namespace.as_str());
        let near = of_namespace.into_iter().flat_map(|of| {
            let by_service = place.service.as_deref().and_then(|service| of.by_service.get(service));
            of.by_route.get(place.ingress.name.as_str()).into_iter().chain(by_service).chain([&of.all]).flatten()
        });
        let taking =
            near.chain(&everywhere).copied().filter(|index| rulings[*index].scope.as_ref().is_some_and(|s| scope::takes(s, place)));
        taking.inspect(|index| has_route[*index] = true).min_by_key(|index| &rulings[*index].order)
    };
    let deciders: Vec<Option<usize>> = lowered.places.iter().map(|place| decide(place)).collect();

    let mut used: BTreeMap<usize, usize> = deciders.iter().flatten().map(|ruling| (*ruling, 0)).collect();
    used.retain(|ruling, _| rulings[*ruling].policy.is_some());
    used.values_mut().enumerate().for_each(|(position, index)| *index = position);
    let on = deciders.iter().map(|decider| match decider {
        None => Auth::None,
        Some(ruling) => used.get(ruling).map_or_else(|| Auth::Unresolved(rulings[*ruling].key.to_string()), |index| Auth::Policy(*index)),
    });
    Applied {
        on: on.collect(),
        policies: used.keys().filter_map(|ruling| rulings[*ruling].policy.clone()).collect(),
        outcomes: rulings
            .iter()
            .zip(has_route)
            .map(|(ruling, has_route)| (ruling.key.clone(), outcome(ruling, has_route, objects, lowered, backends)))
            .collect(),
    }
}

fn outcome(ruling: &Ruling, has_route: bool, objects: &Objects, lowered: &Lowered, backends: &Backends<'_>) -> AuthPolicyOutcome {
    let mut findings = ruling.findings.clone();
    if let Some(scope) = ruling.scope.as_ref().filter(|_| !has_route) {
        let sides = Sides { namespace: &ruling.key.namespace, scope, canary: None, workloads: None };
        findings.push(hints::no_route(sides, objects, lowered, backends));
    }
    AuthPolicyOutcome { resolved_scope: ruling.resolved_scope.clone(), findings }
}
