//! BackendPolicies: what is put before the paths of a Service, whichever side it is.

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::origin::TARGET;
use serin_testkit::{ask, eventually};

fn policy(name: &str, service: &str, path: &str) -> String {
    format!(
        "---\napiVersion: serin.dev/v1alpha1\nkind: BackendPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{service: {service}, path: {path}}}\n"
    )
}

/// Waits until a request for `/cart?x=1` arrives as this, from a client that is on this side.
fn arrives(site: &Site, side: &str, expected: &str) -> Result<()> {
    eventually(&format!("{side} gets {expected}"), PATIENCE, || {
        let answer = ask::get(site.running.http, "/cart?x=1", &[("Host", HOST), ("X-Canary", side)])?;
        ensure!(answer.header(TARGET) == Some(expected), "{}\n{}", answer.head, site.running.process.last_lines());
        Ok(())
    })
}

#[test]
fn s1_path_of_a_service_goes_before_what_it_gets_on_either_side_and_a_rewrite_rules() -> Result<()> {
    let release = |canary| spec(&json!({"canary": canary, "overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}}));
    let site = Site::start(&release(json!({"service": "checkout-v2"})))?;
    site.reaches("Steady", "0")?;
    arrives(&site, "always", "/cart?x=1")?;
    site.write("policies.yaml", &(policy("checkout", "checkout", "/v1") + &policy("checkout-v2", "checkout-v2", "/v2/")))?;
    arrives(&site, "never", "/v1/cart?x=1")?;
    arrives(&site, "always", "/v2/cart?x=1")?;
    // S17: of a canary that changes the path, that is the whole path.
    site.edit(&release(json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v3"}})))?;
    arrives(&site, "always", "/v3/cart?x=1")?;
    arrives(&site, "never", "/v1/cart?x=1")?;
    // What an API server would refuse leaves the last good one serving.
    site.write("policies.yaml", &policy("checkout", "checkout", "v4"))?;
    site.tells("BackendPolicy shop/checkout: spec.path: path is \"v4\"")?;
    arrives(&site, "never", "/v1/cart?x=1")?;
    site.write("policies.yaml", &(policy("checkout", "checkout", "/v5") + &policy("z-second", "checkout", "/v6")))?;
    arrives(&site, "never", "/v5/cart?x=1")?;
    site.tells("The older BackendPolicy shop/checkout is for the same Service. Delete one of the two.")?;
    site.remove("policies.yaml")?;
    arrives(&site, "never", "/cart?x=1")
}

#[test]
fn check_finds_what_is_wrong_with_a_policy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy("checkout", "checkout", "v1") + &policy("other", "checkout", "/v1"))?;
    let output = serin().arg("check").arg(&file).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("BackendPolicy shop/checkout: spec.path: path is \"v1\"") && text.ends_with("2 objects, 1 findings\n"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}
