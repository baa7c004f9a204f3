//! Ingresses to routes: one a path, and the default backend.

use crate::backends::{Backends, Target, Wanted, number};
use crate::class::{self, Class};
use crate::key::Age;
use crate::objects::of_namespace;
use crate::unresolved::Unresolved;
use crate::{Key, Objects, Options};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use serin_api::release::Port;
use serin_api::{Condition, Finding, reason};
use serin_routing::config::{HostMatch, PathMatch};
use serin_routing::path::canonical;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

// Reasons that only Ingresses have; no condition of serin's kinds shows them.
const UNSUPPORTED_BACKEND: &str = "UnsupportedBackend";
const TAKEN_AS_PREFIX: &str = "TakenAsPrefix";

/// `"true"`: requests that come without TLS are sent to the same place with it; `"false"`: they are not, whatever the operator says for all.
pub(crate) const HTTPS_REDIRECT: &str = "serin.dev/https-redirect";

/// One path of an Ingress, as it stands without any release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ingress: Key,
    /// The object it comes from, as the table and status name it.
    pub(crate) object: Arc<str>,
    age: Age,
    /// The rule's own text, byte for byte; empty without a host, and of the default backend.
    pub(crate) host: Arc<str>,
    /// The path's own text, byte for byte; empty without one, and of the default backend.
    pub(crate) path: Arc<str>,
    pub(crate) takes: (HostMatch, PathMatch),
    /// Where its backend is in the Ingress, such as `spec.rules[0].http.paths[1].backend`.
    pub(crate) field: String,
    /// `None`: a resource, not a Service.
    pub(crate) service: Option<String>,
    pub(crate) port: Option<Port>,
    /// What it does without a release; `None`: 503.
    pub(crate) target: Option<Arc<Target>>,
    pub(crate) https_redirect: Option<bool>,
}

/// What the Ingresses of one namespace come to, before those of another are looked at.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// In the order of precedence; a host and path may be there twice.
    places: Vec<Arc<Place>>,
    findings: BTreeMap<Key, Vec<Finding>>,
    unclassed: BTreeMap<Key, Finding>,
    not_ours: BTreeMap<Key, Class>,
    near: BTreeMap<Key, BTreeSet<Key>>,
}

/// What the Ingresses come to.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    /// Each host and path once, in the order of precedence.
    pub(crate) places: Vec<Arc<Place>>,
    /// Each Ingress of ours.
    pub(crate) findings: BTreeMap<Key, Vec<Finding>>,
    /// What the others are told whose class nobody has.
    pub(crate) unclassed: BTreeMap<Key, Finding>,
    /// The others, and whose they are.
    pub(crate) not_ours: BTreeMap<Key, Class>,
    /// Which of the others send to a Service: at most [`NEAR`] of them each.
    pub(crate) near: BTreeMap<Key, BTreeSet<Key>>,
}

/// So many near misses are told; a namespace may have thousands.
pub(crate) const NEAR: usize = 3;

/// The routes of the Ingresses of ours in a namespace.
pub(crate) fn read(namespace: &str, objects: &Objects, options: &Options, backends: &Backends<'_>) -> Read {
    let (mut read, mut places) = (Read::default(), Vec::new());
    for (key, ingress) in of_namespace(&objects.ingresses, namespace) {
        match class::class(objects, options, ingress) {
            Class::Ours => {
                let (object, age, findings) = (format!("Ingress/{key}").into(), age(key, ingress), Vec::new());
                let mut reader = Reader { key, object, age, backends, https_redirect: None, places: &mut places, findings };
                reader.ingress(ingress);
                read.findings.insert(key.clone(), reader.findings);
            }
            other => {
                for service in services(ingress) {
                    let near = read.near.entry(Key::new(namespace, service)).or_default();
                    if near.len() < NEAR {
                        near.insert(key.clone());
                    }
                }
                if let Some(finding) = class::finding(ingress, &other, objects, backends) {
                    read.unclassed.insert(key.clone(), finding);
                }
                read.not_ours.insert(key.clone(), other);
            }
        }
    }
    read.places = places.into_iter().map(Arc::new).collect();
    read.places.sort_by(by_precedence);
    read
}

