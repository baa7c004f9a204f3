//! A canary that fails is taken back by what serin counted itself.

use crate::site::{SOON, Site, condition, said, shared};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::origin::Behaviour;
use serin_testkit::{eventually, load};
use std::time::Instant;

#[test]
fn a_canary_that_fails_is_aborted_by_its_error_rate_with_weight_0_and_an_event() -> Result<()> {
    let site = Site::new(shared()?, "failing")?;
    site.canary.behave(Behaviour { fail: "30%".parse()?, ..Behaviour::default() });
    let serin = site.serin(11)?;
    let load = load::start(&site.plan(&serin, 200));
    site.cluster.apply(&site.release(&json!({
        "strategy": {"steps": [{"weight": 50, "for": "10m"}]},
        "analysis": {"interval": "1s", "minRequests": 50, "checks": [{"name": "errors", "errorRate": {"max": "5%"}}]}
    })))?;
    site.kubectl(&["wait", "--for=condition=Finished", "crel/checkout", "--timeout=60s"])?;

    let served = |release: &Value| condition(release, "Programmed") == "True/Programmed";
    let aborted = site.until("the abort is served", |release| release["status"]["phase"] == "Aborted" && served(release))?;
    let since = Instant::now();
    let status = &aborted["status"];
    println!("{}", status["message"]);
    ensure!(status["weight"] == "0" && status.pointer("/traffic/to") == Some(&json!(0)), "{status}");
    for (of, is) in [("Stalled", "True/Aborted"), ("Degraded", "True/Aborted"), ("Promoted", "False/NotPromoted")] {
        ensure!(condition(&aborted, of) == is, "{of} is {}", condition(&aborted, of));
    }
    let cause = said(&aborted, "Finished", "message");
    ensure!(cause.starts_with("Check errors failed: canary ") && cause.contains("limit 5.00 %"), "{cause}");
    let cure = status["message"].as_str().unwrap_or_default();
    ensure!(cure.contains("serin retry checkout"), "the message has no cure: {cure}");
    let events = eventually("the Event", SOON, || {
        let selector = "--field-selector=involvedObject.name=checkout,type=Warning,reason=Aborted";
        let events = site.kubectl(&["get", "events", selector, "-o", "jsonpath={.items[*].message}"])?;
        ensure!(!events.is_empty(), "none yet");
        Ok(events)
    })?;
    ensure!(events.starts_with("All traffic is on stable. Check errors failed: "), "{events}");

    let stable = site.stable.requests();
    eventually("requests after the abort", SOON, || {
        ensure!(site.stable.requests() > stable + 200, "only {}", site.stable.requests() - stable);
        Ok(())
    })?;
    let report = load.end()?;
    let canary = |exchange: &&load::Exchange| exchange.label.as_deref() == Some("v2");
    ensure!(report.exchanges.iter().any(|exchange| canary(&exchange)), "the canary was never asked");
    let late = report.exchanges.iter().filter(canary).filter(|exchange| exchange.began > since).count();
    assert_eq!(late, 0, "requests went to the canary after the abort");
    Ok(())
}
