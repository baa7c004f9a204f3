//! The whole: objects to config, and an outcome for each object.

use crate::backends::{Backends, Target};
use crate::ingress::{self, Lowered, Place};
use crate::judge::{Judge, Judged, On};
use crate::kept::Kept;
use crate::objects::of_namespace;
use crate::scope::Precedence;
use crate::{Compiled, Objects, Options, auth, tls};
use foldhash::fast::FixedState;
use serin_routing::Config;
use serin_routing::config::{Auth, Backend, Route, RouteRelease};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is served of these objects, and what their authors are told. Equal objects give an equal result.
pub fn compile(objects: &Objects, options: &Options) -> Compiled {
    Compiler::default().compile(objects, options)
}

/// Compiles again and again. What it gives is what [`compile()`] gives, but Ingresses are read and releases judged only where something changed:
/// the namespace is the unit.
#[derive(Debug, Default)]
pub struct Compiler(Kept);

impl Compiler {
    /// What is served of these objects, and what their authors are told.
    pub fn compile(&mut self, objects: &Objects, options: &Options) -> Compiled {
        let backends = Backends::new(objects, options);
        let others = self.0.renew(objects, options, &backends);
        backends.built.replace(std::mem::take(&mut self.0.backends));
        for namespace in &others {
            let kept = self.0.namespaces.entry((*namespace).to_owned()).or_default();
            (kept.read, kept.names_of_ingresses) = backends.apart(|| ingress::read(namespace, objects, options, &backends));
        }
        let (mut lowered, held) = ingress::lower(self.0.namespaces.values().map(|kept| &kept.read));
        self.judge((objects, options), &others, &lowered, held, &backends);
        let certificates = tls::certificates(objects, options, &mut lowered);
        let resolved = objects.resolved(options);
        let (auth::Applied { on, policies, outcomes }, _) = backends.apart(|| auth::apply(&resolved, objects, &lowered, &backends));
        // In the order of namespace and name, as the cache has them.
        let judged: Vec<_> = self.0.namespaces.values().flat_map(|kept| &kept.judged).collect();
        let mut config = config(&lowered, &backends, &judged, on);
        config.policies = policies;
        config.certificates = certificates;
        let consumers = Arc::clone(&resolved.consumers);
        let releases = objects.releases.keys().cloned().zip(judged.iter().map(|judged| Arc::clone(&judged.outcome))).collect();
        let (policies, _) = backends.apart(|| backends.findings_of_policies());
        let names =
            self.0.namespaces.values().flat_map(|kept| kept.names_of_ingresses.iter().chain(&kept.names_of_releases)).cloned().collect();
        self.0.backends = backends.built.into_inner();
        Compiled {
            config,
            releases,
            policies,
            names,
            ingresses: lowered.findings,
            unclassed: lowered.unclassed,
            default_certificate: tls::default_findings(objects, options),
            auth_policies: outcomes,
            consumers,
        }
    }

    /// Judges the releases of each namespace that changed, or whose routes did. One that reaches over all namespaces concerns them all.
    fn judge(
        &mut self,
        (objects, options): (&Objects, &Options),
        others: &BTreeSet<&str>,
        lowered: &Lowered,
        held: Vec<Vec<Arc<Place>>>,
        backends: &Backends<'_>,
    ) {
        let declared = |namespace: &str| -> Vec<_> {
            of_namespace(&objects.releases, namespace).map(|(_, declared)| declared.with_workloads(objects)).collect()
        };
        let own = options.own_namespace.as_str();
        let mut reaching = declared(own);
        reaching.retain(|declared| declared.parsed.scope.as_ref().is_some_and(|scope| scope.all_namespaces));
        let reached = reaching != self.0.reaching;
        self.0.reaching.clone_from(&reaching);
        for ((namespace, kept), held) in self.0.namespaces.iter_mut().zip(held) {
            let reaches = namespace == own && !reaching.is_empty();
            let same_routes = || kept.held.len() == held.len() && kept.held.iter().zip(&held).all(|(a, b)| Arc::ptr_eq(a, b));
            if !(reached || reaches || others.contains(namespace.as_str())) && same_routes() {
                continue;
            }
            kept.held = held;
            let releases = declared(namespace);
            let reaching = reaching.iter().filter(|_| namespace != own).map(AsRef::as_ref).collect();
            (kept.judged, kept.names_of_releases) = backends.apart(|| {
                let judge = Judge::new((objects, options), (&releases, reaching), (lowered, &kept.held), backends);
                releases.iter().map(|declared| judge.judge(declared)).collect()
            });
        }
    }
}

/// A release on one route.
struct Applied<'j> {
    place: *const Place,
    precedence: &'j Precedence,
    release: usize,
    on: &'j On,
}

/// Routes in the order of precedence, backends and releases in that of their names; only what is used.
fn config(lowered: &Lowered, backends: &Backends<'_>, judged: &[&Judged], auth: Vec<Auth>) -> Config {
    let mut releases = Vec::new();
    let mut applied = Vec::with_capacity(lowered.places.len());
    for judged in judged {
        let Some((served, precedence)) = &judged.served else { continue };
        let release = releases.len();
        applied.extend(judged.on.iter().map(|on| Applied { place: Arc::as_ptr(&on.place), precedence, release, on }));
        releases.push(served.clone());
    }
    applied.sort_by_key(|applied| (applied.place, applied.precedence));
    let by_place = applied.chunk_by(|a, b| a.place == b.place).map(|on_route| (on_route[0].place, on_route));
    let by_place: HashMap<*const Place, &[Applied<'_>], FixedState> = by_place.collect();

    let sides = applied.iter().flat_map(|applied| applied.on.stable.iter().chain(&applied.on.canary));
    // Routes share their targets, so that by address there are few to be compared.
    let used: HashMap<*const Target, &Target, FixedState> = lowered
        .places
        .iter()
        .filter_map(|place| place.target.as_ref())
        .chain(sides)
        .map(|target| (Arc::as_ptr(target), &**target))
        .collect();
    let mut targets: BTreeMap<&Target, usize> = used.values().map(|target| (*target, 0)).collect();
    targets.values_mut().enumerate().for_each(|(position, index)| *index = position);
    let indexes: HashMap<*const Target, usize, FixedState> = used.into_iter().map(|(address, target)| (address, targets[target])).collect();
    let index = |target: Option<&Arc<Target>>| target.and_then(|target| indexes.get(&Arc::as_ptr(target)).copied());

    let routes = lowered.places.iter().zip(auth).map(|(place, auth)| {
        let on_route = by_place.get(&Arc::as_ptr(place)).copied().unwrap_or_default().iter();
        let sides = |Applied { release, on, .. }: &Applied<'_>| RouteRelease {
            release: *release,
            stable: index(on.stable.as_ref()),
            canary: index(on.canary.as_ref()),
        };
        Route {
            object: Arc::clone(&place.object),
            host: place.takes.0.clone(),
            path: place.takes.1.clone(),
            backend: index(place.target.as_ref()),
            https_redirect: place.https_redirect,
            auth,
            releases: on_route.map(sides).collect(),
        }
    });
    let routes = routes.collect();
    let config = Config {
        routes,
        backends: targets.keys().map(|target| Backend::clone(&backends.backend(target))).collect(),
        releases,
        policies: Vec::new(),
        certificates: Vec::new(),
    };
    backends.built.borrow_mut().retain(|target, _| targets.contains_key(target));
    config
}
