//! N1: the whole story, with pods, over HTTPS.

use crate::columns::rows;
use crate::scenario::Scenario;
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serin_testkit::eventually;
use serin_testkit::load::{self, Protocol};
use serin_testkit::origin::LABEL;

const HOST: &str = "n1.example";

#[test]
fn a_good_version_goes_to_completed_without_a_failed_request_and_a_bad_one_is_taken_back_on_every_replica() -> Result<()> {
    let site = Scenario::new("n1-story", "n1", 3)?;
    site.apply("app.yaml")?;
    site.secret("n1-tls", &[HOST])?;
    site.rolled_out(&["deployment/checkout", "deployment/checkout-v2"])?;
    site.until_origin_tls(HOST, "/", "v1")?;
    good(&site)?;
    bad(&site)
}

fn good(site: &Scenario) -> Result<()> {
    let watched = site.kubectl_beside("watch", &["get", "crel", "-w"])?;
    let load = load::start(&site.plan_tls(HOST, 50, Protocol::Http2));
    site.apply("release.yaml")?;
    for (weight, command) in [("10", "resume"), ("50", "promote")] {
        let paused = |release: &Value| release["status"]["phase"] == "Paused" && release["status"]["weight"] == weight;
        site.until("checkout", &format!("it pauses at {weight} %"), paused)?;
        each_replica_serves(site, weight)?;
        site.shell(&format!("serin {command} checkout -n n1"))?;
    }
    site.kubectl(&["wait", "--for=condition=Promoted", "crel/checkout", "--timeout=60s"])?;
    let told = site.until("checkout", "the edit is told", |release| release.pointer("/status/finalize/edits/0/text").is_some())?;
    let edit = told.pointer("/status/finalize/edits/0/text").and_then(Value::as_str).context("no edit")?;
    site.shell(edit)?;
    site.until("checkout", "it is completed", |release| release["status"]["phase"] == "Completed")?;
    let report = load.end()?;
    println!("{} requests, {} failed, {:?}, {:?}", report.sent, report.failed, report.labels, report.latency);
    ensure!(report.failed == 0, "{:?} {:?}", report.statuses, report.failures);
    ensure!(report.labels.keys().eq(["v1", "v2"]), "{:?}", report.labels);
    site.until_origin_tls(HOST, "/", "v2")?;

    let rows = rows(&watched.log())?;
    println!("{}", watched.log());
    let mut phases: Vec<&str> = rows.iter().map(|row| row.phase.as_str()).collect();
    phases.dedup();
    let way = ["Progressing", "Paused", "Progressing", "Paused", "Progressing", "Promoted", "Completed"];
    ensure!(phases.ends_with(&way), "kubectl get -w shows {phases:?}");
    let mut steps: Vec<&str> = rows.iter().filter(|row| row.step.contains('/')).map(|row| row.step.as_str()).collect();
    steps.dedup();
    ensure!(steps == ["1/5", "2/5", "3/5", "4/5", "5/5"], "kubectl get -w shows {steps:?}");
    let running = rows.iter().filter(|row| row.phase != "Completed" && row.phase != "Pending");
    let weights: Vec<f64> = running.filter_map(|row| row.weight.parse().ok()).collect();
    ensure!(weights.is_sorted() && [10.0, 50.0, 100.0].iter().all(|weight| weights.contains(weight)), "{weights:?}");
    ensure!(rows.iter().any(|row| row.measured != "-"), "no measured share is shown");
    ensure!(rows.iter().all(|row| row.message.chars().count() <= 120), "a message is too long for its column");
    events(site, &["Began", "StepStarted", "PhaseChanged", "CommandDone"])
}

fn bad(site: &Scenario) -> Result<()> {
    let load = load::start(&site.plan_tls(HOST, 50, Protocol::Http1));
    site.apply("bad.yaml")?;
    let aborted = site.until("checkout", "the bad version is taken back", |release| release["status"]["phase"] == "Aborted")?;
    let conditions = aborted["status"]["conditions"].as_array().context("no conditions")?;
    let finished = conditions.iter().find(|condition| condition["type"] == "Finished").context("no condition Finished")?;
    ensure!(finished["message"].as_str().is_some_and(|cause| cause.starts_with("Check errors failed: ")), "{finished}");
    ensure!(aborted["status"]["weight"] == "0", "{}", aborted["status"]);
    each_replica_serves(site, "0")?;
    let report = load.end()?;
    println!("bad: {} requests, {} failed, {:?}", report.sent, report.failed, report.labels);
    let bad = report.labels.get("v3").copied().unwrap_or_default();
    ensure!((1..report.sent / 2).contains(&bad), "{bad} of {} requests met the bad version", report.sent);
    // What it answered well and badly, and nothing else failed.
    ensure!(report.failures.is_empty() && report.failed < bad && report.failed > 0, "{:?} {:?}", report.statuses, report.failures);
    for replica in site.replicas()? {
        for nth in 0..50 {
            let user = format!("user-{nth}");
            let answer = replica.ask_tls(&site.authority, HOST, &[("X-User", &user)])?;
            ensure!(answer.status == 200 && answer.header(LABEL) == Some("v2"), "{}: {user}: {}", replica.name, answer.head);
        }
    }
    events(site, &["AnalysisFailed", "Aborted"])
}

/// Every replica tells this weight in its metrics.
fn each_replica_serves(site: &Scenario, weight: &str) -> Result<()> {
    let labels = [r#"namespace="n1""#, r#"release="checkout""#];
    let wanted: f64 = weight.parse()?;
    eventually(&format!("each replica serves {weight} %"), SOON, || {
        let replicas = site.replicas()?;
        ensure!(replicas.len() == 3, "{} replicas", replicas.len());
        for replica in replicas {
            let asked = replica.metric("serin_release_weight_asked", &labels)?.with_context(|| format!("{} tells none", replica.name))?;
            ensure!((asked - wanted).abs() < 0.01, "{} serves {asked}", replica.name);
        }
        Ok(())
    })
}

/// Each of these was told about the release.
fn events(site: &Scenario, reasons: &[&str]) -> Result<()> {
    eventually("the Events are there", SOON, || {
        let template = r#"jsonpath={range .items[*]}{.regarding.kind}/{.regarding.name} {.reason}{"\n"}{end}"#;
        let told = site.kubectl(&["get", "events.events.k8s.io", "-o", template])?;
        let missing = reasons.iter().find(|reason| !told.contains(&format!("CanaryRelease/checkout {reason}\n")));
        ensure!(missing.is_none(), "no {missing:?} in\n{told}");
        Ok(())
    })
}
