//! The API server goes away in mid-ramp, a replica is restarted meanwhile, and the API server comes back.

use crate::probe::Probe;
use crate::replica::{Replica, Seen};
use crate::site::{CRD, HOST, SOON, Site};
use crate::trace::{Sample, Trace, goes_by_the_line};
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::load::{self, Load, Plan};
use serin_testkit::{eventually, long};
use std::time::{Duration, Instant};

/// The ramp, in buckets a second.
const SLOPE: f64 = 10_000.0 / 300.0;

/// A leader gives up a status after 5 s, and replicas try their watches every 2 s: so late at most they hear of a line that was laid.
const LATEST: Duration = Duration::from_secs(7);

/// The addresses of the replicas.
const HOSTS: [u8; 3] = [10, 11, 12];

/// Longer than `until` is ahead, in either form.
fn outage() -> Duration {
    Duration::from_secs(if long() { 600 } else { 22 })
}

/// Judged every 8 s in the short form: `until` is never past the next judgement, so the rise ends after 8 s instead of after 60.
fn ramp() -> Value {
    let strategy = json!({"steps": [{"weight": 100, "ramp": "300s"}]});
    let checks = json!([{"name": "errors", "errorRate": {"max": "5%"}}]);
    if long() {
        json!({"strategy": strategy})
    } else {
        json!({"strategy": strategy, "analysis": {"interval": "8s", "minRequests": 20, "checks": checks}})
    }
}

/// 200 requests a second to a replica.
fn load(to: &Seen) -> Load {
    load::start(&Plan { rate: 200, host: HOST.to_owned(), ..Plan::new(to.http(), Duration::from_secs(3600)) })
}

fn none_failed(load: Load, whose: &str) -> Result<()> {
    let report = load.end()?;
    println!("{whose}: {} requests, {} failed, {:?}", report.sent, report.failed, report.latency);
    ensure!(report.failed == 0, "{whose}: {:?} {:?}", report.statuses, report.failures);
    Ok(())
}

fn until(release: &Value) -> Result<Timestamp> {
    let text = release.pointer("/status/traffic/until").and_then(Value::as_str);
    Ok(text.context("no until")?.parse()?)
}

#[test]
fn without_an_api_server_all_is_served_nothing_rises_past_until_and_a_restarted_replica_waits_for_its_table() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let site = Site::new(&cluster, "outage")?;
    let mut replicas = HOSTS.into_iter().map(|host| site.replica(host)).collect::<Result<Vec<_>>>()?;
    // Who leads is the one that is restarted: another one must go on with the line.
    let mut leader = site.take_leader(&mut replicas)?;
    let loads: Vec<_> = replicas.iter().map(|replica| load(&replica.seen)).collect();
    let leaders = load(&leader.seen);
    site.release(&ramp())?;
    let all = || replicas.iter().chain([&leader]);
    eventually("the ramp is under way", SOON, || all().try_for_each(|replica| above(replica, 100)))?;
    let trace = Trace::of(replicas.iter().map(|replica| &replica.seen));
    // After this judgement the next is a whole interval ahead: the outage begins while the line rises.
    let before = until(&site.stored()?)?;
    let stored = site.until("until was moved on", |release| until(release).is_ok_and(|now| now > before))?;
    let end = until(&stored)?;
    let rising = all().map(|replica| replica.seen.k()).collect::<Result<Vec<_>>>()?;
    eventually("all have heard of it", SOON, || all().zip(&rising).try_for_each(|(replica, k)| above(replica, *k)))?;

    cluster.stop_api_server()?;
    let stopped = Instant::now();
    let ahead = end.duration_since(Timestamp::now());
    let over = Instant::now() + Duration::try_from(ahead).unwrap_or_default();
    ensure!(ahead > SignedDuration::from_secs(2), "until is only {ahead} ahead: the outage began too late");
    none_failed(leaders, "the one that is restarted, before")?;
    leader.process.sigkill()?;
    let probe = Probe::of(&leader.seen);
    let leader = site.restarted(leader.seen.host())?;
    let back = (stopped + outage()).max(over + Duration::from_secs(8));
    wait_until(back);
    let held = trace.last();
    let returning = Instant::now();
    cluster.start_api_server()?;
    let away = stopped.elapsed();
    eventually("the one that was restarted is ready", SOON, || leader.is_ready())?;
    // Whoever leads from now on judges by what came to it, so each has its load again.
    let again = load(&leader.seen);
    let goes_on = |replica: &Replica, held: &Sample| above(replica, held.k + 50);
    eventually("the weight goes on", SOON, || replicas.iter().zip(&held).try_for_each(|(replica, held)| goes_on(replica, held)))?;
    println!(
        "the API server was away for {away:?}, until was {ahead:#} ahead; the weight goes on {:?} after the start",
        stopped.elapsed() - away
    );
    eventually("it serves the line", SOON, || held.iter().try_for_each(|held| above(&leader, held.k + 150)))?;

    for samples in trace.end()? {
        let most = goes_by_the_line(&samples, SLOPE, LATEST)?;
        let at_stop = last_before(&samples, stopped)?;
        let at_end = last_before(&samples, over)?;
        let plateau: Vec<u32> = samples.iter().filter(|s| s.asked > over && s.answered < back).map(|s| s.k).collect();
        println!(
            "{} samples: {at_stop} when it went, {at_end} at until, {plateau:?} held; at most {most} between two",
            samples.len(),
            plateau = plateau.last()
        );
        ensure!(at_end > at_stop, "the line did not go on by itself");
        ensure!(!plateau.is_empty() && plateau.windows(2).all(|pair| pair[0] == pair[1]), "it rose past until: {plateau:?}");
    }
    let answers = probe.end()?;
    let ready = answers.iter().find(|answer| answer.is_ready).context("it was never seen ready")?.at;
    let refused = answers.iter().filter(|answer| answer.at < returning).count();
    println!("{refused} times not ready while the API server was away, ready {:?} after its start began", ready - returning);
    ensure!(ready > returning, "it was ready {:?} before the API server came back", returning - ready);
    ensure!(refused > 100, "it was asked only {refused} times while the API server was away");
    ensure!(answers.iter().all(|answer| answer.is_ready == (answer.at >= ready)), "it was ready, and then not");
    none_failed(again, "the one that was restarted, since it is ready")?;
    loads.into_iter().try_for_each(|load| none_failed(load, "another one, all the time"))
}

fn above(replica: &Replica, k: u32) -> Result<()> {
    let served = replica.seen.k()?;
    ensure!(served > k, "it serves {served}, not more than {k}: {}", replica.seen.release()?["status"]);
    Ok(())
}

fn last_before(samples: &[Sample], moment: Instant) -> Result<u32> {
    samples.iter().rfind(|sample| sample.answered < moment).map(|sample| sample.k).context("no sample so early")
}

/// Time itself is what is waited for.
fn wait_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}
