//! A canary outside the cluster: refused unless the operator allowed its host, and never where only serin's own host should reach.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::origin::{self, LABEL, Origin};
use serin_testkit::{ask, eventually};

#[test]
fn s1_host_outside_is_served_only_with_the_operators_option_and_never_the_api_server() -> Result<()> {
    let site = Site::new(shared()?, "hosts")?;
    let outside = Origin::start((site.cluster.outside(201), 0), "outside")?;
    let to = |host: &str, port: u16| {
        let canary = json!({"host": host, "port": port});
        site.cluster.apply(
            &site.release(&json!({"canary": canary, "overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}})),
        )
    };
    let accepted = |status: &str, reason: &str, words: &str| {
        eventually(&format!("Accepted={status}/{reason} {words}"), SOON, || {
            let release: Value = serde_json::from_str(&site.kubectl(&["get", "crel", "checkout", "-o", "json"])?)?;
            let conditions = release["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_so = |it: &Value| {
                it["type"] == "Accepted" && it["status"] == status && it["reason"] == reason && it["message"].to_string().contains(words)
            };
            ensure!(conditions.iter().any(is_so), "{conditions:#?}");
            Ok(())
        })
    };
    to(&outside.address().ip().to_string(), outside.address().port())?;
    let serin = site.serin(61)?;
    accepted("False", "NotPermitted", "Let --allow-external-hosts name it.")?;
    let answer = ask::get(serin.http(), "/", &[("Host", HOST), ("X-Canary", "always")])?;
    assert_eq!(answer.header(LABEL), Some("v1"));
    drop(serin);
    // The operator allows all: still not what a cluster keeps to itself.
    let serin = site.serin_with(62, &["--allow-external-hosts", "*"])?;
    accepted("True", "Accepted", "")?;
    eventually("the canary is outside", SOON, || {
        let answer = ask::get(serin.http(), "/cart", &[("Host", HOST), ("X-Canary", "always")])?;
        ensure!(answer.header(LABEL) == Some("outside"), "{}\n{}", answer.head, serin.process.last_lines());
        ensure!(answer.header(origin::HOST) == Some(outside.address().to_string().as_str()), "{}", answer.head);
        Ok(())
    })?;
    let api_server = site.cluster.server().trim_start_matches("https://").trim_end_matches(":6443").to_owned();
    for (host, words) in
        [("127.0.0.1", "on loopback"), ("169.254.169.254", "link-local"), ("::1", "on loopback"), (&*api_server, "the API server's")]
    {
        to(host, 8080)?;
        accepted("False", "NotPermitted", &format!("Address {host} is {words}, where nothing is sent to."))?;
    }
    let answer = ask::get(serin.http(), "/", &[("Host", HOST), ("X-Canary", "always")])?;
    assert_eq!(answer.header(LABEL), Some("v1"));
    Ok(())
}
