//! Random objects with few names, so that they meet: in two namespaces, some of them bad.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serin_api::CanaryRelease;
use serin_api::identity::release_id;
use serin_compiler::{AnyAuthPolicy, AnyBackendPolicy, AnyConsumer, AnyRelease, Key, Objects};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Service,
    EndpointSlice,
    Ingress,
    IngressClass,
    CanaryRelease,
    BackendPolicy,
    Pod,
    AuthPolicy,
    Consumer,
    Secret,
    Deployment,
    StatefulSet,
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) value: Value,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Ingress,
        Self::IngressClass,
        Self::CanaryRelease,
        Self::BackendPolicy,
        Self::Pod,
        Self::AuthPolicy,
        Self::Consumer,
        Self::Secret,
        Self::Deployment,
        Self::StatefulSet,
    ];

    pub(crate) fn replace(self, cache: &mut Objects, objects: Vec<Object>) -> bool {
        fn all<T: DeserializeOwned>(objects: Vec<Object>) -> Vec<T> {
            objects.into_iter().map(Object::read).collect()
        }
        match self {
            Self::Service => cache.replace::<Service>(all(objects)),
            Self::EndpointSlice => cache.replace::<EndpointSlice>(all(objects)),
            Self::Ingress => cache.replace::<Ingress>(all(objects)),
            Self::IngressClass => cache.replace::<IngressClass>(all(objects)),
            // Of one namespace the pods are never listed; those that are there count all the same.
            Self::Pod => cache.replace::<Pod>(all(objects)),
            Self::Secret => cache.replace::<Secret>(all(objects)),
            Self::AuthPolicy => cache.replace(objects.into_iter().map(|object| AnyAuthPolicy(object.value))),
            Self::Consumer => cache.replace(objects.into_iter().map(|object| AnyConsumer(object.value))),
            Self::BackendPolicy => cache.replace(objects.into_iter().map(|object| AnyBackendPolicy(object.value))),
            Self::Deployment => cache.replace::<Deployment>(all(objects)),
            Self::StatefulSet => cache.replace::<StatefulSet>(all(objects)),
            Self::CanaryRelease => cache.replace(objects.into_iter().map(|object| AnyRelease(object.value))),
        }
    }
}

impl Object {
    pub(crate) fn read<T: DeserializeOwned>(self) -> T {
        serde_json::from_value(self.value).expect("the objects here deserialize")
    }

    fn key(&self) -> Key {
        let text = |field: &str| self.value["metadata"][field].as_str().unwrap_or_default();
        Key::new(text("namespace"), text("name"))
    }

    pub(crate) fn id(&self) -> (Kind, String) {
        (self.kind, self.key().to_string())
    }

    pub(crate) fn apply(&self, cache: &mut Objects) -> bool {
        match self.kind {
            Kind::Service => cache.apply(self.clone().read::<Service>()),
            Kind::EndpointSlice => cache.apply(self.clone().read::<EndpointSlice>()),
            Kind::Ingress => cache.apply(self.clone().read::<Ingress>()),
            Kind::IngressClass => cache.apply(self.clone().read::<IngressClass>()),
            Kind::Pod => cache.apply(self.clone().read::<Pod>()),
            Kind::Secret => cache.apply(self.clone().read::<Secret>()),
            Kind::AuthPolicy => cache.apply(AnyAuthPolicy(self.value.clone())),
            Kind::Consumer => cache.apply(AnyConsumer(self.value.clone())),
            Kind::BackendPolicy => cache.apply(AnyBackendPolicy(self.value.clone())),
            Kind::Deployment => cache.apply(self.clone().read::<Deployment>()),
            Kind::StatefulSet => cache.apply(self.clone().read::<StatefulSet>()),
            Kind::CanaryRelease => cache.apply(AnyRelease(self.value.clone())),
        }
    }

