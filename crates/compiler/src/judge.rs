//! The releases of a namespace: what each is on every route, and what its author is told.

use crate::backends::{Backends, Target, Wanted};
use crate::declared::{Declared, Sides};
use crate::ingress::{Lowered, Place};
use crate::scope::{self, Precedence};
use crate::standing::{self, Standing};
use crate::unresolved::{Unresolved, and};
use crate::{Key, Objects, Options, ReleaseOutcome, RouteUse, canary, edit, hints, shared};
use serin_api::{Condition, Finding, reason, release};
use serin_routing::config;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a release comes to.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Arc<ReleaseOutcome>,
    /// What the proxy gets of it, and where it stands among others on a route; `None` when it decides nothing.
    pub(crate) served: Option<(config::Release, Precedence)>,
    /// The routes in its scope.
    pub(crate) on: Vec<On>,
}

/// A release on one route of its scope.
#[derive(Debug)]
pub(crate) struct On {
    /// One of [`Lowered::places`].
    pub(crate) place: Arc<Place>,
    /// Side A.
    pub(crate) stable: Option<Arc<Target>>,
    /// Side B.
    pub(crate) canary: Option<Arc<Target>>,
}

/// What the releases of one namespace are judged by.
pub(crate) struct Judge<'o> {
    objects: &'o Objects,
    /// Those of the namespace.
    releases: &'o [Arc<Declared>],
    /// Those of other namespaces that reach into this one.
    reaching: Vec<&'o Declared>,
    lowered: &'o Lowered,
    backends: &'o Backends<'o>,
    own_namespace: &'o str,
    pub(crate) places: Places<'o>,
    /// Who holds each scope.
    holders: BTreeMap<String, &'o Declared>,
}

/// The routes of a namespace: a release looks at few of them.
#[derive(Debug)]
pub(crate) struct Places<'o> {
    all: &'o [Arc<Place>],
    by_service: BTreeMap<&'o str, Vec<usize>>,
    by_ingress: BTreeMap<&'o str, Vec<usize>>,
}

impl<'o> Places<'o> {
    fn new(all: &'o [Arc<Place>]) -> Self {
        let mut places = Self { all, by_service: BTreeMap::new(), by_ingress: BTreeMap::new() };
        for (index, place) in all.iter().enumerate() {
            places.by_ingress.entry(place.ingress.name.as_str()).or_default().push(index);
            if let Some(service) = &place.service {
                places.by_service.entry(service.as_str()).or_default().push(index);
            }
        }
        places
    }

    /// Those that a release of the namespace may take, or that may point at its canary; each once and in order.
    fn near(&self, sides: Sides<'_>) -> Vec<&'o Arc<Place>> {
        let indexes = |of: Option<&Vec<usize>>| of.into_iter().flatten().map(|index| &self.all[*index]).collect();
        match (&sides.scope.route, &sides.scope.service) {
            (Some(route), _) => indexes(self.by_ingress.get(route.name.as_str())),
            (None, None) => self.all.iter().collect(),
            (None, Some(service)) => {
                let canary = sides.canary.and_then(|canary| canary.service.as_ref());
                let of = |service: &String| self.by_service.get(service.as_str()).into_iter().flatten();
                let near: BTreeSet<_> = of(service).chain(canary.into_iter().flat_map(of)).copied().collect();
                near.into_iter().map(|index| &self.all[index]).collect()
            }
        }
    }

    /// Those that send to a Service.
    pub(crate) fn of_service(&self, service: &str) -> impl Iterator<Item = &'o Place> {
        self.by_service.get(service).into_iter().flatten().map(|index| &*self.all[*index])
    }
}

impl<'o> Judge<'o> {
    /// `held` are the routes of the namespace.
    pub(crate) fn new(
        (objects, options): (&'o Objects, &'o Options),
        (releases, reaching): (&'o [Arc<Declared>], Vec<&'o Declared>),
        (lowered, held): (&'o Lowered, &'o [Arc<Place>]),
        backends: &'o Backends<'o>,
    ) -> Self {
        let own_namespace = &options.own_namespace;
        Self { objects, releases, reaching, lowered, backends, own_namespace, places: Places::new(held), holders: holders(releases) }
    }

