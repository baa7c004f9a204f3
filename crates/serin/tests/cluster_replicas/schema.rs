//! CRDs that are older than serin, and CRDs that are upgraded under it.

use crate::history::condition;
use crate::site::{CRD, SOON, Site};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::eventually;
use serin_testkit::manifests::{deployment, deployment_status};

const NAME: &str = "canaryreleases.serin.dev";
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema/properties";

fn patch_crd(cluster: &Cluster, patch: &Value) -> Result<()> {
    cluster.kubectl(&["patch", "crd", NAME, "--type=json", "-p", &patch.to_string()], "")?.ok().map(drop)
}

/// The canary's Deployment, rolled out: no controller does it here, so its status is written as one would.
fn roll_out(site: &Site<'_>) -> Result<()> {
    site.cluster.apply(&deployment(site.namespace, "checkout-v2", 7, "app:2", false))?;
    let arguments = ["deployment", "checkout-v2", "-n", site.namespace];
    let stored = site.cluster.kubectl(&[&["get"], &arguments[..], &["-o", "json"]].concat(), "")?.ok()?;
    let mut status = deployment_status(true);
    status["observedGeneration"] = serde_json::from_str::<Value>(&stored)?["metadata"]["generation"].clone();
    let patch = json!({"status": status}).to_string();
    let patch = ["--subresource=status", "--type=merge", "-p", &patch];
    site.cluster.kubectl(&[&["patch"], &arguments[..], &patch].concat(), "")?.ok().map(drop)
}

/// What must not change when a release goes on.
fn identity(release: &Value) -> [Value; 4] {
    ["id", "revision", "attempt", "startedAt"].map(|field| release["status"]["release"][field].clone())
}

#[test]
fn an_older_crd_is_written_without_its_missing_field_and_an_upgrade_restarts_nothing() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let since = format!("{SCHEMA}/status/properties/measured/properties/since");
    let crd: Value = serde_json::from_str(&cluster.kubectl(&["get", "crd", NAME, "-o", "json"], "")?.ok()?)?;
    let schema = crd.pointer(&since).cloned().unwrap_or_default();
    patch_crd(&cluster, &json!([{"op": "remove", "path": since}]))?;

    let site = Site::new(&cluster, "schema")?;
    let replica = site.replica(10)?;
    roll_out(&site)?;
    let workloads = json!({"canary": {"kind": "Deployment", "name": "checkout-v2"}});
    site.release(&json!({"workloads": workloads, "strategy": {"steps": [{"weight": 30, "ramp": "3s"}, {"weight": 100, "ramp": "90s"}]}}))?;
    let old = |release: &Value| condition(&release["status"], "Degraded") == "True/OldSchema";
    site.until("the older CRD is told of", old)?;
    let stored =
        site.until("the release goes on all the same", |release| old(release) && release.pointer("/status/step/index") == Some(&json!(1)))?;
    ensure!(stored.pointer("/status/measured/since").is_none(), "{}", stored["status"]);

    let [revision, salt] = ["/status/release/revision", "/status/resolved/salt"].map(|pointer| stored.pointer(pointer).cloned());
    assert_eq!((revision, salt), (Some(json!("7")), Some(json!("schema/checkout@7"))), "its revision is its workload's");

    // The new CRD has the field, and one more with a default: it shows on the stored object, with the same generation.
    let before = site.stored()?;
    let k = replica.seen.k()?;
    let added = json!({"type": "string", "default": "quick"});
    patch_crd(
        &cluster,
        &json!([
            {"op": "add", "path": since, "value": schema},
            {"op": "add", "path": format!("{SCHEMA}/spec/properties/temper"), "value": added},
        ]),
    )?;
    eventually("the replica sees the new default", SOON, || {
        let release = replica.seen.release()?;
        ensure!(release.pointer("/spec/temper") == Some(&json!("quick")), "{}", release["spec"]);
        Ok(())
    })?;
    let after = site.until("the CRD is no longer older", |release| !old(release))?;
    assert_eq!(identity(&after), identity(&before));
    ensure!(after.pointer("/metadata/generation") == before.pointer("/metadata/generation"), "the generation moved");
    eventually("the ramp goes on", SOON, || {
        let now = replica.seen.k()?;
        ensure!(now > k, "{now} after {k}");
        Ok(())
    })?;
    Ok(())
}
