//! The whole: objects to config, and an outcome for each object.

use crate::backends::{Backends, Target};
use crate::declared::Declared;
use crate::ingress::{self, Lowered};
use crate::judge::{Judge, Judged, On};
use crate::scope::Precedence;
use crate::{Compiled, Objects, Options, auth, tls};
use serin_routing::Config;
use serin_routing::config::{Auth, Route, RouteRelease};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is served of these objects, and what their authors are told. Equal objects give an equal result.
pub fn compile(objects: &Objects, options: &Options) -> Compiled {
    let backends = Backends::new(objects, options);
    let mut lowered = ingress::lower(objects, options, &backends);
    let certificates = tls::certificates(objects, options, &mut lowered);
    let releases: Vec<_> = objects.releases.values().map(|declared| declared.with_workloads(objects)).collect();
    let judge = Judge::new(objects, &releases, &lowered, &backends, &options.own_namespace);
    let judged: Vec<_> = releases.iter().map(|declared| judge.judge(declared)).collect();
    let resolved = objects.resolved(options);
    let auth::Applied { on, policies, outcomes } = auth::apply(&resolved, objects, &lowered, &backends);
    let mut config = config(&releases, &lowered, &backends, &judged, on);
    config.policies = policies;
    config.certificates = certificates;
    let consumers = Arc::clone(&resolved.consumers);
    let releases = objects.releases.keys().cloned().zip(judged.into_iter().map(|judged| judged.outcome)).collect();
    let policies = backends.findings_of_policies();
    Compiled {
        config,
        releases,
        policies,
        names: backends.names.into_inner(),
        ingresses: lowered.findings,
        unclassed: lowered.unclassed,
        default_certificate: tls::default_findings(objects, options),
        auth_policies: outcomes,
        consumers,
    }
}

/// A release on one route.
struct Applied<'j> {
    precedence: Precedence,
    release: usize,
    on: &'j On,
}

/// Routes in the order of precedence, backends and releases in that of their names; only what is used.
fn config(declared: &[Arc<Declared>], lowered: &Lowered, backends: &Backends<'_>, judged: &[Judged], auth: Vec<Auth>) -> Config {
    let mut releases = Vec::new();
    let mut applied: BTreeMap<usize, Vec<Applied<'_>>> = BTreeMap::new();
    for (declared, judged) in declared.iter().zip(judged) {
        let (Some(served), Some(scope)) = (&judged.served, &declared.parsed.scope) else { continue };
        for on in &judged.on {
            let precedence = Precedence::of(declared, scope);
            applied.entry(on.place).or_default().push(Applied { precedence, release: releases.len(), on });
        }
        releases.push(served.clone());
    }
    for on_route in applied.values_mut() {
        on_route.sort_by(|a, b| a.precedence.cmp(&b.precedence));
    }

    let sides = applied.values().flatten().flat_map(|applied| applied.on.stable.iter().chain(&applied.on.canary));
    let mut indexes: BTreeMap<&Target, usize> =
        lowered.places.iter().filter_map(|place| place.target.as_ref()).chain(sides).map(|target| (target, 0)).collect();
    indexes.values_mut().enumerate().for_each(|(position, index)| *index = position);
    let index = |target: Option<&Target>| target.and_then(|target| indexes.get(target).copied());

    let routes = lowered.places.iter().zip(auth).enumerate().map(|(place_index, (place, auth))| {
        let on_route = applied.get(&place_index).into_iter().flatten();
        let sides = |Applied { release, on, .. }: &Applied<'_>| RouteRelease {
            release: *release,
            stable: index(on.stable.as_ref()),
            canary: index(on.canary.as_ref()),
        };
        Route {
            object: place.object(),
            host: place.takes.0.clone(),
            path: place.takes.1.clone(),
            backend: index(place.target.as_ref()),
            https_redirect: place.https_redirect,
            auth,
            releases: on_route.map(sides).collect(),
        }
    });
    Config {
        routes: routes.collect(),
        backends: indexes.keys().map(|target| backends.backend(target)).collect(),
        releases,
        policies: Vec::new(),
        certificates: Vec::new(),
    }
}
