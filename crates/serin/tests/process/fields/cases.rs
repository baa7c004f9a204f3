//! One object for each string field, and the others of its route.

use super::schema::{self, Step};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The host of the route whose objects are hostile.
pub(super) const OWN_HOST: &str = "victim.example";

/// The kinds of serin's, by their schemas.
static CRDS: LazyLock<Vec<Value>> = LazyLock::new(|| serin_api::crds().iter().map(|crd| json!(crd)).collect());

/// An object with a text in one field.
pub(super) struct Case {
    /// The kind and the field.
    pub(super) field: String,
    pub(super) object: Value,
    /// The neighbour in whose place it is.
    pub(super) replaces: (String, String, String),
    /// The text is in what names it.
    names: bool,
}

/// Kind, namespace and name.
pub(super) fn identity(object: &Value) -> (String, String, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

impl Case {
    /// The same under a name of its own, beside the neighbours.
    pub(super) fn alone(mut self, number: usize) -> Value {
        if !self.names {
            self.object["metadata"]["name"] = format!("victim-{number}").into();
        }
        self.object
    }
}

/// For each string field of each kind an object with this text in it.
pub(super) fn cases(text: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for neighbour in neighbours().iter().chain(&whole()) {
        for (pointer, object) in strings(neighbour, text) {
            cases.push(Case {
                field: format!("{}{pointer}", neighbour["kind"].as_str().unwrap_or_default()),
                object,
                replaces: identity(neighbour),
                names: pointer == "/metadata/name" || pointer == "/kind",
            });
        }
    }
    for crd in CRDS.iter() {
        let kind = crd["spec"]["names"]["kind"].as_str().context("a kind")?;
        let version = &crd["spec"]["versions"][0];
        let properties = &version["schema"]["openAPIV3Schema"]["properties"];
        let api_version =
            format!("{}/{}", crd["spec"]["group"].as_str().context("a group")?, version["name"].as_str().context("a version")?);
        for part in ["spec", "status"] {
            for path in schema::strings(&properties[part]) {
                let mut object = json!({
                    "apiVersion": api_version, "kind": kind, "metadata": {"name": "victim", "namespace": "victim"}, "spec": least(kind, properties),
                });
                let hostile = schema::with(&properties[part], &path, text);
                match (part, path.first()) {
                    ("spec", Some(Step::Member(member))) => object["spec"][member] = hostile[member].clone(),
                    _ => object[part] = hostile,
                }
                let replaces = (kind.to_owned(), "victim".to_owned(), "victim".to_owned());
                cases.push(Case { field: format!("{kind}.{part}{}", schema::text(&path)), object, replaces, names: false });
            }
        }
    }
    Ok(cases)
}

/// The spec around a field: of a kind that has rules beyond its schema, one that keeps them.
fn least(kind: &str, properties: &Value) -> Value {
    match kind {
        "CanaryRelease" => json!({"scope": {"service": "victim"}, "canary": {"service": "victim-v2"}, "strategy": {"percentage": 50}}),
        _ => schema::least(&properties["spec"]),
    }
}

/// This object with the text in the place of each string of it, and of each name of a label, an annotation or a selector.
fn strings(object: &Value, text: &str) -> Vec<(String, Value)> {
    let mut pointers = Vec::new();
    leaves(object, String::new(), &mut pointers);
    let replaced = pointers.into_iter().filter_map(|pointer| {
        let mut object = object.clone();
        *object.pointer_mut(&pointer)? = text.into();
        Some((pointer, object))
    });
    let maps = ["/metadata/labels", "/metadata/annotations", "/spec/selector"];
    let named = maps.into_iter().filter_map(|pointer| {
        let mut object = object.clone();
        object.pointer_mut(pointer)?.as_object_mut()?.insert(text.to_owned(), "a".into());
        Some((format!("{pointer}/*"), object))
    });
    replaced.chain(named).collect()
}

fn leaves(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::String(_) => pointers.push(at),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| leaves(item, format!("{at}/{index}"), pointers)),
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, member)| leaves(member, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), pointers));
        }
        _ => {}
    }
}

