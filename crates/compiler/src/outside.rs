//! Hosts outside the cluster: a canary's `host`, and Services of type ExternalName.
//!
//! They are sent to only where the operator allowed it, and never to what only this host or the API server should reach: that is asked
//! of each address that a name stands for at this moment, and those addresses are the ones that are used.

use crate::app_protocol::Spoken;
use crate::backends::{Backends, Part, Target, external_port};
use crate::objects::of_namespace;
use crate::unresolved::Unresolved;
use crate::{Key, Objects};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use serin_api::release::{Host, HostName};
use serin_routing::config::{Backend, Protocol, Tls};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Hosts that an operator allows: a name, `*.` and what names must end in, a network, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every one.
    Any,
    /// This one.
    Name(String),
    /// Names below this one.
    Below(String),
    /// Addresses that are written as such.
    Net(IpNet),
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolution {
    /// Its addresses by the last answer.
    pub addresses: BTreeSet<IpAddr>,
    /// Why there is no answer, or no later one.
    pub failure: Option<String>,
}

/// Where a target outside is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

impl FromStr for AllowedHosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net.trunc()));
        }
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        match HostName::parse(name) {
            Some(HostName::Dns(name)) => Ok(if below { Self::Below(name) } else { Self::Name(name) }),
            Some(HostName::Ip(ip)) if !below => Ok(Self::Net(ip.into())),
            _ => Err(format!("{text:?} is none of a DNS name, one behind `*.`, an address, a network and `*`")),
        }
    }
}

impl AllowedHosts {
    pub(crate) fn allows(&self, host: &HostName) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(allowed), HostName::Dns(name)) => allowed == name,
            (Self::Below(suffix), HostName::Dns(name)) => name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.')),
            (Self::Net(net), HostName::Ip(ip)) => net.contains(ip),
            _ => false,
        }
    }
}

impl Objects {
    /// Takes what a name stands for; `false` when that is what was known.
    pub fn take_host(&mut self, name: String, resolution: Resolution) -> bool {
        let old = self.hosts.insert(name, resolution.clone());
        old.is_none_or(|old| old.addresses != resolution.addresses || old.addresses.is_empty() && old.failure != resolution.failure)
    }

    /// Forgets all names but these.
    pub fn keep_names(&mut self, names: &BTreeSet<String>) {
        self.hosts.retain(|name, _| names.contains(name));
    }

    /// Whether each of these names was asked for once.
    pub fn knows_names(&self, names: &BTreeSet<String>) -> bool {
        names.iter().all(|name| self.hosts.contains_key(name))
    }
}

/// A Service of type ExternalName; `None`: of another type.
pub(crate) fn external_name(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("ExternalName"))?;
    Some(spec.external_name.as_deref().unwrap_or_default())
}

