//! The CRDs of `crds/` on a real API server.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, manifests};

/// Every CRD that the repository ships, as one text.
fn crds() -> Result<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(repository("crds")).context("cannot list crds/")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            texts.push(fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        }
    }
    ensure!(!texts.is_empty(), "crds/ holds no file; run `cargo xtask generate`");
    Ok(texts.join("\n---\n"))
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The shared cluster once our kinds are served.
fn cluster() -> Result<&'static Cluster> {
    let cluster = Cluster::shared()?;
    cluster.apply_crds(&crds()?)?;
    Ok(cluster)
}

/// An object of `cases.yaml`; the head of that file says what the fields mean.
#[derive(Deserialize)]
struct Case {
    says: String,
    patch: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    by: Option<String>,
    #[serde(default)]
    strict: bool,
    field: Option<String>,
}

#[derive(Deserialize)]
struct Cases {
    base: Value,
    cases: Vec<Case>,
}

impl Case {
    fn object(&self, base: &Value) -> Result<Value> {
        let mut object = base.clone();
        let spec = object["spec"].as_object_mut().context("the base has no spec")?;
        spec.extend(self.patch.clone());
        spec.retain(|name, _| !self.without.contains(name));
        spec.values_mut().for_each(whole);
        Ok(object)
    }

    /// The member that the API server has to name, when it has to refuse. What only the parser refuses, it takes.
    fn refused_at(&self, strict: bool) -> Option<&str> {
        let takes = self.by.as_deref().is_none_or(|by| by == "parser") || (self.strict && !strict);
        self.field.as_deref().filter(|_| !takes)
    }
}

/// Writes 10.0 as 10, as every client does that reads YAML as Go does; sent as it is, a rule on it would fail to evaluate.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && number.is_f64()) {
                *value = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(members) => members.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The lists of cases, and the resource of the objects of each.
const CASES: [(&str, &str, usize); 4] = [
    ("cases.yaml", "canaryreleases", 150),
    ("cases/auth-policies.yaml", "authpolicies", 60),
    ("cases/backend-policies.yaml", "backendpolicies", 65),
    ("cases/consumers.yaml", "consumers", 40),
];