    pub(crate) fn delete(&self, cache: &mut Objects) -> bool {
        match self.kind {
            Kind::Service => cache.delete::<Service>(&self.key()),
            Kind::EndpointSlice => cache.delete::<EndpointSlice>(&self.key()),
            Kind::Ingress => cache.delete::<Ingress>(&self.key()),
            Kind::IngressClass => cache.delete::<IngressClass>(&self.key()),
            Kind::Pod => cache.delete::<Pod>(&self.key()),
            Kind::Secret => cache.delete::<Secret>(&self.key()),
            Kind::AuthPolicy => cache.delete::<AnyAuthPolicy>(&self.key()),
            Kind::Consumer => cache.delete::<AnyConsumer>(&self.key()),
            Kind::BackendPolicy => cache.delete::<AnyBackendPolicy>(&self.key()),
            Kind::Deployment => cache.delete::<Deployment>(&self.key()),
            Kind::StatefulSet => cache.delete::<StatefulSet>(&self.key()),
            Kind::CanaryRelease => cache.delete::<CanaryRelease>(&self.key()),
        }
    }
}

const NAMESPACES: &[&str] = &["one", "two"];
const SERVICES: &[&str] = &["cart", "cart-v2", "shop"];

fn created() -> impl Strategy<Value = Value> {
    select(vec![json!("2026-01-01T00:00:00Z"), json!("2026-01-02T00:00:00Z")])
}

pub(crate) fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        3 => service().prop_map(|value| Object { kind: Kind::Service, value }),
        3 => slice().prop_map(|value| Object { kind: Kind::EndpointSlice, value }),
        3 => (select(NAMESPACES), select(&["i", "j"][..]), created(), ingress_spec()).prop_map(|(namespace, name, created, spec)| {
            Object { kind: Kind::Ingress, value: json!({
                "metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": spec}) }
        }),
        1 => classes().prop_map(|value| Object { kind: Kind::IngressClass, value }),
        2 => policy().prop_map(|value| Object { kind: Kind::BackendPolicy, value }),
        2 => deployment().prop_map(|value| Object { kind: Kind::Deployment, value }),
        2 => pod().prop_map(|value| Object { kind: Kind::Pod, value }),
        2 => auth_policy().prop_map(|value| Object { kind: Kind::AuthPolicy, value }),
        2 => consumer().prop_map(|value| Object { kind: Kind::Consumer, value }),
        1 => secret().prop_map(|value| Object { kind: Kind::Secret, value }),
        4 => release().prop_map(|value| Object { kind: Kind::CanaryRelease, value }),
    ]
}

/// One of our class in a namespace of its own, younger than all others.
pub(crate) fn younger_ingress() -> impl Strategy<Value = Object> {
    ingress_spec().prop_map(|mut spec| {
        spec["ingressClassName"] = "ours".into();
        let metadata = json!({"namespace": "intruder", "name": "younger", "creationTimestamp": "2026-02-01T00:00:00Z"});
        Object { kind: Kind::Ingress, value: json!({"metadata": metadata, "spec": spec}) }
    })
}

fn policy() -> impl Strategy<Value = Value> {
    let path = select(vec![json!("/"), json!("/v1/"), json!("/a/../v2"), json!("/%2f"), json!("v1"), json!(null)]);
    (select(NAMESPACES), select(&["p", "q"][..]), select(SERVICES), created(), path).prop_map(|(namespace, name, service, created, path)| {
        json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": {"service": service, "path": path}})
    })
}

fn auth_policy() -> impl Strategy<Value = Value> {
    let scope = select(vec![
        json!({"service": "cart"}),
        json!({"route": {"kind": "Ingress", "name": "i"}}),
        json!({"all": true}),
        json!({"all": true, "allNamespaces": true}),
        json!({}),
    ]);
    let method = select(vec![
        json!({"basicAuth": {}}),
        json!({"keyAuth": {"headers": ["apikey"]}}),
        json!({"jwt": {"issuer": "i", "jwks": {"secretRef": {"name": "a", "key": "jwks"}}}}),
        json!({}),
    ]);
    (select(NAMESPACES), select(&["p", "q"][..]), created(), scope, method).prop_map(|(namespace, name, created, scope, method)| {
        json!({"metadata": {"namespace": namespace, "name": name, "creationTimestamp": created}, "spec": {"scope": scope, "methods": [method]}})
    })
}

