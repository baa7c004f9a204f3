//! Consumers, AuthPolicies and their Secrets, as somebody applies them who reads the page about it.

use crate::site::{HOST, SOON, Serin, Site, condition, said, shared};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::origin::LABEL;

/// The page for users.
const PAGE: &str = include_str!("../../../../docs/authentication.md");
/// What must never be told.
const SECRETS: [&str; 5] = ["key-of-alice", "key-that-is-new", "wonderland", "$2b$", "MDEyMzQ1"];

/// The page's example, in this namespace.
fn example(namespace: &str) -> Result<String> {
    let (_, rest) = PAGE.split_once("```yaml\n").context("the page has no example")?;
    let (example, _) = rest.split_once("```").context("the example has no end")?;
    Ok(example.replace("namespace: shop}", &format!("namespace: {namespace}}}")))
}

/// The status code, or who answered with 200.
fn who(serin: &Serin, fields: &[(&str, &str)]) -> Result<String> {
    let answer = get(serin.http(), "/", &[&[("Host", HOST)], fields].concat())?;
    Ok(if answer.status == 200 { answer.header(LABEL).unwrap_or("nobody").to_owned() } else { answer.status.to_string() })
}

fn until(serin: &Serin, fields: &[(&str, &str)], expected: &str) -> Result<()> {
    eventually(&format!("{expected} for {fields:?}"), SOON, || {
        let seen = who(serin, fields)?;
        ensure!(seen == expected, "{seen}: {}", serin.process.last_lines());
        Ok(())
    })
}

/// Waits until a condition of an object is so, and gives the object.
fn until_condition(site: &Site<'_>, object: &str, of: &str, expected: &str) -> Result<Value> {
    eventually(&format!("{of} of {object} is {expected}"), SOON, || {
        let stored: Value = serde_json::from_str(&site.kubectl(&["get", object, "-o", "json", "--show-managed-fields"])?)?;
        let seen = condition(&stored, of);
        ensure!(seen == expected, "{seen}: {}", stored["status"]);
        Ok(stored)
    })
}

#[test]
fn consumers_are_known_by_their_secrets_rotation_counts_what_is_missing_closes_and_no_secret_is_told() -> Result<()> {
    let site = Site::new(shared()?, "authentication")?;
    let serin = site.serin(18)?;
    until(&serin, &[], "v1")?;
    let example = example(site.namespace)?;
    site.cluster.apply(&example)?;
    until(&serin, &[("apikey", "key-of-alice")], "v2")?;
    assert_eq!(who(&serin, &[])?, "401");
    assert_eq!(who(&serin, &[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")])?, "v2");
    assert_eq!(who(&serin, &[("Authorization", "Basic YWxpY2U6bG9va2luZ2dsYXNz")])?, "401");
    for object in ["authpolicy/checkout", "consumer/alice"] {
        site.kubectl(&["wait", "--for=condition=Ready", object, "--timeout=60s"])?;
        let stored = until_condition(&site, object, "Ready", "True/Ready")?;
        let types: Vec<_> = stored["status"]["conditions"].as_array().into_iter().flatten().map(|c| c["type"].as_str()).collect();
        assert_eq!(types, ["Accepted", "ResolvedRefs", "Programmed", "Ready"].map(Some));
        assert_eq!(stored["status"]["observedGeneration"], stored["metadata"]["generation"]);
        let managers = stored["metadata"]["managedFields"].as_array().into_iter().flatten();
        let of_status: Vec<_> = managers.filter(|entry| entry["subresource"] == "status").map(|entry| entry["manager"].as_str()).collect();
        assert_eq!(of_status, [Some("serin")]);
    }
    let columns = site.kubectl(&["get", "authp,cons"])?;
    ensure!(columns.contains("Service checkout") && columns.contains("alice"), "{columns}");

    // A key that is rotated.
    site.kubectl(&["patch", "secret", "alice", "-p", r#"{"stringData": {"key": "key-that-is-new"}}"#])?;
    until(&serin, &[("apikey", "key-that-is-new")], "v2")?;
    assert_eq!(who(&serin, &[("apikey", "key-of-alice")])?, "401");

    // A key set that is gone closes the policy's scope, and only that.
    site.kubectl(&["delete", "secret", "jwks"])?;
    until(&serin, &[("apikey", "key-that-is-new")], "503")?;
    let closed = until_condition(&site, "authpolicy/checkout", "ResolvedRefs", "False/SecretNotFound")?;
    ensure!(said(&closed, "Ready", "message").contains("/jwks does not exist"), "{}", closed["status"]);
    eventually("an Event tells it", SOON, || {
        let told = site.kubectl(&["get", "events", "--field-selector=involvedObject.name=checkout"])?;
        ensure!(told.contains("/jwks does not exist"), "{told}");
        Ok(())
    })?;
    assert_eq!(condition(&until_condition(&site, "consumer/alice", "Ready", "True/Ready")?, "Accepted"), "True/Accepted");
    site.cluster.apply(&example)?;
    until(&serin, &[("apikey", "key-of-alice")], "v2")?;
    until_condition(&site, "authpolicy/checkout", "Ready", "True/Ready")?;

    // A Consumer's Secret that is gone harms that Consumer alone.
    site.kubectl(&["delete", "secret", "alice"])?;
    until(&serin, &[("apikey", "key-of-alice")], "401")?;
    until_condition(&site, "consumer/alice", "ResolvedRefs", "False/SecretNotFound")?;
    until_condition(&site, "authpolicy/checkout", "Ready", "True/Ready")?;

    // A policy that is gone lets everyone through, and nobody is a tester then.
    site.kubectl(&["delete", "authpolicy", "checkout"])?;
    until(&serin, &[], "v1")?;
    until_condition(&site, "consumer/alice", "Programmed", "False/NoPolicy")?;

    let mut told = serin.process.log() + &serin.metrics()?;
    told += &site.kubectl(&["get", "authpolicies,consumers,canaryreleases,events", "-o", "yaml", "--show-managed-fields"])?;
    for secret in SECRETS {
        ensure!(!told.contains(secret), "{secret} is told");
    }
    Ok(())
}
