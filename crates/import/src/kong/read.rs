//! From members to entities.

use super::entities::{Consumer, Group, Plugin, Route, Service, Target, Upstream};
use super::json::{Object, Reference};
use crate::note::Notes;

/// Kinds of credentials that a consumer may hold, and what has no equivalent.
const CREDENTIALS: [(&str, &str); 7] = [
    ("keyauth_credentials", "key-auth"),
    ("basicauth_credentials", "basic-auth"),
    ("jwt_secrets", "jwt"),
    ("hmacauth_credentials", "hmac-auth"),
    ("oauth2_credentials", "oauth2"),
    ("mtls_auth_credentials", "mtls-auth"),
    ("keyauth_enc_credentials", "key-auth-enc"),
];

pub(super) fn service(object: &Object<'_>, notes: &mut Notes) -> Service {
    let protocol = object.text("protocol", notes).filter(|protocol| protocol != "http");
    let mut service = Service {
        at: object.at.clone(),
        id: object.text("id", notes),
        name: object.text("name", notes),
        host: object.text("host", notes),
        port: object.port("port", notes),
        tls: protocol.as_ref().is_some_and(|protocol| matches!(protocol.as_str(), "https" | "grpcs" | "wss")),
        protocol,
        path: object.text("path", notes),
    };
    // Shorthand for the four; of an API it is all there is.
    for field in ["url", "upstream_url"] {
        if let Some(url) = object.text(field, notes) {
            address(&url, &mut service);
        }
    }
    service
}

/// Takes a URL apart.
fn address(url: &str, service: &mut Service) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
    let (host, port) = split_port(authority);
    service.tls = scheme == "https" || scheme == "grpcs";
    service.protocol = Some(scheme.to_owned()).filter(|scheme| scheme != "http");
    service.host = Some(host.to_owned()).filter(|host| !host.is_empty());
    service.port = port.or(service.port);
    service.path = Some(path.to_owned()).filter(|path| !path.is_empty());
}

/// Host and port of `host:port`; the colons of an IPv6 address are no port.
pub(super) fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    }
}

pub(super) fn route(object: &Object<'_>, service: Option<usize>, notes: &mut Notes) -> Route {
    const BEYOND: [&str; 7] = ["methods", "headers", "snis", "sources", "destinations", "expression", "protocols"];
    let restricts = |field: &&str| match object.get(field) {
        // Both of them is what there is by default.
        Some(value) if *field == "protocols" => value.as_array().is_some_and(|list| list.len() == 1),
        Some(value) => value.as_array().is_none_or(|list| !list.is_empty()) && value.as_object().is_none_or(|map| !map.is_empty()),
        None => false,
    };
    // APIs call paths uris.
    let paths = ["paths", "uris"].iter().flat_map(|field| object.texts(field, notes)).collect();
    let strip = object.flag("strip_path", notes).or_else(|| object.flag("strip_uri", notes));
    Route {
        at: object.at.clone(),
        id: object.text("id", notes),
        name: object.text("name", notes),
        service: service.map(Reference::Nested).or_else(|| object.reference("service", notes)),
        hosts: object.texts("hosts", notes),
        paths,
        strip_path: strip.unwrap_or(true),
        preserve_host: object.flag("preserve_host", notes).unwrap_or(false),
        beyond: BEYOND.into_iter().filter(restricts).collect(),
    }
}

pub(super) fn consumer(object: &Object<'_>, notes: &mut Notes) -> Consumer {
    let mut groups: Vec<String> = Vec::new();
    // ACL groups, and consumer groups; as objects or as names.
    for (field, name) in [("acls", "group"), ("groups", "name")] {
        if object.get(field).and_then(|value| value.as_array()).is_some_and(|list| list.iter().all(serde_json::Value::is_string)) {
            groups.extend(object.texts(field, notes));
        } else {
            groups.extend(object.objects(field, "group", notes).iter().filter_map(|group| group.text(name, notes)));
        }
    }
    let mut credentials = Vec::new();
    for (field, kind) in CREDENTIALS {
        credentials.extend(object.objects(field, "credential", notes).iter().map(|_| kind));
    }
    Consumer {
        at: object.at.clone(),
        id: object.text("id", notes),
        username: object.text("username", notes),
        custom_id: object.text("custom_id", notes),
        groups,
        credentials,
    }
}

