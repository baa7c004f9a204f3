//! Who may ask: what a change costs while there are ten thousand consumers, and that no secret is ever shown.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyAuthPolicy, AnyConsumer, Compiled, Key, Objects, Options, compile};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

const CONSUMERS: usize = 10_000;

fn secret(name: &str, value: &str) -> Secret {
    let metadata = serde_json::from_value(json!({"name": name, "namespace": "shop"})).expect("it is metadata");
    Secret { metadata, data: Some([("key".to_owned(), ByteString(value.as_bytes().to_vec()))].into()), ..Secret::default() }
}

fn read<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("it is one")
}

fn service(port: u16) -> Service {
    read(json!({"metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"ports": [{"port": port}]}}))
}

/// A route, a policy of it, and so many consumers with a key each.
fn objects(consumers: usize) -> Objects {
    let mut objects = Objects::default();
    objects.apply::<IngressClass>(read(json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}})));
    objects.apply(service(80));
    let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "checkout", "port": {"number": 80}}}});
    let spec = json!({"ingressClassName": "serin", "rules": [{"host": "shop.example", "http": {"paths": [path]}}]});
    objects.apply::<Ingress>(read(json!({"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec})));
    let spec = json!({"scope": {"service": "checkout"}, "methods": [{"keyAuth": {"headers": ["apikey"]}}]});
    objects.apply(AnyAuthPolicy(json!({"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec})));
    objects.replace((0..consumers).map(|n| {
        let spec = json!({"groups": ["testers"], "credentials": [{"keyAuth": {"secretRef": {"name": format!("key-{n}"), "key": "key"}}}]});
        AnyConsumer(json!({"metadata": {"namespace": "shop", "name": format!("consumer-{n}")}, "spec": spec}))
    }));
    let names: BTreeSet<String> = (0..consumers).map(|n| format!("key-{n}")).collect();
    objects.replace_secrets("shop", &names, names.iter().map(|name| secret(name, &format!("s3cret-of-{name}"))).collect());
    objects
}

fn compiled(objects: &Objects) -> Compiled {
    compile(objects, &Options::default())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "times are measured and printed, and decide nothing")]
fn an_unrelated_change_leaves_the_directory_of_ten_thousand_consumers_where_it_is() {
    let mut objects = objects(CONSUMERS);
    let timed = |objects: &Objects| {
        let start = Instant::now();
        (compiled(objects), start.elapsed())
    };
    let (first, resolving) = timed(&objects);
    assert_eq!(first.config.policies[0].consumers.consumers().len(), CONSUMERS);
    assert!(objects.apply(service(81)));
    let (second, unrelated) = timed(&objects);
    assert!(Arc::ptr_eq(&first.config.policies[0], &second.config.policies[0]), "the same policy, with the same directory");
    assert!(Arc::ptr_eq(&first.consumers, &second.consumers), "and the same things to say");
    let start = Instant::now();
    assert!(first != second, "the port is another one");
    let comparing = start.elapsed();

    assert!(objects.apply(secret("key-7", "s3cret-that-is-new")));
    let (third, rotated) = timed(&objects);
    assert!(third.config.policies != second.config.policies && third.config.routes == second.config.routes);
    let start = Instant::now();
    let needs = objects.secret_needs(&Options::default());
    let needing = start.elapsed();
    assert_eq!(needs["shop"].len(), CONSUMERS);
    assert!(objects.has_secrets(&needs));
    println!(
        "{CONSUMERS} consumers: resolved in {resolving:?}, again after a rotated key in {rotated:?}; after an unrelated change compiled in \
         {unrelated:?} and compared in {comparing:?}; the Secrets that are named found in {needing:?}"
    );
    assert!(unrelated * 5 < resolving, "{unrelated:?} of {resolving:?}");
}

#[test]
fn secrets_are_read_only_where_a_policy_looks_for_them() {
    let mut objects = objects(2);
    let options = Options { own_namespace: "serin-system".to_owned(), ..Options::default() };
    let spec = json!({"credentials": [{"basicAuth": {"secretRef": {"name": "password"}}}]});
    for namespace in ["serin-system", "other"] {
        objects.apply(AnyConsumer(json!({"metadata": {"namespace": namespace, "name": "root"}, "spec": spec})));
    }
    let needs = objects.secret_needs(&options);
    assert_eq!(serde_json::to_value(&needs).expect("it is JSON"), json!({"serin-system": ["password"], "shop": ["key-0", "key-1"]}));
    assert!(!objects.has_secrets(&needs), "one was not looked for");
    objects.replace_secrets("serin-system", &["password".to_owned()].into(), Vec::new());
    assert!(objects.has_secrets(&needs), "that it is not there is known now");
    objects.delete::<AnyAuthPolicy>(&Key::new("shop", "shop"));
    assert!(objects.secret_needs(&options).is_empty(), "nobody looks for any");
}

#[test]
fn no_secret_is_shown_by_what_may_be_logged() {
    let objects = objects(3);
    let compiled = compiled(&objects);
    let config = serde_json::to_string(&compiled.config).expect("a config is JSON");
    for text in [format!("{objects:?}"), format!("{compiled:?}"), config] {
        assert!(text.contains("consumer-1") || text.contains("3 consumers"), "it is about them: {text}");
        let bytes = format!("{:?}", "s3cret".as_bytes());
        assert!(!text.contains("s3cret") && !text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    }
}
