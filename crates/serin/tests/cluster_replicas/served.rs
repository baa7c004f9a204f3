//! How soon all replicas serve what was ordered.

use crate::replica::Replica;
use crate::site::{SOON, Site, shared};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;
use std::time::{Duration, Instant};

/// All replicas obey within this (design section 2: they lower by themselves, and rise by what one watch tells).
const AT_ONCE: Duration = Duration::from_secs(1);

/// That all of these serve so many buckets, and how long it took from `since`.
fn all_serve(replicas: &[Replica], k: u32, since: Instant) -> Result<Duration> {
    let all = || replicas.iter().try_for_each(|replica| replica.seen.serves(k));
    eventually(&format!("all serve {k}"), SOON, || all().map(|()| since.elapsed()))
}

/// Three replicas that serve 30 %.
fn three(site: &Site<'_>, first: u8) -> Result<Vec<Replica>> {
    let replicas: Vec<Replica> = (first..first + 3).map(|host| site.replica(host)).collect::<Result<_>>()?;
    site.release(&json!({"strategy": {"percentage": 30}}))?;
    all_serve(&replicas, 3_000, Instant::now())?;
    Ok(replicas)
}

#[test]
fn a_weight_that_is_edited_once_is_served_by_all_replicas_within_a_second() -> Result<()> {
    let site = Site::new(shared()?, "weight-edited")?;
    let replicas = three(&site, 10)?;
    for percentage in [60, 20, 75] {
        site.percentage(percentage)?;
        // The API server has stored it by now, a moment ago.
        let took = all_serve(&replicas, percentage * 100, Instant::now())?;
        println!("{percentage} %: served by three replicas {took:?} after kubectl patch ended");
        assert!(took < AT_ONCE, "{took:?}");
    }
    Ok(())
}

#[test]
fn an_abort_is_served_by_all_replicas_within_a_second_when_the_leader_was_killed() -> Result<()> {
    let site = Site::new(shared()?, "abort-killed")?;
    let mut replicas = three(&site, 14)?;
    let holder = site.holder()?;
    site.take_leader(&mut replicas)?.process.sigkill()?;
    let mut abort = site.start_abort()?;
    site.until("the abort is stored", |release| !release["metadata"]["annotations"]["serin.dev/abort"].is_null())?;
    let took = all_serve(&replicas, 0, Instant::now())?;
    ensure!(site.holder()? == holder, "somebody leads already: this shows nothing");
    println!("serin abort: served by the other two {took:?} after it was stored, with the leader killed");
    assert!(took < AT_ONCE, "{took:?}");
    // It ends once the next leader has recorded it, and nothing rises again.
    let status = abort.wait(SOON)?;
    ensure!(status.success(), "{}", abort.last_lines());
    ensure!(site.stored()?.pointer("/status/phase") == Some(&json!("Aborted")), "{}", abort.last_lines());
    all_serve(&replicas, 0, Instant::now())?;
    Ok(())
}

#[test]
fn an_abort_is_served_by_all_replicas_within_a_second_while_the_leader_is_frozen() -> Result<()> {
    let site = Site::new(shared()?, "abort-frozen")?;
    let mut replicas = three(&site, 18)?;
    let holder = site.holder()?;
    let mut leader = site.take_leader(&mut replicas)?;
    leader.process.sigstop()?;
    site.kubectl("annotate", &["serin.dev/abort=now"])?;
    let took = all_serve(&replicas, 0, Instant::now())?;
    ensure!(site.holder()? == holder, "somebody leads already: this shows nothing");
    println!("kubectl annotate: served by the other two {took:?} after it ended, with the leader frozen");
    assert!(took < AT_ONCE, "{took:?}");
    leader.process.sigcont()?;
    let continued = Instant::now();
    let took = all_serve(std::slice::from_ref(&leader), 0, continued)?;
    println!("the frozen one served it {took:?} after it went on");
    assert!(took < AT_ONCE, "{took:?}");
    Ok(())
}
