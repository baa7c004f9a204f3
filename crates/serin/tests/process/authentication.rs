//! Who a request comes from: Consumers and AuthPolicies in files, with real requests.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_split::{Kind, place};
use serin_testkit::ask::{Answer, get};
use serin_testkit::eventually;
use serin_testkit::manifests::document;
use serin_testkit::origin::LABEL;

/// The page for users, whose example is served here as it stands.
const PAGE: &str = include_str!("../../../../docs/authentication.md");

/// Tokens of https://id.example for shop, signed by the key of the page: of a tester with a plan of gold,
const DORA: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJzaG9wIiwiZXhwIjo0MTAyNDQ0ODAwLCJzdWIiOiJkb3JhIiwiZ3JvdXBzIjpbInRlc3RlcnMiXSwicGxhbiI6ImdvbGQifQ.efkeNGtoALMId9YwIFNQauAeOkLDT66hNxJ0qL8u_9k";
/// of one who is in no group and has a plan of silver,
const EVE: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJzaG9wIiwiZXhwIjo0MTAyNDQ0ODAwLCJzdWIiOiJldmUiLCJwbGFuIjoic2lsdmVyIn0.Y6MXs_OOqCc_8dFfq-Zv7WW--I4zTspKjRIe_xW7My4";
/// one that expired,
const EXPIRED: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJzaG9wIiwiZXhwIjoxMDAwMDAwMDAwLCJzdWIiOiJkb3JhIiwiZ3JvdXBzIjpbInRlc3RlcnMiXX0.EVW7qdTgA6yQnjX43jC8zCFWJUuq_uKvLC3BSE4enTU";
/// and one that another key has signed.
const FORGED: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJzaG9wIiwiZXhwIjo0MTAyNDQ0ODAwLCJzdWIiOiJkb3JhIiwiZ3JvdXBzIjpbInRlc3RlcnMiXX0.-7ljohKP72R0nw-ORhugGM8DGwpKhKedwK2yhJp8z1o";
/// alice:wonderland, as curl -u sends it.
const ALICE: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";
const WRONG: &str = "Basic YWxpY2U6bG9va2luZ2dsYXNz";

/// The page's objects but its release, which each test has of its own.
fn example() -> Result<String> {
    let (_, rest) = PAGE.split_once("```yaml\n").context("the page has no example")?;
    let (example, _) = rest.split_once("```").context("the example has no end")?;
    let (people, release) = example.split_once("---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease").context("it has no release")?;
    ensure!(release.contains("strategy: {groups: {allow: [testers]}}"), "the page has another release than the test");
    Ok(people.to_owned())
}

/// A site with the page's objects, once they are served.
fn site(release: &Value) -> Result<Site> {
    let site = Site::start(release)?;
    site.write("people.yaml", &example()?)?;
    until(&site, &[], "401")?;
    Ok(site)
}

fn ask(site: &Site, fields: &[(&str, &str)]) -> Result<Answer> {
    get(site.running.http, "/", &[&[("Host", HOST)], fields].concat())
}

/// The status, or who answered with 200.
fn who(answer: &Answer) -> String {
    let label = || answer.header(LABEL).unwrap_or("nobody").to_owned();
    if answer.status == 200 { label() } else { answer.status.to_string() }
}

fn until(site: &Site, fields: &[(&str, &str)], expected: &str) -> Result<()> {
    eventually(&format!("{expected} for {fields:?}"), PATIENCE, || {
        let seen = who(&ask(site, fields)?);
        ensure!(seen == expected, "{seen}: {}", site.running.process.last_lines());
        Ok(())
    })
}

#[test]
fn the_page_s_example_knows_who_asks_by_key_password_and_token_and_no_secret_is_told() -> Result<()> {
    let site = site(&spec(&json!({"strategy": {"groups": {"allow": ["testers"]}}})))?;
    site.reaches("Steady", "0")?;
    let key = "key-of-alice";
    for (credential, expected) in [
        (("apikey", key), "v2"),
        (("Authorization", ALICE), "v2"),
        (("Authorization", DORA), "v2"),
        (("Authorization", EVE), "v1"),
        (("apikey", "key-of-bob"), "401"),
        (("Authorization", WRONG), "401"),
        (("Authorization", EXPIRED), "401"),
        (("Authorization", FORGED), "401"),
    ] {
        assert_eq!(who(&ask(&site, &[credential])?), expected, "{credential:?}");
    }
    // A key that is wrong is not forgiven for a password that is right.
    assert_eq!(who(&ask(&site, &[("apikey", "key-of-bob"), ("Authorization", ALICE)])?), "401");
    let challenge = ask(&site, &[])?.head;
    ensure!(challenge.to_lowercase().contains("www-authenticate:") && challenge.contains("realm=\"shop\""), "{challenge}");
    let told = site.running.process.log() + &site.running.ask("/v1/releases")?.body + &site.running.ask("/metrics")?.body;
    for secret in [key, "wonderland", "lookingglass", "$2b$", "MDEyMzQ1", "efkeNGtoAL", "YWxpY2U6"] {
        ensure!(!told.contains(secret), "{secret} is told:\n{told}");
    }
    Ok(())
}

