//! What the workloads of a release say: its revision, whether that is rolled out, and whether stable runs what the canary does.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_api::{parse_value, reason};
use serin_compiler::{AnyRelease, Cached, Key, Need, Needed, Objects, Options, ReleaseOutcome, compile};
use serin_routing::config::{Release, Traffic};
use std::sync::Arc;

fn apply<K: Cached + serde::de::DeserializeOwned>(objects: &mut Objects, value: Value) {
    objects.apply(serde_json::from_value::<K>(value).expect("it deserializes"));
}

/// A Deployment of one pod that is rolled out; `more` is merged into it.
fn deployment(name: &str, revision: u32, image: &str, more: &Value) -> Value {
    let mut object = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-of-{name}"), "generation": 4,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()}},
        "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        "status": {"observedGeneration": 4, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    });
    merge(&mut object, more);
    object
}

fn merge(into: &mut Value, patch: &Value) {
    match (into.as_object_mut(), patch.as_object()) {
        (Some(object), Some(patch)) => patch.iter().for_each(|(name, value)| merge(object.entry(name).or_insert(Value::Null), value)),
        _ => *into = patch.clone(),
    }
}

/// Two Services with an endpoint each and a route to the first; nothing of workloads is known yet.
fn site() -> Objects {
    let mut objects = Objects::default();
    apply::<IngressClass>(&mut objects, json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}}));
    for (name, address) in [("checkout", "10.0.0.1"), ("checkout-v2", "10.0.0.2")] {
        apply::<Service>(
            &mut objects,
            json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        );
        endpoint(&mut objects, name, address, true);
    }
    let path =
        |path: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": "checkout", "port": {"number": 80}}}});
    let rules = json!([{"host": "shop.example", "http": {"paths": [path("/a"), path("/b")]}}]);
    let spec = json!({"ingressClassName": "serin", "rules": rules});
    apply::<Ingress>(&mut objects, json!({"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec}));
    objects
}

fn endpoint(objects: &mut Objects, service: &str, address: &str, ready: bool) {
    apply::<EndpointSlice>(
        objects,
        json!({"metadata": {"namespace": "shop", "name": service, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}]}),
    );
}

fn listed(objects: &mut Objects) {
    for kind in [Needed::Deployments, Needed::StatefulSets] {
        let need = Need { kind, namespace: "shop".into() };
        match kind {
            Needed::Deployments => objects.replace_needed::<Deployment>(need, []),
            _ => objects.replace_needed::<StatefulSet>(need, []),
        };
    }
}

fn spec() -> Value {
    json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"steps": [{"weight": 10, "for": "1h"}]},
        "workloads": {"canary": {"kind": "Deployment", "name": "checkout-v2"}, "stable": {"kind": "Deployment", "name": "checkout"}}})
}

fn release(spec: &Value, status: &Value) -> Value {
    json!({"metadata": {"namespace": "shop", "name": "checkout", "uid": "u"}, "spec": spec, "status": status})
}

/// The id that the spec gives with this revision observed.
fn id(observed: Option<&str>) -> String {
    parse_value(&release(&spec(), &json!({}))).id(observed).expect("it has one")
}

/// A status at half of the buckets, under way with this identity.
fn half(phase: &str, id: &str, observed: Option<&str>, salt: &str) -> Value {
    line(phase, id, observed, salt, 500)
}

fn line(phase: &str, id: &str, observed: Option<&str>, salt: &str, k: u32) -> Value {
    let time = "2026-01-01T00:00:00.000Z";
    json!({"phase": phase, "resolved": {"salt": salt}, "progress": {"uid": "u", "observedRevision": observed},
        "traffic": {"buckets": 1000, "from": k, "to": k, "startsAt": time, "endsAt": time, "until": time, "floor": 0, "epoch": 3, "release": id}})
}

/// What the release comes to, and what is served of it.
fn outcome(objects: &Objects) -> (ReleaseOutcome, Option<Release>) {
    let mut compiled = compile(objects, &Options::default());
    let outcome = compiled.releases.remove(&Key::new("shop", "checkout")).expect("it is there");
    (Arc::unwrap_or_clone(outcome), compiled.config.releases.pop())
}

fn outcome_of(objects: &mut Objects, spec: &Value, status: &Value) -> (ReleaseOutcome, Option<Release>) {
    objects.apply(AnyRelease(release(spec, status)));
    outcome(objects)
}

fn is_served(served: Option<&Release>) -> bool {
    matches!(served.expect("it is in the table").traffic, Traffic::Segment { .. })
}

const V7: &str = "uid-of-checkout-v2/7";

