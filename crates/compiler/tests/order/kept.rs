//! What a compiler keeps from one table to the next is what a first table of the same objects has.

use super::objects::{Kind, Object, class, object};
use super::{Event, OPTIONS};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};
use serin_compiler::{AllowedHosts, Compiler, Need, Needed, Objects, Options, Resolution, compile};

/// One of the two namespaces is serin's own, so releases of it may reach into the other.
fn options() -> Options {
    Options { own_namespace: "one".into(), external_hosts: vec![AllowedHosts::Any], ..OPTIONS }
}

fn of(kind: Kind, namespace: &str, name: &str, rest: Value) -> Object {
    let Value::Object(mut all) = rest else { unreachable!("an object is a map") };
    let Some(Value::Object(metadata)) = Some(all.entry("metadata").or_insert_with(|| json!({}))) else { unreachable!("so is metadata") };
    metadata.extend([("namespace".to_owned(), json!(namespace)), ("name".to_owned(), json!(name)), ("uid".to_owned(), json!(name))]);
    Object { kind, value: all.into() }
}

fn service(name: &str, port: u16) -> Object {
    of(Kind::Service, "two", name, json!({"spec": {"ports": [{"port": port}]}}))
}

fn slice(ready: bool) -> Object {
    let pod = |host: u8| {
        let pod = json!({"kind": "Pod", "name": format!("p{host}"), "uid": format!("p{host}")});
        json!({"addresses": [format!("10.0.0.{host}")], "targetRef": pod, "conditions": {"ready": ready}})
    };
    let metadata = json!({"labels": {"kubernetes.io/service-name": "cart"}});
    let rest = json!({"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [pod(1), pod(2)]});
    of(Kind::EndpointSlice, "two", "cart", rest)
}

fn pod(name: &str, version: &str) -> Object {
    of(Kind::Pod, "two", name, json!({"metadata": {"labels": {"version": version}}}))
}

fn ingress(namespace: &str, name: &str, path: &str, service: &str, created: &str) -> Object {
    let path = json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}});
    let rest =
        json!({"metadata": {"creationTimestamp": created}, "spec": {"ingressClassName": "ours", "rules": [{"http": {"paths": [path]}}]}});
    of(Kind::Ingress, namespace, name, rest)
}

fn policy(path: &str) -> Object {
    let tls = json!({"caCertificate": {"secretRef": {"name": "ca", "key": "ca.crt"}}, "serverName": "cart.example"});
    of(Kind::BackendPolicy, "two", "cart", json!({"spec": {"service": "cart", "path": path, "tls": tls}}))
}

fn secret(pem: &str) -> Object {
    of(Kind::Secret, "two", "ca", json!({"stringData": {"ca.crt": pem}}))
}

fn workload(kind: Kind, revision: &str) -> Object {
    let metadata = json!({"annotations": {"deployment.kubernetes.io/revision": revision}});
    let status = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "updateRevision": revision});
    let spec = json!({"selector": {}, "serviceName": "w", "template": {"spec": {"containers": [{"name": "app", "image": revision}]}}});
    of(kind, "two", "w", json!({"metadata": metadata, "spec": spec, "status": status}))
}

fn release(namespace: &str, name: &str, spec: Value) -> Object {
    of(Kind::CanaryRelease, namespace, name, json!({"spec": spec}))
}

fn everything(enabled: bool) -> Value {
    json!({"enabled": enabled, "scope": {"all": true, "allNamespaces": true}, "canary": {"port": 80}, "strategy": {"percentage": 10}})
}

/// Releases by pods, by a workload of each kind, and one that reaches from serin's namespace into the other.
fn releases() -> Vec<Object> {
    let by_pods = json!({"podSelector": {"matchLabels": {"version": "v2"}}});
    let on_a = json!({"service": "cart", "route": {"kind": "Ingress", "name": "a"}});
    let runs = |kind: &str| json!({"canary": {"kind": kind, "name": "w"}});
    let route = |name: &str| json!({"route": {"kind": "Ingress", "name": name}});
    let strategy = json!({"percentage": 10});
    vec![
        release("two", "by-pods", json!({"scope": on_a, "canary": by_pods, "strategy": strategy})),
        release(
            "two",
            "deployed",
            json!({"scope": route("a"), "canary": {"service": "next"}, "strategy": strategy, "workloads": runs("Deployment")}),
        ),
        release(
            "two",
            "set",
            json!({"scope": route("b"), "canary": {"service": "next"}, "strategy": strategy, "workloads": runs("StatefulSet")}),
        ),
        release("one", "reaching", everything(true)),
    ]
}

