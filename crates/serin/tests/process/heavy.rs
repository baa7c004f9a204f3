//! One consumer with half of the load, known by key: status, and `serin simulate` on the log of these very requests, show the share of users
//! and the share of requests apart (S7).

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::document;
use std::fs;

const HEAVY: &str = "heavy-hitter";
/// With one request each.
const OTHERS: usize = 400;
const REQUESTS: usize = 2 * OTHERS;

/// All of them as Consumers with a key, and the policy that learns who asks by it.
fn people() -> String {
    let object = |version: &str, kind: &str, name: &str, field: &str, value: Value| {
        let metadata = json!({"name": name, "namespace": "shop"});
        document(&json!({"apiVersion": version, "kind": kind, "metadata": metadata, field: value}))
    };
    let policy = json!({"scope": {"service": "checkout"}, "methods": [{"keyAuth": {"headers": ["apikey"]}}]});
    let mut text = object("serin.dev/v1alpha1", "AuthPolicy", "keys", "spec", policy);
    for name in others().chain([HEAVY.to_owned()]) {
        let credentials = json!({"credentials": [{"keyAuth": {"secretRef": {"name": name, "key": "key"}}}]});
        text += &object("serin.dev/v1alpha1", "Consumer", &name, "spec", credentials);
        text += &object("v1", "Secret", &name, "stringData", json!({"key": key(&name)}));
    }
    text
}

fn others() -> impl Iterator<Item = String> {
    (0..OTHERS).map(|nth| format!("user-{nth}"))
}

fn key(name: &str) -> String {
    format!("key-of-{name}")
}

fn canaries(sides: &[bool]) -> usize {
    sides.iter().filter(|canary| **canary).count()
}

#[test]
fn s7_one_consumer_with_half_of_the_load_shows_shares_of_users_and_of_requests_apart_in_status_and_in_a_simulation() -> Result<()> {
    let at = |percentage: u32| spec(&json!({"strategy": {"percentage": percentage}}));
    let site = Site::start_with(&at(5), &["--access-log", "text"])?;
    site.write("people.yaml", &people())?;
    eventually("nobody gets in without a key", PATIENCE, || {
        let answer = site.ask(HOST, "/", &[])?;
        ensure!(answer.status == 401, "{answer:?}");
        Ok(())
    })?;
    // What is measured begins anew with another weight, without those who asked until then.
    site.edit(&at(10))?;
    site.reaches("Steady", "10")?;
    let heavy = (0..OTHERS).map(|_| HEAVY.to_owned());
    let keys: Vec<_> = others().chain(heavy).map(|name| Some(key(&name))).collect();
    let sides = site.client()?.sides_by(HOST, "apikey", &keys)?;
    let (users, requests) = (canaries(&sides[..=OTHERS]), canaries(&sides));
    let of_users = 100.0 * users as f64 / (OTHERS + 1) as f64;

    let measured = eventually("all is measured", PATIENCE, || {
        let measured = site.release()?["status"]["measured"].clone();
        ensure!(measured["canaryRequests"] == requests && measured["stableRequests"] == REQUESTS - requests, "{measured}");
        ensure!(measured["identities"].as_u64().is_some_and(|seen| seen > 0), "{measured}");
        Ok(measured)
    })?;
    println!("{users} of {} users are {of_users:.1} %; status says {measured}", OTHERS + 1);
    let number = |field: &str| measured[field].as_str().unwrap_or_default().parse::<f64>().unwrap_or(f64::NAN);
    ensure!(measured["identities"].as_u64().is_some_and(|seen| seen.abs_diff(OTHERS as u64 + 1) <= 12), "{measured}");
    ensure!((49.0..=51.0).contains(&number("largestShare")), "{measured}");
    ensure!((6.0..14.0).contains(&of_users), "{of_users} % of users");
    ensure!((number("weight") - of_users).abs() > 2.5, "{measured}");
    assert_eq!(site.condition("Skewed")?["reason"], "Even");

    let logged = eventually("the log has them all", PATIENCE, || {
        let log = site.running.process.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(" consumer=\"")).map(str::to_owned).collect();
        ensure!(lines.len() == REQUESTS, "{} lines", lines.len());
        Ok(lines.join("\n"))
    })?;
    ensure!(!logged.contains("key-of-"), "a key is logged");
    fs::write(site.folder().join("access.log"), logged)?;
    let files = ["services.yaml", "ingress.yaml", "release.yaml", "people.yaml"];
    let output = serin().current_dir(site.folder()).args(["simulate", "--log", "access.log"]).args(files).output()?;
    let told = String::from_utf8(output.stdout).context("no UTF-8")?;
    println!("{told}");
    ensure!(output.status.success() && output.stderr.is_empty(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        &format!("% ({users} of {})", OTHERS + 1),
        &format!("% ({requests} of {REQUESTS})"),
        &format!("{REQUESTS} requests by buckets, 0 by overrides, 0 of others"),
        &format!("the busiest ({HEAVY:?}) makes 50 % of them"),
    ] {
        ensure!(told.contains(part), "no {part:?} in:\n{told}");
    }
    ensure!(!told.contains("had no such identity") && !told.contains("Skewed: "), "{told}");
    Ok(())
}
