use super::{canaries, tenants};
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serde_json::Value;
use serin_testkit::eventually;
use std::time::Duration;

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn s7_a_tenth_of_users_is_another_share_of_requests_and_one_address_alone_is_said_to_be_skewed() -> Result<()> {
    let site = Site::shown("s07-users-and-requests", &[])?;
    site.reaches("Steady", "10")?;
    site.reaches_named("search", "Steady", "10")?;
    let busy = (0..400).map(|_| Some("busy".to_owned()));
    let all: Vec<_> = tenants(400).into_iter().chain(busy).collect();
    let sides = site.client()?.sides_of(&site.host(), &all)?;
    let share = |of: &[bool]| 100.0 * of.iter().filter(|canary| **canary).count() as f64 / of.len() as f64;
    let (users, requests) = (share(&sides[..401]), share(&sides));
    let measured = eventually("all is measured", PATIENCE, || {
        let measured = site.release()?["status"]["measured"].clone();
        let counted = ["canaryRequests", "stableRequests"].map(|side| measured[side].as_u64().unwrap_or_default());
        ensure!(counted.iter().sum::<u64>() == 800 && measured["identities"].is_u64(), "{measured}");
        Ok(measured)
    })?;
    println!("{users:.1} % of users, {requests:.1} % of requests: {measured}");
    ensure!((number(&measured["weight"]) - requests).abs() < 0.1, "{measured}");
    ensure!((users - requests).abs() > 2.5, "the shares are not apart");
    ensure!((49.0..=51.0).contains(&number(&measured["largestShare"])), "{measured}");
    ensure!(measured["identities"].as_u64().is_some_and(|seen| seen.abs_diff(401) <= 12), "{measured}");
    assert_eq!(site.condition("Skewed")?["reason"], "Even");

    canaries(&site, "search.s07.example", 200)?;
    let skewed = eventually("it is said to be skewed", Duration::from_secs(20), || {
        let skewed = site.condition_of("search", "Skewed")?;
        ensure!(skewed["reason"] == "FewIdentities" && skewed["status"] == "True", "{skewed}");
        Ok(skewed)
    })?;
    let message = skewed["message"].as_str().unwrap_or_default();
    ensure!(message.contains("1 address (127.0.0.1)") && message.contains("Set split.by to Request, set trusted-proxies"), "{message}");
    Ok(())
}
