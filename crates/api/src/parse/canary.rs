//! `spec.canary`.

use super::report::Report;
use crate::reason;
use crate::release::{Canary, Host, HostName, PathRewrite, PodSelector, Port, Requirement, Scope, WhenUnavailable};
use crate::spec::{self, CanarySpec, LabelSelector, PathSpec, PathType, PortRef, Relation, Scheme};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

/// The canary, if it is valid and served.
pub(super) fn parse(raw: CanarySpec, report: &mut Report) -> Option<Canary> {
    let before = report.0.len();
    let backends = [(raw.service.is_some(), "service"), (raw.pod_selector.is_some(), "podSelector"), (raw.host.is_some(), "host")];
    let backends: Vec<_> = backends.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
    if backends.len() > 1 {
        report.invalid("spec.canary", format!("canary has {}. Keep at most one of them.", backends.join(" and ")));
    }
    if backends.is_empty() && raw.port.is_none() && raw.path.is_none() {
        report
            .invalid("spec.canary", "canary does not differ from stable. Give at least one of service, podSelector, host, port and path.");
    }
    if raw.host.is_some() && raw.port.is_none() {
        report.invalid("spec.canary.port", "port is missing. A host needs one: add it to canary.");
    }
    if raw.host.is_none() && (raw.scheme.is_some() || raw.preserve_host == Some(true)) {
        report.invalid("spec.canary", "scheme and preserveHost are for host. Remove them, or give host.");
    }
    let pods = raw.pod_selector.as_ref().map(|selector| pods(selector, report));
    let path = raw.path.as_ref().and_then(|path| rewrite(path, report));
    let port = raw.port.and_then(port);
    let host = raw.host.as_ref().and_then(|text| host(text, raw.scheme, raw.preserve_host == Some(true), port.as_ref(), report));
    let when_unavailable = match raw.when_unavailable {
        Some(spec::WhenUnavailable::Fail) => WhenUnavailable::Fail,
        Some(spec::WhenUnavailable::Stable) | None => WhenUnavailable::Stable,
    };
    (before == report.0.len()).then_some(Canary { service: raw.service, pods, host, port, path, when_unavailable })
}

/// The pods of every namespace would have to be known.
pub(super) fn is_within_its_namespace(scope: &Scope, canary: &Canary, report: &mut Report) {
    if scope.all_namespaces && canary.pods.is_some() {
        let message = "This version of serin does not serve podSelector with allNamespaces. Leave one of them out.";
        report.say(reason::NOT_IMPLEMENTED, "spec.canary.podSelector", message);
    }
}

/// A canary that is the scope's own Service would split nothing.
pub(super) fn is_another_backend(scope: &Scope, canary: &Canary, report: &mut Report) {
    if let (Some(stable), Some(service)) = (&scope.service, &canary.service)
        && stable == service
        && canary.port.is_none()
        && canary.path.is_none()
    {
        let message = format!("Service {service} is the stable side already. Name another Service, or give port or path.");
        report.say(reason::SAME_BACKEND, "spec.canary.service", message);
    }
}

fn host(text: &str, scheme: Option<Scheme>, preserve: bool, port: Option<&Port>, report: &mut Report) -> Option<Host> {
    let Some(name) = HostName::parse(text) else {
        report.invalid("spec.canary.host", format!("host is {text:?}; it must be a DNS name or an IP address."));
        return None;
    };
    if let Some(Port::Name(name)) = port {
        report.invalid("spec.canary.port", format!("port is {name:?}; a host has no names for its ports. Give a number."));
    }
    let tls = scheme.map_or(port == Some(&Port::Number(443)), |scheme| scheme == Scheme::Https);
    Some(Host { name, tls, preserve })
}

fn port(raw: PortRef) -> Option<Port> {
    match raw.0 {
        IntOrString::Int(number) => u16::try_from(number).ok().map(Port::Number),
        IntOrString::String(name) => Some(Port::Name(name)),
    }
}

fn rewrite(raw: &PathSpec, report: &mut Report) -> Option<PathRewrite> {
    let (wanted, name, other) = match raw.type_ {
        PathType::ReplacePrefixMatch => (&raw.replace_prefix_match, "replacePrefixMatch", &raw.replace_full_path),
        PathType::ReplaceFullPath => (&raw.replace_full_path, "replaceFullPath", &raw.replace_prefix_match),
    };
    let Some(text) = wanted.as_ref().filter(|_| other.is_none()) else {
        report.invalid("spec.canary.path", format!("With this type path needs {name}, and no other replacement."));
        return None;
    };
    Some(match raw.type_ {
        PathType::ReplacePrefixMatch => PathRewrite::Prefix(text.clone()),
        PathType::ReplaceFullPath => PathRewrite::Full(text.clone()),
    })
}

fn pods(raw: &LabelSelector, report: &mut Report) -> PodSelector {
    if raw.match_labels.is_none() && raw.match_expressions.is_none() {
        report.invalid("spec.canary.podSelector", "podSelector selects nothing in particular. Give matchLabels, matchExpressions or both.");
    }
    let labels = raw.match_labels.iter().flatten().map(|(key, value)| Requirement::In(key.clone(), BTreeSet::from([value.clone()])));
    let mut requirements: BTreeSet<_> = labels.collect();
    for (index, raw) in raw.match_expressions.iter().flatten().enumerate() {
        let takes_values = matches!(raw.operator, Relation::In | Relation::NotIn);
        if raw.values.is_some() != takes_values {
            let cure = if takes_values { "are required with this operator. Add them." } else { "are for In and NotIn. Remove them." };
            report.invalid(&format!("spec.canary.podSelector.matchExpressions[{index}].values"), format!("values {cure}"));
        }
        let (key, values) = (raw.key.clone(), raw.values.iter().flatten().cloned().collect());
        requirements.insert(match raw.operator {
            Relation::In => Requirement::In(key, values),
            Relation::NotIn => Requirement::NotIn(key, values),
            Relation::Exists => Requirement::Exists(key),
            Relation::DoesNotExist => Requirement::DoesNotExist(key),
        });
    }
    PodSelector(requirements)
}
