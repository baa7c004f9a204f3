//! Two Deployments behind one Service: the sides are told apart by the labels of their pods.

use crate::site::{HOST, Site, spec};
use anyhow::Result;
use serde_json::{Value, json};
use serin_testkit::manifests::{PORT, document};
use serin_testkit::origin::Origin;

/// Everyone in turn, and side B the pods of version v2.
fn by_pods(more: &Value) -> Value {
    let mut spec = spec(more);
    spec["canary"] = json!({"podSelector": {"matchLabels": {"version": "v2"}}});
    spec["split"] = json!({"by": "Request"});
    spec
}

/// Service `checkout` with an endpoint for each of these pods, which have a version or are not known.
fn service(pods: &[(&str, &Origin, Option<&str>)]) -> String {
    let mut text = document(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": PORT}]}
    }));
    for (name, origin, version) in pods {
        text += &document(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": "checkout"}},
            "ports": [{"name": "http", "port": origin.address().port()}],
            "endpoints": [{"addresses": [origin.address().ip()], "targetRef": {"kind": "Pod", "name": name}}]
        }));
        if let Some(version) = version {
            let metadata = json!({"name": name, "namespace": "shop", "labels": {"version": version}});
            text += &document(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}));
        }
    }
    text
}

fn canaries(sides: &[bool]) -> usize {
    sides.iter().filter(|canary| **canary).count()
}

#[test]
fn s1_pods_of_one_service_are_the_two_sides_and_a_pod_that_is_not_known_gets_nothing() -> Result<()> {
    let site = Site::start(&by_pods(&json!({"strategy": {"percentage": 25}})))?;
    let unknown = Origin::start(([127, 0, 0, 1], 0), "unknown")?;
    // S16: three pods to one, and still a quarter of the requests.
    let pods = [("a", &site.stable, Some("v1")), ("b", &site.stable, Some("v1")), ("c", &site.canary, Some("v2")), ("d", &unknown, None)];
    site.write("services.yaml", &service(&pods))?;
    site.reaches("Steady", "25")?;
    assert_eq!(site.status("/canary")?, "checkout:80 (version=v2)");
    assert_eq!(canaries(&site.client()?.sides(HOST, 1_000)?), 250);
    assert_eq!(unknown.requests(), 0);
    Ok(())
}

#[test]
fn s10_pods_a_service_that_selects_the_canarys_pods_only_is_the_canary_at_once_and_the_release_may_go() -> Result<()> {
    let site = Site::start(&by_pods(&json!({"strategy": {"percentage": 0}})))?;
    site.write("services.yaml", &service(&[("a", &site.stable, Some("v1")), ("c", &site.canary, Some("v2"))]))?;
    site.reaches("Steady", "0")?;
    assert_eq!(canaries(&site.client()?.sides(HOST, 100)?), 0);
    let told = site.condition("ReadyToFinalize")?;
    assert_eq!(told["message"], "It is Steady. Deleting it now spreads its requests over all pods of the Service.");
    assert!(site.release()?["status"]["finalize"]["edits"].is_null(), "nobody acts on it before");
    site.write("services.yaml", &service(&[("c", &site.canary, Some("v2"))]))?;
    site.reaches("Completed", "0")?;
    assert_eq!(canaries(&site.client()?.sides(HOST, 100)?), 100);
    site.remove("release.yaml")?;
    site.forgets()?;
    assert_eq!(canaries(&site.client()?.sides(HOST, 100)?), 100);
    Ok(())
}

#[test]
fn s11_pods_deleting_the_release_first_is_the_plain_service_over_all_its_pods() -> Result<()> {
    let site = Site::start(&by_pods(&json!({"strategy": {"percentage": 100}})))?;
    site.write("services.yaml", &service(&[("a", &site.stable, Some("v1")), ("c", &site.canary, Some("v2"))]))?;
    site.reaches("Promoted", "100")?;
    let edit = site.release()?["status"]["finalize"]["edits"][0].clone();
    assert_eq!((&edit["kind"], &edit["name"]), (&json!("Service"), &json!("checkout")));
    let told = edit["text"].as_str().unwrap_or_default();
    assert!(told.ends_with("Add {\"version\": \"v2\"} to spec.selector"), "{told}");
    assert!(told.contains("deleting the release spreads its requests over all pods of the Service"), "{told}");
    assert_eq!(canaries(&site.client()?.sides(HOST, 100)?), 100);
    site.remove("release.yaml")?;
    site.forgets()?;
    let sides = canaries(&site.client()?.sides(HOST, 100)?);
    assert!((1..100).contains(&sides), "{sides} of 100");
    Ok(())
}
