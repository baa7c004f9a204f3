//! Services by name and port.

use crate::app_protocol::{Spoken, spoken};
use crate::auth::Secrets;
use crate::objects::of_namespace;
use crate::outside::{self, AllowedHosts, external_name};
use crate::policies::{self, DeclaredPolicy};
use crate::unresolved::{Unresolved, and};
use crate::{Key, Objects, Options};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serin_api::release::{Host, HostName, PodSelector, Port};
use serin_routing::config::Backend;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// In standalone mode: the endpoints of a Service, in place of EndpointSlices; `IP:PORT`, separated by commas.
pub(crate) const ENDPOINTS: &str = "serin.dev/endpoints";
pub(crate) const SERVICE_OF_SLICE: &str = "kubernetes.io/service-name";

/// One port of one Service that exists, or a part of its pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) service: Key,
    pub(crate) port: u16,
    pub(crate) part: Part,
}

/// Which endpoints of a Service (S1). Of the two parts of a selector none has an endpoint whose pod is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// All.
    Whole,
    /// Those whose pod is selected.
    Selected(PodSelector),
    /// Those whose pod is not.
    Others(PodSelector),
    /// None of it: a host outside the cluster, in its place.
    Outside(Host),
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

/// The Services of the cache, with the slices of each at hand.
pub(crate) struct Backends<'o> {
    pub(crate) objects: &'o Objects,
    pub(crate) slices: BTreeMap<(&'o str, &'o str), Vec<&'o EndpointSlice>>,
    /// The policy that holds for each Service.
    pub(crate) policies: BTreeMap<(&'o str, &'o str), (&'o Key, &'o DeclaredPolicy)>,
    /// The Services that nothing is sent to, since that was to be by TLS.
    pub(crate) closed: BTreeSet<(&'o str, &'o str)>,
    pub(crate) secrets: Secrets<'o>,
    /// Hosts outside the cluster that the operator allows.
    pub(crate) allowed: &'o [AllowedHosts],
    /// Where nothing may be sent to but what is the API server's.
    pub(crate) api_server: BTreeSet<IpAddr>,
    /// Names outside the cluster that are sent to.
    pub(crate) names: RefCell<BTreeSet<String>>,
    /// Objects are files.
    pub(crate) standalone: bool,
    /// How many more names may be compared for hints.
    comparisons: Cell<usize>,
    /// What was built already: a Service may stand behind thousands of routes.
    pub(crate) built: RefCell<BTreeMap<Target, Arc<Backend>>>,
    /// The targets of routes and releases.
    shared: RefCell<BTreeSet<Arc<Target>>>,
}

/// The longest name of an object; files may have longer ones, which cost the square of their length to compare.
const LONGEST_NAME: usize = 253;

/// Hints must not cost more than the table: a namespace may have thousands of Services, and as many misspelt references. Each has so many,
/// so that what its authors are told depends on no other.
const COMPARISONS: usize = 50_000;