/// The routes of all Ingresses of ours, and those of each of the namespaces. Of several for one host and path the oldest holds, within one
/// Ingress the first.
pub(crate) fn lower<'r>(reads: impl Iterator<Item = &'r Read> + Clone) -> (Lowered, Vec<Vec<Arc<Place>>>) {
    fn of_all<'r, V: Clone + 'r>(parts: impl Iterator<Item = &'r BTreeMap<Key, V>>) -> BTreeMap<Key, V> {
        parts.flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
    let mut lowered = Lowered {
        places: Vec::new(),
        findings: of_all(reads.clone().map(|read| &read.findings)),
        unclassed: of_all(reads.clone().map(|read| &read.unclassed)),
        not_ours: of_all(reads.clone().map(|read| &read.not_ours)),
        near: of_all(reads.clone().map(|read| &read.near)),
    };
    let mut held: Vec<_> = reads.clone().map(|read| Vec::with_capacity(read.places.len())).collect();
    let mut places: Vec<_> = reads.enumerate().flat_map(|(nth, read)| read.places.iter().map(move |place| (nth, place))).collect();
    places.sort_by(|(_, a), (_, b)| by_precedence(a, b));
    lowered.places.reserve(places.len());
    for (nth, place) in places {
        match lowered.places.last() {
            Some(holder) if holder.takes == place.takes => {
                let finding = conflicted(place, holder);
                lowered.findings.entry(place.ingress.clone()).or_default().push(finding);
            }
            _ => {
                lowered.places.push(Arc::clone(place));
                held[nth].push(Arc::clone(place));
            }
        }
    }
    (lowered, held)
}

/// For a stable sort: within one Ingress the order is the author's.
fn by_precedence(a: &Arc<Place>, b: &Arc<Place>) -> Ordering {
    (&a.takes, &a.age).cmp(&(&b.takes, &b.age))
}

/// The Services that an Ingress names, whoever it belongs to.
fn services(ingress: &Ingress) -> impl Iterator<Item = &str> {
    let spec = ingress.spec.iter();
    let default = spec.clone().filter_map(|spec| spec.default_backend.as_ref());
    let paths = spec.flat_map(|spec| spec.rules.iter().flatten()).filter_map(|rule| rule.http.as_ref());
    let backends = default.chain(paths.flat_map(|http| http.paths.iter().map(|path| &path.backend)));
    backends.filter_map(|backend| backend.service.as_ref().map(|service| service.name.as_str()))
}

/// Reads one Ingress: what is wrong harms only its own path.
struct Reader<'a, 'o> {
    key: &'a Key,
    object: Arc<str>,
    age: Age,
    backends: &'a Backends<'o>,
    https_redirect: Option<bool>,
    places: &'a mut Vec<Place>,
    findings: Vec<Finding>,
}

impl Reader<'_, '_> {
    fn ingress(&mut self, ingress: &Ingress) {
        let Some(spec) = &ingress.spec else { return };
        let annotation = ingress.metadata.annotations.as_ref().and_then(|annotations| annotations.get(HTTPS_REDIRECT));
        self.https_redirect = annotation.and_then(|text| text.parse().ok());
        if let (Some(text), None) = (annotation, self.https_redirect) {
            let message =
                format!("Annotation {HTTPS_REDIRECT} is {text:?}, neither \"true\" nor \"false\". It is as if it were not there.");
            self.invalid("metadata.annotations".into(), message);
        }
        if let Some(backend) = &spec.default_backend {
            let takes = (HostMatch::Default, PathMatch::Prefix("/".into()));
            self.place(takes, ("", ""), "spec.defaultBackend".into(), backend);
        }
        for (r, rule) in spec.rules.iter().flatten().enumerate() {
            let text = rule.host.as_deref().unwrap_or_default();
            let Some(host) = host(text) else {
                let message = format!("Host {text:?} is neither a DNS name nor one behind `*.`, so its paths are not served.");
                self.invalid(format!("spec.rules[{r}].host"), message);
                continue;
            };
            for (p, path) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
                let field = format!("spec.rules[{r}].http.paths[{p}]");
                if let Some(taken) = self.path(path, &field) {
                    let texts = (text, path.path.as_deref().unwrap_or_default());
                    self.place((host.clone(), taken), texts, format!("{field}.backend"), &path.backend);
                }
            }
        }
    }

    /// ImplementationSpecific is Prefix here: it may be a regular expression to others, never to serin.
    fn path(&mut self, path: &HTTPIngressPath, field: &str) -> Option<PathMatch> {
        let text = path.path.as_deref().unwrap_or_default();
        let kind = path.path_type.as_str();
        let text = if text.is_empty() && kind == "ImplementationSpecific" { "/" } else { text };
        let canonical = match canonical(text.as_bytes()) {
            Ok(canonical) => canonical.into_owned(),
            Err(fault) => {
                self.invalid(format!("{field}.path"), format!("Path {text:?} is not served: {fault}."));
                return None;
            }
        };
        let prefix = |path: &str| PathMatch::Prefix(if path == "/" { path } else { path.trim_end_matches('/') }.into());
        match kind {
            "Exact" => Some(PathMatch::Exact(canonical.into())),
            "Prefix" => Some(prefix(&canonical)),
            "ImplementationSpecific" => {
                if text.contains(['(', '[', '*', '^', '$', '|']) {
                    let message = format!("Path {text:?} is taken as a prefix, letter by letter, and not as a regular expression.");
                    let field = format!("{field}.path");
                    self.findings.push(Finding { condition: Condition::Accepted, reason: TAKEN_AS_PREFIX, field, message });
                }
                Some(prefix(&canonical))
            }
            other => {
                let message = format!("Path type {other:?} is none of Exact, Prefix and ImplementationSpecific.");
                self.invalid(format!("{field}.pathType"), message);
                None
            }
        }
    }

    /// A backend that does not resolve still holds its host and path: another Ingress must not take over while it is being repaired.
    fn place(&mut self, takes: (HostMatch, PathMatch), texts: (&str, &str), field: String, backend: &IngressBackend) {
        let (mut service, mut port, mut target) = (None, None, None);
        match &backend.service {
            Some(named) => {
                let declared = named.port.as_ref();
                let by_name = declared.and_then(|p| p.name.clone()).map(Port::Name);
                port = by_name.or_else(|| declared.and_then(|p| p.number).and_then(number).map(Port::Number));
                service = Some(named.name.clone());
                match self.target(&named.name, port.as_ref()) {
                    Ok(found) => target = Some(self.backends.share(found)),
                    Err(unresolved) => self.findings.push(unresolved.finding(format!("{field}.service"))),
                }
            }
            None => {
                let message = "The backend is a resource. serin sends to Services only, and answers 503 here.".into();
                let field = format!("{field}.resource");
                self.findings.push(Finding { condition: Condition::ResolvedRefs, reason: UNSUPPORTED_BACKEND, field, message });
            }
        }
        let (host, path) = (texts.0.into(), texts.1.into());
        let (ingress, age) = (self.key.clone(), self.age.clone());
        let (object, https_redirect) = (Arc::clone(&self.object), self.https_redirect);
        self.places.push(Place { ingress, object, age, host, path, takes, field, service, port, target, https_redirect });
    }

    fn target(&self, service: &str, port: Option<&Port>) -> Result<Target, Unresolved> {
        let wanted = port.map_or(Wanted::Only, Wanted::Port);
        self.backends.resolve(&Key::new(&*self.key.namespace, service), wanted, None)
    }

    fn invalid(&mut self, field: String, message: String) {
        self.findings.push(Finding { condition: Condition::Accepted, reason: reason::INVALID_SPEC, field, message });
    }
}