#[test]
fn an_observed_revision_is_in_identity_and_salt_and_status_remembers_one_that_is_not_seen() {
    let mut objects = site();
    let seven = half("Progressing", &id(Some(V7)), Some(V7), "shop/checkout@7");
    // Not listed yet, listed and gone, seen: the last revision counts in each, so no replica lowers.
    for step in 0..3 {
        match step {
            0 => {}
            1 => listed(&mut objects),
            _ => apply::<Deployment>(&mut objects, deployment("checkout-v2", 7, "app:2", &json!({}))),
        }
        let (outcome, served) = outcome_of(&mut objects, &spec(), &seven);
        assert_eq!((outcome.id, outcome.observed.as_deref()), (id(Some(V7)), Some(V7)), "{step}");
        assert!(is_served(served.as_ref()), "{step}");
        assert_eq!(served.map(|served| served.salt).as_deref(), Some("shop/checkout@7"), "{step}");
        assert_eq!(outcome.rolling.is_none(), step == 2, "{step}");
        let missing: Vec<_> = outcome.findings.iter().filter(|f| f.reason == reason::WORKLOAD_NOT_FOUND).map(|f| &*f.field).collect();
        let expected: &[&str] = match step {
            0 => &[],
            1 => &["spec.workloads.canary", "spec.workloads.stable"],
            _ => &["spec.workloads.stable"],
        };
        assert_eq!(missing, expected, "{step}");
    }
    for next in [
        deployment("checkout-v2", 8, "app:3", &json!({})),
        deployment("checkout-v2", 7, "app:2", &json!({"metadata": {"uid": "made anew"}})),
    ] {
        apply::<Deployment>(&mut objects, next);
        for phase in ["Progressing", "Paused", "Steady", "Promoted", "Aborted"] {
            let (_, served) = outcome_of(&mut objects, &spec(), &half(phase, &id(Some(V7)), Some(V7), "shop/checkout@7"));
            assert!(!is_served(served.as_ref()), "{phase}: all on stable, before any leader says so");
        }
        for phase in ["Pending", "Scheduled", "Completed"] {
            let (_, served) = outcome_of(&mut objects, &spec(), &half(phase, &id(Some(V7)), Some(V7), "shop/checkout@7"));
            assert_eq!(served, None, "{phase}");
        }
    }
}

#[test]
fn the_first_revision_completes_the_identity_and_nobody_who_has_the_canary_gets_another_bucket() {
    let mut objects = site();
    apply::<Deployment>(&mut objects, deployment("checkout-v2", 7, "app:2", &json!({})));
    for (k, salt) in [(0, "shop/checkout@7"), (500, "shop/checkout")] {
        let (outcome, served) = outcome_of(&mut objects, &spec(), &line("Progressing", &id(None), None, "shop/checkout", k));
        assert_eq!((outcome.id, outcome.unobserved), (id(Some(V7)), id(None)));
        assert!(is_served(served.as_ref()));
        assert_eq!(served.map(|served| served.salt).as_deref(), Some(salt));
        assert_eq!(outcome.release.map(|release| release.split.salt).as_deref(), Some(salt));
    }
    // From then on the salt is the release's.
    let (_, served) = outcome_of(&mut objects, &spec(), &half("Progressing", &id(Some(V7)), Some(V7), "shop/checkout"));
    assert_eq!(served.map(|served| served.salt).as_deref(), Some("shop/checkout"));
    // A memory of another object is none, and one of another revision is no first.
    let mut copied = half("Progressing", &id(None), Some(V7), "shop/checkout");
    let (_, served) = outcome_of(&mut objects, &spec(), &copied);
    assert!(!is_served(served.as_ref()));
    copied["progress"]["uid"] = "another".into();
    objects.delete::<Deployment>(&Key::new("shop", "checkout-v2"));
    let (outcome, _) = outcome_of(&mut objects, &spec(), &copied);
    assert_eq!(outcome.id, id(None));
}

#[test]
fn workloads_that_cannot_be_read_or_are_left_out() {
    let mut objects = site();
    apply::<Deployment>(&mut objects, deployment("checkout-v2", 8, "app:3", &json!({})));
    let seven = half("Progressing", &id(Some(V7)), Some(V7), "shop/checkout@7");
    let mut bad = spec();
    bad["workloads"]["canary"]["kind"] = "DaemonSet".into();
    let (outcome, served) = outcome_of(&mut objects, &bad, &seven);
    assert!(is_served(served.as_ref()), "a bad edit keeps what is served");
    assert_eq!(outcome.id, id(Some(V7)));
    let mut without = spec();
    without["workloads"] = Value::Null;
    let (outcome, served) = outcome_of(&mut objects, &without, &seven);
    assert_eq!((outcome.id, outcome.observed, outcome.rolling), (id(None), None, None));
    assert!(!is_served(served.as_ref()));
    assert!(objects.needs(&Options::default()).is_empty());
}

