//! What is told of requests that something else took than was asked for (S8).

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::service;

fn measured(site: &Site, fallbacks: &Value) -> Result<()> {
    eventually("the fallbacks are measured", PATIENCE, || {
        let measured = &site.release()?["status"]["measured"];
        ensure!(measured["fallbacks"] == *fallbacks, "{measured}");
        Ok(())
    })
}

#[test]
fn s8_a_missing_identity_is_counted_in_status_and_metrics_and_its_episode_is_told_once() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Header", "name": "X-Tenant"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    let tenant = Some("tenant-1".to_owned());
    site.client()?.sides_of(HOST, &[tenant, None, None])?;
    measured(&site, &json!({"ClientIP": 2}))?;
    assert_eq!(site.running.metric(r#"serin_split_fallbacks_total{to="ip"}"#)?, 2.0);
    let began = "Requests come without the identity that split.by asks for; for them ClientIP decides.";
    site.tells(began)?;
    site.client()?.sides_of(HOST, &[None, None])?;
    measured(&site, &json!({"ClientIP": 4}))?;
    // What comes within the episode is no other one.
    assert_eq!(site.running.process.log().matches(began).count(), 1);
    Ok(())
}

#[test]
fn s8_stable_in_the_place_of_a_canary_without_endpoints_is_counted_and_told() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 50}})))?;
    site.reaches("Steady", "50")?;
    let without_endpoints = service("shop", "checkout", &[site.stable.address()]) + &service("shop", "checkout-v2", &[]);
    site.write("services.yaml", &without_endpoints)?;
    eventually("the canary is missed", PATIENCE, || {
        let degraded = site.condition("Degraded")?;
        ensure!(degraded["reason"] == "CanaryUnavailable", "{degraded}");
        Ok(())
    })?;
    ensure!(site.client()?.sides(HOST, 1_000)?.iter().all(|canary| !canary), "a canary without endpoints answered");
    measured(&site, &json!({"Stable": 500}))?;
    assert_eq!(site.running.metric(r#"serin_split_fallbacks_total{to="stable"}"#)?, 500.0);
    site.tells("The canary has no ready endpoint, so stable takes its requests. Look at its pods.")
}
