//! Where serin is reached, as Ingresses show it.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What Ingress status is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Publish {
    /// It is not written.
    #[default]
    Nothing,
    /// The addresses of this Service.
    Service(ServiceName),
    /// These.
    Addresses(Vec<Address>),
}

/// A Service, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// An address of a balancer before serin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// By number.
    Ip(IpAddr),
    /// By name.
    Hostname(String),
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = |name: &&str| {
            !name.is_empty() && name.len() <= 63 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match text.split_once('/') {
            Some((namespace, name)) if valid(&namespace) && valid(&name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("use NAMESPACE/NAME of a Service, such as serin-system/serin".to_owned()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// What the API server takes in a status: an address, or a DNS name of small letters.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        let letters = |label: &str| label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let label = |label: &str| (1..=63).contains(&label.len()) && letters(label) && !label.starts_with('-') && !label.ends_with('-');
        // A name of digits alone is an address with a fault.
        let is_name = text.len() <= 253 && text.split('.').all(label) && text.bytes().any(|b| b.is_ascii_lowercase());
        is_name.then(|| Self::Hostname(text.to_owned())).ok_or_else(|| "use an IP address or a DNS name in small letters".to_owned())
    }
}

impl Address {
    pub(super) fn shown(&self) -> IngressLoadBalancerIngress {
        match self {
            Self::Ip(address) => ip(address.to_string()),
            Self::Hostname(name) => hostname(name.clone()),
        }
    }
}

/// The addresses of a Service, as other controllers show them: a balancer's own and external ones, else external ones, else those within
/// the cluster; of an alias its name. Each once.
pub(super) fn addresses(service: &Service) -> Vec<IngressLoadBalancerIngress> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let external = || spec.external_ips.iter().flatten().cloned().map(ip);
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let balanced = || {
        balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten()).flat_map(|at| {
            at.ip
                .clone()
                .filter(|text| !text.is_empty())
                .map(ip)
                .into_iter()
                .chain(at.hostname.clone().filter(|text| !text.is_empty()).map(hostname))
        })
    };
    let inside = || {
        let all = spec.cluster_ips.iter().flatten().chain(spec.cluster_ips.is_none().then_some(spec.cluster_ip.as_ref()).flatten());
        all.filter(|address| !address.is_empty() && *address != "None").cloned().map(ip)
    };
    let mut found: Vec<IngressLoadBalancerIngress> = match spec.type_.as_deref() {
        Some("ExternalName") => spec.external_name.clone().map(hostname).into_iter().collect(),
        Some("LoadBalancer") => balanced().chain(external()).collect(),
        _ => external().collect(),
    };
    if found.is_empty() && !matches!(spec.type_.as_deref(), Some("ExternalName" | "LoadBalancer")) {
        found = inside().collect();
    }
    let mut seen = Vec::new();
    found.retain(|address| {
        let new = !seen.contains(address);
        seen.extend(new.then(|| address.clone()));
        new
    });
    found
}

fn ip(ip: String) -> IngressLoadBalancerIngress {
    IngressLoadBalancerIngress { ip: Some(ip), ..IngressLoadBalancerIngress::default() }
}

fn hostname(name: String) -> IngressLoadBalancerIngress {
    IngressLoadBalancerIngress { hostname: Some(name), ..IngressLoadBalancerIngress::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_gives_what_its_type_is_reached_at() {
        let cases = [
            (
                json!({"type": "LoadBalancer", "clusterIP": "10.96.0.1"}),
                json!([{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]),
                "192.0.2.1 lb.example",
            ),
            (
                json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.9", "192.0.2.1"]}),
                json!([{"ip": "192.0.2.1"}]),
                "192.0.2.1 192.0.2.9",
            ),
            (json!({"type": "LoadBalancer", "clusterIP": "10.96.0.1"}), json!([]), ""),
            (json!({"type": "NodePort", "clusterIP": "10.96.0.1", "externalIPs": ["192.0.2.9"]}), json!([]), "192.0.2.9"),
            (json!({"type": "NodePort", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}), json!([]), "10.96.0.1 fd00::1"),
            (json!({"type": "ClusterIP", "clusterIP": "10.96.0.1"}), json!([]), "10.96.0.1"),
            (json!({"clusterIP": "None", "clusterIPs": ["None"]}), json!([]), ""),
            (json!({"type": "ExternalName", "externalName": "lb.example"}), json!([]), "lb.example"),
        ];
        for (spec, balanced, expected) in cases {
            let service = json!({"spec": spec, "status": {"loadBalancer": {"ingress": balanced}}});
            let found = addresses(&serde_json::from_value(service.clone()).unwrap());
            let texts: Vec<&str> = found.iter().filter_map(|at| at.ip.as_deref().or(at.hostname.as_deref())).collect();
            assert_eq!(texts.join(" "), expected, "{service}");
        }
    }

    #[test]
    fn options_are_read() {
        assert_eq!("192.0.2.1".parse(), Ok(Address::Ip(IpAddr::from([192, 0, 2, 1]))));
        assert_eq!("lb.example".parse(), Ok(Address::Hostname("lb.example".to_owned())));
        for bad in ["", "LB.example", "a b", "300.1.1.1", "a..b", "http://lb.example", "lb.example:443"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        assert_eq!("serin-system/serin".parse(), Ok(ServiceName { namespace: "serin-system".to_owned(), name: "serin".to_owned() }));
        for bad in ["serin", "/serin", "a/b/c", "a/", "A/b"] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }
}
