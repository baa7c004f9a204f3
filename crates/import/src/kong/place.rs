//! What a host of Kong's is in a cluster.

use super::entities::{Kong, Named};
use crate::names::is_label;
use std::net::IpAddr;

/// Where a host lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A Service of the cluster; without a namespace that of the release.
    Service { namespace: Option<String>, name: String },
    /// An Upstream of the configuration.
    Upstream(usize),
    /// Outside of the cluster.
    Outside(String),
}

/// The place of a host: a name below `svc` is a Service, what an Upstream is called is that, one word is a Service too.
pub(super) fn place(host: &str, kong: &Kong) -> Place {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if let Some(service) = in_cluster(&name) {
        return service;
    }
    if let Some(upstream) = kong.upstreams.iter().position(|upstream| upstream.name().is_some_and(|one| one == host || one == name)) {
        return Place::Upstream(upstream);
    }
    if is_label(&name) && name != "localhost" {
        return Place::Service { namespace: None, name };
    }
    Place::Outside(name)
}

/// `name.namespace.svc`, also with a cluster's domain; Kong's own ingress controller has the port in between.
fn in_cluster(name: &str) -> Option<Place> {
    let before = name.strip_suffix(".svc").or_else(|| name.split_once(".svc.").map(|(before, _)| before))?;
    let labels: Vec<&str> = before.split('.').collect();
    let (service, namespace) = match labels[..] {
        [service, namespace] => (service, namespace),
        [service, namespace, port] if port.bytes().all(|byte| byte.is_ascii_digit()) => (service, namespace),
        _ => return None,
    };
    let place = Place::Service { namespace: Some(namespace.to_owned()), name: service.to_owned() };
    (is_label(service) && is_namespace(namespace)).then_some(place)
}

/// Namespaces may begin with a digit.
pub(super) fn is_namespace(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && is_label(&format!("n{name}"))
}

/// Whether a text is a DNS name or an IP address, as a canary outside of the cluster must be. A name whose last label is a number is none.
pub(super) fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(may_stand) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    host.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.split('.').all(label) && !numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_service_an_upstream_or_outside() {
        let named = |namespace: &str, name: &str| {
            let namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
            Place::Service { namespace, name: name.to_owned() }
        };
        for (host, expected) in [
            ("checkout.shop.svc", named("shop", "checkout")),
            ("Checkout.shop.svc.cluster.local.", named("shop", "checkout")),
            ("checkout.shop.8080.svc", named("shop", "checkout")),
            ("checkout", named("", "checkout")),
            ("localhost", Place::Outside("localhost".into())),
            ("pod-0.checkout.shop.svc", Place::Outside("pod-0.checkout.shop.svc".into())),
            ("example.com", Place::Outside("example.com".into())),
            ("192.0.2.7", Place::Outside("192.0.2.7".into())),
            ("x y", Place::Outside("x y".into())),
        ] {
            assert_eq!(place(host, &Kong::default()), expected, "{host}");
        }
    }

    #[test]
    fn namespaces_and_hosts_are_told_from_other_texts() {
        assert!(["shop", "2nd", "a-b"].iter().all(|name| is_namespace(name)));
        assert!(["", "-a", "a-", "A", "a.b", "a\n"].iter().all(|name| !is_namespace(name)));
        assert!(["example.com", "192.0.2.7", "2001:db8::1", "a-b"].iter().all(|host| is_host(host)));
        assert!(["", "a b", "a..b", "http://a", "a:80", "-a", "a_b", "1.2.3"].iter().all(|host| !is_host(host)));
    }
}
