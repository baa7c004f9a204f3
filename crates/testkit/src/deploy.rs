//! `deploy/`: the chart as it is rendered, for whoever has no Helm. Its `crds.yaml` follows from `crds/` alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::helm::Helm;

/// What Helm alone needs to read.
const HELMS: [&str; 2] = ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart: "];
/// serin's own namespace, which Helm makes by an option.
const NAMESPACE: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: serin-system
";

/// What each file of `deploy/` should be, by its name, as this helm renders the chart.
///
/// # Errors
/// When helm refuses the chart, or the chart has a template that belongs to no file.
pub fn files(helm: &Helm) -> Result<BTreeMap<&'static str, String>> {
    let rendered = helm.template("{guardDeletion: {enabled: true}}")?;
    let mut files = BTreeMap::from([("rbac.yaml", format!("---\n{NAMESPACE}"))]);
    for document in rendered.split("---\n# Source: serin/templates/").skip(1) {
        let (template, text) = document.split_once('\n').context("a document of the chart has no text")?;
        let file = match template {
            "rbac.yaml" | "serviceaccount.yaml" | "lease.yaml" => "rbac.yaml",
            "guard-deletion.yaml" => "guard-deletion.yaml",
            other if other.starts_with("crds/") || other.starts_with("tests/") => continue,
            _ => "serin.yaml",
        };
        let lines = text.lines().filter(|line| !line.is_empty() && !HELMS.iter().any(|helms| line.trim_start().starts_with(helms)));
        let text = lines.fold(String::from("---\n"), |text, line| text + line + "\n");
        files.entry(file).or_default().push_str(&text);
    }
    ensure!(files.len() == 3, "the chart renders {:?} only", files.keys());
    let head = |name: &str| format!("# {name}: rendered from charts/serin by `cargo xtask generate`.\n");
    Ok(files.into_iter().map(|(name, text)| (name, head(name) + &text)).collect())
}
