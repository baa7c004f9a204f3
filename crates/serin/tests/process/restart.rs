//! What `--state` keeps when the process is killed.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use serin_testkit::ask::get;
use serin_testkit::eventually;

/// The threshold that a request is decided with, as its answer says.
fn k(site: &Site) -> Result<f64> {
    let answer = get(site.running.http, "/", &[("Host", HOST)])?;
    let k = answer.header("Serin-Decision").and_then(|decision| decision.rsplit_once("k=")?.1.parse().ok());
    k.with_context(|| format!("no k in {answer:?}"))
}

/// The line of a segment at a moment, in buckets.
fn line(traffic: &Value, at: Timestamp) -> Result<f64> {
    let number = |field: &str| traffic[field].as_f64().with_context(|| format!("no {field} in {traffic}"));
    let time = |field: &str| -> Result<Timestamp> { Ok(traffic[field].as_str().context("a time")?.parse()?) };
    let (starts, ends) = (time("startsAt")?, time("endsAt")?);
    let share = at.duration_since(starts).as_secs_f64() / ends.duration_since(starts).as_secs_f64();
    Ok(number("from")? + (number("to")? - number("from")?) * share.clamp(0.0, 1.0))
}

#[test]
fn a_release_that_rises_goes_on_rising_after_a_kill_with_no_fall_and_no_jump() -> Result<()> {
    let split = json!({"by": "Header", "name": "X-Tenant"});
    let mut site = Site::start(&spec(&json!({"split": split, "strategy": {"steps": [{"weight": 100, "ramp": "100s"}]}})))?;
    eventually("some buckets have risen", PATIENCE, || {
        let k = k(&site)?;
        ensure!(k >= 30.0, "k is {k}");
        Ok(())
    })?;
    let tenants: Vec<_> = (0..1_000).map(|n| Some(format!("tenant-{n}"))).collect();
    let (sides, before, killed) = (site.client()?.sides_of(HOST, &tenants)?, site.release()?, k(&site)?);
    site.running.process.sigkill()?;
    site.restart()?;

    let (risen, now) = (k(&site)?, Timestamp::now());
    ensure!(risen >= killed, "it fell from {killed} to {risen}");
    // A line's floor is that of two seconds ahead, so that no clock moves anybody back.
    let most = line(&before["status"]["traffic"], now + std::time::Duration::from_secs(2))?;
    ensure!(risen <= most, "it jumped from {killed} to {risen}, and its line is at {most}");
    let after = site.client()?.sides_of(HOST, &tenants)?;
    let moved_back = sides.iter().zip(&after).filter(|(was, is)| **was && !**is).count();
    assert_eq!(moved_back, 0);
    println!("killed at {killed} of 1000 buckets, back at {risen}, its line at {most:.0}");

    let release = site.release()?;
    for pointer in ["/metadata/uid", "/metadata/creationTimestamp", "/status/release/id", "/status/release/attempt", "/status/phase"] {
        assert_eq!(release.pointer(pointer), before.pointer(pointer), "{pointer}");
    }
    eventually("it goes on", PATIENCE, || {
        let k = k(&site)?;
        ensure!(k > risen, "k is {k}");
        Ok(())
    })
}

#[test]
fn a_pause_and_a_command_outlive_a_kill() -> Result<()> {
    let steps = json!([{"weight": 25, "for": "1h"}]);
    let mut site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"steps": steps}})))?;
    site.reaches("Progressing", "25")?;
    ensure!(site.command(&["pause"])?.status.success());
    let before = site.release()?;
    site.running.process.sigkill()?;
    site.restart()?;
    let after = site.release()?;
    assert_eq!(after["status"]["phase"], "Paused");
    for pointer in ["/status/lastCommand", "/status/weight", "/status/step", "/metadata/annotations", "/metadata/uid"] {
        assert_eq!(after.pointer(pointer), before.pointer(pointer), "{pointer}");
    }
    assert_eq!(site.client()?.sides(HOST, 1_000)?.into_iter().filter(|canary| *canary).count(), 250);
    Ok(())
}

#[test]
fn a_damaged_state_is_refused_with_its_name_instead_of_beginning_again() -> Result<()> {
    let mut site = Site::start(&spec(&json!({"strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    site.running.process.sigkill()?;
    site.write("state", "{\"version\":1,\"releases\":[")?;
    let Err(error) = site.restart() else { anyhow::bail!("it started on half a state") };
    ensure!(format!("{error:#}").contains("state is no state of serin: move it away to begin each release again"), "{error:#}");
    Ok(())
}
