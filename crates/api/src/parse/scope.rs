//! `spec.scope`.

use super::report::Report;
use crate::release::{People, RouteScope, Scope};
use crate::spec::{AuthScopeSpec, RouteKind, RouteRef, ScopeSpec};

/// The scope, if it is valid and served.
pub(super) fn parse(raw: &ScopeSpec, report: &mut Report) -> Option<Scope> {
    let all = raw.all == Some(true);
    let people = raw.consumer.is_some() || raw.consumer_group.is_some();
    let before = report.0.len();
    if raw.service.is_none() && raw.route.is_none() && !people && !all {
        report.invalid("spec.scope", "scope names no request. Give at least one of service, route, consumer, consumerGroup and all: true.");
    }
    if all && (raw.service.is_some() || raw.route.is_some() || people) {
        report.invalid("spec.scope.all", "all stands alone. Remove it, or remove service, route, consumer and consumerGroup.");
    }
    if raw.consumer.is_some() && raw.consumer_group.is_some() {
        report.invalid("spec.scope.consumerGroup", "consumer and consumerGroup exclude each other. Keep one.");
    }
    if raw.all_namespaces == Some(true) && !people && !all {
        report.invalid("spec.scope.allNamespaces", "allNamespaces needs all, consumer or consumerGroup. Add one, or remove it.");
    }
    let route = raw.route.as_ref().and_then(|route| self::route(route, report));
    let people = match (&raw.consumer, &raw.consumer_group) {
        (Some(consumer), _) => People::Consumer(consumer.clone()),
        (None, Some(group)) => People::Group(group.clone()),
        (None, None) => People::Anyone,
    };
    let all_namespaces = raw.all_namespaces == Some(true);
    (before == report.0.len()).then(|| Scope { service: raw.service.clone(), route, people, all, all_namespaces })
}

/// The scope of an AuthPolicy, if it is valid and served: it takes the requests of anyone.
pub(super) fn of_policy(raw: AuthScopeSpec, report: &mut Report) -> Option<Scope> {
    let before = report.0.len();
    let all = raw.all == Some(true);
    if raw.service.is_none() && raw.route.is_none() && !all {
        report.invalid("spec.scope", "scope names no request. Give at least one of service, route and all: true.");
    }
    if all && (raw.service.is_some() || raw.route.is_some()) {
        report.invalid("spec.scope.all", "all stands alone. Remove it, or remove service and route.");
    }
    if raw.all_namespaces == Some(true) && !all {
        report.invalid("spec.scope.allNamespaces", "allNamespaces needs all. Add it, or remove allNamespaces.");
    }
    let route = raw.route.as_ref().and_then(|route| self::route(route, report));
    let all_namespaces = raw.all_namespaces == Some(true);
    (before == report.0.len()).then_some(Scope { service: raw.service, route, people: People::Anyone, all, all_namespaces })
}

fn route(raw: &RouteRef, report: &mut Report) -> Option<RouteScope> {
    let ingress = raw.kind == RouteKind::Ingress;
    if ingress && raw.rule.is_some() {
        report.invalid("spec.scope.route", "rule is for HTTPRoute and GRPCRoute. Use host and path for an Ingress.");
    }
    if !ingress && (raw.host.is_some() || raw.path.is_some()) {
        report.invalid("spec.scope.route", "host and path are for kind Ingress. Use rule for an HTTPRoute or GRPCRoute.");
    }
    if !ingress && report.is_clean("spec.scope.route") {
        let kind = if raw.kind == RouteKind::HttpRoute { "an HTTPRoute" } else { "a GRPCRoute" };
        let message = format!("This version of serin does not serve {kind} yet. Name an Ingress, or use a version that does.");
        report.say(crate::reason::NOT_IMPLEMENTED, "spec.scope.route.kind", message);
    }
    Some(RouteScope { name: raw.name.clone(), host: raw.host.clone(), path: raw.path.clone() })
}
