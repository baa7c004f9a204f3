//! SIGTERM while requests come in.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use serin_testkit::load::{self, Plan};
use serin_testkit::origin::Behaviour;
use serin_testkit::process::Signal;
use std::thread;
use std::time::Duration;

#[test]
fn a_process_that_is_told_to_stop_beside_another_on_its_port_fails_no_request() -> Result<()> {
    let mut site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    // So requests are under way whenever the signal comes.
    for origin in [&site.stable, &site.canary] {
        origin.behave(Behaviour { delay: Duration::from_millis(100), ..Behaviour::default() });
    }
    let successor = site.successor()?;
    let plan = Plan { host: HOST.into(), rate: 200, limit: PATIENCE, ..Plan::new(site.running.http, Duration::from_secs(3)) };
    let loaded = thread::spawn(move || load::run(&plan));
    serin_testkit::eventually("a third of the load has come", PATIENCE, || {
        let answered = site.stable.requests() + site.canary.requests();
        ensure!(answered > 200, "{answered} requests");
        Ok(())
    })?;
    site.running.process.signal(Signal::TERM)?;
    let status = site.running.process.wait(PATIENCE)?;
    let report = loaded.join().expect("the load does not panic")?;

    ensure!(status.success(), "{status}:\n{}", site.running.process.last_lines());
    assert_eq!((report.sent, report.failed), (600, 0), "{:?}", report.failures);
    assert_eq!(report.statuses.get(&200), Some(&600), "{:?}", report.statuses);
    let by_successor = successor.metric(r#"serin_responses_total{code_class="2xx"}"#)?;
    ensure!(by_successor > 0.0 && by_successor < 600.0, "the other process answered {by_successor} of 600");
    Ok(())
}

#[test]
fn requests_under_way_are_answered_whole_before_it_ends() -> Result<()> {
    let mut site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    site.stable.behave(Behaviour { delay: Duration::from_secs(1), ..Behaviour::default() });
    let http = site.running.http;
    let asking: Vec<_> = (0..20).map(|_| thread::spawn(move || get(http, "/", &[("Host", HOST)]))).collect();
    serin_testkit::eventually("all are under way", PATIENCE, || {
        ensure!(site.stable.requests() == 20, "{} are", site.stable.requests());
        Ok(())
    })?;
    site.running.process.signal(Signal::TERM)?;
    for answer in asking {
        let answer = answer.join().expect("a client does not panic")?;
        assert_eq!((answer.status, answer.body.as_str()), (200, "v1\n"));
    }
    let status = site.running.process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}:\n{}", site.running.process.last_lines());
    assert_eq!(site.stable.requests(), 20, "none was sent twice");
    Ok(())
}
