//! Leaders that die and leaders that come back, in mid-ramp.

use crate::history::to;
use crate::replica::Replica;
use crate::site::{SOON, Site, shared};
use crate::trace::{Trace, goes_by_the_line};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;
use std::time::{Duration, Instant};

/// Both ramps of [`ramps`], in buckets a second.
const SLOPE: f64 = 100.0;
/// A status reaches every replica within this.
const HEARD: Duration = Duration::from_secs(1);
/// A new leader goes on within this.
const HANDOVER: Duration = Duration::from_secs(20);

/// 1 % a second; the first ramp ends while nobody leads, so only a new leader goes beyond its 20 %.
fn ramps() -> serde_json::Value {
    json!({"strategy": {"steps": [{"weight": 20, "ramp": "20s"}, {"weight": 100, "ramp": "80s"}]}})
}

fn serves_more_than(replica: &Replica, k: u32) -> Result<()> {
    let served = replica.seen.k()?;
    ensure!(served > k, "it serves {served}");
    Ok(())
}

#[test]
fn a_leader_killed_in_mid_ramp_is_followed_by_one_that_goes_on_from_the_same_weight() -> Result<()> {
    let site = Site::new(shared()?, "killed-in-ramp")?;
    let mut replicas: Vec<Replica> = (22..25).map(|host| site.replica(host)).collect::<Result<_>>()?;
    site.release(&ramps())?;
    eventually("the ramp is under way", SOON, || serves_more_than(&replicas[0], 1_000))?;
    let mut leader = site.take_leader(&mut replicas)?;
    let trace = Trace::of(replicas.iter().map(|replica| &replica.seen));
    leader.process.sigkill()?;
    let killed = Instant::now();
    let before = site.stored()?;
    // The leader is the only writer, so another status is another leader's.
    site.until("a new leader decides", |release| release["status"] != before["status"])?;
    let decided = killed.elapsed();
    eventually("the weight goes on", SOON, || replicas.iter().try_for_each(|replica| serves_more_than(replica, 2_200)))?;
    println!("{decided:?} from SIGKILL to the first status of the next leader");
    for samples in trace.end()? {
        let most = goes_by_the_line(&samples, SLOPE, HEARD)?;
        let (first, last) = (samples[0].k, samples[samples.len() - 1].k);
        println!("{} samples from {first} to {last} of 10000, at most {most} between two", samples.len());
    }
    assert!(decided < HANDOVER, "{decided:?}");
    Ok(())
}

#[test]
fn a_leader_frozen_past_its_lease_writes_nothing_when_it_goes_on() -> Result<()> {
    let site = Site::new(shared()?, "frozen-in-ramp")?;
    let mut replicas = vec![site.replica(26)?, site.replica(27)?];
    site.release(&ramps())?;
    eventually("the ramp is under way", SOON, || serves_more_than(&replicas[0], 300))?;
    let holder = site.holder()?;
    let mut old = site.take_leader(&mut replicas)?;
    old.process.sigstop()?;
    let frozen = Instant::now();
    eventually("the other one leads", SOON, || {
        let now = site.holder()?;
        ensure!(now != holder, "still {now}");
        Ok(())
    })?;
    println!("{:?} from SIGSTOP to the next leader", frozen.elapsed());
    site.abort()?;
    site.until("it is aborted", |release| release.pointer("/status/phase") == Some(&json!("Aborted")))?;
    // The figures of the last minute move once more, and then there is nothing to write.
    let quiet = eventually("nothing is written for 12 s", SOON, || unchanged_for(&site, Duration::from_secs(12)))?;
    let history = site.history()?;
    eventually("the history begins", SOON, || {
        ensure!(!history.versions().is_empty(), "nothing yet");
        Ok(())
    })?;

    old.process.sigcont()?;
    eventually("the old leader obeys the abort", SOON, || old.seen.serves(0))?;
    ensure!(unchanged_for(&site, Duration::from_secs(5))? == quiet, "something was written after the old leader went on");
    let versions = history.versions();
    ensure!(versions.len() == 1, "{} versions after the old leader went on", versions.len());
    ensure!(to(&versions[0]["status"]) == 0 && versions[0]["status"]["phase"] == "Aborted", "{}", versions[0]["status"]);
    // It is a replica as any other now: alive, and it does not lead.
    let now = site.holder()?;
    assert!(!old.leads_as(&now), "the old leader leads again");
    Ok(())
}

/// The resourceVersion, when it stays the same for so long.
fn unchanged_for(site: &Site<'_>, long: Duration) -> Result<String> {
    let version = || Ok::<_, anyhow::Error>(site.stored()?["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned());
    let (first, since) = (version()?, Instant::now());
    while since.elapsed() < long {
        let now = version()?;
        ensure!(now == first, "written again: {now} after {first}");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(first)
}
