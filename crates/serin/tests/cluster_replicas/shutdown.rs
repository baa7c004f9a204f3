//! A replica that is told to stop.

use crate::balancer;
use crate::replica::Replica;
use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;
use serin_testkit::load::{self, Plan};
use serin_testkit::process::Signal;
use std::time::{Duration, Instant};

/// Others look at the Lease every 2 s.
const GIVEN_BACK: Duration = Duration::from_secs(3);

#[test]
fn a_leader_that_is_told_to_stop_gives_the_lease_back_and_fails_no_request() -> Result<()> {
    let site = Site::new(shared()?, "told-to-stop")?;
    let mut replicas: Vec<Replica> = (44..46).map(|host| site.replica(host)).collect::<Result<_>>()?;
    site.release(&json!({"strategy": {"percentage": 50}}))?;
    eventually("both serve", SOON, || replicas.iter().try_for_each(|replica| replica.seen.serves(5_000)))?;
    let balancer = balancer::start(site.cluster.outside(201), replicas.iter().map(|replica| replica.seen.clone()).collect())?;
    let mut leader = site.take_leader(&mut replicas)?;
    let holder = site.holder()?;
    let plan = Plan { rate: 200, host: HOST.to_owned(), ..Plan::new(balancer, Duration::from_secs(16)) };
    let load = std::thread::spawn(move || load::run(&plan));

    leader.process.signal(Signal::TERM)?;
    let told = Instant::now();
    eventually("the other one leads", SOON, || {
        let now = site.holder()?;
        ensure!(now != holder && !now.is_empty(), "it is {now:?}");
        Ok(())
    })?;
    let took = told.elapsed();
    println!("{took:?} from SIGTERM to the next leader");
    // While it drains it is a replica as any other: an abort reaches those whom it still serves.
    site.abort()?;
    let aborted = Instant::now();
    eventually("the one that stops serves the abort", Duration::from_secs(1), || leader.seen.serves(0))?;
    println!("the one that stops serves an abort {:?} later", aborted.elapsed());
    let status = leader.process.wait(SOON)?;
    println!("it ended {:?} after SIGTERM", told.elapsed());
    assert_eq!(status.code(), Some(0), "{}", leader.process.last_lines());

    let report = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    println!("{} requests, {} failed, {:?}", report.sent, report.failed, report.latency);
    assert_eq!(report.failed, 0, "{:?} {:?}", report.statuses, report.failures);
    assert!(took < GIVEN_BACK, "{took:?}");
    Ok(())
}
