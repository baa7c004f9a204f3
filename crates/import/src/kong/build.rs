//! What all conversions share: the configuration, the names that its parts get, and what came out so far.

use super::entities::{Kong, Named, Route, find};
use super::json::Reference;
use super::place::{Place, place};
use crate::names::Names;
use crate::note::{At, Notes, plain};
use crate::{Document, Options};
use serin_api::CanaryRelease;
use serin_api::spec::CanaryReleaseSpec;
use std::collections::{BTreeMap, BTreeSet};

/// A conversion under way.
pub(super) struct Build<'a> {
    pub(super) kong: &'a Kong,
    pub(super) options: &'a Options,
    pub(super) notes: Notes,
    pub(super) releases: Vec<Document>,
    /// Services that a canary is, and which plugin says so.
    pub(super) canaries: BTreeMap<String, String>,
    /// Services that are a canary, and the Kong Service whose path their requests get.
    pub(super) below: Vec<(String, usize)>,
    /// Upstreams that a canary plugin leads to or from.
    pub(super) led: BTreeSet<usize>,
    /// Where each Kong Service's host lies.
    places: Vec<Option<Place>>,
    services: Names,
    routes: Names,
    names: BTreeMap<String, Names>,
}

impl<'a> Build<'a> {
    pub(super) fn new(kong: &'a Kong, options: &'a Options, notes: Notes) -> Self {
        let mut services = Names::default();
        // What has its name already keeps it, whatever comes first.
        let places: Vec<_> = kong.services.iter().map(|service| service.host.as_deref().map(|host| place(host, kong))).collect();
        for place in places.iter().flatten() {
            if let Place::Service { name, .. } = place {
                services.reserve(name);
            }
        }
        Self {
            kong,
            options,
            notes,
            releases: Vec::new(),
            canaries: BTreeMap::new(),
            below: Vec::new(),
            led: BTreeSet::new(),
            places,
            services,
            routes: Names::default(),
            names: BTreeMap::new(),
        }
    }

    /// The place of a Kong Service's host; without one its own name is all there is.
    pub(super) fn place_of(&self, service: usize) -> Option<&Place> {
        self.places.get(service)?.as_ref()
    }

    /// The Kong Services that are at the same place as this one.
    pub(super) fn beside(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        let place = self.place_of(service);
        (0..self.places.len()).filter(move |other| *other != service && place.is_some() && self.place_of(*other) == place)
    }

    /// The namespace that an object of this place has.
    pub(super) fn namespace(&self, place: Option<&Place>) -> Option<String> {
        match place {
            Some(Place::Service { namespace: Some(namespace), .. }) => Some(namespace.clone()),
            _ => self.options.namespace.clone(),
        }
    }

    /// The Service of an Upstream.
    pub(super) fn service_of_upstream(&mut self, upstream: usize) -> String {
        let name = self.kong.upstreams.get(upstream).and_then(Named::name).unwrap_or("upstream").to_owned();
        self.services.of(&format!("upstream {upstream}"), &name)
    }

    /// A Service beside that of an Upstream, for a part of its targets.
    pub(super) fn canary_of_upstream(&mut self, upstream: usize) -> String {
        let name = format!("{}-canary", self.service_of_upstream(upstream));
        self.services.of(&format!("canary of upstream {upstream}"), &name)
    }

    /// The Service in the cluster that is a Kong Service.
    pub(super) fn service(&mut self, service: usize) -> String {
        let Some(found) = self.kong.services.get(service) else { return "unnamed".to_owned() };
        match self.place_of(service).cloned() {
            Some(Place::Service { name, .. }) => name,
            Some(Place::Upstream(upstream)) => self.service_of_upstream(upstream),
            Some(Place::Outside(_)) | None => {
                let name = found.name.as_deref().or(found.id.as_deref()).unwrap_or("service").to_owned();
                self.services.of(&format!("service {service}"), &name)
            }
        }
    }

    /// The Kong Service that a route leads to.
    pub(super) fn service_of_route(&self, route: &Route) -> Option<usize> {
        route.service.as_ref().and_then(|service| find(&self.kong.services, service))
    }

    /// The Ingress that is a Kong Route.
    pub(super) fn route(&mut self, route: usize) -> String {
        let Some(found) = self.kong.routes.get(route) else { return "unnamed".to_owned() };
        let of = || self.service_of_route(found).and_then(|place| self.kong.services[place].name());
        let name = found.name().or_else(of).or(found.id()).unwrap_or("route").to_owned();
        self.routes.of(&format!("route {route}"), &name)
    }

    /// Adds a release; the name is made its own.
    pub(super) fn release(&mut self, at: &At, namespace: Option<String>, name: &str, spec: CanaryReleaseSpec) {
        let name = self.names.entry(namespace.clone().unwrap_or_default()).or_default().fresh(name);
        let mut release = CanaryRelease::new(&name, spec);
        release.metadata.namespace = namespace;
        self.releases.push(Document::new(at.object.as_ref(), &release));
    }

    /// What a reference that nothing answers to is called: a name as it stands; an id tells nothing.
    pub(super) fn unknown(&mut self, at: &At, field: &str, kind: &str, reference: &Reference) -> Option<String> {
        let Reference::Text(text) = reference else { return None };
        if is_id(text) {
            let message = format!("None of the files holds {kind} {text}. Give what the Admin API answers for /{kind}s too.");
            self.notes.left_out(at, field, message);
            return None;
        }
        let message = format!("None of the files holds {kind} {:?}, so its name is taken as it stands.", plain(text));
        self.notes.decide(at, field, message);
        Some(text.clone())
    }
}

/// Whether a text is an id of Kong's, and so no name.
fn is_id(text: &str) -> bool {
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    text.len() == 36 && dashes == [8, 13, 18, 23] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
