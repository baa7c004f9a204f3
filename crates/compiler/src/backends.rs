//! Services and their EndpointSlices to backends.

use crate::{Key, Objects, Options};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serin_api::release::Port;
use serin_api::{Condition, Finding, reason};
use serin_routing::config::Backend;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// In standalone mode: the endpoints of a Service, in place of EndpointSlices; `IP:PORT`, separated by commas.
pub(crate) const ENDPOINTS: &str = "serin.dev/endpoints";
pub(crate) const SERVICE_OF_SLICE: &str = "kubernetes.io/service-name";

/// One port of one Service that exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) service: Key,
    pub(crate) port: u16,
}

/// Which port of a Service is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// This one.
    Port(&'a Port),
    /// This one when there is such a one, else the only one.
    PortOrOnly(&'a Port),
    /// The only one.
    Only,
}

/// Why a Service and port give no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The Service does not exist.
    NoService { service: Key, similar: Option<String> },
    /// It has no such port.
    NoPort { service: Key, wanted: Option<Port>, has: String },
    /// It is an alias of a DNS name.
    ExternalName { service: Key },
    /// Its annotation is no list of addresses.
    BadEndpoints { service: Key, entry: String },
}

/// The Services of the cache, with the slices of each at hand.
pub(crate) struct Backends<'o> {
    objects: &'o Objects,
    slices: BTreeMap<(&'o str, &'o str), Vec<&'o EndpointSlice>>,
    /// Objects are files.
    pub(crate) standalone: bool,
    /// How many more names may be compared for hints.
    comparisons: Cell<usize>,
    /// What was built already: a Service may stand behind thousands of routes.
    built: RefCell<BTreeMap<Target, Backend>>,
}

/// The longest name of an object; files may have longer ones, which cost the square of their length to compare.
const LONGEST_NAME: usize = 253;

/// Hints must not cost more than the table: a namespace may have thousands of Services, and as many misspelt references.
const COMPARISONS: usize = 50_000;

impl<'o> Backends<'o> {
    pub(crate) fn new(objects: &'o Objects, options: &Options) -> Self {
        let mut slices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, slice) in &objects.slices {
            if let Some(service) = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_OF_SLICE)) {
                slices.entry((key.namespace.as_str(), service.as_str())).or_default().push(slice.as_ref());
            }
        }
        Self { objects, slices, standalone: options.standalone, comparisons: Cell::new(COMPARISONS), built: RefCell::default() }
    }

    /// The port of `service` that is wanted. `not` is a name that is not proposed in place of one that does not exist.
    pub(crate) fn resolve(&self, service: &Key, wanted: Wanted<'_>, not: Option<&str>) -> Result<Target, Unresolved> {
        let Some(found) = self.objects.services.get(service) else {
            return Err(Unresolved::NoService { service: service.clone(), similar: self.similar(service, not) });
        };
        if found.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            return Err(Unresolved::ExternalName { service: service.clone() });
        }
        if let Some(Err(entry)) = self.listed(found) {
            return Err(Unresolved::BadEndpoints { service: service.clone(), entry });
        }
        let ports = ports(found);
        let only = || ports.first().filter(|_| ports.len() == 1);
        let named = |port: &Port| ports.iter().find(|(number, declared)| is(port, *number, declared));
        let (port, asked) = match wanted {
            Wanted::Port(port) => (named(port), Some(port)),
            Wanted::PortOrOnly(port) => (named(port).or_else(only), Some(port)),
            Wanted::Only => (only(), None),
        };
        match port {
            Some((port, _)) => Ok(Target { service: service.clone(), port: *port }),
            None => Err(Unresolved::NoPort { service: service.clone(), wanted: asked.cloned(), has: list(&ports) }),
        }
    }

    /// The endpoints of a target.
    ///
    /// An absent `ready` is true, an absent `serving` is `ready` (EndpointConditions); serving and terminating ones are kept apart
    /// (KEP-1669). A slice's port goes by the name of the Service's port, whatever `targetPort` says: the two may be absent on both sides.
    pub(crate) fn backend(&self, target: &Target) -> Backend {
        self.built.borrow_mut().entry(target.clone()).or_insert_with(|| self.build(target)).clone()
    }

    /// How many endpoints of a target are ready.
    pub(crate) fn ready(&self, target: &Target) -> usize {
        self.built.borrow_mut().entry(target.clone()).or_insert_with(|| self.build(target)).ready.len()
    }

    fn build(&self, target: &Target) -> Backend {
        let (mut ready, mut draining) = (BTreeSet::new(), BTreeSet::new());
        if let Some(service) = self.objects.services.get(&target.service) {
            if let Some(listed) = self.listed(service) {
                ready.extend(listed.unwrap_or_default());
            } else if let Some((_, port)) = ports(service).into_iter().find(|(number, _)| *number == target.port) {
                let of_service = (target.service.namespace.as_str(), target.service.name.as_str());
                for slice in self.slices.get(&of_service).into_iter().flatten() {
                    self.collect(slice, port.name.as_deref().unwrap_or_default(), &mut ready, &mut draining);
                }
            }
        }
        draining.retain(|address| !ready.contains(address));
        Backend { name: target.to_string(), ready: ready.into_iter().collect(), draining: draining.into_iter().collect() }
    }

    fn collect(&self, slice: &EndpointSlice, port: &str, ready: &mut BTreeSet<SocketAddr>, draining: &mut BTreeSet<SocketAddr>) {
        let ports = slice.ports.iter().flatten().filter(|p| is_tcp(p.protocol.as_deref()) && p.name.as_deref().unwrap_or_default() == port);
        for number in ports.filter_map(|p| number(p.port?)) {
            for endpoint in &slice.endpoints {
                let into = match Readiness::of(endpoint) {
                    Readiness::Ready => &mut *ready,
                    Readiness::Draining => &mut *draining,
                    Readiness::Neither => continue,
                };
                let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
                into.extend(addresses.filter(|ip| self.may_be_sent_to(*ip)).map(|ip| SocketAddr::new(ip, number)));
            }
        }
    }

    /// Whoever writes an EndpointSlice by hand must not reach what listens on this host. The API server refuses these addresses too.
    fn may_be_sent_to(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let link_local = match ip {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        self.standalone || !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local)
    }

    /// The endpoints that the Service itself lists, or the first entry that is none.
    fn listed(&self, service: &Service) -> Option<Result<Vec<SocketAddr>, String>> {
        let list = service.metadata.annotations.as_ref()?.get(ENDPOINTS).filter(|_| self.standalone)?;
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Some(entries.map(|entry| entry.parse().map_err(|_| entry.to_owned())).collect())
    }

    fn may_compare(&self) -> bool {
        let left = self.comparisons.get();
        self.comparisons.set(left.saturating_sub(1));
        left > 0
    }

    /// The Service of the namespace whose name is closest, when it is close.
    fn similar(&self, service: &Key, not: Option<&str>) -> Option<String> {
        let all = self.objects.services.range(Key::new(&*service.namespace, "")..).map(|(key, _)| key);
        let names = all.take_while(|key| key.namespace == service.namespace).map(|key| key.name.as_str());
        self.closest(&service.name, names.filter(|name| Some(*name) != not))
    }

    /// The name that is closest to `name`, when it may be a slip: at most 3 edits, and less than half of it.
    pub(crate) fn closest<'a>(&self, name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
        if name.len() > LONGEST_NAME {
            return None;
        }
        let affordable = names.filter(|other| name.len().abs_diff(other.len()) <= 3).take_while(|_| self.may_compare());
        let (distance, closest) = affordable.map(|other| (strsim::damerau_levenshtein(name, other), other)).min()?;
        (distance <= 3 && distance * 2 < name.len()).then(|| closest.to_owned())
    }
}

