//! Edits under load.

use crate::churn::{Churn, ROUTE};
use crate::site::{HOST, Site, shared};
use anyhow::{Result, ensure};
use serin_testkit::load::{self, Plan, Report};
use serin_testkit::long;
use std::time::{Duration, Instant};

/// At least so many edits, for at least so long.
fn measure() -> (usize, Duration) {
    if long() { (200, Duration::from_secs(30)) } else { (30, Duration::from_secs(5)) }
}

#[test]
fn edits_under_load_fail_no_request_and_none_is_answered_by_a_table_that_was_not_there() -> Result<()> {
    let site = Site::new(shared()?, "edits")?;
    let serin = site.serin(14)?;
    let mut churn = Churn::start(&site, &serin)?;
    // 2,000 a second together, all of the one user whose side each edit of the release changes.
    let of = |host: &str| Plan { host: host.to_owned(), users: 1, ..site.plan(&serin, 1_000) };
    let loads = [ROUTE, HOST].map(|host| load::start(&of(host)));
    let (least, lasts) = measure();
    let began = Instant::now();
    let mut edits = 0;
    while edits < least || began.elapsed() < lasts {
        churn.edit_route()?;
        churn.edit_release()?;
        edits += 2;
    }
    let [route, release] = loads.map(load::Load::end);
    let (route, release) = (route?, release?);
    println!("{edits} edits in {:?}", began.elapsed());
    tells("route", &route)?;
    tells("release", &release)?;
    ensure!(route.labels.len() == 3 && release.labels.len() == 2, "{:?} {:?}", route.labels, release.labels);
    for (what, wrong) in [("route", churn.route.wrong(&route.exchanges)), ("release", churn.release.wrong(&release.exchanges))] {
        ensure!(wrong.is_none(), "the {what} was answered by a table that was not there: {wrong:?}");
    }
    Ok(())
}

fn tells(what: &str, report: &Report) -> Result<()> {
    let rate = report.sent as f64 / report.seconds;
    println!("{what}: {} requests, {rate:.0} a second, {} failed, {:?} {:?}", report.sent, report.failed, report.labels, report.latency);
    ensure!(report.failed == 0, "{what}: {:?} {:?}", report.statuses, report.failures);
    Ok(())
}