    /// The releases that may take a route of the namespace.
    pub(crate) fn releases(&self) -> impl Iterator<Item = &'o Declared> {
        self.releases.iter().map(AsRef::as_ref).chain(self.reaching.iter().copied())
    }

    pub(crate) fn judge(&self, declared: &Declared) -> Judged {
        let mut outcome = ReleaseOutcome {
            release: declared.parsed.release.clone(),
            id: declared.id.clone(),
            unobserved: declared.unobserved.clone(),
            observed: declared.observed.clone(),
            rolling: None,
            findings: declared.parsed.findings.clone(),
            resolved_scope: String::new(),
            port: None,
            routes: Vec::new(),
            waits_for: Vec::new(),
            canary_ready: 0,
            stable_ready: 0,
        };
        let nothing = |outcome| Judged { outcome: Arc::new(outcome), served: None, on: Vec::new() };
        let Some(sides) = declared.sides() else { return nothing(outcome) };
        outcome.resolved_scope = scope::describe(sides.scope);
        outcome.rolling = self.backends.rolling(sides);
        if sides.scope.all_namespaces && sides.namespace != self.own_namespace {
            let message =
                format!("allNamespaces is for releases in namespace {}. Move the release there, or remove it.", self.own_namespace);
            outcome.findings.push(accepted(reason::NOT_PERMITTED, "spec.scope.allNamespaces", message));
            return nothing(outcome);
        }

        let mut findings = BTreeSet::new();
        let on = self.routes(sides, &mut outcome, &mut findings);
        let over = Standing::of(declared) == Standing::Over;
        let conflict = self.conflict(declared, sides);
        if over {
            // It needs nothing of what it names.
            findings.clear();
        } else {
            self.references(sides, &on, &outcome, &mut findings);
            findings.extend(conflict.clone());
        }
        findings.extend(self.ambiguity(sides, &on));
        self.readiness(sides, &on, &mut outcome);
        outcome.waits_for = shared::waits_for(self, declared, sides, &on);

        // Of a scope that another holds, one that is not under way there decides nothing: not even that all goes to stable.
        let mut traffic = standing::traffic(declared).filter(|_| conflict.is_none() || standing::under_way(declared));
        if !self.has_pods(sides) {
            traffic = traffic.map(rolled_back);
        }
        let path = sides.canary.map_or(Ok(None), canary::path).unwrap_or_else(|fault| {
            let message = format!("The canary's path cannot be served: {fault}.");
            findings.insert(accepted(reason::INVALID_SPEC, "spec.canary.path", message));
            traffic = traffic.take().map(rolled_back);
            None
        });
        let precedence = || Precedence::of(declared, sides.scope);
        let served = traffic.map(|traffic| (canary::served(declared, path, traffic), precedence()));
        // The parser's come first, and in the order of the spec.
        outcome.findings.extend(findings);
        Judged { outcome: Arc::new(outcome), served, on }
    }

    /// The routes that take part, with side B on each.
    fn routes(&self, sides: Sides<'_>, outcome: &mut ReleaseOutcome, findings: &mut BTreeSet<Finding>) -> Vec<On> {
        let mut routes = Vec::new();
        // Thousands of routes may have the same target, and its pods are compared once.
        let mut known = BTreeMap::new();
        for place in self.near(sides) {
            let in_scope = scope::takes(sides.scope, place);
            // After finalising, a route no longer sends to the Service of the scope, but to the canary's.
            let of_canary = sides.canary.is_some_and(|canary| canary.service.is_some() && canary.service == place.service);
            let may_point = of_canary && place.ingress.namespace == sides.namespace && scope::takes_route(sides.scope, place);
            if !in_scope && !may_point {
                continue;
            }
            let target = match canary::on(place, sides, self.backends) {
                Ok(target) => target.map(|target| self.backends.share(target)),
                Err(unresolved) => {
                    if in_scope {
                        findings.insert(unresolved.finding(field_of(&unresolved, sides)));
                    }
                    None
                }
            };
            let of_target = || self.completed(place, target.as_deref(), sides);
            let completed = if sides.rewrites() {
                of_target()
            } else {
                let both = (place.target.as_ref().map(Arc::as_ptr), target.as_ref().map(Arc::as_ptr));
                *known.entry(both).or_insert_with(of_target)
            };
            if in_scope || completed {
                outcome.routes.push(self.route_use(place, target.as_ref(), sides, in_scope, completed));
            }
            if in_scope {
                // The pods that stable would be without are all that the Service has, or are not known.
                let whole = completed || !self.has_pods(sides);
                let stable =
                    if whole { place.target.clone() } else { canary::stable(place, sides).map(|target| self.backends.share(target)) };
                routes.push(On { place: Arc::clone(place), stable, canary: target });
            }
        }
        routes
    }

    /// The routes that a release may take, or that may point at its canary: by namespace, and there in the order of precedence.
    fn near(&self, sides: Sides<'_>) -> Vec<&'o Arc<Place>> {
        if !sides.scope.all_namespaces {
            return self.places.near(sides);
        }
        let mut all: Vec<_> = self.lowered.places.iter().collect();
        all.sort_by(|a, b| a.ingress.namespace.cmp(&b.ingress.namespace));
        all
    }

    /// Whether the route does without the release what the canary does (S10): it sends to the same backend, or reaches the canary's pods
    /// and no others, or its pods run what the canary's run. Where the canary rewrites the path, a BackendPolicy may do the same.
    fn completed(&self, place: &Place, canary: Option<&Target>, sides: Sides<'_>) -> bool {
        let (Some(own), Some(canary)) = (place.target.as_deref(), canary) else { return false };
        let has_pods = sides.canary.is_some_and(|canary| canary.service.is_some() || canary.pods.is_some());
        let same_outside = || self.backends.outside(own).is_some_and(|own| self.backends.outside(canary) == Some(own));
        let by_pods = || self.backends.reaches_only(own, canary);
        let by_images = || self.backends.same_port(own, canary) && self.backends.runs_the_canary(sides) && self.backends.ready(own) > 0;
        if sides.rewrites() {
            let path = self.backends.path(&own.service).unwrap_or_default();
            return (own == canary || same_outside()) && edit::policy_path(place, sides) == Some(path);
        }
        own == canary || same_outside() || has_pods && (by_pods() || by_images())
    }

    /// Whether the pods that tell the sides apart are known. Before that all pods of the Service serve, as without the release.
    fn has_pods(&self, sides: Sides<'_>) -> bool {
        sides.canary.is_none_or(|canary| canary.pods.is_none()) || self.backends.knows_pods(sides.namespace)
    }

    fn route_use(&self, place: &Arc<Place>, target: Option<&Arc<Target>>, sides: Sides<'_>, in_scope: bool, completed: bool) -> RouteUse {
        let pending = target.filter(|_| !completed);
        let edits = |target: &Arc<Target>| match self.backends.wanted(sides) {
            Some((stable, images)) => vec![edit::images(sides.namespace, stable, images, self.backends.standalone)],
            None => edit::edits(place, target, sides, self.backends),
        };
        RouteUse {
            object: Arc::clone(&place.object),
            host: Arc::clone(&place.host),
            path: Arc::clone(&place.path),
            in_scope,
            completed,
            edits: pending.map(edits).unwrap_or_default(),
        }
    }

    /// Whether what the spec names is there.
    fn references(&self, sides: Sides<'_>, on: &[On], outcome: &ReleaseOutcome, findings: &mut BTreeSet<Finding>) {
        if let Err(unresolved) = canary::alone(sides, self.backends) {
            findings.insert(unresolved.finding(field_of(&unresolved, sides)));
        }
        findings.extend(self.backends.missing_workloads(sides));
        if outcome.finalised() {
            return;
        }
        if let Some(service) = &sides.scope.service {
            let stable = Key::new(sides.namespace, service);
            let not = sides.canary.and_then(|canary| canary.service.as_deref());
            if let Err(unresolved @ Unresolved::NoService { .. }) = self.backends.resolve(&stable, Wanted::Only, not) {
                findings.insert(unresolved.finding("spec.scope.service"));
            }
        }
        findings.extend(self.unknown_pods(sides, on));
        if outcome.routes.is_empty() {
            findings.insert(hints::no_route(sides, self.objects, self.lowered, self.backends));
        }
    }

    /// Of endpoints whose pods nobody knows none is on any side, so such a release must not begin.
    fn unknown_pods(&self, sides: Sides<'_>, on: &[On]) -> Option<Finding> {
        sides.canary?.pods.as_ref()?;
        let message = if self.backends.knows_pods(sides.namespace) {
            let whole = on.iter().filter_map(|on| on.place.target.as_ref()).find(|target| self.backends.lacks_pods(target))?;
            format!("Service {} has endpoints, but of none is the pod known. Let a selector make them.", whole.service)
        } else {
            format!("The pods of namespace {} are not listed yet.", sides.namespace)
        };
        let field = "spec.canary.podSelector".into();
        Some(Finding { condition: Condition::ResolvedRefs, reason: reason::PODS_UNKNOWN, field, message })
    }

    /// One canary Service cannot stand for the backends of several, unless scope or canary are narrow enough.
    fn ambiguity(&self, sides: Sides<'_>, on: &[On]) -> Option<Finding> {
        let route = sides.scope.route.as_ref().filter(|_| sides.scope.service.is_none())?;
        let exact = route.host.is_some() && route.path.is_some();
        let services = on.iter().filter_map(|on| on.place.service.clone());
        let one = |canary: &release::Canary| canary.service.is_some() || canary.pods.is_some() || canary.host.is_some();
        let services: BTreeSet<_> = services.filter(|_| sides.canary.is_some_and(one)).collect();
        (services.len() > 1 && !exact).then(|| {
            let services = and(&services.into_iter().collect::<Vec<_>>());
            let message = format!(
                "The route sends to the Services {services}, and one canary cannot stand for all. Add scope.service, or host and path."
            );
            accepted(reason::AMBIGUOUS_SCOPE, "spec.scope", message)
        })
    }

    fn conflict(&self, declared: &Declared, sides: Sides<'_>) -> Option<Finding> {
        let holder = self.holders.get(&held(sides)).filter(|holder| holder.key != declared.key)?;
        let message = format!("CanaryRelease {} holds the same scope. Delete it, or change one of the two scopes.", holder.key);
        Some(accepted(reason::CONFLICTED, "spec.scope", message))
    }

    fn readiness(&self, sides: Sides<'_>, on: &[On], outcome: &mut ReleaseOutcome) {
        let ready = |target: Option<&Target>| target.map_or(0, |target| self.backends.ready(target));
        outcome.stable_ready = on.iter().map(|on| ready(on.stable.as_deref())).min().unwrap_or(0);
        match on {
            [] => {
                let target = canary::alone(sides, self.backends).ok().flatten();
                outcome.canary_ready = ready(target.as_ref());
                outcome.port = target.map(|target| target.port);
            }
            routes => {
                outcome.canary_ready = routes.iter().map(|on| ready(on.canary.as_deref())).min().unwrap_or(0);
                outcome.port = routes.iter().find_map(|on| Some(on.canary.as_ref()?.port));
            }
        }
    }
}