pub(super) fn group(object: &Object<'_>, notes: &mut Notes) -> Group {
    Group { id: object.text("id", notes), name: object.text("name", notes) }
}

pub(super) fn upstream(object: &Object<'_>, notes: &mut Notes) -> Upstream {
    let hash_on = object.text("hash_on", notes);
    let name_of = match hash_on.as_deref() {
        Some("header") => "hash_on_header",
        Some("cookie") => "hash_on_cookie",
        Some("query_arg") => "hash_on_query_arg",
        _ => "",
    };
    let targets = object.objects("targets", "target", notes).iter().filter_map(|one| target(one, notes)).collect();
    Upstream {
        at: object.at.clone(),
        id: object.text("id", notes),
        name: object.text("name", notes),
        targets,
        hash_name: object.text(name_of, notes),
        algorithm: object.text("algorithm", notes).filter(|algorithm| algorithm != "round-robin"),
        hash_on,
        health_checks: object.part("healthchecks", notes).is_some_and(checks),
    }
}

/// Whether health checks do anything: an interval of active ones, or a count of passive ones, is above 0.
fn checks(health: &serde_json::Map<String, serde_json::Value>) -> bool {
    let above = |kind: &str, state: &str, field: &str| {
        let number = health.get(kind).and_then(|one| one.get(state)).and_then(|one| one.get(field)).and_then(|one| one.as_f64());
        number.is_some_and(|number| number > 0.0)
    };
    let active = ["healthy", "unhealthy"].iter().any(|state| above("active", state, "interval"));
    let passive = ["http_failures", "tcp_failures", "timeouts"].iter().any(|field| above("passive", "unhealthy", field));
    active || passive
}

pub(super) fn target(object: &Object<'_>, notes: &mut Notes) -> Option<Target> {
    let Some(address) = object.text("target", notes) else {
        notes.decide(&object.at, "target", "It is missing, so this target is none.");
        return None;
    };
    let weight = object.number("weight", notes).unwrap_or(100.0);
    if !(0.0..=65_535.0).contains(&weight) {
        notes.decide(&object.at, "weight", format!("It is {weight}; Kong takes 0 to 65535. It is read as the nearest of them."));
    }
    Some(Target {
        upstream: object.reference("upstream", notes),
        address,
        weight: weight.clamp(0.0, 65_535.0) as u32,
        created: object.number("created_at", notes).unwrap_or(0.0),
    })
}

/// What a plugin stands below.
#[derive(Debug, Clone, Default)]
pub(super) struct Below {
    pub(super) service: Option<usize>,
    pub(super) route: Option<usize>,
    pub(super) consumer: Option<usize>,
    pub(super) group: Option<usize>,
}

pub(super) fn plugin(object: &Object<'_>, below: &Below, notes: &mut Notes) -> Option<Plugin> {
    let Some(name) = object.text("name", notes) else {
        notes.decide(&object.at, "name", "It is missing, so this plugin is none.");
        return None;
    };
    let restricts = |field: &&str| match object.get(field) {
        // Every protocol of HTTP is what there is by default.
        Some(value) if *field == "protocols" => {
            let listed = value.as_array().map(Vec::as_slice).unwrap_or_default();
            !listed.is_empty() && !["http", "https"].iter().all(|protocol| listed.iter().any(|one| one == protocol))
        }
        Some(value) => value.as_array().is_none_or(|list| !list.is_empty()),
        None => false,
    };
    let mut config = object.part("config", notes).cloned().unwrap_or_default();
    // Kong's older answers have a list of nothing as an object.
    config.retain(|_, value| !value.is_null());
    let or =
        |nested: Option<usize>, field: &str, notes: &mut Notes| nested.map(Reference::Nested).or_else(|| object.reference(field, notes));
    let service = or(below.service, "service", notes).or_else(|| object.reference("api", notes));
    Some(Plugin {
        at: object.at.clone(),
        id: object.text("id", notes),
        instance: object.text("instance_name", notes),
        enabled: object.flag("enabled", notes).unwrap_or(true),
        service,
        route: or(below.route, "route", notes),
        consumer: or(below.consumer, "consumer", notes),
        group: or(below.group, "consumer_group", notes),
        config,
        beyond: ["protocols", "ordering", "partials", "condition"].into_iter().filter(restricts).collect(),
        name,
    })
}
