//! The policy that guards deletion, as it is shipped, on the API server that evaluates it. Without a serin: tests write the status.

use crate::site::{SOON, shared};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, manifests};

const POLICY: &str = include_str!("../../../../deploy/guard-deletion.yaml");
/// Other tests delete releases too, so the binding is for these alone.
const NAMESPACES: [&str; 2] = ["guarded", "guarded-ending"];

/// A release in this phase, of which nothing but the status says so.
fn release(cluster: &Cluster, namespace: &str, name: &str, status: &Value) -> Result<()> {
    let spec = json!({"scope": {"service": name}, "canary": {"service": "next"}, "strategy": {"percentage": 100}});
    cluster.apply(&manifests::release(namespace, name, &spec))?;
    let patch = json!({"status": status}).to_string();
    let arguments = ["-n", namespace, "patch", "crel", name, "--subresource=status", "--type=merge", "-p", &patch];
    cluster.kubectl(&arguments, "")?.ok().map(drop)
}

fn delete(cluster: &Cluster, namespace: &str, name: &str, more: &[&str]) -> Result<String> {
    cluster.kubectl(&[&["-n", namespace, "delete", "crel", name, "--wait=false"], more].concat(), "")?.ok()
}

#[test]
fn only_a_promoted_release_that_is_not_finalised_is_kept_and_whoever_says_so_or_cleans_up_may() -> Result<()> {
    let cluster = shared()?;
    let (promoted, no_route) = (
        json!({"phase": "Promoted"}),
        json!([{"type": "ReadyToFinalize", "status": "False", "reason": "NoRoute",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]),
    );
    for namespace in NAMESPACES {
        cluster.apply(&manifests::namespace(namespace))?;
    }
    let of_these = json!({"namespaceSelector": {"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": NAMESPACES}]}});
    cluster.apply(&format!("{POLICY}  matchResources: {of_these}\n"))?;

    eventually("the policy is in force", SOON, || {
        release(cluster, "guarded", "kept", &promoted)?;
        let deleted = delete(cluster, "guarded", "kept", &["--dry-run=server"]);
        ensure!(deleted.is_err(), "it would be deleted");
        Ok(())
    })?;
    let why = format!("{:#}", delete(cluster, "guarded", "kept", &[]).err().unwrap_or_else(|| anyhow::anyhow!("it was deleted")));
    let cure = "kubectl -n guarded annotate canaryrelease kept serin.dev/allow-delete=true";
    ensure!(why.contains("Make the edits of .status.finalize first") && why.contains(cure), "{why}");
    let all = cluster.kubectl(&["-n", "guarded", "delete", "crel", "--all", "--wait=false"], "")?.ok();
    ensure!(all.is_err(), "not even with all others");

    for (name, status) in [
        ("completed", json!({"phase": "Completed"})),
        ("steady", json!({"phase": "Steady"})),
        ("aborted", json!({"phase": "Aborted"})),
        ("no-route", json!({"phase": "Promoted", "conditions": no_route})),
        ("new", json!({})),
    ] {
        release(cluster, "guarded", name, &status)?;
        delete(cluster, "guarded", name, &[])?;
    }
    for controller in ["namespace-controller", "generic-garbage-collector"] {
        let user = format!("--as=system:serviceaccount:kube-system:{controller}");
        delete(cluster, "guarded", "kept", &["--dry-run=server", &user])?;
    }
    cluster.shell(cure, &[])?.ok()?;
    delete(cluster, "guarded", "kept", &[])?;

    release(cluster, "guarded-ending", "kept", &promoted)?;
    ensure!(delete(cluster, "guarded-ending", "kept", &["--dry-run=server"]).is_err(), "it would be deleted");
    // No controller empties the namespace here, so it stays in that state.
    cluster.kubectl(&["delete", "namespace", "guarded-ending", "--wait=false"], "")?.ok()?;
    eventually("a namespace that is being deleted lets its releases go", SOON, || {
        delete(cluster, "guarded-ending", "kept", &["--ignore-not-found"]).map(drop)
    })
}
