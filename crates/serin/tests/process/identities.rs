//! Who is behind the requests: shares of users and of requests apart, and what is said when there are too few users to share (S7).

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;
use std::time::{Duration, Instant};

/// The condition as `status reason`, and its message.
fn skewed(site: &Site) -> Result<(String, String)> {
    let found = site.condition("Skewed")?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Ok((format!("{} {}", text("status"), text("reason")), text("message")))
}

#[test]
fn s7_requests_of_one_address_are_said_to_be_skewed_within_20_seconds_with_the_cure() -> Result<()> {
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    assert_eq!(skewed(&site)?.0, "False Even", "nobody came yet");
    let canary = site.client()?.sides(HOST, 199)?.contains(&true);
    let counted = |requests: u64| {
        eventually("the requests are counted", PATIENCE, || {
            let measured = &site.release()?["status"]["measured"];
            let sides = ["canaryRequests", "stableRequests"].map(|side| measured[side].as_u64().unwrap_or_default());
            ensure!(sides.iter().sum::<u64>() == requests, "{measured}");
            Ok(())
        })
    };
    counted(199)?;
    assert_eq!(skewed(&site)?.0, "False Even", "too few to tell");

    let begun = Instant::now();
    site.client()?.sides(HOST, 1)?;
    let message = eventually("it is said to be skewed", Duration::from_secs(20), || {
        let (is, message) = skewed(&site)?;
        ensure!(is == "True FewIdentities", "{is}: {message}");
        Ok(message)
    })?;
    println!("said after {:.1} s", begun.elapsed().as_secs_f64());
    let share = if canary { 100 } else { 0 };
    let text = format!(
        "All requests come from 1 address (127.0.0.1), so 10 % of users is {share} % of requests. Set split.by to Request, set trusted-proxies, \
         or split by a header or cookie."
    );
    assert_eq!(message, text);
    let measured = &site.release()?["status"]["measured"];
    assert_eq!((&measured["identities"], &measured["largestShare"]), (&json!(1), &json!("100")));

    site.edit(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 20}})))?;
    site.reaches("Steady", "20")?;
    site.client()?.sides(HOST, 1_000)?;
    counted(1_000)?;
    assert_eq!(skewed(&site)?.0, "False Even", "with the cure nothing is skewed");
    Ok(())
}

#[test]
fn s7_a_heavy_hitter_with_half_of_the_load_shows_shares_of_users_and_of_requests_apart() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Header", "name": "X-Tenant"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    let heavy = (0..400).map(|_| Some("heavy-hitter".to_owned()));
    let tenants: Vec<_> = (0..400).map(|n| Some(format!("tenant-{n}"))).chain(heavy).collect();
    let sides = site.client()?.sides_of(HOST, &tenants)?;
    let canary = |of: &[bool]| of.iter().filter(|canary| **canary).count();
    let (users, requests) = (canary(&sides[..401]), canary(&sides));
    let measured = eventually("all is measured", PATIENCE, || {
        let measured = site.release()?["status"]["measured"].clone();
        ensure!(measured["canaryRequests"] == requests && measured["stableRequests"] == 800 - requests, "{measured}");
        ensure!(measured["identities"].as_u64().is_some_and(|seen| seen > 0), "{measured}");
        Ok(measured)
    })?;
    let number = |field: &str| measured[field].as_str().unwrap_or_default().parse::<f64>().unwrap_or(f64::NAN);
    println!("{users} of 401 users are {} % of requests: {measured}", number("weight"));
    let seen = measured["identities"].as_u64().unwrap_or_default();
    ensure!(seen.abs_diff(401) <= 8, "{measured}");
    ensure!((49.9..=51.0).contains(&number("largestShare")), "{measured}");
    // Of users about a tenth is on the canary; of requests half of that, as the heavy hitter is on stable, or that and half of all.
    let of_users = 100.0 * users as f64 / 401.0;
    ensure!((6.0..14.0).contains(&of_users), "{of_users} % of users");
    ensure!((number("weight") - of_users).abs() > 2.5, "{measured}");
    assert_eq!(skewed(&site)?.0, "False Even", "401 users are enough");
    Ok(())
}
