//! A release from `kubectl apply` to the last edit, as its author sees it.

use crate::columns::rows;
use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::{eventually, load};
use std::time::Instant;

fn steps() -> Value {
    json!({"strategy": {"steps": [
        {"weight": 5, "for": "2s"}, {"pause": true}, {"weight": 50, "ramp": "3s", "for": "2s"}, {"weight": 100, "for": "2s"}
    ]}})
}

#[test]
fn a_release_by_steps_is_told_by_kubectl_until_the_edit_that_completes_it_and_no_request_fails() -> Result<()> {
    let site = Site::new(shared()?, "steps")?;
    let serin = site.serin(10)?;
    let load = load::start(&site.plan(&serin, 200));
    let watched = site.kubectl_beside("watch", &["get", "crel", "-w"])?;
    site.cluster.apply(&site.release(&steps()))?;
    let mut promoted = site.kubectl_beside("wait", &["wait", "--for=condition=Promoted", "crel/checkout", "--timeout=120s"])?;

    let paused = site.until_phase("Paused")?;
    let described = site.kubectl(&["describe", "crel", "checkout"])?;
    for told in ["Step 2/4 pauses at 5 %.", "A step pauses it. Use resume to go on.", "Step 2 of 4 begins."] {
        ensure!(described.contains(told), "kubectl describe does not say {told:?}:\n{described}");
    }
    let shares = |release: &Value| release.pointer("/status/measured/weight").and_then(Value::as_str).and_then(|text| text.parse().ok());
    site.until("the share is measured", |release| shares(release).is_some_and(|share: f64| (1.0..10.0).contains(&share)))?;
    let (_, cure) = message(&paused)?.split_once("Go on with: ").context("no cure")?;
    site.paste(&format!("{cure} -n {}", site.namespace))?;

    let status = promoted.wait(SOON)?;
    ensure!(status.success() && promoted.log().contains("checkout condition met"), "{status}: {}", promoted.log());
    let stored = site.until("the edit is told", |release| release.pointer("/status/finalize/edits/0/text").is_some())?;
    let edit = stored.pointer("/status/finalize/edits/0/text").and_then(Value::as_str).context("no edit")?;
    site.paste(edit)?;
    site.until_phase("Completed")?;
    serin.until_origin(HOST, "/", "user-0", "v2")?;
    site.kubectl(&["delete", "crel", "checkout"])?;
    let deleted = Instant::now();
    let before = site.canary.requests();
    eventually("requests after the deletion", SOON, || {
        let since = site.canary.requests() - before;
        ensure!(since > 200, "{since} requests");
        Ok(())
    })?;

    let report = load.end()?;
    println!("{} requests, {:?}, {:?}", report.sent, report.labels, report.latency);
    ensure!(report.failed == 0, "{:?} {:?}", report.statuses, report.failures);
    let back = report.exchanges.iter().filter(|exchange| exchange.began > deleted && exchange.label.as_deref() != Some("v2")).count();
    ensure!(back == 0, "{back} requests went back to v1 when the release was deleted");
    moves(&watched.log())
}

/// Phase, weight and step went their way, and nothing else.
fn moves(watched: &str) -> Result<()> {
    let rows = rows(watched)?;
    println!("{watched}");
    let mut phases: Vec<&str> = rows.iter().map(|row| row.phase.as_str()).collect();
    phases.dedup();
    let way = ["Progressing", "Paused", "Progressing", "Promoted", "Completed"];
    ensure!(phases.ends_with(&way), "{phases:?}");
    ensure!(rows.iter().any(|row| row.phase == "Paused" && row.measured != "-"), "the measured share is not shown");
    let mut steps: Vec<&str> = rows.iter().filter(|row| row.step.contains('/')).map(|row| row.step.as_str()).collect();
    steps.dedup();
    ensure!(steps == ["1/4", "2/4", "3/4", "4/4"], "{steps:?}");
    let under_way = rows.iter().filter(|row| ["Progressing", "Paused", "Promoted"].contains(&row.phase.as_str()));
    let weights: Vec<f64> = under_way.map(|row| row.weight.parse().with_context(|| format!("{row:?}"))).collect::<Result<_>>()?;
    ensure!(
        weights.is_sorted() && weights.first() == Some(&0.0) && weights.contains(&5.0) && weights.last() == Some(&100.0),
        "{weights:?}"
    );
    ensure!(rows.iter().all(|row| row.message.chars().count() <= 120), "a message is too long for its column");
    Ok(())
}

fn message(release: &Value) -> Result<&str> {
    release.pointer("/status/message").and_then(Value::as_str).context("no message")
}
