//! The objects of many teams.

use serde_json::{Value, json};
use serin_testkit::manifests;
use std::net::SocketAddr;

/// So many Services of a team have a release each, and as many are their canaries.
const SERVICES: usize = 5;
/// The paths of each Ingress: so many routes it has.
pub(crate) const PATHS: [&str; 3] = ["/", "/api", "/static"];

/// So many Services, each with a route, have no release at first, in teams behind the others.
pub(crate) const SPARE: usize = 2 * SERVICES;

/// The namespaces, Services and EndpointSlices that are there before anything is measured.
pub(crate) fn base(teams: usize, origins: &[SocketAddr]) -> String {
    let of_team = |team: usize| {
        let namespace = team_name(team);
        let both = |service: usize| [format!("s{service}"), format!("s{service}-v2")];
        let services = (0..SERVICES).flat_map(both).map(|name| manifests::service(&namespace, &name, origins)).collect::<String>();
        manifests::namespace(&namespace) + &services
    };
    (0..teams + SPARE / SERVICES).map(of_team).collect()
}

pub(crate) fn team_name(team: usize) -> String {
    format!("team-{team}")
}

/// The host of an Ingress of this name.
pub(crate) fn host(ingress: &str) -> String {
    format!("{ingress}.example")
}

/// Ingresses of three routes, over all teams.
pub(crate) fn ingresses(count: usize, teams: usize) -> Vec<Value> {
    (0..count).map(|nth| ingress(&team_name(nth % teams), &format!("i{nth}"), nth / teams)).collect()
}

/// Ingresses whose routes have no release at first.
pub(crate) fn spare_ingresses(teams: usize) -> Vec<Value> {
    (0..SPARE).map(|nth| ingress(&team_name(teams + nth / SERVICES), &format!("spare{nth}"), nth)).collect()
}

/// Releases of those.
pub(crate) fn spare_releases(teams: usize) -> Vec<Value> {
    (0..SPARE).map(|nth| release(&team_name(teams + nth / SERVICES), &format!("spare{nth}"), nth % SERVICES)).collect()
}

/// An Ingress of the first team that is not among the others.
pub(crate) fn another(nth: usize) -> Value {
    ingress(&team_name(0), &format!("new{nth}"), nth)
}

fn ingress(namespace: &str, name: &str, nth: usize) -> Value {
    let path = |(place, path): (usize, &&str)| {
        let service = format!("s{}", (nth + place) % SERVICES);
        json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": manifests::PORT}}}})
    };
    let paths: Vec<Value> = PATHS.iter().enumerate().map(path).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": "serin", "rules": [{"host": host(name), "http": {"paths": paths}}]}})
}

/// Releases that rise for an hour, one a Service.
pub(crate) fn releases(count: usize, teams: usize) -> Vec<Value> {
    assert!(count <= teams * SERVICES, "a Service has one release");
    (0..count).map(|nth| release(&team_name(nth % teams), &format!("r{nth}"), nth / teams)).collect()
}

fn release(namespace: &str, name: &str, service: usize) -> Value {
    let service = format!("s{service}");
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": name, "namespace": namespace},
        "spec": {"scope": {"service": service}, "canary": {"service": format!("{service}-v2")},
            "split": {"by": "Header", "name": "X-User"}, "strategy": {"steps": [{"weight": 100, "ramp": "1h"}]}}})
}
