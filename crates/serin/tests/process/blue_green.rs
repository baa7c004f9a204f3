//! A preview, one switch, and the way back.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::manifests::service;

/// Who answers a tester, whose header asks for the canary, and how many of 1,000 others the canary answers.
fn answers(site: &Site) -> Result<(String, usize)> {
    let tester = get(site.running.http, "/", &[("Host", HOST), ("X-Canary", "always")])?.body;
    let others = site.client()?.sides(HOST, 1_000)?.into_iter().filter(|canary| *canary).count();
    Ok((tester, others))
}

fn progressing(site: &Site) -> Result<String> {
    Ok(site.condition("Progressing")?["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn s18_testers_see_the_preview_promote_switches_everyone_and_abort_switches_everyone_back() -> Result<()> {
    let site = Site::start(&spec(&json!({"overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"blueGreen": {}}})))?;
    site.reaches("Paused", "0")?;
    assert_eq!(progressing(&site)?, "AwaitingPromotion");
    assert_eq!(answers(&site)?, ("v2\n".to_owned(), 0));

    let services = |canary: &[_]| service("shop", "checkout", &[site.stable.address()]) + &service("shop", "checkout-v2", canary);
    site.write("services.yaml", &services(&[]))?;
    eventually("the canary has no endpoint", PATIENCE, || {
        let tester = answers(&site)?.0;
        ensure!(tester == "v1\n", "{tester}");
        Ok(())
    })?;
    let refused = site.command(&["promote", "--yes"])?;
    ensure!(!refused.status.success(), "it switched to a side without endpoints");
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("The canary has no ready endpoint."), "{refused:?}");
    assert_eq!(answers(&site)?.1, 0);
    site.write("services.yaml", &services(&[site.canary.address()]))?;
    eventually("the preview is back", PATIENCE, || {
        let tester = answers(&site)?.0;
        ensure!(tester == "v2\n", "{tester}");
        Ok(())
    })?;

    ensure!(site.command(&["promote", "--yes"])?.status.success());
    site.reaches("Progressing", "100")?;
    assert_eq!(answers(&site)?, ("v2\n".to_owned(), 1_000));
    ensure!(site.status("/message")?.ends_with("Back: serin abort checkout"), "{}", site.status("/message")?);

    ensure!(site.command(&["abort"])?.status.success());
    assert_eq!(answers(&site)?, ("v1\n".to_owned(), 0), "overrides are off too");
    assert_eq!(site.status("/phase")?, "Aborted");
    Ok(())
}
