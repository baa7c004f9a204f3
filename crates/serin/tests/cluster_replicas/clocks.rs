//! Clocks that are a day off.

use crate::history::{condition, to};
use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::load::{self, Plan};
use serin_testkit::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;
/// Buckets of the canary, step by step: what a release may come by, in this order.
const WEIGHTS: [u64; 5] = [0, 1_000, 2_000, 3_000, 4_000];

/// A second for each step but the last.
fn steps() -> Value {
    let step = |weight: u64, hold| json!({"weight": weight / 100, "for": hold});
    json!({"strategy": {"steps": [step(1_000, "1s"), step(2_000, "1s"), step(3_000, "1s"), step(4_000, "60s")]}})
}

fn is_skewed(release: &Value) -> bool {
    condition(&release["status"], "Programmed") == "False/ClockSkew"
}

/// A replica that leads alone with such a clock; then one with a good clock takes over.
fn raises_nothing(namespace: &str, host: u8, ahead: i64) -> Result<()> {
    let site = Site::new(shared()?, namespace)?;
    let mut off = site.replica_of(namespace, host, ahead)?;
    let history = site.history()?;
    site.release(&steps())?;
    site.until("the skew is told", is_skewed)?;
    // Longer than all its steps but the last would take, and users whom each of them would reach.
    let plan = Plan { rate: 100, host: HOST.to_owned(), ..Plan::new(off.seen.http(), Duration::from_secs(5)) };
    let report = load::run(&plan)?;
    ensure!(report.labels == BTreeMap::from([("v1".to_owned(), 500)]), "{:?} {:?}", report.labels, report.failures);
    ensure!(rises(&history.statuses()) == WEIGHTS[..1], "it raised: {:?}", rises(&history.statuses()));

    // What it wrote does no harm to who leads next.
    let good = site.replica(host + 1)?;
    off.process.signal(Signal::TERM)?;
    site.until("a good clock goes on", |release| to(&release["status"]) == WEIGHTS[4] && !is_skewed(release))?;
    eventually("the weight is served", SOON, || good.seen.serves(4_000))?;
    ensure!(rises(&history.statuses()) == WEIGHTS, "it rose so: {:?}", rises(&history.statuses()));
    Ok(())
}

/// What the line led to, each weight once for as long as it stayed.
fn rises(statuses: &[Value]) -> Vec<u64> {
    let mut rises: Vec<u64> = statuses.iter().map(to).collect();
    rises.dedup();
    rises
}

#[test]
fn a_leader_whose_clock_is_a_day_ahead_raises_nothing_and_says_so() -> Result<()> {
    raises_nothing("day-ahead", 30, DAY)
}

#[test]
fn a_leader_whose_clock_is_a_day_behind_raises_nothing_and_says_so() -> Result<()> {
    raises_nothing("day-behind", 33, -DAY)
}

/// Two Leases make two leaders of the same release, for as long as the test likes; no election ever lets that happen.
fn two_leaders(namespace: &str, host: u8, ahead: i64) -> Result<()> {
    let site = Site::new(shared()?, namespace)?;
    let other = format!("{namespace}-other");
    site.install(&other)?;
    let history = site.history()?;
    let one = site.replica(host)?;
    let two = site.replica_of(&other, host + 1, ahead)?;
    site.release(&steps())?;
    let both_lead = || {
        let logs = [one.process.log(), two.process.log()];
        ensure!(logs.iter().all(|log| log.contains("leads=true")), "only one leads");
        Ok(())
    };
    eventually("both lead", SOON, both_lead)?;
    eventually("steps are taken, or one that is off lets none be", SOON, || {
        let statuses = history.statuses();
        ensure!(statuses.last().is_some_and(|status| to(status) == WEIGHTS[4]) || statuses.len() > 50, "{:?}", rises(&statuses));
        Ok(())
    })?;
    site.abort()?;
    let replicas = [&one, &two];
    eventually("both serve the abort", SOON, || replicas.iter().try_for_each(|replica| replica.seen.serves(0)))?;
    site.until("the abort is recorded", |release| release.pointer("/status/phase") == Some(&json!("Aborted")))?;
    // Longer than either would need to take another step.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(4) {
        replicas.iter().try_for_each(|replica| replica.seen.serves(0))?;
    }

    let statuses = history.statuses();
    let first = statuses.iter().position(|status| status["phase"] == "Aborted").context("no abort in the history")?;
    ensure!(statuses[first..].iter().all(|status| status["phase"] == "Aborted" && to(status) == 0), "the abort was overwritten");
    let mut epochs: Vec<i64> = statuses.iter().filter_map(|status| status.pointer("/traffic/epoch")?.as_i64()).collect();
    ensure!(epochs.is_sorted(), "an epoch fell: {epochs:?}");
    epochs.dedup();
    let rises = rises(&statuses[..first]);
    ensure!(WEIGHTS.starts_with(&rises), "a step was taken twice: {rises:?}");
    println!("two leaders, {ahead} s apart: {} statuses, {} epochs, rises {rises:?}", statuses.len(), epochs.len());
    Ok(())
}

#[test]
fn two_leaders_a_day_apart_raise_no_weight_twice_and_overwrite_no_abort() -> Result<()> {
    two_leaders("leaders-day-apart", 36, DAY)
}

#[test]
fn two_leaders_at_once_raise_no_weight_twice_and_overwrite_no_abort() -> Result<()> {
    two_leaders("leaders-at-once", 39, 0)
}
