//! What a reviewer wants to see of a compilation, one line a fact.

use serin_api::{Finding, reason};
use serin_compiler::{Compiled, Key, ReleaseOutcome};
use serin_routing::config::{Auth, Backend, Config, HostMatch, PathMatch, Protocol, Release, Route};
use serin_routing::upstream::Upstream;
use std::fmt::Write;
use std::sync::Arc;

/// `edits` are long, and shown where they are what the case is about.
pub(crate) fn render(compiled: &Compiled, edits: bool) -> String {
    let mut text = String::new();
    let config = &compiled.config;
    section(&mut text, "routes", config.routes.iter().map(|r| route(config, r)));
    section(&mut text, "backends", config.backends.iter().map(backend));
    section(&mut text, "releases", config.releases.iter().map(release));
    if !compiled.names.is_empty() {
        section(&mut text, "names", compiled.names.iter().cloned());
    }
    section(&mut text, "outcomes", compiled.releases.iter().flat_map(|(key, o)| outcome(&key.to_string(), o, edits)));
    let policies = |(key, findings): (&Key, &Vec<Finding>)| {
        let told: Vec<_> = findings.iter().map(finding).collect();
        format!("{key}: {}", if told.is_empty() { "in force".to_owned() } else { told.join(" ") })
    };
    if !compiled.policies.is_empty() {
        section(&mut text, "backend policies", compiled.policies.iter().map(policies));
    }
    let ingresses =
        compiled.ingresses.iter().flat_map(|(key, findings)| findings.iter().map(move |f| format!("Ingress {key}: {}", finding(f))));
    let unclassed = compiled.unclassed.iter().map(|(key, f)| format!("Ingress {key}: {}", finding(f)));
    section(&mut text, "findings on Ingresses", ingresses.chain(unclassed));
    if !compiled.auth_policies.is_empty() || !compiled.consumers.is_empty() {
        authentication(&mut text, compiled);
    }
    text
}

fn authentication(text: &mut String, compiled: &Compiled) {
    let policies = compiled.config.policies.iter().map(|policy| {
        let yaml = serde_saphyr::to_string(&**policy).expect("a config is YAML");
        yaml.trim_end().replace('\n', "\n  ")
    });
    section(text, "policies", policies);
    let outcomes =
        compiled.auth_policies.iter().map(|(key, outcome)| (format!("AuthPolicy {key}: {:?}", outcome.resolved_scope), &outcome.findings));
    let consumers = compiled.consumers.iter().map(|(key, outcome)| {
        let reach = if outcome.in_reach { "in reach" } else { "out of reach" };
        (format!("Consumer {key}: {:?} {reach}", outcome.username), &outcome.findings)
    });
    let said = |findings: &[Finding]| findings.iter().map(|f| format!("  {}", told(f))).collect::<Vec<_>>();
    section(text, "who may ask", outcomes.chain(consumers).flat_map(|(name, findings)| [vec![name], said(findings)].concat()));
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    writeln!(text, "{title}").expect("a String takes all");
    for line in lines {
        writeln!(text, "  {line}").expect("a String takes all");
    }
}

fn backend(backend: &Backend) -> String {
    let path = backend.path.as_ref().map_or(String::new(), |path| format!(", path {path}"));
    let host = backend.host.as_ref().map_or(String::new(), |host| format!(", host {host}"));
    let protocol = if backend.protocol == Protocol::Http1 { String::new() } else { format!(", {:?}", backend.protocol) };
    let tls = backend
        .tls
        .as_ref()
        .map_or(String::new(), |tls| format!(", tls {}{}", tls.name, if tls.issuers.is_some() { " by issuers of its own" } else { "" }));
    let unresolved = if backend.unresolved { ", unresolved" } else { "" };
    let json = |upstream: &Arc<Upstream>| serde_json::to_string(&**upstream).expect("plain data");
    let upstream = backend.upstream.as_ref().map_or(String::new(), |upstream| format!(", spoken to by {}", json(upstream)));
    format!("{}: ready {:?}, draining {:?}{path}{host}{protocol}{tls}{upstream}{unresolved}", backend.name, backend.ready, backend.draining)
}

fn route(config: &Config, route: &Route) -> String {
    let host = match &route.host {
        HostMatch::Exact(host) => host.to_string(),
        HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
        HostMatch::Any => "*".into(),
        HostMatch::Default => "default".into(),
    };
    let path = match &route.path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => path.to_string(),
    };
    let backend = |index: Option<usize>| index.map_or("none", |index| config.backends[index].name.as_str());
    let mut text = format!("{host} {path} of {} -> {}", route.object, backend(route.backend));
    match &route.auth {
        Auth::None => {}
        Auth::Policy(index) => write!(text, "; by {}", config.policies[*index].name).expect("a String takes all"),
        Auth::Unresolved(name) => write!(text, "; closed by {name}").expect("a String takes all"),
    }
    for applied in &route.releases {
        write!(text, "; release {} -> {}", config.releases[applied.release].name, backend(applied.canary)).expect("a String takes all");
        if applied.stable != route.backend {
            write!(text, " or {}", backend(applied.stable)).expect("a String takes all");
        }
    }
    text
}

fn release(release: &Release) -> String {
    let Release { namespace, name, id, uid, by, buckets, salt, overrides, path, fail_when_unavailable, .. } = release;
    let traffic = serde_json::to_value(release).expect("a config is JSON")["traffic"].as_str().unwrap_or_default().to_owned();
    format!(
        "{namespace}/{name} {id} {uid}: {traffic}\n    by {by:?}, {buckets} buckets, salt {salt:?}, overrides {overrides:?}, path {path:?}, fail {fail_when_unavailable}"
    )
}

fn outcome(key: &str, outcome: &ReleaseOutcome, edits: bool) -> Vec<String> {
    let port = outcome.port.map_or("-".into(), |port| port.to_string());
    let ready = (outcome.stable_ready, outcome.canary_ready);
    let mut lines = vec![format!("{key}: scope {:?}, port {port}, ready {} and {}", outcome.resolved_scope, ready.0, ready.1)];
    for route in &outcome.routes {
        let state = match (route.in_scope, route.completed) {
            (true, false) => "takes part",
            (true, true) => "takes part, completed",
            (false, _) => "points at the canary",
        };
        lines.push(format!("  {} {:?} {:?} {state}", route.object, route.host, route.path));
        for edit in route.edits.iter().filter(|_| edits) {
            lines.push(format!("    {}", edit.object));
            lines.extend(edit.text().lines().map(|line| format!("      {line}")));
        }
    }
    lines.extend(outcome.waits_for.iter().map(|other| format!("  waits for {other}")));
    lines.extend(outcome.findings.iter().map(|f| format!("  {}", told(f))));
    lines
}

/// The parser's words have tests of their own.
fn told(f: &Finding) -> String {
    match f.reason {
        reason::INVALID_SPEC | reason::NOT_IMPLEMENTED => format!("{:?}=False/{} {}", f.condition, f.reason, f.field),
        _ => finding(f),
    }
}

fn finding(finding: &Finding) -> String {
    format!("{:?}=False/{} {finding}", finding.condition, finding.reason)
}
