//! Files that are wrong, and what goes on beside them.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::manifests::{ingress, release};

/// A file, and what is told of it in the log.
const HOSTILE: [(&str, &str, &str); 6] = [
    ("broken.yaml", "kind: [", "broken.yaml: "),
    (
        "second.yaml",
        "{apiVersion: v1, kind: Service, metadata: {name: fine}}\n---\n{apiVersion: v1, kind: Service}\n",
        "second.yaml: document 2: metadata.name is missing",
    ),
    (
        "types.yaml",
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: bad, namespace: shop}, spec: {rules: [{host: 7}]}}",
        "types.yaml: Ingress shop/bad: spec.rules[0].host: invalid type: integer `7`",
    ),
    (
        "release-of-text.yaml",
        "{apiVersion: serin.dev/v1alpha1, kind: CanaryRelease, metadata: {name: bad, namespace: shop}, spec: {scope: {service: a}, canary: \
         {service: b}, strategy: {percentage: 12.5}}}",
        "release-of-text.yaml: CanaryRelease shop/bad: spec.strategy.percentage: ",
    ),
    ("laughs.yaml", "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n", "laughs.yaml: document 1: apiVersion is missing"),
    ("binary.json", "\0\u{1}{", "binary.json: "),
];

#[test]
fn files_that_are_wrong_are_told_of_by_file_and_field_and_every_other_route_goes_on() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    for (name, text, told) in HOSTILE {
        site.write(name, text)?;
        site.tells(told)?;
    }
    site.write("huge.yaml", &"# nothing\n".repeat(2_000_000))?;
    site.tells("huge.yaml: it has 20000000 bytes, and at most 16777216 are read: split it")?;

    assert_eq!(site.client()?.sides(HOST, 1_000)?.iter().filter(|canary| **canary).count(), 100);
    // And what is right is still taken up.
    site.write("more.yaml", &ingress("shop", "more", "more.example", "/", "checkout-v2"))?;
    eventually("another route is served", PATIENCE, || {
        let answer = get(site.running.http, "/", &[("Host", "more.example")])?;
        ensure!(answer.body == "v2\n", "{answer:?}");
        Ok(())
    })
}

#[test]
fn what_an_api_server_would_refuse_leaves_the_last_good_object_serving() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    site.write("ingress.yaml", &ingress("shop", "shop", HOST, "/", "checkout").replace("\"Prefix\"", "7"))?;
    site.tells("ingress.yaml: Ingress shop/shop: spec.rules[0].http.paths[0].pathType: invalid type: integer `7`")?;
    site.edit(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 101}})))?;
    site.tells("release.yaml: CanaryRelease shop/checkout: spec.strategy.percentage: ")?;
    eventually("its author is told", PATIENCE, || {
        let message = site.status("/message")?;
        ensure!(message.contains("percentage"), "{message}");
        Ok(())
    })?;
    assert_eq!(site.client()?.sides(HOST, 1_000)?.iter().filter(|canary| **canary).count(), 100);
    site.edit(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 20}})))?;
    site.reaches("Steady", "20")
}

#[test]
fn a_file_that_is_emptied_while_it_is_written_begins_no_release_again() -> Result<()> {
    let twenty_five = spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 25}}));
    let site = Site::start(&twenty_five)?;
    site.reaches("Steady", "25")?;
    let before = site.release()?;
    for name in ["release.yaml", "services.yaml", "ingress.yaml"] {
        site.write(name, "")?;
        site.tells(&format!("{name}: it is empty, so what it held serves on"))?;
    }
    assert_eq!(site.client()?.sides(HOST, 1_000)?.iter().filter(|canary| **canary).count(), 250);
    site.write("release.yaml", &release("shop", "checkout", &twenty_five))?;
    assert_eq!(site.release()?["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(site.release()?["status"]["release"], before["status"]["release"]);
    Ok(())
}
