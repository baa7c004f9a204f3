//! Where the plugin sends: `upstream_host`, `upstream_port` and `upstream_uri`.

use super::build::Build;
use super::entities::Plugin;
use super::place::{Place, is_host, place};
use super::scope::Scoped;
use super::settings::Settings;
use crate::note::plain;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serin_api::spec::{CanarySpec, PathSpec, PathType, PortRef, Scheme, WhenUnavailable};

/// Side B, and the namespace of the release: a Service of another namespace can be none's canary.
pub(super) fn of(plugin: &Plugin, settings: &Settings, scoped: &Scoped, build: &mut Build<'_>) -> Option<(CanarySpec, Option<String>)> {
    let mut namespace = scoped.namespace.clone();
    let mut canary = CanarySpec {
        port: settings.port.map(port),
        path: settings.uri.as_deref().and_then(|uri| path(plugin, uri, build)),
        when_unavailable: Some(if settings.fallback { WhenUnavailable::Stable } else { WhenUnavailable::Fail }),
        ..CanarySpec::default()
    };
    if let Some(host) = &settings.host {
        match place(host, build.kong) {
            Place::Upstream(upstream) => {
                canary.service = Some(build.service_of_upstream(upstream));
                // Kong's targets have ports of their own.
                canary.port = None;
                build.led.insert(upstream);
            }
            Place::Service { namespace: of_host, name } if of_host.is_none() || namespace.is_none() || of_host == namespace => {
                build.canaries.entry(name.clone()).or_insert_with(|| plugin.at.object.to_string());
                canary.service = Some(name);
                namespace = namespace.or(of_host);
            }
            Place::Service { .. } => {
                let message =
                    "It is a Service of another namespace, which only a canary outside of the cluster may be. Move one of the two.";
                build.notes.decide(&plugin.at, "config.upstream_host", message);
                outside(host, plugin, settings, scoped, build, &mut canary)?;
            }
            Place::Outside(name) => outside(&name, plugin, settings, scoped, build, &mut canary)?,
        }
        fallback(plugin, settings, host, build);
    } else if canary.port.is_none() && canary.path.is_none() {
        nowhere(plugin, scoped, build, &mut canary);
    }
    if let Some(Place::Upstream(upstream)) = scoped.service.and_then(|service| build.place_of(service).cloned()) {
        build.led.insert(upstream);
    }
    below(plugin, scoped, build, &canary);
    if canary.service.is_some() && canary.service == scoped.scope.service && canary.port.is_none() && canary.path.is_none() {
        build.notes.left_out(&plugin.at, "config.upstream_host", "It is where the Service leads already: nothing would be split.");
        return None;
    }
    Some((canary, namespace))
}

/// A host outside of the cluster: it needs a port, and the operator's leave.
fn outside(
    host: &str,
    plugin: &Plugin,
    settings: &Settings,
    scoped: &Scoped,
    build: &mut Build<'_>,
    canary: &mut CanarySpec,
) -> Option<()> {
    if !is_host(host) {
        let message = format!("{:?} is neither a DNS name nor an address. Correct it.", plain(host));
        build.notes.left_out(&plugin.at, "config.upstream_host", message);
        return None;
    }
    let service = scoped.service.map(|service| &build.kong.services[service]);
    let tls = service.is_some_and(|service| service.tls);
    // The plugin changes host, port and URI; the protocol stays that of the Service.
    let number = settings.port.or(service.and_then(|service| service.port)).unwrap_or(if tls { 443 } else { 80 });
    canary.host = Some(host.to_owned());
    canary.port = Some(port(number));
    canary.scheme = (tls != (number == 443)).then_some(if tls { Scheme::Https } else { Scheme::Http });
    let routes = match scoped.route {
        Some(route) => vec![&build.kong.routes[route]],
        None => {
            build.kong.routes.iter().filter(|route| scoped.service.is_some() && build.service_of_route(route) == scoped.service).collect()
        }
    };
    let preserving = routes.iter().filter(|route| route.preserve_host).count();
    canary.preserve_host = (preserving > 0).then_some(true);
    if preserving > 0 && preserving < routes.len() {
        let message = "Some routes preserve the client's Host and some do not; a release has one answer, and it preserves it.";
        build.notes.decide(&plugin.at, "config.upstream_host", message);
    }
    let message = "It is outside of the cluster: serin's operator has to allow it, with --allow-external-hosts. If it is an Upstream, give the file that holds it too.";
    build.notes.decide(&plugin.at, "config.upstream_host", message);
    Some(())
}

/// The path of Kong's Service is that of both sides, unless the plugin has another.
fn below(plugin: &Plugin, scoped: &Scoped, build: &mut Build<'_>, canary: &CanarySpec) {
    let Some(service) = scoped.service.filter(|_| canary.path.is_none()) else { return };
    match (&canary.service, &canary.host) {
        (Some(name), _) => build.below.push((name.clone(), service)),
        (None, Some(_)) if super::paths::of(&build.kong.services[service]).is_some() => {
            let message = "Kong puts the Service's path before every request's, of the canary too. Set canary.path.";
            build.notes.decide(&plugin.at, "config.upstream_host", message);
        }
        _ => {}
    }
}

/// Kong falls back only from an Upstream whose health is checked.
fn fallback(plugin: &Plugin, settings: &Settings, host: &str, build: &mut Build<'_>) {
    if !settings.fallback {
        return;
    }
    let checked = match place(host, build.kong) {
        Place::Upstream(upstream) => build.kong.upstreams[upstream].health_checks,
        _ => true,
    };
    if !checked {
        let message = "Kong never fell back here, as the Upstream has no health checks. serin does when no endpoint is ready.";
        build.notes.decide(&plugin.at, "config.upstream_fallback", message);
    }
}

/// A plugin as the page's first examples have it: Kong refuses it until it is told where to.
fn nowhere(plugin: &Plugin, scoped: &Scoped, build: &mut Build<'_>, canary: &mut CanarySpec) {
    let of = scoped.scope.service.clone().or_else(|| scoped.scope.route.as_ref().map(|route| route.name.clone()));
    let name = crate::names::label(&format!("{}-canary", of.unwrap_or_else(|| scoped.name.clone())));
    let message = format!(
        "There is none, nor upstream_port or upstream_uri, and Kong asks for one of them. Service {name} is a guess: name the canary's Service."
    );
    build.notes.decide(&plugin.at, "config.upstream_host", message);
    canary.service = Some(name);
}

/// The plugin replaces the whole path and keeps the query.
fn path(plugin: &Plugin, uri: &str, build: &mut Build<'_>) -> Option<PathSpec> {
    let (path, rest) = uri.find(['?', '#']).map_or((uri, ""), |at| uri.split_at(at));
    if !rest.is_empty() {
        let message = "serin replaces the path and keeps the query of the request. What begins with ? or # is left out.";
        build.notes.no_equivalent(&plugin.at, "config.upstream_uri", message);
    }
    let Some(sent) = super::paths::sent(path) else {
        build.notes.decide(&plugin.at, "config.upstream_uri", "It has more than 1024 bytes, the most that serin sends. It is left out.");
        return None;
    };
    Some(PathSpec { type_: PathType::ReplaceFullPath, replace_prefix_match: None, replace_full_path: Some(sent) })
}

fn port(number: u16) -> PortRef {
    PortRef(IntOrString::Int(i32::from(number)))
}