/// What the API server says of an object that it is asked to create, without storing it: `None`, or its refusal.
async fn refusal(client: &kube::Client, resource: &str, object: &Value, strict: bool) -> Result<Option<Box<Status>>> {
    let validation = if strict { "Strict" } else { "Ignore" };
    let path = format!("/apis/serin.dev/v1alpha1/namespaces/shop/{resource}?dryRun=All&fieldValidation={validation}");
    let request = http::Request::post(path).header("content-type", "application/json").body(serde_json::to_vec(object)?)?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a refusal names this member: in a cause, or, for an unknown one, in the message.
fn names(status: &Status, field: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut fields = causes.map(|cause| cause.field.as_str());
    fields.any(|named| named == field) || status.message.contains(&format!("unknown field \"{field}\""))
}

#[tokio::test]
async fn the_api_server_gives_each_case_its_verdict_and_names_the_field() -> Result<()> {
    verdicts(cluster()?).await
}

#[tokio::test]
async fn the_oldest_kubernetes_that_is_served_gives_the_same_verdicts() -> Result<()> {
    let cluster = Cluster::emulating("1.31")?;
    cluster.apply_crds(&crds()?)?;
    verdicts(&cluster).await
}

async fn verdicts(cluster: &Cluster) -> Result<()> {
    cluster.apply(&manifests::namespace("shop"))?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let client = kube::Client::try_from(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?;

    let (mut asked, mut wrong) = (0, Vec::new());
    for (file, resource, least) in CASES {
        let text = fs::read_to_string(repository("crates/api/tests").join(file)).with_context(|| file.to_owned())?;
        let Cases { base, cases } = serde_saphyr::from_str(&text)?;
        assert!(cases.len() >= least, "{file}: {} cases", cases.len());
        for case in &cases {
            let object = case.object(&base)?;
            for strict in [true, false] {
                asked += 1;
                let said = refusal(&client, resource, &object, strict).await?;
                let right = match (case.refused_at(strict), &said) {
                    (None, None) => true,
                    (Some(field), Some(status)) => names(status, field),
                    _ => false,
                };
                if !right {
                    let said = said.map_or("it is accepted".into(), |status| status.message);
                    wrong.push(format!("{file}: {} (strict: {strict}), refused at {:?}, but: {said}", case.says, case.refused_at(strict)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn explain_names_every_strategy_and_the_defaults() -> Result<()> {
    let cluster = cluster()?;
    // The description of a new kind is published a moment after the kind is served.
    let explain =
        |path: &str| eventually("explain knows the kind", Duration::from_secs(30), || cluster.kubectl(&["explain", path], "")?.ok());
    let strategy = explain("canaryrelease.spec.strategy")?;
    for member in ["percentage", "weights", "linear", "groups", "blueGreen", "steps"] {
        assert!(strategy.contains(&format!("\n  {member}\t")), "no {member}:\n{strategy}");
    }
    let buckets = explain("canaryrelease.spec.split.buckets")?;
    assert!(buckets.contains("Default: "), "{buckets}");
    Ok(())
}

#[test]
fn a_server_side_apply_shows_lists_as_they_were_sent() -> Result<()> {
    let cluster = cluster()?;
    let spec = json!({
        "scope": {"service": "checkout"},
        "canary": {"service": "checkout-v2"},
        "overrides": [{"header": {"name": "X-Canary"}}, {"header": {"name": "X-Team", "exact": "payments"}, "to": "Canary"}],
        "strategy": {"steps": [{"groups": ["testers"]}, {"weight": 1, "for": "10m"}, {"weight": "12.5%", "ramp": "15m"}, {"pause": true}]},
        "analysis": {"checks": [{"name": "errors", "errorRate": {"max": "1%"}}, {"name": "latency", "latency": {"percentile": 99, "max": "800ms"}}]},
        "hooks": [{"at": ["BeforeStart"], "url": "http://gate.ci/approve"}],
        "schedule": {"windows": [{"days": ["Mon", "Tue"], "from": "09:00", "to": "16:00"}]}
    });
    let release = manifests::release("default", "lists", &spec);
    cluster.apply(&release)?;
    // The same again is no change: what Argo CD asks before it says Synced.
    cluster.apply(&release)?;
    let shown: Value = serde_json::from_str(&cluster.kubectl(&["get", "canaryrelease", "lists", "-o", "json"], "")?.ok()?)?;
    for list in ["/overrides", "/strategy/steps", "/analysis/checks", "/hooks", "/schedule/windows"] {
        assert!(spec.pointer(list).is_some());
        assert_eq!(shown["spec"].pointer(list), spec.pointer(list), "{list}");
    }
    assert_eq!(shown["metadata"]["generation"], 1);
    Ok(())
}

/// A rule that a later version tightens must not lock up what is stored: the API server then checks only what changes.
#[test]
fn a_stored_object_that_the_rules_refuse_takes_a_status_an_annotation_and_enabled_false() -> Result<()> {
    let cluster = cluster()?;
    let stored = json!({
        "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
        "metadata": {"name": "stored", "namespace": "default", "uid": "00000000-0000-4000-8000-000000000001", "generation": 1},
        "spec": {"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 150}}
    });
    cluster.put_raw("/registry/serin.dev/canaryreleases/default/stored", stored.to_string().as_bytes())?;
    let fresh = stored.to_string().replace("\"stored\"", "\"fresh\"");
    let refused = cluster.kubectl(&["create", "-f", "-"], &fresh)?;
    assert!(refused.stderr.contains("spec.strategy.percentage"), "the rules do not refuse it: {refused:?}");

    let patch = |arguments: &[&str]| {
        let arguments = [&["patch", "canaryrelease", "stored", "--type=merge"], arguments].concat();
        cluster.kubectl(&arguments, "")?.ok()
    };
    patch(&["--subresource=status", "-p", r#"{"status": {"phase": "Aborted"}}"#]).context("a status")?;
    patch(&["-p", r#"{"metadata": {"annotations": {"serin.dev/note": "seen"}}}"#]).context("an annotation")?;
    patch(&["-p", r#"{"spec": {"enabled": false}}"#]).context("enabled: false")?;
    let shown = ["get", "canaryrelease", "stored", "-o", "jsonpath={.status.phase} {.spec.enabled} {.spec.strategy.percentage}"];
    assert_eq!(cluster.kubectl(&shown, "")?.ok()?, "Aborted false 150");
    Ok(())
}
