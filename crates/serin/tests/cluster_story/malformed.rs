//! Objects that no API server would have taken: each harms only itself.

use crate::site::{CRD, HOST, SOON, Site};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, manifests};

/// Writes an object into etcd, past schema and validation. The API server reads JSON there as well as what it writes itself.
fn store(cluster: &Cluster, resource: &str, kind: (&str, &str), namespace: Option<&str>, name: &str, content: &Value) -> Result<()> {
    let (version, kind) = kind;
    let uid =
        format!("00000000-0000-4000-8000-{:012x}", name.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) & 0xffff_ffff_ffff));
    let mut object = json!({"apiVersion": version, "kind": kind,
        "metadata": {"name": name, "uid": uid, "creationTimestamp": "2026-11-01T00:00:00Z"}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for (field, value) in content.as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("labels", labels) => object["metadata"]["labels"] = labels.clone(),
            _ => object[field] = value.clone(),
        }
    }
    let folder = namespace.map_or_else(|| resource.to_owned(), |namespace| format!("{resource}/{namespace}"));
    cluster.put_raw(&format!("/registry/{folder}/{name}"), object.to_string().as_bytes())
}

/// One and more of every kind that serin watches; `suffix` tells those of one time from those of another.
fn store_all(cluster: &Cluster, namespace: &str, suffix: &str) -> Result<()> {
    let name = |what: &str| format!("{what}-{suffix}");
    let release = |what: &str, content: Value| {
        store(cluster, "serin.dev/canaryreleases", ("serin.dev/v1alpha1", "CanaryRelease"), Some(namespace), &name(what), &content)
    };
    release("no-object", json!({"spec": "checkout"}))?;
    release(
        "wrong-type",
        json!({"spec": {"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": [1]}}}),
    )?;
    release("no-status", json!({"spec": {"scope": {"all": true}}, "status": {"traffic": {"from": -1, "epoch": "x"}, "conditions": 7}}))?;

    let service =
        |what: &str, spec: Value| store(cluster, "services/specs", ("v1", "Service"), Some(namespace), &name(what), &json!({"spec": spec}));
    service("no-port", json!({"ports": [{"name": "http", "port": 0}, {"port": -1}]}))?;
    service("same-ports", json!({"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 80}], "type": "Nothing"}))?;

    let of_checkout = json!({"kubernetes.io/service-name": "checkout"});
    let slice = |what: &str, content: Value| {
        store(cluster, "endpointslices", ("discovery.k8s.io/v1", "EndpointSlice"), Some(namespace), &name(what), &content)
    };
    let endpoints = json!([{"addresses": ["not an address", "300.1.2.3", ""]}, {"addresses": []}]);
    slice(
        "no-address",
        json!({"labels": of_checkout, "addressType": "Nothing", "ports": [{"name": "http", "port": 70000}], "endpoints": endpoints}),
    )?;
    slice("no-type", json!({"labels": of_checkout, "addressType": "", "endpoints": null, "ports": null}))?;

    let ingress = |what: &str, spec: Value| {
        store(cluster, "ingress", ("networking.k8s.io/v1", "Ingress"), Some(namespace), &name(what), &json!({"spec": spec}))
    };
    let backend = json!({"service": {"name": "checkout", "port": {"number": 80}}});
    let paths = json!([{"path": "no slash", "pathType": "Prefix", "backend": backend}, {"path": "/%zz/../..", "pathType": "Nothing", "backend": {}}]);
    ingress("no-path", json!({"ingressClassName": "serin", "rules": [{"host": "*.*.Example", "http": {"paths": paths}}, {"http": null}]}))?;
    // It would take all of the shop's requests, were it one.
    ingress(
        "no-backend",
        json!({"ingressClassName": "serin", "rules": [{"host": HOST, "http": {"paths": [{"path": "", "pathType": "", "backend": {"service": {"name": "", "port": {}}}}]}}]}),
    )?;

    store(
        cluster,
        "ingressclasses",
        ("networking.k8s.io/v1", "IngressClass"),
        None,
        &name("no-controller"),
        &json!({"spec": {"controller": ""}}),
    )
}

#[test]
fn one_malformed_object_of_every_kind_stops_nothing_else_and_its_author_is_told() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let site = Site::new(&cluster, "malformed")?;
    store_all(&cluster, site.namespace, "before")?;
    let serin = site.serin(16)?;
    serin.until_origin(HOST, "/", "user-0", "v1")?;
    store_all(&cluster, site.namespace, "later")?;

    // All that is well goes on: a new route, a release, and what they are edited to.
    cluster.apply(&manifests::ingress(site.namespace, "new", "new.example", "/", "checkout-v2"))?;
    serin.until_origin("new.example", "/", "user-0", "v2")?;
    cluster.apply(&site.release(&json!({"strategy": {"percentage": 100}})))?;
    site.until("it is promoted", |release| release["status"]["phase"] == "Promoted")?;
    serin.until_origin(HOST, "/", "user-0", "v2")?;
    site.kubectl(&["delete", "crel", "checkout"])?;
    serin.until_origin(HOST, "/", "user-0", "v1")?;

    // The API server takes no status for these, so their authors have an Event.
    let told = |name: &str| {
        let selector = format!("--field-selector=involvedObject.name={name},type=Warning");
        site.kubectl(&["get", "events", &selector, "-o", "jsonpath={.items[*].message}"])
    };
    for (name, field) in [("wrong-type", "spec.strategy"), ("no-object", "spec"), ("no-status", "status.conditions")] {
        for when in ["before", "later"] {
            let name = format!("{name}-{when}");
            eventually("its author is told", SOON, || {
                let told = told(&name)?;
                ensure!(told.contains(field), "{name} is told {told:?}");
                Ok(())
            })?;
        }
    }
    Ok(())
}

#[test]
fn a_release_that_a_later_rule_refuses_can_still_be_aborted() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let site = Site::new(&cluster, "tightened")?;
    let serin = site.serin(17)?;
    let strategy = json!({"strategy": {"steps": [{"weight": 100}, {"pause": true}]}});
    cluster.apply(&site.release(&strategy))?;
    site.until_phase("Paused")?;
    serin.until_origin(HOST, "/", "user-0", "v2")?;

    let mut crd: Value = serde_saphyr::from_str(CRD).context("the CRD is YAML")?;
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/scope/properties/service";
    crd.pointer_mut(field).context("the CRD has no spec.scope.service")?["maxLength"] = json!(3);
    cluster.apply_crds(&crd.to_string())?;
    let copy = site.release(&strategy).replace("\"name\":\"checkout\",\"namespace\"", "\"name\":\"copy\",\"namespace\"");
    eventually("the rule holds", SOON, || {
        let refused = cluster.apply(&copy).err().context("the copy is taken")?;
        ensure!(format!("{refused:#}").contains("spec.scope.service"), "{refused:#}");
        Ok(())
    })?;

    site.kubectl(&["annotate", "crel", "checkout", "serin.dev/abort=now"])?;
    serin.until_origin(HOST, "/", "user-0", "v1")?;
    let aborted = site.until_phase("Aborted")?;
    ensure!(aborted["status"]["weight"] == "0", "{}", aborted["status"]);
    let tool = aborted.pointer("/status/lastAbort/tool").and_then(Value::as_str).unwrap_or_default();
    ensure!(tool.starts_with("kubectl"), "it was done by {tool:?}");

    site.paste(&format!("serin retry checkout -n {}", site.namespace))?;
    site.until_phase("Paused")?;
    serin.until_origin(HOST, "/", "user-0", "v2")?;
    site.paste(&format!("serin abort checkout -n {}", site.namespace))?;
    serin.until_origin(HOST, "/", "user-0", "v1")?;
    site.until_phase("Aborted")?;
    Ok(())
}