impl Backends<'_> {
    /// Where a target is outside the cluster; `None`: it is within.
    pub(crate) fn outside(&self, target: &Target) -> Option<Outside> {
        match &target.part {
            Part::Outside(host) => Some(Outside { host: host.clone(), port: target.port, protocol: Protocol::Http1 }),
            Part::Selected(_) | Part::Others(_) => None,
            Part::Whole => {
                let service = self.objects.services.get(&target.service)?;
                let name = HostName::parse(external_name(service)?)?;
                let (port, Spoken { protocol, tls }) = external_port(service, target.port);
                Some(Outside { host: Host { name, tls, preserve: false }, port, protocol })
            }
        }
    }

    /// Why a host is not sent to, if it is not. A name that is allowed is one that is to be asked for from now on.
    pub(crate) fn refusal(&self, name: &HostName) -> Option<Unresolved> {
        let host = || name.to_string();
        let loopback = match name {
            HostName::Ip(ip) => ip.is_loopback(),
            HostName::Dns(name) => name == "localhost",
        };
        if !(self.allowed.iter().any(|allowed| allowed.allows(name)) || self.standalone && loopback) {
            return Some(Unresolved::NotAllowed { host: host() });
        }
        let name = match name {
            HostName::Ip(ip) => return self.forbidden(*ip).map(|why| Unresolved::Forbidden { host: host(), ip: *ip, why }),
            HostName::Dns(name) => name,
        };
        self.names.borrow_mut().insert(name.clone());
        let Some(known) = self.objects.hosts.get(name) else { return Some(Unresolved::NoAddress { host: host(), failure: None }) };
        match known.addresses.iter().map(|ip| (*ip, self.forbidden(*ip))).min_by_key(|(_, why)| why.is_some()) {
            None => Some(Unresolved::NoAddress { host: host(), failure: known.failure.clone() }),
            Some((ip, Some(why))) => Some(Unresolved::Forbidden { host: host(), ip, why }),
            Some((_, None)) => None,
        }
    }

    /// A target outside, as the proxy serves it.
    pub(crate) fn backend_outside(&self, target: &Target, outside: &Outside) -> Backend {
        let Outside { host, port, protocol } = outside;
        let ips: Vec<IpAddr> = match &host.name {
            _ if self.refusal(&host.name).is_some() => Vec::new(),
            HostName::Ip(ip) => vec![*ip],
            HostName::Dns(name) => self.objects.hosts.get(name).iter().flat_map(|known| &known.addresses).copied().collect(),
        };
        let ready = ips.into_iter().filter(|ip| self.forbidden(*ip).is_none()).map(|ip| SocketAddr::new(ip, *port)).collect();
        let is_default = *port == if host.tls { 443 } else { 80 };
        let name = match &host.name {
            HostName::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            name => name.to_string(),
        };
        let authority = if is_default { name } else { format!("{name}:{port}") };
        Backend {
            name: target.to_string(),
            ready,
            path: self.path(&target.service),
            upstream: self.upstream(&target.service),
            host: (!host.preserve).then_some(authority),
            protocol: *protocol,
            tls: host.tls.then(|| Tls::of(host.name.to_string())),
            ..Backend::default()
        }
    }

    /// What an address is that nobody may be sent to, whoever writes an EndpointSlice or a DNS record. The API server refuses slices
    /// with most of them too.
    pub(crate) fn forbidden(&self, ip: IpAddr) -> Option<&'static str> {
        let ip = ip.to_canonical();
        match ip {
            _ if self.standalone => None,
            _ if ip.is_loopback() => Some("on loopback"),
            _ if self.api_server.contains(&ip) => Some("the API server's"),
            _ => special(ip),
        }
    }
}

/// What an address is that is no host of a network.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    let ip = ip.to_canonical();
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    match ip {
        _ if link_local => Some("link-local"),
        _ if ip.is_unspecified() || ip.is_multicast() => Some("of no one host"),
        _ => None,
    }
}

/// The addresses of the API server that the cluster itself tells, where its namespace is watched.
pub(crate) fn api_server(objects: &Objects) -> impl Iterator<Item = IpAddr> {
    let key = Key::new("default", "kubernetes");
    let spec = objects.services.get(&key).and_then(|service| service.spec.as_ref());
    let of_service = spec.into_iter().flat_map(|spec| spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip));
    let slices = of_namespace(&objects.slices, "default").filter(|(_, slice)| {
        let labels = slice.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(crate::backends::SERVICE_OF_SLICE)).is_some_and(|of| of == "kubernetes")
    });
    let of_slices = slices.flat_map(|(_, slice)| slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses));
    of_service.chain(of_slices).filter_map(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_allow_what_they_name_and_nothing_that_only_looks_like_it() {
        for (pattern, host, is_allowed) in [
            ("*", "a.example", true),
            ("*", "192.0.2.7", true),
            ("a.example", "A.Example.", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "b.a.example", true),
            ("*.example", "example", false),
            ("*.example", "anexample", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.0/24", "a.example", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("2001:db8::/32", "2001:DB8::1", true),
        ] {
            let pattern: AllowedHosts = pattern.parse().expect("a pattern");
            assert_eq!(pattern.allows(&HostName::parse(host).expect("a host")), is_allowed, "{pattern:?} {host}");
        }
        for text in ["", "*.", "*.192.0.2.7", "a b", "http://a", "127.1", "a.*"] {
            assert!(text.parse::<AllowedHosts>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_failure_that_keeps_the_last_answer_changes_nothing() {
        let mut objects = Objects::default();
        let told = |ips: &[&str], failure: Option<&str>| Resolution {
            addresses: ips.iter().map(|ip| ip.parse().expect("an address")).collect(),
            failure: failure.map(str::to_owned),
        };
        assert!(objects.take_host("a".into(), told(&[], None)));
        assert!(objects.take_host("a".into(), told(&[], Some("no answer"))), "that is told");
        assert!(objects.take_host("a".into(), told(&["192.0.2.1"], None)));
        assert!(!objects.take_host("a".into(), told(&["192.0.2.1"], Some("no answer"))));
        assert!(objects.take_host("a".into(), told(&["192.0.2.1", "192.0.2.2"], None)));
    }
}
