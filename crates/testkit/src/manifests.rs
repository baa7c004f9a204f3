//! The objects that every test of a cluster needs around its release, as text for [`Cluster::apply`](crate::cluster::Cluster::apply).

use std::net::SocketAddr;

use serde_json::{Value, json};

/// The CRDs, as they are shipped.
pub const CRDS: &str = concat!(
    include_str!("../../../crds/authpolicies.serin.dev.yaml"),
    "---\n",
    include_str!("../../../crds/backendpolicies.serin.dev.yaml"),
    "---\n",
    include_str!("../../../crds/canaryreleases.serin.dev.yaml"),
    "---\n",
    include_str!("../../../crds/consumers.serin.dev.yaml")
);

/// The port of every Service here; the endpoints have their own.
pub const PORT: u16 = 80;

/// A Namespace.
pub fn namespace(name: &str) -> String {
    document(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}

/// A Service on [`PORT`], and an EndpointSlice for each of its endpoints: without controllers nobody else writes them.
///
/// One for each because a slice has one port for all its addresses, and origins of a test differ in the port.
pub fn service(namespace: &str, name: &str, endpoints: &[SocketAddr]) -> String {
    with_slices(namespace, name, endpoints, &json!({"name": "http", "port": PORT}))
}

/// The same with an `appProtocol`.
pub fn service_speaking(namespace: &str, name: &str, endpoints: &[SocketAddr], app_protocol: &str) -> String {
    with_slices(namespace, name, endpoints, &json!({"name": "http", "port": PORT, "appProtocol": app_protocol}))
}

fn with_slices(namespace: &str, name: &str, endpoints: &[SocketAddr], port: &Value) -> String {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {"ports": [port]}
    });
    let slices = endpoints.iter().enumerate().map(|(nth, endpoint)| {
        document(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-{nth}"), "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": if endpoint.is_ipv4() { "IPv4" } else { "IPv6" },
            "ports": [{"name": "http", "port": endpoint.port()}],
            "endpoints": [{"addresses": [endpoint.ip()], "conditions": {"ready": true}}]
        }))
    });
    std::iter::once(document(&service)).chain(slices).collect()
}

/// An Ingress of class `serin` that sends a host and a path prefix to a Service.
pub fn ingress(namespace: &str, name: &str, host: &str, path: &str, service: &str) -> String {
    document(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": "serin", "rules": [{"host": host, "http": {"paths": [
            {"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": PORT}}}}
        ]}}]}
    }))
}

/// A CanaryRelease with this spec.
pub fn release(namespace: &str, name: &str, spec: &Value) -> String {
    document(&json!({
        "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": name, "namespace": namespace}, "spec": spec
    }))
}

/// A Deployment of one pod with container `app`, as its controller leaves it: of this revision, rolled out or on the way there.
///
/// Files have its status too; on an API server that is a subresource of its own ([`deployment_status`]).
pub fn deployment(namespace: &str, name: &str, revision: u32, image: &str, rolled_out: bool) -> String {
    let labels = json!({"app": name});
    document(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}
        }},
        "status": deployment_status(rolled_out)
    }))
}

/// The status of [`deployment`]: its new pod is available, or an old one is still there beside it.
pub fn deployment_status(rolled_out: bool) -> Value {
    let (all, available) = if rolled_out { (1, 1) } else { (2, 1) };
    json!({"observedGeneration": 1_000, "replicas": all, "updatedReplicas": 1, "readyReplicas": available, "availableReplicas": available})
}

/// The kind ReferenceGrant as Gateway API has it, but for descriptions, in these versions; the last one is stored.
pub fn reference_grants(versions: &[&str]) -> String {
    let text = || json!({"type": "string"});
    let from = json!({"type": "object", "required": ["group", "kind", "namespace"],
        "properties": {"group": text(), "kind": text(), "namespace": text()}});
    let to = json!({"type": "object", "required": ["group", "kind"], "properties": {"group": text(), "kind": text(), "name": text()}});
    let list = |items: Value| json!({"type": "array", "minItems": 1, "maxItems": 16, "items": items});
    let spec = json!({"type": "object", "required": ["from", "to"], "properties": {"from": list(from), "to": list(to)}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let version = |name: &&str| json!({"name": name, "served": true, "storage": Some(name) == versions.last(), "schema": schema});
    document(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        // The API server asks for a word about every kind of such a group.
        "metadata": {"name": "referencegrants.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"}},
        "spec": {"group": "gateway.networking.k8s.io", "scope": "Namespaced",
            "names": {"kind": "ReferenceGrant", "listKind": "ReferenceGrantList", "plural": "referencegrants", "singular": "referencegrant"},
            "versions": versions.iter().map(version).collect::<Vec<_>>()}
    }))
}

/// A ReferenceGrant that lets Ingresses of a namespace use Secrets of this one: that of this name, or all.
pub fn reference_grant(namespace: &str, name: &str, from: &str, secret: Option<&str>) -> String {
    let to = match secret {
        Some(secret) => json!({"group": "", "kind": "Secret", "name": secret}),
        None => json!({"group": "", "kind": "Secret"}),
    };
    document(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": {"name": name, "namespace": namespace},
        "spec": {"from": [{"group": "networking.k8s.io", "kind": "Ingress", "namespace": from}], "to": [to]}
    }))
}

/// One object: JSON is YAML, so documents can be put one after the other.
pub fn document(object: &Value) -> String {
    format!("---\n{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_service_has_a_slice_for_each_endpoint() {
        let endpoint = |port| SocketAddr::from((Ipv4Addr::new(198, 18, 1, 200), port));
        let text = service("shop", "checkout", &[endpoint(9001), endpoint(9002)]);
        let documents: Vec<Value> = text.split("---\n").filter_map(|document| serde_json::from_str(document).ok()).collect();
        let ports: Vec<_> = documents.iter().map(|document| document.pointer("/ports/0/port").and_then(Value::as_u64)).collect();
        assert_eq!(ports, [None, Some(9001), Some(9002)]);
    }
}
