//! The manifests of `e2e`, a folder for each rule, as `kubectl apply` stores them and serin serves them. What each rule does is shown by
//! the process tests of that number, with the same files.

use crate::site::{SOON, Site, condition, shared};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serin_testkit::{eventually, manifests};
use std::fs;
use std::path::Path;

/// Releases that are there to be refused, and the reason.
const REFUSED: [(&str, &str, &str); 1] = [("s03", "small", "BelowOneBucket")];

/// What a folder applies.
struct Rule {
    namespace: String,
    text: String,
    documents: Vec<Value>,
}

impl Rule {
    fn all() -> Result<Vec<Self>> {
        let shelf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e");
        let mut rules = Vec::new();
        for entry in fs::read_dir(shelf)? {
            let folder = entry?.path();
            let Ok(text) = fs::read_to_string(folder.join("manifests.yaml")) else { continue };
            let name = folder.file_name().and_then(|name| name.to_str()).context("a folder without a name")?;
            let documents = serde_saphyr::from_multiple(&text).with_context(|| name.to_owned())?;
            rules.push(Self { namespace: name[..3].to_owned(), text, documents });
        }
        Ok(rules)
    }

    fn of<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Value> {
        self.documents.iter().filter(move |document| document["kind"] == kind)
    }

    /// The endpoints that a cluster's controllers would find: side A where the manifest has ports below 9010, side B elsewhere.
    fn endpoints(&self, site: &Site<'_>) -> Result<String> {
        let mut slices = String::new();
        for service in self.of("Service") {
            // Without them it is a Deployment's pods that are the two sides, and here is none.
            let Some(listed) = service["metadata"]["annotations"]["serin.dev/endpoints"].as_str() else { continue };
            let origin = if listed.starts_with("127.0.0.1:901") { &site.canary } else { &site.stable };
            let name = service["metadata"]["name"].as_str().context("a Service without a name")?;
            let document = manifests::service(&self.namespace, name, &[origin.address()]);
            // The Service is the manifest's own, whose port has no name; only the slice is added.
            let slice = document.split("---\n").nth(2).context("no slice")?.replace(r#""name":"http","port""#, r#""port""#);
            slices.push_str(&format!("---\n{slice}"));
        }
        Ok(slices)
    }
}

#[test]
fn the_manifests_of_every_rule_are_applied_by_kubectl_and_served() -> Result<()> {
    let site = Site::new(shared()?, "rules")?;
    let rules = Rule::all()?;
    for rule in &rules {
        site.cluster.apply(&rule.text).with_context(|| rule.namespace.clone())?;
        let endpoints = rule.endpoints(&site)?;
        if !endpoints.is_empty() {
            site.cluster.apply(&endpoints).with_context(|| rule.namespace.clone())?;
        }
    }
    let namespaces: Vec<&str> = rules.iter().map(|rule| rule.namespace.as_str()).collect();
    let serin = site.serin_of(90, &namespaces.join(","))?;
    for rule in &rules {
        for release in rule.of("CanaryRelease") {
            let name = release["metadata"]["name"].as_str().context("a release without a name")?;
            let refused = REFUSED.iter().find(|(namespace, refused, _)| (*namespace, *refused) == (rule.namespace.as_str(), name));
            let by_pods = release["spec"]["canary"]["podSelector"].is_object();
            let expected = refused.map_or("True/Accepted".to_owned(), |(_, _, reason)| format!("False/{reason}"));
            eventually(&format!("{}/{name} is {expected} and served", rule.namespace), SOON, || {
                let stored = site.cluster.kubectl(&["get", "crel", name, "-n", &rule.namespace, "-o", "json"], "")?.ok()?;
                let stored: Value = serde_json::from_str(&stored)?;
                let is = condition(&stored, "Accepted");
                ensure!(is == expected, "{is}: {}", stored["status"]);
                ensure!(refused.is_some() || by_pods || condition(&stored, "Programmed").starts_with("True/"), "{}", stored["status"]);
                Ok(())
            })?;
        }
        let has_endpoints = rule.of("Service").all(|service| service["metadata"]["annotations"].is_object());
        for ingress in rule.of("Ingress").filter(|_| has_endpoints) {
            for route in ingress["spec"]["rules"].as_array().into_iter().flatten() {
                let path = route["http"]["paths"][0]["path"].as_str().unwrap_or("/");
                serin.origin(route["host"].as_str().context("a rule without a host")?, path, "somebody")?;
            }
        }
    }
    ensure!(!rules.is_empty(), "no rule has manifests");
    Ok(())
}