impl<'o> Backends<'o> {
    pub(crate) fn new(objects: &'o Objects, options: &'o Options) -> Self {
        let mut slices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, slice) in &objects.slices {
            if let Some(service) = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_OF_SLICE)) {
                slices.entry((key.namespace.as_str(), service.as_str())).or_default().push(slice.as_ref());
            }
        }
        let policies = policies::in_force(objects);
        Self {
            objects,
            slices,
            closed: policies::closed(objects, &policies),
            secrets: Secrets::new(objects, options),
            policies,
            allowed: &options.external_hosts,
            api_server: outside::api_server(objects).chain(options.api_server.iter().copied()).collect(),
            names: RefCell::default(),
            standalone: options.standalone,
            comparisons: Cell::new(COMPARISONS),
            built: RefCell::default(),
            shared: RefCell::default(),
        }
    }

    /// The port of `service` that is wanted. `not` is a name that is not proposed in place of one that does not exist.
    pub(crate) fn resolve(&self, service: &Key, wanted: Wanted<'_>, not: Option<&str>) -> Result<Target, Unresolved> {
        let Some(found) = self.objects.services.get(service) else {
            return Err(Unresolved::NoService { service: service.clone(), similar: self.similar(service, not) });
        };
        if let Some(name) = external_name(found) {
            return self.external(service, found, name, wanted);
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
            Some((port, _)) => Ok(Target { service: service.clone(), port: *port, part: Part::Whole }),
            None => Err(Unresolved::NoPort { service: service.clone(), wanted: asked.cloned(), has: list(&ports) }),
        }
    }

    /// Whether two targets send to the same port of their pods, as their Services name it.
    pub(crate) fn same_port(&self, a: &Target, b: &Target) -> bool {
        let of_pods = |target: &Target| {
            let service = self.objects.services.get(&target.service)?;
            let (_, declared) = ports(service).into_iter().find(|(number, _)| *number == target.port)?;
            Some(declared.target_port.clone().unwrap_or(IntOrString::Int(declared.port)))
        };
        of_pods(a).is_some_and(|port| of_pods(b) == Some(port))
    }

    /// A Service that is an alias of a host outside. Its ports may be left out: then the one that is asked for is the host's.
    fn external(&self, key: &Key, service: &Service, name: &str, wanted: Wanted<'_>) -> Result<Target, Unresolved> {
        let ports = ports(service);
        let named = |port: &Port| match port {
            Port::Number(number) if ports.is_empty() => Some(*number),
            port => ports.iter().find(|(number, declared)| is(port, *number, declared)).map(|(number, _)| *number),
        };
        let only = || ports.first().filter(|_| ports.len() == 1).map(|(number, _)| *number);
        let (port, asked) = match wanted {
            Wanted::Port(port) => (named(port), Some(port)),
            Wanted::PortOrOnly(port) => (named(port).or_else(only), Some(port)),
            Wanted::Only => (only(), None),
        };
        let Some(port) = port else { return Err(Unresolved::NoPort { service: key.clone(), wanted: asked.cloned(), has: list(&ports) }) };
        let Some(host) = HostName::parse(name) else { return Err(Unresolved::BadExternalName { service: key.clone(), name: name.into() }) };
        match self.refusal(&host) {
            Some(unresolved) => Err(unresolved),
            None => Ok(Target { service: key.clone(), port, part: Part::Whole }),
        }
    }

    /// The endpoints that the Service itself lists, or the first entry that is none.
    pub(crate) fn listed(&self, service: &Service) -> Option<Result<Vec<SocketAddr>, String>> {
        let list = service.metadata.annotations.as_ref()?.get(ENDPOINTS).filter(|_| self.standalone)?;
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Some(entries.map(|entry| entry.parse().map_err(|_| entry.to_owned())).collect())
    }

    /// What `part` gives, with an allowance of comparisons of its own, and which names outside the cluster are sent to for it.
    pub(crate) fn apart<T>(&self, part: impl FnOnce() -> T) -> (T, BTreeSet<String>) {
        self.comparisons.set(COMPARISONS);
        let others = self.names.take();
        let given = part();
        (given, self.names.replace(others))
    }

    /// One for each target, which thousands of routes may have.
    pub(crate) fn share(&self, target: Target) -> Arc<Target> {
        let mut shared = self.shared.borrow_mut();
        if let Some(known) = shared.get(&target) {
            return Arc::clone(known);
        }
        let target = Arc::new(target);
        shared.insert(Arc::clone(&target));
        target
    }

    fn may_compare(&self) -> bool {
        let left = self.comparisons.get();
        self.comparisons.set(left.saturating_sub(1));
        left > 0
    }

    /// The Service of the namespace whose name is closest, when it is close.
    pub(crate) fn similar(&self, service: &Key, not: Option<&str>) -> Option<String> {
        let names = of_namespace(&self.objects.services, &service.namespace).map(|(key, _)| key.name.as_str());
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

/// Where a port of an alias is at the host: its `targetPort`, here as elsewhere; and how it is spoken to there: as `appProtocol` says, else by
/// TLS on 443.
pub(crate) fn external_port(service: &Service, port: u16) -> (u16, Spoken) {
    let declared = ports(service).into_iter().find(|(number, _)| *number == port).map(|(_, declared)| declared);
    let target = declared.and_then(|declared| match declared.target_port.as_ref()? {
        IntOrString::Int(target) => number(*target),
        IntOrString::String(_) => None,
    });
    let port = target.unwrap_or(port);
    (port, declared.and_then(spoken).unwrap_or(Spoken { tls: port == 443, ..Spoken::default() }))
}

/// The TCP ports of a Service whose number is one.
pub(crate) fn ports(service: &Service) -> Vec<(u16, &ServicePort)> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.filter(|port| is_tcp(port.protocol.as_deref())).filter_map(|port| Some((number(port.port)?, port))).collect()
}

fn is(wanted: &Port, number: u16, declared: &ServicePort) -> bool {
    match wanted {
        Port::Number(wanted) => *wanted == number,
        Port::Name(wanted) => declared.name.as_ref() == Some(wanted),
    }
}

pub(crate) fn is_tcp(protocol: Option<&str>) -> bool {
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Part::Outside(host) = &self.part {
            let scheme = if host.tls { "https" } else { "http" };
            return match host.name {
                HostName::Ip(IpAddr::V6(ip)) => write!(f, "{scheme}://[{ip}]:{}", self.port),
                _ => write!(f, "{scheme}://{}:{}", host.name, self.port),
            };
        }
        write!(f, "{}:{}", self.service, self.port)?;
        match &self.part {
            Part::Whole | Part::Outside(_) => Ok(()),
            Part::Selected(pods) => write!(f, " ({pods})"),
            Part::Others(pods) => write!(f, " (not {pods})"),
        }
    }
}