pub(crate) fn age(key: &Key, ingress: &Ingress) -> Age {
    Age::new(ingress.metadata.creation_timestamp.as_ref().map(|time| time.0), key)
}

/// The hosts that a rule's text means. The API server takes lower-case DNS names only; files may have others.
pub(crate) fn host(text: &str) -> Option<HostMatch> {
    if text.is_empty() {
        return Some(HostMatch::Any);
    }
    let lower = text.to_ascii_lowercase();
    let (name, wildcard) = lower.strip_prefix("*.").map_or((lower.as_str(), false), |suffix| (suffix, true));
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let may_stand = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(may_stand) && !label.starts_with('-') && !label.ends_with('-')
    };
    let valid = name.len() <= 253 && name.split('.').all(label);
    valid.then(|| if wildcard { HostMatch::Wildcard(name.into()) } else { HostMatch::Exact(name.into()) })
}

fn conflicted(place: &Place, holder: &Place) -> Finding {
    let what = match (place.takes.0 == HostMatch::Default, &*place.host) {
        (true, _) => "The default backend".into(),
        (false, "") => format!("Path {:?} without a host", place.path),
        (false, host) => format!("Path {:?} of host {host}", place.path),
    };
    let message = if place.ingress == holder.ingress {
        format!("{what} is there twice. The first one holds.")
    } else {
        format!("{what} is held by the older Ingress {}.", holder.ingress)
    };
    let field = place.field.trim_end_matches(".backend").to_owned();
    Finding { condition: Condition::Accepted, reason: reason::CONFLICTED, field, message }
}
