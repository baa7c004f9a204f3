//! What `serin explain` says of a request is what the proxy does with it.

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use serin_controller::explain::{Question, table_of};
use serin_testkit::ask::{get, post};
use serin_testkit::manifests::{ingress, service};
use serin_testkit::{eventually, long};
use std::fs;
use std::path::Path;

/// By header, with overrides before it, at 37 %.
fn by_header() -> Value {
    spec(&json!({
        "split": {"by": "Header", "name": "X-User"},
        "overrides": [
            {"cookie": {"name": "canary"}},
            {"header": {"name": "X-Team", "regex": "^(pay|check)"}, "to": "Canary"},
            {"header": {"name": "X-Team", "exact": "legal"}, "to": "Stable"},
            {"consumerGroups": ["testers"], "to": "Canary"},
        ],
        "strategy": {"percentage": 37},
    }))
}

/// alice is a tester, bob is none; who shows no key is let in as nobody.
const PEOPLE: &str = r#"
apiVersion: serin.dev/v1alpha1
kind: AuthPolicy
metadata: {name: checkout, namespace: shop}
spec: {scope: {service: checkout}, methods: [{keyAuth: {headers: [apikey], query: [apikey]}}], anonymous: Allow}
---
apiVersion: serin.dev/v1alpha1
kind: Consumer
metadata: {name: alice, namespace: shop}
spec: {groups: [testers], credentials: [{keyAuth: {secretRef: {name: keys, key: alice}}}]}
---
apiVersion: serin.dev/v1alpha1
kind: Consumer
metadata: {name: bob, namespace: shop}
spec: {credentials: [{keyAuth: {secretRef: {name: keys, key: bob}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
stringData: {alice: key-of-alice, bob: key-of-bob}
"#;

/// Requests that differ in all that can matter, the same in each run: a linear congruential generator chooses.
fn questions(number: u64) -> impl Iterator<Item = Question> {
    let mut state = 7_u64;
    (0..number).map(move |nth| {
        let mut choose = |texts: &[&str]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            texts[(state >> 33) as usize % texts.len()].to_owned()
        };
        let mut headers = Vec::new();
        let user = format!("user-{nth}");
        for (name, values) in [
            ("X-User", [user.as_str(), &user, &user, ""]),
            ("X-Team", ["", "", "payments", "legal"]),
            ("Cookie", ["", "", "a=b; canary=always", "canary=never"]),
            ("Apikey", ["", "key-of-alice", "key-of-bob", "key-of-nobody"]),
        ] {
            headers.extend(Some((name.to_owned(), choose(&values))).filter(|(_, value)| !value.is_empty()));
        }
        let host = choose(&[HOST, HOST, "SHOP.example:80", "shop.example.", "other.example"]);
        let target = choose(&["/", "/cart?x=1", "/a/../b", "/%2e%2e/x", "/a%20b?apikey=key-of-alice"]);
        Question { host, target, headers, client_ip: Some([127, 0, 0, 1].into()), peer: None }
    })
}

/// How the proxy decided it: in the words of its decision header, or the failure that it answered with.
fn done(site: &Site, question: &Question) -> Result<String> {
    let own = question.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<_> = [("Host", question.host.as_str())].into_iter().chain(own).collect();
    let answer = get(site.running.http, &question.target, &headers)?;
    Ok(answer.header("Serin-Decision").map_or_else(|| answer.body.trim_end().to_owned(), str::to_owned))
}

/// The same in an explanation.
fn said(explanation: &Value) -> Result<String> {
    let Some(release) = explanation.get("release") else {
        return Ok(explanation["failure"].as_str().context("neither a release nor a failure")?.to_owned());
    };
    let text = |name: &str| release[name].as_str().with_context(|| format!("no {name} in {release}"));
    let bucket = release["bucket"].as_u64().map(|bucket| format!("; bucket={bucket}")).unwrap_or_default();
    Ok(format!("release={}; side={}; rule={}{bucket}; k={}", text("name")?, text("side")?, text("rule")?, release["k"]))
}

#[test]
fn an_explanation_agrees_with_the_proxy_online_and_from_files() -> Result<()> {
    let site = Site::start(&by_header())?;
    site.reaches("Steady", "37")?;
    site.write("people.yaml", PEOPLE)?;
    eventually("alice is known", PATIENCE, || {
        let answer = get(site.running.http, "/", &[("Host", HOST), ("Apikey", "key-of-alice")])?;
        ensure!(answer.header("Serin-Decision").is_some_and(|decision| decision.contains("rule=override")), "{answer:?}");
        Ok(())
    })?;
    let folder = tempfile::tempdir()?;
    dump(&site, folder.path())?;
    let table = table_of(folder.path())?;
    let mut rules = [0; 4];
    for question in questions(if long() { 10_000 } else { 400 }) {
        let done = done(&site, &question)?;
        let answer = post(
            site.running.admin,
            "/v1/explain",
            &[("Host", "127.0.0.1"), ("Content-Type", "application/json")],
            &serde_json::to_string(&question)?,
        )?;
        ensure!(answer.status == 200, "{answer:?}");
        let online = said(&serde_json::from_str(&answer.body)?)?;
        assert_eq!(online, done, "{question:?}");
        let offline = question.answer(&table, Timestamp::now()).map_err(anyhow::Error::msg)?;
        assert_eq!(said(&serde_json::to_value(offline)?)?, done, "{question:?}");
        let rule = ["rule=bucket", "rule=override", "no route", "credentials are wrong"].iter().position(|rule| done.contains(rule));
        rules[rule.with_context(|| format!("another outcome: {done}"))?] += 1;
    }
    ensure!(rules.iter().all(|count| *count > 10), "not every rule was met: {rules:?}");
    Ok(())
}

/// The objects as a cluster would print them, the release with its status.
fn dump(site: &Site, folder: &Path) -> Result<()> {
    let services = service("shop", "checkout", &[site.stable.address()]) + &service("shop", "checkout-v2", &[site.canary.address()]);
    fs::write(folder.join("services.yaml"), services)?;
    fs::write(folder.join("ingress.yaml"), ingress("shop", "shop", HOST, "/", "checkout"))?;
    fs::write(folder.join("people.yaml"), PEOPLE)?;
    fs::write(folder.join("release.json"), site.release()?.to_string())?;
    Ok(())
}

#[test]
fn serin_explain_tells_route_release_rule_and_side() -> Result<()> {
    let site = Site::start(&by_header())?;
    site.reaches("Steady", "37")?;
    let explain = |arguments: &[&str]| -> Result<String> {
        let admin = site.running.admin.to_string();
        let output = serin().args(["explain", "shop.example/cart", "--admin", &admin]).args(arguments).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let told = explain(&["-H", "X-Team: payments"])?;
    let expected = [
        "route    Ingress/shop/shop, host shop.example, path Prefix /",
        "rule     override 1 of the spec, from 0",
        "goes to  canary: shop/checkout-v2:80, path /cart",
    ];
    for line in expected {
        ensure!(told.lines().any(|told| told == line), "no {line:?} in\n{told}");
    }
    site.write("people.yaml", PEOPLE)?;
    eventually("alice is told of", PATIENCE, || {
        let told = explain(&["-H", "Apikey: key-of-alice"])?;
        ensure!(told.lines().any(|line| line == "consumer alice of testers, by AuthPolicy shop/checkout"), "{told}");
        ensure!(told.contains("override 3 of the spec") && !told.contains("key-of-alice"), "{told}");
        Ok(())
    })?;
    let wrong = explain(&["-H", "Apikey: key-of-nobody"])?;
    ensure!(wrong.contains("answer   serin's own: the credentials are wrong"), "{wrong}");
    let whole: Value = serde_json::from_str(&explain(&["-H", "X-User: alice", "-o", "json"])?)?;
    ensure!(whole["identity"] == "header" && whole["k"] == 370, "{whole:#}");
    let missing = explain(&["--client-ip", "192.0.2.7"])?;
    ensure!(missing.contains("by ip, in place of the identity that is missing"), "{missing}");
    let nobody = serin().args(["explain", "shop.example"]).output()?;
    ensure!(!nobody.status.success(), "neither --admin nor --manifests was asked for");
    Ok(())
}
