//! The cache says whether a change matters.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use serin_api::CanaryRelease;
use serin_compiler::{AnyRelease, Cached, Key, Objects};

fn object<K: Cached + serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("it deserializes")
}

/// Whether a second version of an object matters.
fn matters<K: Cached + serde::de::DeserializeOwned>(first: Value, second: Value) -> bool {
    let mut objects = Objects::default();
    assert!(objects.apply::<K>(object(first)), "what is new matters");
    objects.apply::<K>(object(second))
}

#[test]
fn what_nobody_reads_does_not_matter() {
    let service = |version: &str| {
        json!({"metadata": {"namespace": "a", "name": "b", "resourceVersion": version, "labels": {"v": version}, "annotations": {"v": version},
            "managedFields": [{"manager": version}]}, "spec": {"ports": [{"port": 80}]}})
    };
    assert!(!matters::<Service>(service("1"), service("2")));

    let slice = |time: &str| {
        let annotations = json!({"endpoints.kubernetes.io/last-change-trigger-time": time});
        let metadata = json!({"namespace": "a", "name": "b", "annotations": annotations, "generation": 1});
        json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []})
    };
    assert!(!matters::<EndpointSlice>(slice("2026-01-01T00:00:00Z"), slice("2026-01-01T00:00:01Z")));

    let ingress =
        |ip: &str| json!({"metadata": {"namespace": "a", "name": "b"}, "spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
    assert!(!matters::<Ingress>(ingress("10.0.0.1"), ingress("10.0.0.2")));
}

#[test]
fn what_is_read_matters() {
    let service = |port: u16| json!({"metadata": {"namespace": "a", "name": "b"}, "spec": {"ports": [{"port": port}]}});
    assert!(matters::<Service>(service(80), service(81)));
    let listed = |address: &str| json!({"metadata": {"namespace": "a", "name": "b", "annotations": {"serin.dev/endpoints": address}}});
    assert!(matters::<Service>(listed("127.0.0.1:1"), listed("127.0.0.1:2")));
    let classed = |class: &str| json!({"metadata": {"namespace": "a", "name": "b", "annotations": {"kubernetes.io/ingress.class": class}}});
    assert!(matters::<Ingress>(classed("serin"), classed("nginx")));
    let of = |service: &str| {
        let metadata = json!({"namespace": "a", "name": "b", "labels": {"kubernetes.io/service-name": service}});
        json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []})
    };
    assert!(matters::<EndpointSlice>(of("a"), of("b")));
}

#[test]
fn of_a_release_the_status_matters_as_far_as_it_is_served() {
    let release = |status: Value, token: &str| {
        let spec = json!({"scope": {"service": "a"}, "canary": {"service": "b"}, "strategy": {"percentage": 10}});
        json!({"metadata": {"namespace": "a", "name": "b", "annotations": {"serin.dev/abort": token}}, "spec": spec, "status": status})
    };
    let traffic = |until: &str| {
        json!({"phase": "Steady", "traffic": {"buckets": 100, "from": 0, "to": 10, "floor": 0, "epoch": 1, "release": "x",
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z", "until": until}})
    };
    let mut objects = Objects::default();
    assert!(objects.apply(AnyRelease(release(traffic("2026-01-01T00:00:00Z"), "1"))));
    let mut measured = traffic("2026-01-01T00:00:00Z");
    measured["measured"] = json!({"weight": "9.8"});
    assert!(!objects.apply(AnyRelease(release(measured, "1"))), "measured");
    assert!(objects.apply(AnyRelease(release(traffic("2026-01-01T00:01:00Z"), "1"))), "until");
    assert!(objects.apply(AnyRelease(release(traffic("2026-01-01T00:01:00Z"), "2"))), "abort");
    assert!(!objects.apply::<CanaryRelease>(object(release(traffic("2026-01-01T00:01:00Z"), "2"))), "the same, typed");
}

#[test]
fn delete_and_replace_say_what_they_changed() {
    let service = |name: &str| object::<Service>(json!({"metadata": {"namespace": "a", "name": name}}));
    let mut objects = Objects::default();
    assert!(!objects.replace::<Service>([]));
    assert!(objects.replace([service("b"), service("c")]));
    assert!(!objects.replace([service("c"), service("b")]));
    assert!(objects.delete::<Service>(&Key::new("a", "b")));
    assert!(!objects.delete::<Service>(&Key::new("a", "b")));
    assert!(objects.replace([service("b")]));
    assert!(!objects.apply(service("b")));
}

#[test]
fn object_without_a_namespace_is_in_default() {
    let mut objects = Objects::default();
    objects.apply(object::<Service>(json!({"metadata": {"name": "b"}})));
    assert!(objects.delete::<Service>(&Key::new("default", "b")));
}
