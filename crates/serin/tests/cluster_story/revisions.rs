//! Revisions of the canary's Deployment. Nothing rolls one out here, so tests write what its controller would: the revision, the status and the
//! endpoints.

use crate::site::{HOST, SOON, Serin, Site, condition, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::load::{self, Exchange};
use serin_testkit::manifests::{deployment, deployment_status, service};
use serin_testkit::origin::Origin;
use std::time::Instant;

/// A Deployment gets a new image and revision. Its status is of the generation before, so it is not rolled out.
fn rolls(site: &Site, name: &str, revision: u32, image: &str) -> Result<()> {
    site.cluster.apply(&deployment(site.namespace, name, revision, image, false))
}

/// All pods of a Deployment are new and available.
fn is_rolled_out(site: &Site, name: &str) -> Result<()> {
    let stored: Value = serde_json::from_str(&site.kubectl(&["get", "deployment", name, "-o", "json"])?)?;
    let mut status = deployment_status(true);
    status["observedGeneration"] = stored["metadata"]["generation"].clone();
    let patch = json!({"status": status}).to_string();
    site.kubectl(&["patch", "deployment", name, "--subresource=status", "--type=merge", "-p", &patch]).map(drop)
}

fn rolled_out(site: &Site, name: &str, revision: u32, image: &str) -> Result<()> {
    rolls(site, name, revision, image)?;
    is_rolled_out(site, name)
}

/// The endpoints of a Service; a slice that was there for a second one stays, so the last one must be in its place by then.
fn endpoints(site: &Site, name: &str, origins: &[&Origin]) -> Result<()> {
    let addresses: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
    site.cluster.apply(&service(site.namespace, name, &addresses))
}

fn with_workloads(more: &Value) -> Value {
    let mut spec = json!({"workloads": {
        "canary": {"kind": "Deployment", "name": "checkout-v2"}, "stable": {"kind": "Deployment", "name": "checkout"}}});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    spec
}

fn is_revision(release: &Value, revision: u32) -> bool {
    release.pointer("/status/release/revision") == Some(&json!(revision.to_string()))
}

/// What a new release changes.
fn identity(release: &Value) -> [Value; 3] {
    ["id", "attempt", "startedAt"].map(|field| release["status"]["release"][field].clone())
}

/// How many of 200 users the canary answers.
fn canaries(serin: &Serin) -> Result<usize> {
    let origins = (0..200).map(|user| serin.origin(HOST, "/", &format!("user-{user}"))).collect::<Result<Vec<_>>>()?;
    Ok(origins.iter().filter(|origin| *origin != "v1").count())
}

#[test]
fn a_new_revision_in_each_phase_is_weight_0_and_the_first_step_waits_for_its_rollout() -> Result<()> {
    let site = Site::new(shared()?, "revisions")?;
    let serin = site.serin(20)?;
    rolled_out(&site, "checkout", 1, "app:1")?;
    let steps = |steps: Value| json!({"strategy": {"steps": steps}});
    let half = json!({"weight": 50, "for": "1h"});
    let mut revision = 10;
    for (phase, spec) in [
        ("Progressing", steps(json!([half]))),
        ("Paused", steps(json!([{"weight": 50}, {"pause": true}]))),
        ("Steady", json!({"strategy": {"percentage": 50}})),
        ("Promoted", json!({"strategy": {"percentage": 100}})),
        ("Completed", json!({"strategy": {"percentage": 100}})),
        ("Aborted", steps(json!([half]))),
    ] {
        let image = |revision: u32| format!("app:{revision}");
        site.cluster.apply(&site.release(&with_workloads(&spec)))?;
        rolled_out(&site, "checkout-v2", revision, &image(revision))?;
        match phase {
            "Completed" => {
                site.until_phase("Promoted")?;
                rolled_out(&site, "checkout", revision, &image(revision))?;
            }
            "Aborted" => {
                site.until("it serves half", |release| release["status"]["weight"] == "50")?;
                site.kubectl(&["annotate", "crel", "checkout", "serin.dev/abort=1"])?;
            }
            _ => {}
        }
        let before = site.until(&format!("revision {revision} is {phase}"), |release| {
            is_revision(release, revision) && release["status"]["phase"] == phase
        })?;
        revision += 1;
        rolls(&site, "checkout-v2", revision, &image(revision))?;
        let after = site.until(&format!("revision {revision} is seen, {phase}"), |release| is_revision(release, revision))?;
        let status = &after["status"];
        ensure!(status["weight"] == "0" && status["traffic"]["to"] == 0 && status["traffic"]["floor"] == 0, "{phase}: {status}");
        let [before, of_new] = [identity(&before), identity(&after)];
        ensure!(before[0] != of_new[0] && before[1].as_i64().map(|n| n + 1) == of_new[1].as_i64(), "{phase}: {before:?} {of_new:?}");
        let waits = site.until("it waits for the rollout", |release| condition(release, "Progressing") == "True/WaitingForRollout")?;
        ensure!((condition(&waits, "Degraded") == "True/NotFinalized") == (phase == "Promoted"), "{phase}: {}", waits["status"]);
        ensure!(canaries(&serin)? == 0, "{phase}: someone has what is not rolled out");
        is_rolled_out(&site, "checkout-v2")?;
        site.until("the first step begins", |release| release["status"]["weight"] != "0")?;
        revision += 1;
    }
    Ok(())
}

#[test]
fn a_workload_that_disappears_and_another_serin_restart_no_release() -> Result<()> {
    let site = Site::new(shared()?, "gone-workload")?;
    let serin = site.serin(21)?;
    rolled_out(&site, "checkout", 1, "app:1")?;
    rolled_out(&site, "checkout-v2", 7, "app:2")?;
    site.cluster.apply(&site.release(&with_workloads(&json!({"strategy": {"steps": [{"weight": 50, "for": "1h"}]}}))))?;
    let before = site.until("it serves half", |release| release["status"]["weight"] == "50")?;
    ensure!(before["status"]["resolved"]["salt"] == "gone-workload/checkout@7", "{}", before["status"]["resolved"]);
    ensure!(before["status"]["release"]["attempt"] == 1, "the first revision began it anew");
    let users = canaries(&serin)?;
    ensure!((60..140).contains(&users), "{users} of 200");
    site.kubectl(&["delete", "deployment", "checkout-v2"])?;
    let held = site.until("it is told", |release| condition(release, "ResolvedRefs") == "False/WorkloadNotFound")?;
    assert_eq!(identity(&held), identity(&before));
    assert_eq!(canaries(&serin)?, users);
    drop(serin);
    let serin = site.serin(22)?;
    assert_eq!(canaries(&serin)?, users, "while it is gone, and only status knows its revision");
    assert_eq!(identity(&site.stored()?), identity(&before));
    // One that is made anew has another uid, and is another release.
    rolls(&site, "checkout-v2", 1, "app:2")?;
    let anew = site.until("it begins anew", |release| is_revision(release, 1))?;
    ensure!(anew["status"]["weight"] == "0" && anew["status"]["release"]["attempt"] == 2, "{}", anew["status"]);
    Ok(())
}

/// A release that is judged on its way.
fn judged() -> Value {
    with_workloads(&json!({
        "strategy": {"steps": [{"weight": 20, "for": "3s"}, {"weight": 60, "ramp": "3s", "for": "2s"}, {"weight": 100, "for": "2s"}]},
        "analysis": {"interval": "1s", "minRequests": 20, "checks": [{"name": "errors", "errorRate": {"max": "5%"}}]}
    }))
}

/// The first answer of this origin.
fn first<'e>(exchanges: &'e [Exchange], label: &str) -> Option<&'e Exchange> {
    exchanges.iter().filter(|exchange| exchange.label.as_deref() == Some(label)).min_by_key(|exchange| exchange.ended)
}

