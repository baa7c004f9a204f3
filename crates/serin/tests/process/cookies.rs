//! The identity that a browser is given, as its release's author sees it.

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{Answer, get};
use serin_testkit::eventually;

/// The identity that the answer gives.
fn given(answer: &Answer) -> Option<&str> {
    answer.header("Set-Cookie")?.strip_prefix("uid=")?.split(';').next()
}

#[test]
fn s7_browsers_that_are_given_an_identity_stay_on_their_side_and_are_counted_as_users() -> Result<()> {
    let site = Site::start(&spec(&json!({
        "split": {"by": "Cookie", "name": "uid", "issueCookie": true},
        "overrides": [{"header": {"name": "X-Canary"}}],
        "strategy": {"percentage": 50},
    })))?;
    site.reaches("Steady", "50")?;
    let ask = |fields: &[(&str, &str)]| get(site.running.http, "/", &[&[("Host", HOST)], fields].concat());
    let (mut sides, browsers) = ([0; 2], 60);
    for _ in 0..browsers {
        let first = ask(&[])?;
        let cookie = format!("uid={}", given(&first).with_context(|| first.head.clone())?);
        for _ in 0..3 {
            let next = ask(&[("Cookie", &cookie)])?;
            assert_eq!((next.body.as_str(), given(&next)), (first.body.as_str(), None));
        }
        sides[usize::from(first.body == "v2\n")] += 4;
    }
    ensure!(sides.iter().all(|requests| *requests > 0), "{sides:?}");
    for value in ["always", "never"] {
        assert_eq!(given(&ask(&[("X-Canary", value)])?), None, "an override asks for no identity");
    }
    eventually("the browsers are counted", PATIENCE, || {
        let measured = &site.release()?["status"]["measured"];
        ensure!(measured["stableRequests"] == sides[0] && measured["canaryRequests"] == sides[1], "{measured}");
        let identities = measured["identities"].as_i64().unwrap_or_default();
        ensure!((browsers - identities).abs() <= 2 && measured.get("fallbacks").is_none_or(|f| *f == json!({})), "{measured}");
        Ok(())
    })?;
    assert_eq!(site.condition("Skewed")?["reason"], "Even");
    explained(&site)
}

fn explained(site: &Site) -> Result<()> {
    let explain = |arguments: &[&str]| -> Result<String> {
        let output = serin().args(["explain", HOST, "--admin", &site.running.admin.to_string()]).args(arguments).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let told = explain(&["--client-ip", "192.0.2.7"])?;
    let issued = "rule     a random identity would be issued as a cookie: buckets below 500 of 1000 are the canary's";
    ensure!(told.lines().any(|line| line == issued), "{told}");
    let whole: Value = serde_json::from_str(&explain(&["-o", "json"])?)?;
    assert_eq!((&whole["identity"], &whole["issued"], &whole["fallback"]), (&json!("cookie"), &json!(true), &json!(false)));
    ensure!(whole["release"] == "shop/checkout" && whole["side"].is_null() && whole["bucket"].is_null(), "{whole}");
    let known: Value = serde_json::from_str(&explain(&["-H", "Cookie: uid=5f2c9e", "-o", "json"])?)?;
    ensure!(known["bucket"].is_u64() && known.get("issued").is_none(), "{known}");
    Ok(())
}
