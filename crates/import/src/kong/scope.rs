//! What a plugin stands on as the scope of a release.

use super::build::Build;
use super::entities::{Named, Plugin, find};
use super::place::Place;
use crate::names::label;
use crate::note::plain;
use serin_api::spec::{RouteKind, RouteRef, ScopeSpec};

/// The scope, and what goes with it.
pub(super) struct Scoped {
    pub(super) scope: ScopeSpec,
    /// The namespace, when the scope's Service lies in one.
    pub(super) namespace: Option<String>,
    /// What the release is called, unless that is taken.
    pub(super) name: String,
    /// The Kong Service that the plugin is on, or that its route leads to.
    pub(super) service: Option<usize>,
    /// The Kong Route that the plugin is on.
    pub(super) route: Option<usize>,
}

/// The scope of a plugin; `None`, and a note, when it would be another than the plugin's.
pub(super) fn of(plugin: &Plugin, build: &mut Build<'_>) -> Option<Scoped> {
    let kong = build.kong;
    let mut scope = ScopeSpec::default();
    let (mut names, mut service, mut route) = (Vec::new(), None, None);
    if let Some(reference) = &plugin.route {
        route = find(&kong.routes, reference);
        let name = match route {
            Some(route) => build.route(route),
            None => label(&build.unknown(&plugin.at, "route", "route", reference)?),
        };
        names.push(name.clone());
        scope.route = Some(RouteRef { kind: RouteKind::Ingress, name, host: None, path: None, rule: None });
        let of_route = route.and_then(|route| kong.routes[route].service.as_ref());
        service = of_route.and_then(|reference| find(&kong.services, reference));
    }
    if let Some(reference) = &plugin.service {
        let found = find(&kong.services, reference);
        let name = match found {
            Some(found) => build.service(found),
            None => label(&build.unknown(&plugin.at, "service", "service", reference)?),
        };
        names.push(name.clone());
        scope.service = Some(name);
        service = found.or(service);
        shared(plugin, found, build);
    }
    if let Some(reference) = &plugin.consumer {
        let username = match find(&kong.consumers, reference) {
            Some(found) => kong.consumers[found].username.clone().or_else(|| kong.consumers[found].custom_id.clone()),
            None => Some(build.unknown(&plugin.at, "consumer", "consumer", reference)?),
        };
        scope.consumer = Some(person(plugin, "consumer", username, build)?);
        names.extend(scope.consumer.clone());
    }
    if let Some(reference) = &plugin.group {
        let name = match find(&kong.groups, reference) {
            Some(found) => kong.groups[found].name().map(str::to_owned),
            None => Some(build.unknown(&plugin.at, "consumer_group", "consumer_group", reference)?),
        };
        scope.consumer_group = Some(person(plugin, "consumer_group", name, build)?);
        names.extend(scope.consumer_group.clone());
    }
    if scope.consumer.is_some() && scope.consumer_group.is_some() {
        build.notes.left_out(
            &plugin.at,
            "consumer_group",
            "consumer and consumer_group exclude each other in serin. Make two plugins of it.",
        );
        return None;
    }
    if names.is_empty() {
        scope.all = Some(true);
        let message = "A global plugin is on every route; the release is on every route of its namespace. For all namespaces put it into \
            serin's own, with scope.allNamespaces: true.";
        build.notes.decide(&plugin.at, "service", message);
    }
    if let Some((place, service)) = service.map(|service| (build.place_of(service), &kong.services[service]))
        && let Some(protocol) = service.protocol.as_ref().filter(|_| !matches!(place, Some(Place::Outside(_))))
    {
        let message = format!("It is {:?}; serin speaks HTTP/1.1 to a Service, without TLS.", plain(protocol));
        build.notes.no_equivalent(&service.at, "protocol", message);
    }
    let namespace = build.namespace(service.and_then(|service| build.place_of(service)));
    let name = plugin.instance.clone().unwrap_or_else(|| if names.is_empty() { "canary".to_owned() } else { names.join("-") });
    Some(Scoped { scope, namespace, name, service, route })
}

/// A name that a Consumer or a group can have in serin.
fn person(plugin: &Plugin, field: &str, name: Option<String>, build: &mut Build<'_>) -> Option<String> {
    let name = name.filter(|name| (1..=253).contains(&name.chars().count()));
    if name.is_none() {
        build.notes.left_out(&plugin.at, field, "It has no name of 1 to 253 characters. Give it one.");
    }
    name
}

/// Says that other Kong Services are the same Service in the cluster, so that the release is on them too.
fn shared(plugin: &Plugin, service: Option<usize>, build: &mut Build<'_>) {
    let kong = build.kong;
    let Some(service) = service.filter(|service| !matches!(build.place_of(*service), Some(Place::Outside(_)))) else { return };
    let names: Vec<String> = build.beside(service).filter_map(|other| kong.services[other].name()).map(plain).take(3).collect();
    if !names.is_empty() {
        let message = format!(
            "Kong has {} on the same host: the release takes their requests too. Put the plugin on routes, or give each a Service of its own.",
            names.join(" and ")
        );
        build.notes.decide(&plugin.at, "service", message);
    }
}
