//! Releases that stand in Git: Argo CD syncs them by itself and heals what others change, while serin moves them.

use crate::argo::SOON;
use crate::flux;
use crate::site::{Site, release};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::{eventually, load, long};
use std::time::Instant;

/// A release with every list that this version serves, each with items that say no more than they must.
fn minimal() -> Value {
    json!({
        "overrides": [
            {"header": {"name": "X-Canary"}}, {"cookie": {"name": "canary"}}, {"header": {"name": "X-Team", "exact": "payments"}, "to": "Canary"},
            {"consumerGroups": ["testers"], "to": "Canary"}
        ],
        "strategy": {"steps": [
            {"groups": ["testers"], "for": "4s"}, {"weight": 10}, {"pause": true}, {"weight": 60, "ramp": "20s"}, {"weight": 80, "for": "2s"}
        ]},
        "analysis": {"interval": "1s", "noTraffic": "Continue", "checks": [
            {"name": "errors", "errorRate": {"max": 50}}
        ]},
        "schedule": {"windows": [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "00:00"}]},
    })
}

/// The lists that are left: checks of other kinds, hooks, groups and a line. It need not be served to be compared.
fn other_lists() -> Value {
    json!({
        "scope": {"service": "checkout", "consumerGroup": "testers"},
        "strategy": {"groups": {"allow": ["testers"]}},
        "analysis": {"checks": [
            {"name": "smoke", "http": {"url": "http://checkout-v2.shop/healthz", "expectStatus": [200]}},
            {"name": "orders", "prometheus": {"address": "http://prometheus.shop:9090", "query": "up", "min": "1"}},
            {"name": "latency", "latency": {"percentile": 99, "max": "1s"}}
        ]},
        "hooks": [{"at": ["BeforeStart"], "url": "http://gate.shop/approve"}],
        "schedule": {"windows": [{"days": ["Mon"], "from": "09:00", "to": "16:00", "timeZone": "Europe/Berlin"}]},
    })
}

#[test]
fn a_release_in_git_runs_through_and_syncs_in_the_middle_of_it_change_nothing() -> Result<()> {
    let name = "through";
    let site = Site::new(name, 30, &[release(name, "checkout", &minimal()), release(name, "lists", &other_lists())])?;
    let load = load::start(&site.plan(50));
    let synced = ["get", "application", name, "-n", "argocd", "-w", "-o", "jsonpath={.status.sync.status}{\"\\n\"}"];
    let mut seen = Vec::new();
    let told = site.until_health("Suspended", &mut seen)?;
    ensure!(told == "A step pauses it. Use resume to go on.", "{told}");
    let states = site.kubectl_beside("sync", &synced)?;
    let weights =
        site.kubectl_beside("weights", &["get", "crel", "checkout", "-n", name, "-w", "-o", "jsonpath={.status.weight}{\"\\n\"}"])?;

    let paused = site.stored()?;
    let syncs = if long() { 50 } else { 5 };
    for _ in 0..syncs {
        site.argo.sync(name)?;
        no_drift(&site)?;
    }
    let after = site.stored()?;
    for pointer in
        ["/metadata/generation", "/spec", "/status/traffic", "/status/release", "/status/weight", "/status/progress/running/index"]
    {
        ensure!(
            paused.pointer(pointer) == after.pointer(pointer),
            "{pointer} was {:?}, is {:?}",
            paused.pointer(pointer),
            after.pointer(pointer)
        );
    }
    site.run("resume")?.ok()?;
    let rising = |release: &Value| release.pointer("/status/step/index") == Some(&json!(4));
    site.until("it rises", rising)?;
    site.until_health("Progressing", &mut seen)?;
    for _ in 0..5 {
        site.argo.sync(name)?;
        no_drift(&site)?;
    }
    site.until_health("Healthy", &mut seen)?;
    let done = site.stored()?;
    ensure!(done["status"]["phase"] == "Promoted", "{}", done["status"]);
    ensure!(done.pointer("/metadata/generation") == Some(&json!(1)), "a sync changed the spec: {}", done["metadata"]);
    ensure!(done.pointer("/status/release/attempt") == Some(&json!(1)), "{}", done["status"]);
    let report = load.end()?;
    ensure!(report.failed == 0, "{:?} {:?}", report.statuses, report.failures);

    println!("{seen:?}, {} requests", report.sent);
    ensure!(seen == ["Progressing", "Suspended", "Progressing", "Healthy"], "{seen:?}");
    let states = states.log();
    ensure!(states.lines().all(|state| state == "Synced") && states.lines().count() >= 10, "{states}");
    let weights: Vec<f64> = weights.log().lines().map(|weight| weight.parse().context("a weight")).collect::<Result<_>>()?;
    println!("{weights:?}");
    ensure!(weights.is_sorted() && weights.first() == Some(&10.0) && weights.last() == Some(&100.0), "{weights:?}");
    Ok(())
}

/// What Argo CD would do is nothing.
fn no_drift(site: &Site) -> Result<()> {
    let diff = site.argo.argocd(&["app", "diff", site.name])?;
    ensure!(diff.status.success() && diff.stdout.is_empty(), "{}: {}{}", diff.status, diff.stdout, diff.stderr);
    let application = site.argo.application(site.name)?;
    ensure!(application["status"]["sync"]["status"] == "Synced", "{}", application["status"]["sync"]);
    Ok(())
}