/// So many requests later.
fn requests(site: &Site, count: u64) -> Result<()> {
    let all = || site.stable.requests() + site.canary.requests();
    let before = all();
    eventually("requests", SOON, || {
        ensure!(all() - before >= count, "{} requests", all() - before);
        Ok(())
    })
}

#[test]
fn the_gitops_turn_takes_one_image_after_the_other_and_fails_no_request() -> Result<()> {
    let site = Site::new(shared()?, "gitops")?;
    let serin = site.serin(23)?;
    let (next, stable_of_v2) = (Origin::start((site.cluster.outside(200), 0), "v3")?, Origin::start((site.cluster.outside(200), 0), "v2")?);
    rolled_out(&site, "checkout", 1, "app:1")?;
    rolled_out(&site, "checkout-v2", 1, "app:1")?;
    endpoints(&site, "checkout-v2", &[&site.stable])?;
    site.cluster.apply(&site.release(&judged()))?;
    // Both have the same image, so there is nothing to do yet.
    site.until_phase("Completed")?;
    let load = load::start(&site.plan(&serin, 200));
    requests(&site, 100)?;

    // In Git the canary's image changes.
    rolls(&site, "checkout-v2", 2, "app:2")?;
    endpoints(&site, "checkout-v2", &[&site.stable, &site.canary])?;
    site.until("the new revision is seen", |release| is_revision(release, 2))?;
    requests(&site, 100)?;
    ensure!(site.canary.requests() == 0, "someone had a version before its rollout was complete");
    endpoints(&site, "checkout-v2", &[&site.canary])?;
    let v2_may = Instant::now();
    is_rolled_out(&site, "checkout-v2")?;
    let promoted = site.until_phase("Promoted")?;
    ensure!(promoted["status"]["analysis"]["verdict"] == "Pass", "{}", promoted["status"]["analysis"]);
    let everyone = Instant::now();

    // Then stable's, with the edit that status says.
    let told = site.until("the edit is told", |release| condition(release, "ReadyToFinalize") == "True/Promoted")?;
    let edit = told.pointer("/status/finalize/edits/0/text").and_then(Value::as_str).context("no edit")?;
    ensure!(edit == "kubectl -n gitops set image deployment/checkout app=app:2", "{edit}");
    site.paste(edit)?;
    endpoints(&site, "checkout", &[&site.stable, &stable_of_v2])?;
    requests(&site, 50)?;
    ensure!(site.stored()?["status"]["phase"] == "Promoted", "it was completed while an old pod was left");
    endpoints(&site, "checkout", &[&stable_of_v2])?;
    is_rolled_out(&site, "checkout")?;
    site.until_phase("Completed")?;
    eventually("stable serves what was judged", SOON, || {
        ensure!(stable_of_v2.requests() > 100, "{} requests", stable_of_v2.requests());
        Ok(())
    })?;

    // The next image of the canary, without an edit of the release.
    endpoints(&site, "checkout-v2", &[&site.canary, &next])?;
    rolls(&site, "checkout-v2", 3, "app:3")?;
    site.until("the next revision is seen", |release| is_revision(release, 3) && release["status"]["weight"] == "0")?;
    let before = stable_of_v2.requests();
    eventually("requests", SOON, || {
        ensure!(stable_of_v2.requests() > before + 100, "{} requests", stable_of_v2.requests());
        Ok(())
    })?;
    ensure!(next.requests() == 0, "someone had a version before its rollout was complete");
    endpoints(&site, "checkout-v2", &[&next])?;
    let v3_may = Instant::now();
    is_rolled_out(&site, "checkout-v2")?;
    site.until("its first step", |release| release["status"]["weight"] == "20")?;
    site.until_phase("Promoted")?;
    let report = load.end()?;

    println!("{} requests, {:?}, {:?}, {:?}", report.sent, report.labels, report.moves, report.latency);
    ensure!(report.failed == 0, "{:?} {:?}", report.statuses, report.failures);
    for (label, may) in [("v2", v2_may), ("v3", v3_may)] {
        let exchange = first(&report.exchanges, label).with_context(|| format!("{label} answered nobody"))?;
        ensure!(exchange.ended > may, "{label} answered someone before it was rolled out");
    }
    let back = report.exchanges.iter().filter(|exchange| exchange.began > everyone && exchange.label.as_deref() == Some("v1")).count();
    ensure!(back == 0, "{back} requests went back to v1 after everyone had v2");
    Ok(())
}
