//! Which routes a release takes part in, and which of several releases decides there.

use crate::declared::Declared;
use crate::ingress::Place;
use crate::key::Age;
use serin_api::release::{People, Scope};

/// How specific a scope is: the twelve levels of S13. The order is that of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    RouteServiceConsumer,
    GroupServiceRoute,
    RouteConsumer,
    ServiceConsumer,
    GroupRoute,
    GroupService,
    RouteService,
    Consumer,
    Group,
    Route,
    Service,
    All,
}

/// Orders releases on one route: the most specific, then the oldest. The order is that of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence {
    rank: Rank,
    age: Age,
}

impl Rank {
    fn of(scope: &Scope) -> Self {
        match (&scope.people, scope.route.is_some(), scope.service.is_some()) {
            (People::Consumer(_), true, true) => Self::RouteServiceConsumer,
            (People::Group(_), true, true) => Self::GroupServiceRoute,
            (People::Consumer(_), true, false) => Self::RouteConsumer,
            (People::Consumer(_), false, true) => Self::ServiceConsumer,
            (People::Group(_), true, false) => Self::GroupRoute,
            (People::Group(_), false, true) => Self::GroupService,
            (People::Anyone, true, true) => Self::RouteService,
            (People::Consumer(_), false, false) => Self::Consumer,
            (People::Group(_), false, false) => Self::Group,
            (People::Anyone, true, false) => Self::Route,
            (People::Anyone, false, true) => Self::Service,
            (People::Anyone, false, false) => Self::All,
        }
    }
}

impl Precedence {
    pub(crate) fn of(declared: &Declared, scope: &Scope) -> Self {
        Self { rank: Rank::of(scope), age: declared.age.clone() }
    }
}

/// Whether the route part of a scope takes a place of the release's namespace. Host and path are compared byte for byte.
pub(crate) fn takes_route(scope: &Scope, place: &Place) -> bool {
    scope.route.as_ref().is_none_or(|route| {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        route.name == place.ingress.name && is(&route.host, &place.host) && is(&route.path, &place.path)
    })
}

/// Whether a scope takes a place of the release's namespace.
pub(crate) fn takes(scope: &Scope, place: &Place) -> bool {
    let service = scope.service.is_none() || scope.service == place.service;
    service && takes_route(scope, place)
}

/// A scope in words, as `status.resolved.scope` shows it: a member that a client lost on the way is seen to be missing.
pub(crate) fn describe(scope: &Scope) -> String {
    let mut parts = Vec::new();
    if let Some(route) = &scope.route {
        let mut text = format!("Ingress {}", route.name);
        if let Some(host) = &route.host {
            text.push_str(&format!(" host {host}"));
        }
        if let Some(path) = &route.path {
            text.push_str(&format!(" path {path}"));
        }
        parts.push(text);
    }
    if let Some(service) = &scope.service {
        parts.push(format!("Service {service}"));
    }
    match &scope.people {
        People::Anyone => {}
        People::Consumer(username) => parts.push(format!("consumer {username}")),
        People::Group(group) => parts.push(format!("consumer group {group}")),
    }
    match (scope.all_namespaces, scope.route.is_none() && scope.service.is_none()) {
        (true, _) => parts.push("every route of every namespace".into()),
        (false, true) => parts.push("every route of the namespace".into()),
        (false, false) => {}
    }
    parts.join(", ")
}
