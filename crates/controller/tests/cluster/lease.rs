//! Who leads, as whole processes: killed, frozen, stopped, and with clocks a day apart.

use crate::replica::{Replicas, has_said, role, said};
use crate::world::{CRD, SOON, install, release, shared};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serin_controller::cluster::lease::Times;
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, long};
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;

/// The real ones in the long form, else shorter ones in about the same proportion.
fn times() -> Times {
    let short = Times { lease: Duration::from_secs(6), renew_deadline: Duration::from_secs(4), retry: Duration::from_millis(800) };
    if long() { Times::default() } else { short }
}

/// 20 s for a Lease of 15 s.
fn handover() -> Duration {
    times().lease * 20 / 15
}

/// serin's rights, its Lease and one release in a namespace.
fn prepared(namespace: &str) -> Result<String> {
    let cluster = shared()?;
    let token = install(cluster, namespace)?;
    cluster.apply(&release(namespace, "checkout").to_string())?;
    Ok(token)
}

/// When the holder says that it renewed the Lease last.
fn renewed(namespace: &str) -> Result<Timestamp> {
    let arguments = ["get", "lease", "serin", "-n", namespace, "-o", "jsonpath={.spec.renewTime}"];
    Ok(shared()?.kubectl(&arguments, "")?.ok()?.parse()?)
}

#[test]
fn a_killed_leader_is_followed_in_time_and_one_that_stops_at_once() -> Result<()> {
    if let Some(end) = role() {
        return end;
    }
    let token = prepared("lease-killed")?;
    let test = "lease::a_killed_leader_is_followed_in_time_and_one_that_stops_at_once";
    let replicas = Replicas { cluster: shared()?, test, namespace: "lease-killed", token: &token, times: times() };
    let mut first = replicas.start("first", 0)?;
    eventually("the first leads and writes", SOON, || has_said(&first, "Written"))?;
    let mut second = replicas.start("second", 0)?;
    eventually("the second asks", SOON, || has_said(&second, "NotLeader"))?;

    first.sigkill()?;
    let killed = Instant::now();
    eventually("the second leads", SOON, || has_said(&second, "leads true"))?;
    let took = killed.elapsed();
    println!("{took:?} from SIGKILL to the next leader, with a Lease of {:?}", times().lease);
    assert!(took < handover(), "{took:?}");

    let third = replicas.start("third", 0)?;
    eventually("the third asks", SOON, || has_said(&third, "NotLeader"))?;
    second.signal(serin_testkit::process::Signal::TERM)?;
    let stopped = Instant::now();
    eventually("the third leads", SOON, || has_said(&third, "leads true"))?;
    let took = stopped.elapsed();
    println!("{took:?} from SIGTERM to the next leader");
    assert!(took < times().lease / 2, "{took:?}");
    assert!(second.wait(SOON)?.success(), "{}", second.last_lines());
    Ok(())
}

#[test]
fn a_frozen_leader_writes_nothing_when_it_goes_on() -> Result<()> {
    if let Some(end) = role() {
        return end;
    }
    let token = prepared("lease-frozen")?;
    let test = "lease::a_frozen_leader_writes_nothing_when_it_goes_on";
    let replicas = Replicas { cluster: shared()?, test, namespace: "lease-frozen", token: &token, times: times() };
    let mut first = replicas.start("first", 0)?;
    eventually("the first leads and writes", SOON, || has_said(&first, "Written"))?;
    let mut second = replicas.start("second", 0)?;
    eventually("the second asks", SOON, || has_said(&second, "NotLeader"))?;

    first.sigstop()?;
    eventually("the second leads and writes", SOON, || has_said(&second, "Written"))?;
    let before = first.log();
    first.sigcont()?;
    eventually("the first goes on", SOON, || {
        let after = first.log().split_off(before.len());
        ensure!(said(&after, "NotLeader") > 3 && said(&after, "leads false") > 0, "{after}");
        Ok(())
    })?;
    let after = first.log().split_off(before.len());
    assert_eq!(said(&after, "Written") + said(&after, "Unchanged"), 0, "{after}");
    assert_eq!(said(&second.log(), "leads false"), 0);

    // And it may win again.
    second.sigkill()?;
    eventually("the first leads again", SOON, || {
        let after = first.log().split_off(before.len());
        ensure!(said(&after, "leads true") > 0 && said(&after, "Written") > 0, "{after}");
        Ok(())
    })
}

#[test]
fn a_leader_without_an_api_server_steps_down_before_another_one_could_lead() -> Result<()> {
    if let Some(end) = role() {
        return end;
    }
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let token = install(&cluster, "lease-away")?;
    cluster.apply(&release("lease-away", "checkout").to_string())?;
    let test = "lease::a_leader_without_an_api_server_steps_down_before_another_one_could_lead";
    let replicas = Replicas { cluster: &cluster, test, namespace: "lease-away", token: &token, times: times() };
    let only = replicas.start("only", 0)?;
    eventually("it leads and writes", SOON, || has_said(&only, "Written"))?;
    cluster.stop_api_server()?;
    let stopped = Instant::now();
    eventually("it steps down", SOON, || has_said(&only, "leads false"))?;
    let took = stopped.elapsed();
    println!("{took:?} from the end of the API server to the end of the term, with a deadline of {:?}", times().renew_deadline);
    assert!(took < times().lease, "{took:?}");
    let before = only.log().len();
    cluster.start_api_server()?;
    eventually("it leads again", SOON, || {
        let after = only.log().split_off(before);
        ensure!(said(&after, "leads true") > 0 && said(&after, "Written") > 0, "{after}");
        Ok(())
    })
}

#[test]
fn clocks_that_are_a_day_apart_change_nothing() -> Result<()> {
    if let Some(end) = role() {
        return end;
    }
    let token = prepared("lease-clocks")?;
    let test = "lease::clocks_that_are_a_day_apart_change_nothing";
    let replicas = Replicas { cluster: shared()?, test, namespace: "lease-clocks", token: &token, times: times() };
    // Each in turn leads the other, so both see a record from the future and one from the past.
    let mut ahead = replicas.start("ahead", DAY)?;
    eventually("the one ahead leads", SOON, || has_said(&ahead, "Written"))?;
    let mut behind = replicas.start("behind", 0)?;
    holds_off("lease-clocks", &behind)?;
    ahead.sigkill()?;
    let killed = Instant::now();
    eventually("the one behind leads", SOON, || has_said(&behind, "leads true"))?;
    assert!(killed.elapsed() < handover(), "{:?}", killed.elapsed());

    let again = replicas.start("again", DAY)?;
    holds_off("lease-clocks", &again)?;
    behind.sigkill()?;
    eventually("the one ahead leads again", SOON, || has_said(&again, "leads true"))?;
    let skew = again.log().lines().find_map(|line| line.strip_prefix("skew ")?.parse::<i64>().ok()).context("no skew")?;
    assert!((skew - DAY).abs() <= 2, "{skew}");
    Ok(())
}

/// That this one does not lead while the holder renews for twice as long as the Lease holds.
fn holds_off(namespace: &str, candidate: &serin_testkit::process::Process) -> Result<()> {
    eventually("it asks", SOON, || has_said(candidate, "NotLeader"))?;
    let since = renewed(namespace)?;
    eventually("the holder renews", SOON, || {
        let held = renewed(namespace)?.duration_since(since);
        ensure!(held >= (times().lease * 2).try_into()?, "for {held:#} only");
        Ok(())
    })?;
    ensure!(said(&candidate.log(), "leads true") == 0, "{}", candidate.last_lines());
    Ok(())
}
