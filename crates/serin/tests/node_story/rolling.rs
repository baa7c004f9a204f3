//! N4: what is replaced under load.

use crate::draining;
use crate::scenario::Scenario;
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use serin_testkit::helm::{CHART, Helm};
use serin_testkit::load::{self, Load, Lost, Plan, Protocol, Report};
use serin_testkit::{eventually, long};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const HOST: &str = "n4.example";

#[test]
fn restarts_upgrades_and_rolled_pods_fail_no_request_and_a_kill_only_what_the_replica_had() -> Result<()> {
    let helm = Helm::three()?;
    let site = Scenario::by_helm(&helm, "n4-under-load", "n4", 3)?;
    site.apply("manifests.yaml")?;
    site.secret("n4-tls", &[HOST])?;
    site.rolled_out(&["deployment/checkout"])?;
    site.until_origin_tls(HOST, "/", "v1")?;

    let (rolls, least) = if long() { (50, 60_000) } else { (2, 1_000) };
    let loads = Loads::start(&site);
    let mut turns = 0;
    while turns == 0 || loads.sent() < least {
        site.node.kubectl(&["rollout", "restart", "deployment/serin", "-n", &site.own], "")?.ok()?;
        replaced(&site)?;
        upgrade(&site, &helm, turns)?;
        replaced(&site)?;
        turns += 1;
    }
    loads.none_failed(least, &format!("{turns} restarts and {turns} upgrades of serin"))?;

    let loads = Loads::start(&site);
    for _ in 0..rolls {
        site.kubectl(&["rollout", "restart", "deployment/checkout"])?;
        site.rolled_out(&["deployment/checkout"])?;
    }
    loads.none_failed(least / 2, &format!("{rolls} restarts of three pods"))?;
    draining::streams_outlive_their_replica(&site)?;
    kill(&site)
}

/// `helm upgrade` to a form of the log that is another one each time, so that every pod is replaced.
fn upgrade(site: &Scenario, helm: &Helm, nth: u32) -> Result<()> {
    let form = if nth.is_multiple_of(2) { "logFormat=json" } else { "logFormat=text" };
    let words = ["upgrade", "serin", CHART, "-n", &site.own, "--reuse-values", "--set", form, "--wait", "--timeout", "3m"];
    helm.on(&site.node.kubeconfig(), &words)?.ok().map(drop).context("helm upgrade")
}

/// The new replicas are there, and the old ones have ended: their drain is over too.
pub(crate) fn replaced(site: &Scenario) -> Result<()> {
    site.node.wait_for_rollout(&site.own, "deployment/serin", SOON)?;
    eventually("the old replicas have ended", SOON, || {
        let selector = "app.kubernetes.io/component=controller";
        let pods = site.node.kubectl(&["get", "pods", "-n", &site.own, "-l", selector, "-o", "name"], "")?.ok()?;
        ensure!(pods.lines().count() == 3, "{pods}");
        Ok(())
    })
}

/// The same load by each protocol at once.
struct Loads {
    began: Instant,
    rate: u32,
    loads: Vec<(&'static str, Plan, Load)>,
}

impl Loads {
    fn start(site: &Scenario) -> Self {
        let rate = if long() { 60 } else { 40 };
        let plans = [
            ("HTTP/1.1", site.plan(HOST, rate)),
            ("HTTP/1.1 by TLS", site.plan_tls(HOST, rate, Protocol::Http1)),
            ("HTTP/2 by TLS", site.plan_tls(HOST, rate, Protocol::Http2)),
        ];
        let loads = plans.map(|(name, plan)| {
            let load = load::start(&plan);
            (name, plan, load)
        });
        Self { began: Instant::now(), rate, loads: loads.into() }
    }

    /// How many requests have fallen due, of all protocols together.
    fn sent(&self) -> u64 {
        self.began.elapsed().as_secs() * u64::from(self.rate) * self.loads.len() as u64
    }

    fn end(self, beside: &str) -> Result<Vec<(&'static str, Plan, Report)>> {
        let ended = self.loads.into_iter().map(|(name, plan, load)| {
            let report = load.end()?;
            println!(
                "{name}: {} requests beside {beside}: {} failed, {} connections, sent again {:?}, {:?}",
                report.sent, report.failed, report.connections, report.again, report.latency
            );
            Ok((name, plan, report))
        });
        ended.collect()
    }

    fn none_failed(self, least: u64, beside: &str) -> Result<()> {
        let reports = self.end(beside)?;
        for (name, _, report) in &reports {
            ensure!(report.failed == 0, "{name} beside {beside}: {:?} {:?} {:?}", report.statuses, report.failures, report.lost);
        }
        let sent: u64 = reports.iter().map(|(_, _, report)| report.sent).sum();
        ensure!(sent >= least, "only {sent} requests beside {beside}");
        println!("0 of {sent} requests failed beside {beside}");
        Ok(())
    }
}

fn kill(site: &Scenario) -> Result<()> {
    let mut replicas = site.replicas()?;
    ensure!(replicas.len() == 3, "{} replicas", replicas.len());
    let victim = replicas.pop().context("no replica")?;
    let pid = process_of(&victim.container)?;
    let responses = || victim.metric("serin_responses_total", &[r#"code_class="2xx""#]).map(Option::unwrap_or_default);
    let before = responses()?;
    let loads = Loads::start(site);
    eventually("the replica has requests", SOON, || {
        let seen = responses()? - before;
        ensure!(seen > 50.0, "{seen} responses");
        Ok(())
    })?;
    let killed = Instant::now();
    ensure!(Command::new("kill").args(["-9", &pid.to_string()]).status()?.success(), "cannot kill {pid}");
    let state = "jsonpath={.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=='Ready')].status}";
    eventually("the replica is back", SOON, || {
        let state = site.node.kubectl(&["get", "pod", &victim.name, "-n", &site.own, "-o", state], "")?.ok()?;
        ensure!(state == "1 True", "{state}");
        Ok(())
    })?;
    let back = killed.elapsed();
    for (name, plan, report) in loads.end("the kill of a replica")? {
        let (connects, under_way): (Vec<&Lost>, Vec<&Lost>) = report.lost.iter().partition(|lost| lost.why.starts_with("connect: "));
        let after = connects.iter().map(|lost| lost.ended.saturating_duration_since(killed)).max().unwrap_or_default();
        println!(
            "{name}: {} under way failed, {} connects until {after:?} after it; it was back after {back:?}",
            under_way.len(),
            connects.len()
        );
        ensure!(report.failed == report.lost.len() as u64, "serin answered with an error: {:?}", report.statuses);
        ensure!(under_way.len() as u64 <= plan.connections * plan.streams, "{} requests under way failed", under_way.len());
        // A connection is seen to be closed a moment after it was.
        let late = under_way.iter().find(|lost| lost.began > killed + Duration::from_millis(500));
        ensure!(late.is_none(), "a request failed that began after the kill: {late:?}");
        // On a busy machine kubelet sees later what happened.
        let limit = if long() { 3 } else { 15 };
        ensure!(after < Duration::from_secs(limit), "connects failed until {after:?} after the kill");
    }
    Ok(())
}

/// The first process of a container: its cgroups are named by it.
fn process_of(container: &str) -> Result<i32> {
    let entries = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut inside = entries.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(container)));
    inside.next().with_context(|| format!("no process is in the container {container}"))
}