#[test]
fn s13_a_scope_of_a_consumer_takes_that_consumer_alone() -> Result<()> {
    let mut release = spec(&json!({"strategy": {"percentage": 100}}));
    release["scope"]["consumer"] = json!("alice");
    let site = site(&release)?;
    site.reaches("Promoted", "100")?;
    assert_eq!(who(&ask(&site, &[("apikey", "key-of-alice")])?), "v2");
    assert_eq!(who(&ask(&site, &[("Authorization", DORA)])?), "v1");
    release["scope"] = json!({"service": "checkout", "consumerGroup": "testers"});
    site.edit(&release)?;
    until(&site, &[("Authorization", DORA)], "v2")?;
    assert_eq!(who(&ask(&site, &[("Authorization", EVE)])?), "v1");
    Ok(())
}

#[test]
fn s4_the_split_is_by_consumer_by_claim_and_by_the_groups_of_an_override() -> Result<()> {
    let site = site(&spec(&json!({"strategy": {"percentage": 50}, "split": {"salt": "", "buckets": 1000}})))?;
    site.reaches("Steady", "50")?;
    let decision = |credential| -> Result<String> {
        Ok(ask(&site, &[credential])?.header("Serin-Decision").context("no decision is told")?.to_owned())
    };
    // The published bucket of consumer alice, whatever she shows.
    for credential in [("apikey", "key-of-alice"), ("Authorization", ALICE)] {
        let told = decision(credential)?;
        ensure!(told.contains("side=stable") && told.contains("bucket=749"), "{told}");
    }
    let by_claim = json!({"strategy": {"percentage": 50}, "split": {"by": "Claim", "name": "plan", "salt": "", "buckets": 1000}});
    site.edit(&spec(&by_claim))?;
    for (credential, plan) in [(("Authorization", DORA), "gold"), (("Authorization", EVE), "silver")] {
        let bucket = format!("bucket={};", place("", Kind::Claim, plan.as_bytes(), 1_000).bucket);
        eventually("plans are split", PATIENCE, || {
            let told = decision(credential)?;
            ensure!(told.contains(&bucket), "{plan}: {told}, and not {bucket}");
            Ok(())
        })?;
    }
    let overridden = json!({"strategy": {"percentage": 0}, "overrides": [{"consumerGroups": ["testers"], "to": "Canary"}]});
    site.edit(&spec(&overridden))?;
    until(&site, &[("apikey", "key-of-alice")], "v2")?;
    assert_eq!(who(&ask(&site, &[("Authorization", EVE)])?), "v1");
    Ok(())
}

#[test]
fn a_rotated_secret_counts_at_once_and_what_is_missing_closes_and_never_opens() -> Result<()> {
    let site = site(&spec(&json!({"strategy": {"groups": {"allow": ["testers"]}}})))?;
    until(&site, &[("apikey", "key-of-alice")], "v2")?;
    site.write("people.yaml", &example()?.replace("key-of-alice", "key-that-is-new"))?;
    until(&site, &[("apikey", "key-that-is-new")], "v2")?;
    assert_eq!(who(&ask(&site, &[("apikey", "key-of-alice")])?), "401");
    // Without alice's Secret she is nobody, and dora is who she was.
    let without = |name: &str| -> Result<String> {
        let example = example()?;
        let kept = example.split("---\n").filter(|text| !(text.contains("kind: Secret") && text.contains(&format!("name: {name},"))));
        Ok(kept.collect::<Vec<_>>().join("---\n"))
    };
    site.write("people.yaml", &without("alice")?)?;
    until(&site, &[("apikey", "key-that-is-new")], "401")?;
    assert_eq!(who(&ask(&site, &[("Authorization", DORA)])?), "v2");
    site.tells("Secret shop/alice does not exist")?;
    // Without its keys the policy cannot be resolved.
    site.write("people.yaml", &without("jwks")?)?;
    until(&site, &[("apikey", "key-of-alice")], "503")?;
    assert_eq!(who(&ask(&site, &[])?), "503");
    site.tells("Secret shop/jwks does not exist")?;
    site.write("people.yaml", &example()?)?;
    until(&site, &[("apikey", "key-of-alice")], "v2")?;
    assert_eq!(who(&ask(&site, &[])?), "401");
    Ok(())
}

#[test]
fn a_policy_that_was_bad_from_the_start_closes_its_scope() -> Result<()> {
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    until(&site, &[], "v1")?;
    let policy = |methods: Value| {
        let spec = json!({"scope": {"service": "checkout"}, "methods": methods, "anonymous": "Allow"});
        document(
            &json!({"apiVersion": "serin.dev/v1alpha1", "kind": "AuthPolicy", "metadata": {"name": "a", "namespace": "shop"}, "spec": spec}),
        )
    };
    site.write("policy.yaml", &policy(json!([{"keyAuth": {}}])))?;
    until(&site, &[], "503")?;
    site.tells("AuthPolicy shop/a: spec.methods[0].keyAuth: keyAuth looks nowhere.")?;
    site.write("policy.yaml", &policy(json!([{"keyAuth": {"headers": ["apikey"]}}])))?;
    until(&site, &[], "v1")?;
    assert_eq!(who(&ask(&site, &[("apikey", "nobody's")])?), "401");
    site.remove("policy.yaml")?;
    until(&site, &[("apikey", "nobody's")], "v1")
}
