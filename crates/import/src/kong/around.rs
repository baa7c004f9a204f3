//! What releases stand on: Services with their endpoints, and routes. As documents when they are asked for, else told.

use super::build::Build;
use super::entities::{Named, Target, Upstream};
use super::place::Place;
use super::read::split_port;
use super::weights::sides;
use crate::Document;
use crate::note::{At, plain};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The port of the Service of an Upstream: its endpoints have their own.
const PORT: u16 = 80;

/// The documents of a whole site.
pub(super) fn documents(build: &mut Build<'_>) -> Vec<Document> {
    let mut documents = Vec::new();
    for place in 0..build.kong.upstreams.len() {
        upstream(place, build, &mut documents);
    }
    for place in 0..build.kong.services.len() {
        outside(place, build, &mut documents);
    }
    for place in 0..build.kong.routes.len() {
        route(place, build, &mut documents);
    }
    super::paths::policies(build, &mut documents);
    super::people::consumers(build, &mut documents);
    super::people::policies(build, &mut documents);
    documents
}

/// What releases need, for whoever has the Services and routes already.
pub(super) fn needs(build: &mut Build<'_>) -> Vec<String> {
    let mut needs = Vec::new();
    for place in 0..build.kong.upstreams.len() {
        let shown = build.kong.upstreams[place].name().map(plain).unwrap_or_default();
        let name = build.service_of_upstream(place);
        let both = sides(&build.kong.upstreams[place]).is_some() && !build.led.contains(&place);
        needs.push(match both {
            true => format!("Services {name} and {}: the targets of upstream {shown}", build.canary_of_upstream(place)),
            false => format!("Service {name}: the targets of upstream {shown}"),
        });
    }
    for place in 0..build.kong.services.len() {
        let service = &build.kong.services[place];
        let (object, found) = (service.at.object.clone(), build.place_of(place).cloned());
        if !matches!(found, Some(Place::Upstream(_))) {
            needs.push(format!("Service {}: {object}", build.service(place)));
        }
    }
    if !build.kong.consumers.is_empty() {
        needs.push(
            "Consumers, and an AuthPolicy that says who requests come from: --all makes them of consumers and of their plugins".to_owned(),
        );
    }
    let canaries = build.canaries.iter().map(|(name, plugin)| format!("Service {name}: the canary of {plugin}"));
    needs.extend(canaries);
    for place in 0..build.kong.routes.len() {
        let object = build.kong.routes[place].at.object.clone();
        needs.push(format!("Ingress {} of class serin: {object}", build.route(place)));
    }
    needs
}

fn upstream(place: usize, build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let upstream = &build.kong.upstreams[place];
    let name = build.service_of_upstream(place);
    if upstream.health_checks {
        let message =
            "Nobody checks the endpoints that are printed here. In serin the readiness of pods counts: give the Service a selector.";
        build.notes.no_equivalent(&upstream.at, "healthchecks", message);
    }
    if let Some(algorithm) = &upstream.algorithm {
        let message = format!("It is {:?}; serin spreads requests over the endpoints of a Service by turns.", plain(algorithm));
        build.notes.no_equivalent(&upstream.at, "algorithm", message);
    }
    match sides(upstream).filter(|_| !build.led.contains(&place)) {
        Some((stable, canary)) => {
            let other = build.canary_of_upstream(place);
            service(&name, upstream, &stable, build, documents);
            service(&other, upstream, &canary, build, documents);
        }
        // What weighs nothing gets nothing.
        None => service(&name, upstream, &upstream.targets.iter().filter(|target| target.weight > 0).collect::<Vec<_>>(), build, documents),
    }
}

fn service(name: &str, upstream: &Upstream, targets: &[&Target], build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let mut ports: BTreeMap<(u16, bool), Vec<IpAddr>> = BTreeMap::new();
    for target in targets {
        let (host, port) = split_port(&target.address);
        match host.parse::<IpAddr>() {
            // Kong's port of a target that names none.
            Ok(address) => ports.entry((port.unwrap_or(8000), address.is_ipv4())).or_default().push(address),
            Err(_) => {
                let message =
                    format!("Endpoints are addresses, and {} is none. Give Service {name} a selector, or its addresses.", plain(host));
                build.notes.decide(&upstream.at, "targets", message);
            }
        }
    }
    let namespace = build.options.namespace.clone();
    documents.push(backend(&upstream.at, name, namespace.as_deref(), PORT));
    for (number, ((port, v4), addresses)) in ports.into_iter().enumerate() {
        let slice = slice(&format!("{name}-{}", number + 1), namespace.as_deref(), name, port, v4, &addresses);
        documents.push(Document::new(upstream.at.object.as_ref(), &slice));
    }
}

