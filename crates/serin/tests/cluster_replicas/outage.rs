//! The API server goes away in mid-ramp, and comes back.

use crate::replica::{Replica, Seen};
use crate::site::{CRD, HOST, SOON, Site};
use crate::trace::{Sample, Trace, goes_by_the_line};
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::load::{self, Plan, Report};
use serin_testkit::{eventually, long};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The ramp, in buckets a second.
const SLOPE: f64 = 10_000.0 / 300.0;

/// A leader gives up a status after 5 s, and replicas try their watches every 2 s: so late at most they hear of a line that was laid.
const LATEST: Duration = Duration::from_secs(7);

/// The outage is 120 s in the long form, and in the short one as long as `until` is ahead and somewhat more.
fn outage() -> Option<Duration> {
    long().then(|| Duration::from_secs(120))
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

/// 250 requests a second to a replica until nobody waits any more.
fn load(to: &Seen, duration: Duration) -> JoinHandle<Result<Report>> {
    let plan = Plan { rate: 250, host: HOST.to_owned(), ..Plan::new(to.http(), duration) };
    std::thread::spawn(move || load::run(&plan))
}

fn until(release: &Value) -> Result<Timestamp> {
    let text = release.pointer("/status/traffic/until").and_then(Value::as_str);
    Ok(text.context("no until")?.parse()?)
}

#[test]
fn without_an_api_server_all_is_served_and_nothing_rises_past_until() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let site = Site::new(&cluster, "outage")?;
    let replicas: Vec<Replica> = (10..12).map(|host| site.replica(host)).collect::<Result<_>>()?;
    let loaded = Duration::from_secs(if long() { 240 } else { 48 });
    let loads: Vec<_> = replicas.iter().map(|replica| load(&replica.seen, loaded)).collect();
    site.release(&ramp())?;
    eventually("the ramp is under way", SOON, || replicas.iter().try_for_each(|replica| above(replica, 100)))?;
    let trace = Trace::of(replicas.iter().map(|replica| &replica.seen));
    // After this judgement the next is a whole interval ahead: the outage begins while the line rises.
    let before = until(&site.stored()?)?;
    let stored = site.until("until was moved on", |release| until(release).is_ok_and(|now| now > before))?;
    let end = until(&stored)?;
    let rising = replicas.iter().map(|replica| replica.seen.k()).collect::<Result<Vec<_>>>()?;
    eventually("all have heard of it", SOON, || replicas.iter().zip(&rising).try_for_each(|(replica, k)| above(replica, *k)))?;

    cluster.stop_api_server()?;
    let stopped = Instant::now();
    let ahead = end.duration_since(Timestamp::now());
    let over = Instant::now() + Duration::try_from(ahead).unwrap_or_default();
    ensure!(ahead > SignedDuration::from_secs(2), "until is only {ahead} ahead: the outage began too late");
    let plateau = over + Duration::from_secs(8);
    let back = outage().map_or(plateau, |outage| (stopped + outage).max(plateau));
    wait_until(back);
    let held = trace.last();
    cluster.start_api_server()?;
    let away = stopped.elapsed();
    eventually("the weight goes on", SOON, || replicas.iter().zip(&held).try_for_each(|(replica, held)| above(replica, held.k + 50)))?;
    println!(
        "the API server was away for {away:?}, until was {ahead:#} ahead; the weight goes on {:?} after the start",
        stopped.elapsed() - away
    );

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
        ensure!(plateau.windows(2).all(|pair| pair[0] == pair[1]), "it rose past until: {plateau:?}");
    }
    for report in loads {
        let report = report.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        println!("{} requests, {} failed, {:?}", report.sent, report.failed, report.latency);
        ensure!(report.failed == 0, "{:?} {:?}", report.statuses, report.failures);
    }
    Ok(())
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
