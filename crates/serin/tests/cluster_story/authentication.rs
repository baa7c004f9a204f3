//! Consumers, AuthPolicies and their Secrets, as somebody applies them who reads the page about it.

use crate::site::{HOST, SOON, Serin, Site, condition, said, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::get;
use serin_testkit::manifests::document;
use serin_testkit::origin::LABEL;
use serin_testkit::{eventually, long};
use std::time::Duration;

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
    // One worker may have the new table a moment before another.
    until(&serin, &[], "401")?;
    until(&serin, &[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")], "v2")?;
    until(&serin, &[("Authorization", "Basic YWxpY2U6bG9va2luZ2dsYXNz")], "401")?;
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
    until(&serin, &[("apikey", "key-of-alice")], "401")?;

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

/// So many share one watch of their Secrets.
#[test]
fn many_consumers_are_known_each_by_a_secret_of_its_own_and_each_is_told_once() -> Result<()> {
    let many: u32 = if long() { 10_000 } else { 150 };
    let site = Site::new(shared()?, "many-consumers")?;
    let of = |kind: &str, name: &str, more: (&str, Value)| {
        let version = if kind == "Secret" { "v1" } else { "serin.dev/v1alpha1" };
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": site.namespace}});
        object[more.0] = more.1;
        document(&object)
    };
    let methods = json!([{"keyAuth": {"headers": ["apikey"]}}]);
    site.cluster.apply(&of("AuthPolicy", "all", ("spec", json!({"scope": {"all": true}, "methods": methods}))))?;
    let people: Vec<String> = (0..many)
        .map(|n| {
            let credential = json!({"keyAuth": {"secretRef": {"name": format!("key-{n}"), "key": "key"}}});
            of("Secret", &format!("key-{n}"), ("stringData", json!({"key": format!("key-of-{n}")})))
                + &of("Consumer", &format!("consumer-{n}"), ("spec", json!({"credentials": [credential]})))
        })
        .collect();
    for batch in people.chunks(500) {
        site.cluster.apply(&batch.concat())?;
    }
    // Ready means that each Secret was looked for.
    let serin = site.serin(19)?;
    let last = format!("key-of-{}", many - 1);
    assert_eq!((who(&serin, &[("apikey", &last)])?, who(&serin, &[("apikey", "key-of-none")])?), ("v1".to_owned(), "401".to_owned()));
    let ready = "-o=jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    eventually("each is told that it is known", SOON.max(Duration::from_millis(30) * many), || {
        let told = site.kubectl(&["get", "consumers", ready])?;
        let known = told.split(' ').filter(|status| *status == "True").count();
        ensure!(known == usize::try_from(many)?, "{known} of {many}");
        Ok(())
    })?;
    site.kubectl(&["patch", "secret", "key-7", "-p", r#"{"stringData": {"key": "key-that-is-new"}}"#])?;
    until(&serin, &[("apikey", "key-that-is-new")], "v1")?;
    until(&serin, &[("apikey", "key-of-7")], "401")?;
    // One that comes later has a watch of its own.
    site.cluster.apply(&people[1].replace("key-1", "key-late").replace("key-of-1", "key-of-late").replace("consumer-1", "late"))?;
    until(&serin, &[("apikey", "key-of-late")], "v1")?;
    let versions = site.kubectl(&["get", "consumers", "-o", "jsonpath={.items[*].metadata.generation}"])?;
    ensure!(versions.split(' ').all(|generation| generation == "1"), "a spec was written: {versions}");
    Ok(())
}