/// A scope is held by the oldest release that is under way, else by the oldest that is not over and could begin: one bad spec keeps no
/// good release from its scope.
fn holders(releases: &[Arc<Declared>]) -> BTreeMap<String, &Declared> {
    let mut holders: BTreeMap<_, &Declared> = BTreeMap::new();
    let rank = |declared: &Declared| (!standing::under_way(declared), declared.age.clone());
    for declared in releases.iter().map(|declared| &**declared) {
        let may_hold = Standing::of(declared) != Standing::Over && (declared.parsed.release.is_some() || standing::under_way(declared));
        let Some(sides) = declared.sides().filter(|_| may_hold) else { continue };
        let holder = holders.entry(held(sides)).or_insert(declared);
        if rank(declared) < rank(holder) {
            *holder = declared;
        }
    }
    holders
}

/// A scope of a namespace as a key: the debug text escapes, so it is equal only for equal scopes.
fn held(sides: Sides<'_>) -> String {
    format!("{:?}", sides.scope)
}

fn field_of(unresolved: &Unresolved, sides: Sides<'_>) -> &'static str {
    let (service, port) = sides.canary.map_or((false, false), |canary| (canary.service.is_some(), canary.port.is_some()));
    match unresolved {
        _ if sides.canary.is_some_and(|canary| canary.host.is_some()) => "spec.canary.host",
        Unresolved::NoPort { .. } if port || !service => "spec.canary.port",
        _ if service => "spec.canary.service",
        _ => "spec.scope",
    }
}

/// All to stable, which a replica may do at any time.
fn rolled_back(traffic: config::Traffic) -> config::Traffic {
    config::Traffic::RolledBack { epoch: traffic.epoch() }
}

fn accepted(reason: &'static str, field: &str, message: String) -> Finding {
    Finding { condition: Condition::Accepted, reason, field: field.into(), message }
}