#[test]
fn a_rollout_is_complete_when_all_pods_are_new_and_available() {
    let rolled_out = |more: Value| {
        let mut objects = site();
        apply::<Deployment>(&mut objects, deployment("checkout-v2", 7, "app:2", &more));
        outcome_of(&mut objects, &spec(), &json!({})).0.rolling.is_none()
    };
    for (more, expected) in [
        (json!({}), true),
        (json!({"metadata": {"generation": 5}}), false),
        (json!({"metadata": {"annotations": null}}), false),
        (json!({"spec": {"replicas": 2}}), false),
        (json!({"spec": {"replicas": 0}, "status": {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}}), true),
        (json!({"status": {"replicas": 2}}), false),
        (json!({"status": {"availableReplicas": 0}}), false),
        (json!({"status": null}), false),
    ] {
        assert_eq!(rolled_out(more.clone()), expected, "{more}");
    }
    let set = |status: Value| {
        let mut objects = site();
        let metadata = json!({"namespace": "shop", "name": "checkout-v2", "uid": "s", "generation": 2});
        let template = json!({"spec": {"containers": [{"name": "app", "image": "app:2"}]}});
        let spec = json!({"replicas": 2, "selector": {}, "serviceName": "", "template": template});
        apply::<StatefulSet>(&mut objects, json!({"metadata": metadata, "spec": spec, "status": status}));
        let mut by_set = self::spec();
        by_set["workloads"] = json!({"canary": {"kind": "StatefulSet", "name": "checkout-v2"}});
        let (outcome, _) = outcome_of(&mut objects, &by_set, &json!({}));
        (outcome.observed, outcome.rolling.is_none())
    };
    let status = |updated: u32, available: u32| json!({"replicas": 2, "observedGeneration": 2, "updateRevision": "web-6b7f", "updatedReplicas": updated, "availableReplicas": available});
    assert_eq!(set(status(2, 2)), (Some("s/web-6b7f".into()), true));
    assert_eq!(set(status(1, 2)), (Some("s/web-6b7f".into()), false), "a partition leaves old pods");
    assert_eq!(set(status(2, 1)), (Some("s/web-6b7f".into()), false));
    assert_eq!(set(json!({"replicas": 0})), (None, false));
}

/// Both workloads as they are when stable runs what the canary does.
fn finished() -> Objects {
    let mut objects = site();
    apply::<Deployment>(&mut objects, deployment("checkout-v2", 7, "app:2", &json!({})));
    apply::<Deployment>(&mut objects, deployment("checkout", 4, "app:2", &json!({})));
    objects
}