/// A Kong Service whose host is outside: a Service with that address as its endpoint, or of that name.
fn outside(place: usize, build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let found = &build.kong.services[place];
    let Some(Place::Outside(host)) = build.place_of(place).cloned() else { return };
    let (at, port) = (found.at.clone(), found.port.unwrap_or(if found.tls { 443 } else { 80 }));
    let name = build.service(place);
    let namespace = build.options.namespace.clone();
    let Ok(address) = host.parse::<IpAddr>() else {
        if !super::place::is_host(&host) {
            let message = format!("{:?} is neither a DNS name nor an address, so there is no Service {name} of it.", plain(&host));
            build.notes.decide(&at, "host", message);
            return;
        }
        let message = format!("{} is outside of the cluster: serin's operator has to allow it, with --allow-external-hosts.", plain(&host));
        build.notes.decide(&at, "host", message);
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "ExternalName", "externalName": host, "ports": [{"name": "http", "port": port}]}});
        lies_in(&mut service, namespace.as_deref());
        documents.push(Document::new(at.object.as_ref(), &service));
        return;
    };
    documents.push(backend(&at, &name, namespace.as_deref(), port));
    let slice = slice(&format!("{name}-1"), namespace.as_deref(), &name, port, address.is_ipv4(), &[address]);
    documents.push(Document::new(at.object.as_ref(), &slice));
}

fn route(place: usize, build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let route = &build.kong.routes[place];
    let name = build.route(place);
    for field in &route.beyond {
        build.notes.no_equivalent(&route.at, field, "An Ingress has nothing like it. Write an HTTPRoute, or do without.");
    }
    let Some(service) = build.service_of_route(route) else {
        build.notes.decide(&route.at, "service", "None of the files holds its Service, so there is no Ingress of it.");
        return;
    };
    let found = &build.kong.services[service];
    if route.strip_path && route.paths.iter().any(|path| path != "/") {
        let message = "Kong takes the route's path off; serin sends the path as it came. Let the application take it, or have routes at /.";
        build.notes.no_equivalent(&route.at, "strip_path", message);
    }
    let lies = build.place_of(service).cloned();
    let port = match &lies {
        Some(Place::Upstream(_)) => PORT,
        _ => found.port.unwrap_or(if found.tls { 443 } else { 80 }),
    };
    let namespace = build.namespace(lies.as_ref());
    let backend = json!({"service": {"name": build.service(service), "port": {"number": port}}});
    let mut paths = Vec::new();
    let all = vec!["/".to_owned()];
    for path in if route.paths.is_empty() { &all } else { &route.paths } {
        if path.starts_with('~') || path.contains(['(', '[', '*', '^', '$', '|', '\\']) {
            build.notes.no_equivalent(
                &route.at,
                "paths",
                format!("{:?} is an expression; an Ingress has prefixes. It is left out.", plain(path)),
            );
        } else if !path.starts_with('/') || path.chars().any(char::is_control) {
            build.notes.no_equivalent(&route.at, "paths", format!("{:?} is no path. It is left out.", plain(path)));
        } else {
            paths.push(json!({"path": path, "pathType": "Prefix", "backend": backend}));
        }
    }
    let mut rules = Vec::new();
    for host in &route.hosts {
        let lower = split_port(host).0.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        if name.contains('.') && crate::kong::place::is_host(name) && name.parse::<IpAddr>().is_err() {
            rules.push(json!({"host": lower, "http": {"paths": paths}}));
        } else {
            build.notes.no_equivalent(&route.at, "hosts", format!("{:?} is no host that an Ingress takes. It is left out.", plain(host)));
        }
    }
    if route.hosts.is_empty() {
        rules.push(json!({"http": {"paths": paths}}));
    }
    if paths.is_empty() || rules.is_empty() {
        build.notes.decide(&route.at, "", "Nothing of it is left, so there is no Ingress of it.");
        return;
    }
    let mut ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
        "spec": {"ingressClassName": "serin", "rules": rules}});
    lies_in(&mut ingress, namespace.as_deref());
    documents.push(Document::new(route.at.object.as_ref(), &ingress));
}

fn backend(at: &At, name: &str, namespace: Option<&str>, port: u16) -> Document {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"name": "http", "port": port}]}});
    lies_in(&mut service, namespace);
    Document::new(at.object.as_ref(), &service)
}

fn slice(name: &str, namespace: Option<&str>, service: &str, port: u16, v4: bool, addresses: &[IpAddr]) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({"addresses": [address], "conditions": {"ready": true}})).collect();
    let mut slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": if v4 { "IPv4" } else { "IPv6" }, "ports": [{"name": "http", "port": port}], "endpoints": endpoints});
    lies_in(&mut slice, namespace);
    slice
}

fn lies_in(object: &mut Value, namespace: Option<&str>) {
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
}
