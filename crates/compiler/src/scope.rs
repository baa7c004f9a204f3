//! Which routes a release takes part in, and which of several releases decides there.

use crate::declared::Declared;
use crate::ingress::Place;
use crate::key::Age;
use serin_api::release::Scope;

/// How specific a scope is (S13, the ranks that have no consumer). The order is that of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    RouteAndService,
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
        match (&scope.route, &scope.service) {
            (Some(_), Some(_)) => Self::RouteAndService,
            (Some(_), None) => Self::Route,
            (None, Some(_)) => Self::Service,
            (None, None) => Self::All,
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
    if scope.all {
        parts.push("every route of the namespace".into());
    }
    parts.join(", ")
}
