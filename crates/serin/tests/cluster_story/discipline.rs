//! What serin writes: the whole status of its own kind, under one name, when something changed, and nothing else.

use crate::site::{SOON, Site, condition, shared};
use anyhow::{Result, ensure};
use serde_json::{Deserializer, Value, json};
use serin_testkit::{eventually, load, long, manifests};
use std::time::Instant;

/// What a status always says.
const WHOLE: [&str; 10] =
    ["conditions", "measured", "message", "observedGeneration", "phase", "release", "replicas", "resolved", "traffic", "weight"];

/// Every version of the releases of a namespace, oldest first, out of what `kubectl get --watch` has printed.
fn versions(printed: &str) -> Vec<Value> {
    // What kubectl has not printed to its end yet is no version.
    Deserializer::from_str(printed).into_iter().map_while(Result::ok).collect()
}

/// Under which name `serin abort` and the other commands write their annotation.
const TOOL: &str = "serin-cli";

const HISTORY: [&str; 6] = ["get", "crel", "-o", "json", "--watch", "--show-managed-fields"];

/// The managers of an object, each with its subresource and operation.
fn managers<'o>(object: &'o Value) -> Vec<(&'o str, &'o str, &'o str)> {
    let entries = object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &'o Value, field: &str| entry[field].as_str().unwrap_or_default();
    entries.iter().map(|entry| (text(entry, "manager"), text(entry, "subresource"), text(entry, "operation"))).collect()
}

/// Kind, name and resourceVersion of all that serin reads but does not own.
fn others(site: &Site<'_>) -> Result<String> {
    let columns = "-o=custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    let namespaced = site.kubectl(&["get", "services,endpointslices,ingresses", "--no-headers", columns])?;
    let class = site.kubectl(&["get", "ingressclass", "serin", "--no-headers", columns])?;
    Ok(namespaced + &class)
}

#[test]
fn serin_writes_the_whole_status_under_one_name_and_nothing_of_anybody_else() -> Result<()> {
    let site = Site::new(shared()?, "written")?;
    let before = others(&site)?;
    let _serin = site.serin(12)?;
    let history = site.kubectl_beside("history", &HISTORY)?;
    site.cluster.apply(&site.release(&json!({"strategy": {"steps": [{"weight": 20, "for": "1s"}, {"weight": 100, "ramp": "1s"}]}})))?;
    site.until_phase("Promoted")?;
    site.paste(&format!("serin abort checkout -n {}", site.namespace))?;
    let last = site.until_phase("Aborted")?;
    ensure!(last.pointer("/status/lastAbort/tool") == Some(&json!(TOOL)), "{}", last["status"]["lastAbort"]);

    let versions = eventually("kubectl has seen all of it", SOON, || {
        let versions = versions(&history.log());
        let same = |version: &Value| version["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"];
        ensure!(versions.iter().any(same), "{} versions", versions.len());
        Ok(versions)
    })?;
    let with_status: Vec<&Value> = versions.iter().filter(|version| version["status"].is_object()).collect();
    ensure!(with_status.len() > 5, "only {} statuses were written", with_status.len());
    for version in &with_status {
        let managers = managers(version);
        let of_status: Vec<_> = managers.iter().filter(|(_, subresource, _)| *subresource == "status").collect();
        ensure!(of_status == [&("serin", "status", "Apply")], "{managers:?}");
        ensure!(managers.iter().all(|(name, part, _)| (*name == "serin") == (*part == "status")), "{managers:?}");
        let missing: Vec<_> = WHOLE.iter().filter(|field| version["status"][**field].is_null()).collect();
        ensure!(missing.is_empty(), "{missing:?} are left out of {}", version["status"]);
        let conditions = version["status"]["conditions"].as_array().map_or(0, Vec::len);
        ensure!(conditions == 11, "{conditions} conditions");
        ensure!(version["spec"] == versions[0]["spec"] && version["metadata"]["generation"] == 1, "the spec was written");
        ensure!(version["metadata"]["finalizers"].is_null() && version["metadata"]["labels"].is_null(), "{}", version["metadata"]);
    }
    assert_eq!(others(&site)?, before);
    Ok(())
}

#[test]
fn a_status_in_which_nothing_changed_is_not_written_and_figures_are_written_every_10_s() -> Result<()> {
    let site = Site::new(shared()?, "paced")?;
    let quiet = manifests::service(site.namespace, "quiet", &[site.stable.address()])
        + &manifests::ingress(site.namespace, "quiet", "quiet.example", "/", "quiet")
        + &manifests::release(
            site.namespace,
            "quiet",
            &json!({"scope": {"service": "quiet"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}}),
        );
    let serin = site.serin(13)?;
    let load = load::start(&site.plan(&serin, 100));
    site.cluster.apply(&quiet)?;
    let read = || -> Result<Value> { Ok(serde_json::from_str(&site.kubectl(&["get", "crel", "quiet", "-o", "json"])?)?) };
    let settled = eventually("the quiet one is served", SOON, || {
        let release = read()?;
        ensure!(release["status"]["phase"] == "Steady" && condition(&release, "Programmed") == "True/Programmed", "{}", release["status"]);
        Ok(release)
    })?;

    let history = site.kubectl_beside("history", &[&HISTORY[..], &["--field-selector=metadata.name=checkout"]].concat())?;
    let ramp = if long() { 150 } else { 25 };
    let began = Instant::now();
    site.cluster.apply(&site.release(&json!({"strategy": {"steps": [{"weight": 90, "ramp": format!("{ramp}s")}]}})))?;
    eventually("the ramp is over", SOON * 4, || {
        let weight = site.stored()?["status"]["weight"].clone();
        ensure!(weight == "90" || weight == "100", "it is at {weight}");
        Ok(())
    })?;
    let took = began.elapsed();
    ensure!(load.end()?.failed == 0, "requests failed");

    let versions: Vec<Value> = versions(&history.log()).into_iter().filter(|version| version["status"].is_object()).collect();
    let mut figures = 0;
    for pair in versions.windows(2) {
        let [before, after] = pair else { continue };
        ensure!(
            before["status"] != after["status"] || before["metadata"]["annotations"] != after["metadata"]["annotations"],
            "the same again"
        );
        if decided(before) == decided(after) {
            figures += 1;
        }
    }
    let decisions = versions.len() - figures;
    println!("in {took:?}: {decisions} statuses for decisions, {figures} for figures alone");
    // A machine that is slow makes the ramp longer. `until` is moved on every 30 s.
    let seconds = usize::try_from(took.as_secs())?;
    ensure!((ramp / 25..=seconds / 10 + 1).contains(&figures), "{figures} statuses for figures alone in {took:?}");
    ensure!(decisions <= 8 + seconds / 15, "{decisions} statuses for decisions in {took:?}");
    let version = |release: &Value| release["metadata"]["resourceVersion"].clone();
    let now = read()?;
    ensure!(version(&now) == version(&settled), "the quiet one was written again: {} after {}", now["status"], settled["status"]);
    Ok(())
}

/// What of a status is a decision, and not a figure that moves by itself.
fn decided(release: &Value) -> Vec<Value> {
    let status = &release["status"];
    let conditions = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| json!([condition["type"], condition["status"], condition["reason"]]));
    ["phase", "step", "traffic", "release", "finalize", "history"]
        .into_iter()
        .map(|field| status[field].clone())
        .chain(conditions)
        .collect()
}