#[test]
fn s10_completed_when_stable_has_rolled_out_the_canarys_images_and_has_a_ready_endpoint() {
    let completed = |objects: &mut Objects, spec: &Value| {
        let (outcome, _) = outcome_of(objects, spec, &json!({}));
        assert!(outcome.routes.iter().all(|route| route.completed == route.edits.is_empty()), "an edit for each that is not done");
        (outcome.routes.len(), outcome.finalised())
    };
    let of = |patch: Value| {
        let mut spec = spec();
        merge(&mut spec, &patch);
        spec
    };
    assert_eq!(completed(&mut finished(), &spec()), (2, true));
    let sidecar = json!([{"name": "app", "image": "app:2"}, {"name": "proxy", "image": "proxy:1"}]);
    for (stable, expected, why) in [
        (deployment("checkout", 4, "app:1", &json!({})), false, "another image"),
        (deployment("checkout", 4, "app:2", &json!({"status": {"replicas": 2}})), false, "an old pod is left"),
        (deployment("checkout", 4, "app:2", &json!({"spec": {"template": {"spec": {"containers": sidecar}}}})), true, "a sidecar more"),
        (deployment("checkout", 4, "app:2", &json!({"spec": {"template": {"spec": {"containers": []}}}})), false, "no such container"),
    ] {
        let mut objects = finished();
        apply::<Deployment>(&mut objects, stable);
        assert_eq!(completed(&mut objects, &spec()), (2, expected), "{why}");
    }
    let mut objects = finished();
    endpoint(&mut objects, "checkout", "10.0.0.1", false);
    assert_eq!(completed(&mut objects, &spec()), (2, false), "no ready endpoint");
    let mut objects = finished();
    let ports = json!([{"name": "http", "port": 80, "targetPort": 9090}]);
    apply::<Service>(&mut objects, json!({"metadata": {"namespace": "shop", "name": "checkout-v2"}, "spec": {"ports": ports}}));
    assert_eq!(completed(&mut objects, &spec()), (2, false), "another target port");
    for (patch, why) in [
        (json!({"canary": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/v2"}}}), "the path is another one"),
        (json!({"workloads": {"canary": null}}), "nothing says which images"),
        (json!({"workloads": {"stable": null}}), "nothing says which workload"),
    ] {
        assert!(!completed(&mut finished(), &of(patch)).1, "{why}");
    }
}

#[test]
fn s10_the_edit_is_of_stables_images_and_runs_nothing_but_kubectl() {
    let edit = |image: &str, standalone: bool| {
        let mut objects = finished();
        apply::<Deployment>(&mut objects, deployment("checkout-v2", 8, image, &json!({})));
        objects.apply(AnyRelease(release(&spec(), &json!({}))));
        let mut compiled = compile(&objects, &Options { standalone, ..Options::default() });
        let outcome = compiled.releases.remove(&Key::new("shop", "checkout")).expect("it is there");
        outcome.routes[0].edits.iter().map(|edit| (edit.object.to_string(), edit.text().into_owned())).collect::<Vec<_>>()
    };
    let object = "Deployment/shop/checkout".to_owned();
    let text = "kubectl -n shop set image deployment/checkout app=registry.example:5000/app@sha256:0a".to_owned();
    assert_eq!(edit("registry.example:5000/app@sha256:0a", false), [(object.clone(), text)]);
    assert_eq!(edit("app:3", true), [(object, "Set the image of container app to app:3".to_owned())]);
    for hostile in ["app:3; reboot", "$(reboot)", "app\nreboot", "--all"] {
        let text = &edit(hostile, false)[0].1;
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || " -._/:@=".contains(c)) && !text.contains(" --"), "{text}");
    }
}

#[test]
fn s12_stables_images_wait_for_the_releases_of_all_its_routes() {
    let mut objects = finished();
    apply::<Deployment>(&mut objects, deployment("checkout", 4, "app:1", &json!({})));
    let mut of_route = spec();
    of_route["scope"] = json!({"route": {"kind": "Ingress", "name": "shop", "path": "/a"}});
    let (outcome, _) = outcome_of(&mut objects, &of_route, &json!({}));
    assert_eq!(outcome.waits_for, ["Ingress/shop/shop shop.example/b, which has no release"]);
}

#[test]
fn with_pods_of_one_service_the_next_revision_gets_nothing_before_it_is_judged() {
    let mut objects = finished();
    objects.replace_needed::<Pod>(Need { kind: Needed::Pods, namespace: "shop".into() }, []);
    for (name, version) in [("a", "v1"), ("b", "v2")] {
        apply::<Pod>(&mut objects, json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "labels": {"track": version}}}));
    }
    let endpoint = |address: &str, pod: &str| json!({"addresses": [address], "targetRef": {"kind": "Pod", "name": pod, "uid": pod}});
    apply::<EndpointSlice>(
        &mut objects,
        json!({"metadata": {"namespace": "shop", "name": "checkout", "labels": {"kubernetes.io/service-name": "checkout"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
            "endpoints": [endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "b")]}),
    );
    let mut by_pods = spec();
    by_pods["canary"] = json!({"podSelector": {"matchLabels": {"track": "v2"}}});
    let id = |observed| parse_value(&release(&by_pods, &json!({}))).id(Some(observed)).expect("it has one");
    let reached = |objects: &mut Objects, phase: &str| {
        objects.apply(AnyRelease(release(&by_pods, &line(phase, &id(V7), Some(V7), "", 0))));
        let config = compile(objects, &Options::default()).config;
        let route = &config.routes[0];
        let stable = route.releases.first().map_or(route.backend, |applied| applied.stable);
        let rolled_back = config.releases.iter().all(|release| matches!(release.traffic, Traffic::RolledBack { .. }));
        (config.backends[stable.expect("it has a backend")].ready.len(), rolled_back)
    };
    assert_eq!(reached(&mut objects, "Completed"), (2, true), "both run the same");
    apply::<Deployment>(&mut objects, deployment("checkout-v2", 7, "app:3", &json!({"metadata": {"generation": 5}})));
    for phase in ["Completed", "Pending", "Scheduled"] {
        assert_eq!(reached(&mut objects, phase), (1, true), "{phase}: the image is another one already");
    }
    apply::<Deployment>(&mut objects, deployment("checkout-v2", 8, "app:3", &json!({})));
    for phase in ["Completed", "Pending", "Scheduled", "Promoted"] {
        assert_eq!(reached(&mut objects, phase), (1, true), "{phase}");
    }
    assert_eq!(reached(&mut objects, "Disabled").0, 2, "the plain Service");
}