fn consumer() -> impl Strategy<Value = Value> {
    let username = select(vec![json!(null), json!("alice"), json!("")]);
    let credential = select(vec![
        json!({"keyAuth": {"secretRef": {"name": "a", "key": "key"}}}),
        json!({"keyAuth": {"secretRef": {"name": "b", "key": "key"}}}),
        json!({"jwt": {"issuer": "i", "subject": "s"}}),
    ]);
    (select(NAMESPACES), select(&["c", "d"][..]), created(), username, credential).prop_map(
        |(namespace, name, created, username, credential)| {
            let metadata = json!({"namespace": namespace, "name": name, "creationTimestamp": created});
            json!({"metadata": metadata, "spec": {"username": username, "credentials": [credential]}})
        },
    )
}

fn secret() -> impl Strategy<Value = Value> {
    let key = select(&["one", "other", ""][..]);
    let jwks = select(&[r#"{"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#, "none"][..]);
    (select(NAMESPACES), select(&["a", "b"][..]), key, jwks).prop_map(
        |(namespace, name, key, jwks)| json!({"metadata": {"namespace": namespace, "name": name}, "stringData": {"key": key, "jwks": jwks}}),
    )
}

fn service() -> impl Strategy<Value = Value> {
    let spec = select(vec![
        json!({"ports": [{"port": 80}]}),
        json!({"ports": [{"port": 80, "name": "http"}]}),
        json!({"ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "next"}]}),
        json!({"ports": [{"port": 80, "protocol": "UDP"}]}),
        json!({"ports": [{"port": -1}]}),
        json!({"type": "ExternalName", "externalName": "a.example"}),
    ]);
    (select(NAMESPACES), select(SERVICES), spec)
        .prop_map(|(namespace, name, spec)| json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

fn slice() -> impl Strategy<Value = Value> {
    let endpoint = (1..6u8, select(vec![json!(null), json!(true), json!(false)]), any::<bool>()).prop_map(|(host, ready, draining)| {
        json!({"addresses": [format!("10.0.0.{host}")], "targetRef": {"kind": "Pod", "name": format!("p{}", host % 3), "uid": "u"}, "conditions": {"ready": ready, "serving": draining, "terminating": draining}})
    });
    let ports = select(vec![json!([{"port": 8080}]), json!([{"port": 8080, "name": "http"}]), json!([{"port": 99999, "name": "http"}])]);
    (select(NAMESPACES), select(&["s", "t"][..]), select(SERVICES), ports, prop::collection::vec(endpoint, 0..4)).prop_map(
        |(namespace, name, service, ports, endpoints)| {
            let metadata = json!({"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": service}});
            json!({"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": endpoints})
        },
    )
}

fn pod() -> impl Strategy<Value = Value> {
    (select(NAMESPACES), select(&["p0", "p1", "p2"][..]), select(&["u", "u", "other"][..]), select(&["v1", "v2"][..])).prop_map(
        |(namespace, name, uid, version)| json!({"metadata": {"namespace": namespace, "name": name, "uid": uid, "labels": {"version": version}}}),
    )
}

fn deployment() -> impl Strategy<Value = Value> {
    let status = |available: u8| json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": available});
    (select(NAMESPACES), select(&["d", "e"][..]), select(&["1", "2"][..]), 0..2u8).prop_map(
        move |(namespace, name, revision, available)| {
            let annotations = json!({"deployment.kubernetes.io/revision": revision});
            let metadata = json!({"namespace": namespace, "name": name, "uid": name, "annotations": annotations});
            let template = json!({"spec": {"containers": [{"name": "app", "image": revision}]}});
            json!({"metadata": metadata, "spec": {"selector": {}, "template": template}, "status": status(available)})
        },
    )
}

/// A class of ours that no event takes away.
pub(crate) fn class() -> Object {
    let value = json!({"metadata": {"name": "ours"}, "spec": {"controller": "serin.dev/ingress-controller"}});
    Object { kind: Kind::IngressClass, value }
}

fn classes() -> impl Strategy<Value = Value> {
    let controller = select(&["serin.dev/ingress-controller", "k8s.io/ingress-nginx"][..]);
    (select(&["serin", "nginx"][..]), controller, any::<bool>()).prop_map(|(name, controller, default)| {
        let annotations = json!({"ingressclass.kubernetes.io/is-default-class": default.to_string()});
        json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}})
    })
}

fn backend() -> impl Strategy<Value = Value> {
    let port = select(vec![json!({"number": 80}), json!({"name": "http"}), json!({"number": 0})]);
    (select(SERVICES), port).prop_map(|(name, port)| json!({"service": {"name": name, "port": port}}))
}

fn ingress_spec() -> impl Strategy<Value = Value> {
    let host = select(vec![json!(null), json!("a.example"), json!("*.example"), json!("A.example"), json!("bad host")]);
    let path = select(&["/", "/a", "/a/", "/%61", "/a/b", "relative", "/%00"][..]);
    let kind = select(&["Exact", "Prefix", "ImplementationSpecific", "Regex"][..]);
    let path = (path, kind, backend()).prop_map(|(path, kind, backend)| json!({"path": path, "pathType": kind, "backend": backend}));
    let rule = (host, prop::collection::vec(path, 0..4)).prop_map(|(host, paths)| json!({"host": host, "http": {"paths": paths}}));
    let class = select(vec![json!("ours"), json!("ours"), json!("serin"), json!("nginx"), json!(null)]);
    (class, prop::option::of(backend()), prop::collection::vec(rule, 0..3))
        .prop_map(|(class, default, rules)| json!({"ingressClassName": class, "defaultBackend": default, "rules": rules}))
}

fn release() -> impl Strategy<Value = Value> {
    let scope = select(vec![
        json!({"service": "cart"}),
        json!({"service": "shop"}),
        json!({"route": {"kind": "Ingress", "name": "i"}}),
        json!({"route": {"kind": "Ingress", "name": "i", "path": "/a"}, "service": "cart"}),
        json!({"all": true}),
        json!({"all": true, "allNamespaces": true}),
        json!({}),
    ]);
    let canary = select(vec![
        json!({"service": "cart-v2"}),
        json!({"service": "cart"}),
        json!({"port": 81}),
        json!({"podSelector": {"matchLabels": {"version": "v2"}}}),
        json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}}),
        json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a%2Fb"}}),
        json!("nonsense"),
    ]);
    let strategy = select(vec![json!({"percentage": 10}), json!({"weights": {"stable": 1, "canary": 1}}), json!({"percentage": 12.5})]);
    let phase = select(&["", "Pending", "Scheduled", "Progressing", "Steady", "Promoted", "Completed", "Aborted", "Disabled"][..]);
    // The id of the first scope and canary, so that some traffic is of the release that is there.
    let id = release_id(&[("scope.service", "cart"), ("canary.service", "cart-v2")]);
    let traffic = select(vec![
        json!(null),
        json!({"buckets": 1000, "from": 0, "to": 100, "floor": 0, "epoch": 1, "release": id,
        "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-01-01T00:00:00.000Z", "until": "2026-01-01T00:00:00.000Z"}),
    ]);
    let workloads = select(vec![
        json!({}),
        json!({"canary": {"kind": "Deployment", "name": "d"}}),
        json!({"canary": {"kind": "Deployment", "name": "d"}, "stable": {"kind": "Deployment", "name": "e"}}),
    ]);
    let abort = select(vec![json!({}), json!({}), json!({"serin.dev/abort": "1"})]);
    let spec = (scope, canary, strategy, workloads, any::<bool>()).prop_map(|(scope, canary, strategy, workloads, enabled)| {
        json!({"enabled": enabled, "scope": scope, "canary": canary, "strategy": strategy, "workloads": workloads})
    });
    (select(NAMESPACES), select(&["r", "s", "t"][..]), created(), spec, phase, traffic, abort).prop_map(
        |(namespace, name, created, spec, phase, traffic, abort)| {
            let metadata = json!({"namespace": namespace, "name": name, "uid": name, "creationTimestamp": created, "annotations": abort});
            json!({"metadata": metadata, "spec": spec, "status": {"phase": phase, "traffic": traffic}})
        },
    )
}