fn metadata(name: &str, more: &Value) -> Value {
    let mut metadata = json!({
        "name": name, "namespace": "victim", "uid": "6a7c9d1e-0000-4000-8000-000000000001", "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "victim"}, "annotations": {"example.com/a": "b"},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        metadata[name] = value.clone();
    }
    metadata
}

/// The objects of the hostile route, with every string field that serin reads of the kinds of Kubernetes.
pub(super) fn neighbours() -> Vec<Value> {
    let port = json!({"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http", "targetPort": "http"});
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": metadata(name, &json!({"annotations": {"serin.dev/endpoints": "127.0.0.1:9"}})),
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": [port.clone()], "selector": {"app": name}},
        })
    };
    let backend = json!({"service": {"name": "victim", "port": {"name": "http"}}});
    vec![
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "victim", "annotations": {"ingressclass.kubernetes.io/is-default-class": "false"}},
            "spec": {"controller": "serin.dev/ingress-controller", "parameters": {"apiGroup": "a", "kind": "b", "name": "c", "scope": "Cluster"}},
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata("victim", &json!({})),
            "spec": {
                "ingressClassName": "victim", "tls": [{"hosts": [OWN_HOST], "secretName": "tls"}],
                "rules": [{"host": OWN_HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
            },
        }),
        service("victim"),
        service("victim-v2"),
        json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": metadata("victim", &json!({"annotations": {"serin.dev/abort": "1", "serin.dev/command": "pause@1"}})),
            "spec": {"scope": {"service": "victim"}, "canary": {"service": "victim-v2"}, "strategy": {"percentage": 50}},
        }),
    ]
}

/// Further kinds, and further fields of the same: whoever is here replaces nobody.
fn whole() -> Vec<Value> {
    let backend = json!({"service": {"name": "victim", "port": {"number": 80}}});
    vec![
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": metadata("victim-old", &json!({"annotations": {"kubernetes.io/ingress.class": "victim"}})),
            "spec": {"rules": [{"host": "*.victim.example", "http": {"paths": [{"path": "/a", "pathType": "Exact", "backend": backend}]}}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": metadata("victim", &json!({"labels": {"kubernetes.io/service-name": "victim"}})),
            "ports": [{"name": "http", "port": 9, "protocol": "TCP", "appProtocol": "http"}],
            "endpoints": [{
                "addresses": ["127.0.0.1"], "hostname": "a", "nodeName": "b", "zone": "c", "hints": {"forZones": [{"name": "c"}]},
                "targetRef": {"kind": "Pod", "namespace": "victim", "name": "victim", "uid": "u"},
            }],
        }),
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": metadata("victim", &json!({
                "labels": {"version": "v2"}, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "b"}],
            })),
        }),
        json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": metadata("victim-pods", &json!({})),
            "spec": {
                "scope": {"service": "victim-v2"}, "canary": {"podSelector": {"matchLabels": {"version": "v2"}}}, "strategy": {"percentage": 50},
                "overrides": [{"header": {"name": "X-A", "regex": "a"}, "to": "Canary"}, {"cookie": {"name": "a", "exact": "b"}, "to": "Stable"}],
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata("victim-key", &json!({})), "type": "Opaque",
            "data": {"key": "YQ=="}, "stringData": {"username": "alice", "password": "b", "jwks.json": "{\"keys\": []}"},
        }),
        json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "Consumer", "metadata": metadata("victim", &json!({})),
            "spec": {
                "username": "alice", "customId": "4711", "groups": ["testers"],
                "credentials": [
                    {"keyAuth": {"secretRef": {"name": "victim-key", "key": "key"}}}, {"basicAuth": {"secretRef": {"name": "victim-key"}}},
                    {"jwt": {"issuer": "https://id.example", "subject": "alice"}},
                ],
            },
        }),
        json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "AuthPolicy", "metadata": metadata("victim", &json!({})),
            "spec": {
                "scope": {"service": "victim"}, "anonymous": "Allow",
                "methods": [
                    {"keyAuth": {"headers": ["apikey"], "query": ["apikey"]}}, {"basicAuth": {"realm": "shop"}},
                    {"jwt": {
                        "issuer": "https://id.example", "audiences": ["shop"], "consumerClaim": "sub", "groupsClaim": "groups",
                        "jwks": {"secretRef": {"name": "victim-key", "key": "jwks.json"}},
                    }},
                    {"trustedHeaders": {"consumer": "X-User", "groups": "X-Groups", "from": ["127.0.0.0/8"]}},
                ],
            },
        }),
        json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "BackendPolicy", "metadata": metadata("victim", &json!({})),
            "spec": {"service": "victim"},
        }),
    ]
}
