//! N4: what is replaced under load.

use crate::scenario::Scenario;
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use serin_testkit::load::{self, Report};
use serin_testkit::{eventually, long};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const HOST: &str = "n4.example";

#[test]
fn restarts_of_serin_and_of_pods_fail_no_request_and_a_kill_only_what_the_replica_had() -> Result<()> {
    let site = Scenario::new("n4-under-load", "n4", 3)?;
    site.apply("manifests.yaml")?;
    site.rolled_out(&["deployment/checkout"])?;
    site.until_origin(HOST, "/", "v1")?;

    let (rolls, least) = if long() { (50, 60_000) } else { (2, 1_000) };
    let rate = if long() { 300 } else { 100 };
    let load = load::start(&site.plan(HOST, rate));
    let began = Instant::now();
    let mut restarts = 0;
    while restarts == 0 || began.elapsed() < Duration::from_secs(u64::from(least / rate) * 3 / 2) {
        site.node.kubectl(&["rollout", "restart", "deployment/serin", "-n", &site.own], "")?.ok()?;
        site.node.wait_for_rollout(&site.own, "deployment/serin", SOON)?;
        restarts += 1;
    }
    no_failure(&load.end()?, least, &format!("{restarts} restarts of serin"))?;

    let load = load::start(&site.plan(HOST, rate));
    for _ in 0..rolls {
        site.kubectl(&["rollout", "restart", "deployment/checkout"])?;
        site.rolled_out(&["deployment/checkout"])?;
    }
    no_failure(&load.end()?, least / 2, &format!("{rolls} restarts of three pods"))?;
    kill(&site, rate)
}

fn no_failure(report: &Report, least: u32, beside: &str) -> Result<()> {
    println!(
        "{} requests beside {beside}: {} failed, {} connections, {:?}",
        report.sent, report.failed, report.connections, report.latency
    );
    ensure!(report.sent >= u64::from(least), "only {} requests beside {beside}", report.sent);
    ensure!(report.failed == 0, "beside {beside}: {:?} {:?}", report.statuses, report.failures);
    Ok(())
}

fn kill(site: &Scenario, rate: u32) -> Result<()> {
    let mut replicas = site.replicas()?;
    ensure!(replicas.len() == 3, "{} replicas", replicas.len());
    let victim = replicas.pop().context("no replica")?;
    let pid = process_of(&victim.container)?;
    let plan = site.plan(HOST, rate);
    let load = load::start(&plan);
    eventually("the replica has requests", SOON, || {
        let seen = victim.metric("serin_responses_total", &[r#"code_class="2xx""#])?.unwrap_or_default();
        ensure!(seen > 50.0, "{seen} responses");
        Ok(())
    })?;
    let killed = Instant::now();
    ensure!(Command::new("kill").args(["-9", &pid.to_string()]).status()?.success(), "cannot kill {pid}");
    let ready = [
        "get",
        "pod",
        &victim.name,
        "-n",
        &site.own,
        "-o",
        "jsonpath={.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=='Ready')].status}",
    ];
    eventually("the replica is back", SOON, || {
        let state = site.node.kubectl(&ready, "")?.ok()?;
        ensure!(state == "1 True", "{state}");
        Ok(())
    })?;
    let back = killed.elapsed();
    let report = load.end()?;
    let connects: Vec<_> = report.lost.iter().filter(|lost| lost.why.starts_with("connect: ")).collect();
    let under_way: Vec<_> = report.lost.iter().filter(|lost| !lost.why.starts_with("connect: ")).collect();
    let after = connects.iter().map(|lost| lost.ended.saturating_duration_since(killed)).max().unwrap_or_default();
    println!(
        "{} requests beside the kill of a replica: {} under way failed, {} connects until {after:?} after it; it was back after {back:?}",
        report.sent,
        under_way.len(),
        connects.len()
    );
    ensure!(report.failed == report.lost.len() as u64, "serin answered with an error: {:?}", report.statuses);
    // Each connection has one request at most under way.
    ensure!(under_way.len() as u64 <= plan.connections, "{} requests under way failed", under_way.len());
    // A connection is seen to be closed a moment after it was.
    let late = under_way.iter().find(|lost| lost.began > killed + Duration::from_millis(500));
    ensure!(late.is_none(), "a request failed that began after the kill: {late:?}");
    // On a busy machine kubelet sees later what happened.
    let limit = if long() { 3 } else { 15 };
    ensure!(after < Duration::from_secs(limit), "connects failed until {after:?} after the kill");
    Ok(())
}

/// The first process of a container: its cgroups are named by it.
fn process_of(container: &str) -> Result<i32> {
    let entries = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut inside = entries.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(container)));
    inside.next().with_context(|| format!("no process is in the container {container}"))
}