fn world(issuer: &str) -> Vec<Object> {
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let mut world = vec![
        class(),
        service("cart", 80),
        service("next", 80),
        slice(true),
        pod("p1", "v1"),
        pod("p2", "v2"),
        ingress("two", "a", "/a", "cart", old),
        ingress("two", "b", "/b", "cart", new),
        policy("/v1"),
        secret(issuer),
        workload(Kind::Deployment, "1"),
        workload(Kind::StatefulSet, "1"),
    ];
    world.extend(releases());
    world
}

#[test]
fn a_change_of_any_kind_of_object_reaches_the_next_table() {
    let issuer = || rcgen::generate_simple_self_signed(vec!["issuer.example".to_owned()]).expect("a certificate").cert.pem();
    let first = issuer();
    let (options, old) = (options(), "2025-01-01T00:00:00Z");
    let mut changes = vec![
        service("cart", 81),
        slice(false),
        pod("p2", "v3"),
        ingress("two", "b", "/b", "next", "2026-01-02T00:00:00Z"),
        // An older one of another namespace takes the route.
        ingress("one", "older", "/b", "cart", old),
        policy("/v2"),
        secret(&issuer()),
        workload(Kind::Deployment, "2"),
        workload(Kind::StatefulSet, "2"),
        release("two", "by-pods", json!({"scope": {"service": "cart"}, "canary": {"service": "next"}, "strategy": {"percentage": 10}})),
        // It is told to the author of another one, whose edit waits for it.
        release("one", "reaching", everything(false)),
    ];
    let mut foreign = class();
    foreign.value["spec"]["controller"] = "another.example/controller".into();
    changes.push(foreign);
    let gone = world(&first).into_iter().map(|object| (format!("without {:?}", object.id()), Event::Delete(object)));
    let changed = changes.into_iter().map(|object| (format!("with another {:?}", object.id()), Event::Apply(object)));
    for (what, event) in changed.chain(gone) {
        let (mut cache, mut compiler) = (Objects::default(), Compiler::default());
        world(&first).iter().for_each(|object| assert!(object.apply(&mut cache)));
        cache.replace_needed::<Pod>(
            Need { kind: Needed::Pods, namespace: "two".into() },
            [pod("p1", "v1"), pod("p2", "v2")].map(Object::read::<Pod>),
        );
        let before = compiler.compile(&cache, &options);
        assert_eq!(before, compile(&cache, &options));
        match &event {
            Event::Apply(object) => object.apply(&mut cache),
            Event::Delete(object) => object.delete(&mut cache),
        };
        let after = compile(&cache, &options);
        assert_ne!(before, after, "{what} is the same, so it shows nothing");
        assert_eq!(compiler.compile(&cache, &options), after, "{what}");
    }
}

/// What is learnt beside objects.
#[derive(Debug, Clone)]
enum Learnt {
    Event(Event),
    /// What a name outside the cluster stands for.
    Host(Option<u8>),
    /// A namespace was asked for its pods, and has none.
    NoPods(&'static str),
}

fn learnt() -> impl Strategy<Value = Vec<Learnt>> {
    let learnt = prop_oneof![
        12 => object().prop_map(|object| Learnt::Event(Event::Apply(object))),
        3 => object().prop_map(|object| Learnt::Event(Event::Delete(object))),
        1 => prop::option::of(1..4u8).prop_map(Learnt::Host),
        1 => prop::sample::select(&["one", "two"][..]).prop_map(Learnt::NoPods),
    ];
    prop::collection::vec(learnt, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_changes_give_what_a_first_table_gives(all in learnt()) {
        let (mut cache, mut compiler, options) = (Objects::default(), Compiler::default(), options());
        class().apply(&mut cache);
        for learnt in &all {
            match learnt {
                Learnt::Event(Event::Apply(object)) => object.apply(&mut cache),
                Learnt::Event(Event::Delete(object)) => object.delete(&mut cache),
                Learnt::Host(host) => {
                    let addresses = host.iter().map(|host| [192, 0, 2, *host].into()).collect();
                    cache.take_host("a.example".into(), Resolution { addresses, failure: None })
                }
                Learnt::NoPods(namespace) => {
                    cache.replace_needed::<Pod>(Need { kind: Needed::Pods, namespace: (*namespace).to_owned() }, Vec::new())
                }
            };
            prop_assert_eq!(compiler.compile(&cache, &options), compile(&cache, &options), "after {:?}", learnt);
        }
    }
}