/// What may be sent to an endpoint.
enum Readiness {
    Ready,
    Draining,
    Neither,
}

impl Readiness {
    fn of(endpoint: &Endpoint) -> Self {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let ready = conditions.ready.unwrap_or(true);
        let serving = conditions.serving.unwrap_or(ready);
        match (ready, serving && conditions.terminating.unwrap_or(false)) {
            (true, _) => Self::Ready,
            (false, true) => Self::Draining,
            (false, false) => Self::Neither,
        }
    }
}

/// The TCP ports of a Service whose number is one.
fn ports(service: &Service) -> Vec<(u16, &ServicePort)> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.filter(|port| is_tcp(port.protocol.as_deref())).filter_map(|port| Some((number(port.port)?, port))).collect()
}

fn is(wanted: &Port, number: u16, declared: &ServicePort) -> bool {
    match wanted {
        Port::Number(wanted) => *wanted == number,
        Port::Name(wanted) => declared.name.as_ref() == Some(wanted),
    }
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

pub(crate) fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

fn list(ports: &[(u16, &ServicePort)]) -> String {
    let texts: Vec<_> = ports
        .iter()
        .map(|(number, port)| match &port.name {
            Some(name) => format!("{number} ({name})"),
            None => number.to_string(),
        })
        .collect();
    and(&texts)
}

/// A list of nothing.
const NONE: &str = "none";

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and(texts: &[String]) -> String {
    match texts {
        [] => NONE.into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

impl Unresolved {
    /// What the author of the object that names it is told.
    pub(crate) fn finding(&self, field: impl Into<String>) -> Finding {
        let reason = match self {
            Self::NoService { .. } => reason::BACKEND_NOT_FOUND,
            Self::NoPort { wanted: None, has, .. } if has != NONE => reason::AMBIGUOUS_PORT,
            Self::NoPort { .. } => reason::PORT_NOT_FOUND,
            Self::ExternalName { .. } | Self::BadEndpoints { .. } => reason::UNSUPPORTED_SERVICE,
        };
        Finding { condition: Condition::ResolvedRefs, reason, field: field.into(), message: self.to_string() }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService { service, similar: Some(similar) } => {
                write!(f, "Service {service} does not exist. Did you mean {similar}?")
            }
            Self::NoService { service, similar: None } => write!(f, "Service {service} does not exist. Create it, or name another."),
            Self::NoPort { service, wanted: Some(Port::Number(port)), has } => {
                write!(f, "Service {service} has no TCP port {port}. It has {has}.")
            }
            Self::NoPort { service, wanted: Some(Port::Name(port)), has } => {
                write!(f, "Service {service} has no TCP port named {port}. It has {has}.")
            }
            Self::NoPort { service, wanted: None, has } if has == NONE => write!(f, "Service {service} has no TCP port."),
            Self::NoPort { service, wanted: None, has } => {
                write!(f, "Service {service} has the TCP ports {has}, so one must be named.")
            }
            Self::ExternalName { service } => {
                write!(
                    f,
                    "Service {service} is of type ExternalName, which has no endpoints. Name a Service with a selector or EndpointSlices."
                )
            }
            Self::BadEndpoints { service, entry } => {
                write!(f, "Annotation {ENDPOINTS} of Service {service} has {entry:?}, which is no IP:PORT.")
            }
        }
    }
}