#[test]
fn every_action_works_and_is_offered_when_serin_would_take_it() -> Result<()> {
    let steps = json!({"strategy": {"steps": [{"weight": 10, "for": "1h"}, {"weight": 20, "for": "1h"}, {"weight": 30, "for": "1h"}]}});
    let site = Site::new("actions", 31, &[release("actions", "checkout", &steps)])?;
    let mut seen = Vec::new();
    site.until_health("Progressing", &mut seen)?;
    let is = |phase: &'static str, weight: &'static str| {
        move |release: &Value| {
            let programmed = release["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|c| c["type"] == "Programmed" && c["status"] == "True"));
            release["status"]["phase"] == phase && release["status"]["weight"] == weight && programmed
        }
    };
    site.until("its first step", is("Progressing", "10"))?;
    for (action, phase, weight, health, offered) in [
        ("pause", "Paused", "10", "Suspended", "abort promote resume"),
        ("resume", "Progressing", "10", "Progressing", "abort pause promote skip"),
        ("skip", "Progressing", "20", "Progressing", "abort pause promote skip"),
        ("abort", "Aborted", "0", "Degraded", "retry"),
        ("retry", "Progressing", "10", "Progressing", "abort pause promote skip"),
        ("promote", "Promoted", "100", "Healthy", "abort"),
    ] {
        site.run(action)?.ok().with_context(|| format!("{action}: {}", site.argo.last_lines()))?;
        let stored = site.until(action, is(phase, weight))?;
        let record = if action == "abort" { "/status/lastAbort" } else { "/status/lastCommand" };
        let record = stored.pointer(record).context("no record")?;
        ensure!(record["result"] == "Done", "{action}: {record}");
        let id = stored.pointer("/status/release/id").and_then(Value::as_str).context("no id")?;
        ensure!(record["token"].as_str().is_some_and(|token| token.starts_with(&format!("{id}-"))), "{action}: {record}");
        let message = site.until_health(health, &mut seen)?;
        println!("{action}: {health}, {message}; {}", record["token"]);
        eventually(&format!("what is offered after {action}"), SOON, || {
            let now = site.offered()?.join(" ");
            ensure!(now == offered, "{now}");
            Ok(())
        })?;
    }
    ensure!(seen == ["Progressing", "Suspended", "Progressing", "Degraded", "Progressing", "Healthy"], "{seen:?}");
    no_drift(&site)
}

#[test]
fn an_abort_by_the_analysis_is_degraded_with_its_figures_and_the_next_commit_begins_again() -> Result<()> {
    let spec = |revision: &str| {
        json!({"revision": revision, "strategy": {"steps": [{"weight": 50, "for": "4s"}]},
            "analysis": {"interval": "1s", "minRequests": 30, "noTraffic": "Continue", "checks": [{"name": "errors", "errorRate": {"max": "5%"}}]}})
    };
    let site = Site::new("failing", 32, &[])?;
    site.canary.behave(serin_testkit::origin::Behaviour { fail: "30%".parse()?, ..Default::default() });
    let load = load::start(&site.plan(100));
    site.commit("release.yaml", &site.release(&spec("v2")))?;
    site.refresh()?;
    let message = site.until_health("Degraded", &mut Vec::new())?;
    println!("{message}");
    ensure!(message.starts_with("Check errors failed: canary ") && message.contains("limit 5.00 %"), "{message}");
    ensure!(message.ends_with("All is on stable. Fix the canary, then use retry or set a new revision."), "{message}");

    let failed = flux::says("shop", &site.stored()?)?;
    ensure!(failed == "Failed", "Flux says {failed}");

    // Whatever somebody else writes into the spec, Argo CD takes back; serin begins nothing anew for it.
    let attempt = site.stored()?.pointer("/status/release/attempt").cloned();
    site.kubectl(&["patch", "crel", "checkout", "--type=merge", "-p", r#"{"spec":{"analysis":{"minRequests":7}}}"#])?;
    let healed = site.until("Argo CD heals it", |release| release.pointer("/spec/analysis/minRequests") == Some(&json!(30)))?;
    ensure!(healed.pointer("/status/release/attempt").cloned() == attempt, "{}", healed["status"]);

    site.canary.behave(serin_testkit::origin::Behaviour::default());
    site.commit("release.yaml", &site.release(&spec("v3")))?;
    site.refresh()?;
    let mut seen = Vec::new();
    site.until_health("Healthy", &mut seen)?;
    let stored = site.stored()?;
    ensure!(
        stored.pointer("/status/release/revision") == Some(&json!("v3")) && stored["status"]["phase"] == "Promoted",
        "{}",
        stored["status"]
    );
    let (served, ended) = (flux::says("shop", &stored)?, flux::says("shop-release", &stored)?);
    ensure!((served.as_str(), ended.as_str()) == ("Current", "Current"), "Flux says {served}, {ended}");

    // The edit and the removal in one commit: the release goes last, and nobody goes back.
    let promoted = Instant::now();
    site.finalise()?;
    site.until("the release is pruned", |release| release.pointer("/metadata/deletionTimestamp").is_some())?;
    // Argo CD deletes in the foreground, and what then lets the object go is the garbage collector, which is not here.
    site.kubectl(&["patch", "crel", "checkout", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])?;
    ensure!(site.kubectl(&["get", "crel", "-o", "name"])?.is_empty(), "the release is still there");
    let before = site.canary.requests();
    eventually("requests after it is gone", SOON, || {
        ensure!(site.canary.requests() > before + 100, "{}", site.canary.requests() - before);
        Ok(())
    })?;
    let report = load.end()?;
    let back = report.exchanges.iter().filter(|exchange| exchange.began > promoted && exchange.label.as_deref() != Some("v2")).count();
    ensure!(back == 0, "{back} of {} requests went back to v1", report.sent);
    Ok(())
}
