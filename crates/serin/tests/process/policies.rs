//! BackendPolicies: what is put before the paths of a Service, whichever side it is, and how its endpoints are spoken to.

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::manifests::service;
use serin_testkit::origin::{Behaviour, LABEL, Origin, TARGET};
use serin_testkit::{ask, eventually};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

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

/// The page about backends, as it is read.
const PAGE: &str = include_str!("../../../../docs/backends.md");

/// The example of the page that has this in it.
fn example(of: &str) -> Result<&'static str> {
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let mut with = blocks.filter(|block| block.contains(of));
    with.next().filter(|_| with.next().is_none()).with_context(|| format!("no one example with {of:?}"))
}

fn status(site: &Site, path: &str, headers: &[(&str, &str)]) -> Result<u16> {
    Ok(site.ask(HOST, path, headers)?.status)
}

/// The head of an answer, whose body has no end, and the connection that it came by.
fn head(site: &Site) -> Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(site.running.http)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())?;
    let (mut reader, mut head) = (BufReader::new(stream.try_clone()?), String::new());
    while !head.ends_with("\r\n\r\n") {
        ensure!(reader.read_line(&mut head)? > 0, "no whole head: {head}");
    }
    Ok((stream, head))
}

#[test]
fn timeouts_and_limits_of_the_page_are_kept() -> Result<()> {
    let site = Site::start(&spec(&json!({"overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}})))?;
    site.reaches("Steady", "0")?;
    site.write("policy.yaml", &example("response: 10s")?.replace("response: 10s", "response: 300ms"))?;
    site.stable.behave(Behaviour { delay: PATIENCE, ..Behaviour::default() });
    site.canary.behave(Behaviour { delay: Duration::from_secs(1), ..Behaviour::default() });
    eventually("stable takes too long", PATIENCE, || {
        let answer = site.ask(HOST, "/", &[])?;
        ensure!(answer.status == 504 && answer.body.contains("took too long to answer"), "{answer:?}");
        Ok(())
    })?;
    assert_eq!(status(&site, "/", &[("X-Canary", "always")])?, 200, "the canary's Service has no such policy");
    ensure!(site.running.metric(r#"serin_errors_total{error="first-byte-timeout"}"#)? >= 1.0, "it is counted");
    let failures = site.running.metric(r#"serin_request_failures_total{namespace="shop",release="checkout",side="stable"}"#)?;
    ensure!(failures >= 1.0, "as a failure of its side");

    site.write("policy.yaml", &example("connections:")?.replace("max: 64", "max: 1"))?;
    site.stable.behave(Behaviour { endless: true, ..Behaviour::default() });
    eventually("one connection is all that there may be", PATIENCE, || {
        let (_open, _) = head(&site)?;
        let (_, head) = head(&site)?;
        ensure!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 1\r\n"), "{head}");
        Ok(())
    })
}

#[test]
fn unhealthy_canary_of_the_page_is_stables_until_it_recovers() -> Result<()> {
    let site = Site::start(&spec(&json!({"overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}})))?;
    site.reaches("Steady", "0")?;
    let always = [("X-Canary", "always")];
    let policy = example("expectStatus")?.replace("name: checkout,", "name: v2,").replace("service: checkout\n", "service: checkout-v2\n");
    let policy = policy.replace("interval: 5s", "interval: 100ms").replace("maxEjectedPercent: 50", "maxEjectedPercent: 100");
    site.write("policy.yaml", &policy.replace("baseEjection: 30s", "baseEjection: 1s"))?;
    let endpoints =
        |state: &str| site.running.metric(&format!(r#"serin_backend_endpoints{{namespace="shop",policy="v2",state="{state}"}}"#));
    eventually("it is healthy", PATIENCE, || {
        ensure!(endpoints("healthy")? == 1.0, "{}", site.running.process.last_lines());
        Ok(())
    })?;
    site.canary.behave(Behaviour { fail: "100%".parse()?, ..Behaviour::default() });
    let label = |expected: &str| {
        let answer = site.ask(HOST, "/", &always)?;
        ensure!(answer.status == 200 && answer.header(LABEL) == Some(expected), "{}", answer.head);
        Ok(())
    };
    eventually("stable serves for it", PATIENCE, || label("v1"))?;
    eventually("its checks say so", PATIENCE, || {
        ensure!(endpoints("down")? == 1.0, "{}", site.running.process.last_lines());
        Ok(())
    })?;
    site.tells("the endpoint is unhealthy by its active checks")?;
    ensure!(site.running.metric(r#"serin_split_fallbacks_total{to="stable"}"#)? >= 1.0, "the fallback is counted");
    site.canary.behave(Behaviour::default());
    eventually("it serves again", PATIENCE, || label("v2"))?;
    let failed = site.running.metric(r#"serin_backend_health_checks_total{namespace="shop",policy="v2",result="failed"}"#)?;
    ensure!(failed >= 3.0, "{failed}");
    Ok(())
}

#[test]
fn keys_of_the_page_stay_at_their_endpoint_and_retries_pass_over_one_that_is_gone() -> Result<()> {
    let site = Site::start(&spec(&json!({"overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}})))?;
    site.reaches("Steady", "0")?;
    // Two endpoints of one Service, one of which then goes without a word.
    let other = Origin::start((Ipv4Addr::LOCALHOST, 0), "other")?;
    let both = service("shop", "checkout", &[site.stable.address(), other.address()]);
    site.write("services.yaml", &(both + &service("shop", "checkout-v2", &[site.canary.address()])))?;
    site.write("policy.yaml", example("by: Header")?)?;
    let of = |tenant: &str| -> Result<String> {
        let answer = site.ask(HOST, "/", &[("X-Tenant", tenant)])?;
        Ok(answer.header(LABEL).with_context(|| answer.head.clone())?.to_owned())
    };
    let tenants: Vec<_> = (0..20).map(|tenant| format!("t{tenant}")).collect();
    let placed = || tenants.iter().map(|tenant| of(tenant)).collect::<Result<Vec<_>>>();
    eventually("each tenant has its endpoint", PATIENCE, || {
        let (first, second) = (placed()?, placed()?);
        ensure!(first == second && first.contains(&"v1".to_owned()) && first.contains(&"other".to_owned()), "{first:?} {second:?}");
        Ok(())
    })?;
    for policy in ["by: Header", "type: LeastRequest", "percent: 20"] {
        site.write("policy.yaml", example(policy)?)?;
        assert_eq!(status(&site, "/", &[])?, 200);
    }
    drop(other);
    for tenant in &tenants {
        assert_eq!(of(tenant)?, "v1");
    }
    ensure!(site.running.metric("serin_upstream_retries_total")? >= 1.0, "what could not be sent was sent elsewhere");
    Ok(())
}
