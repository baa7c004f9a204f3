//! The manifests that the repository shows, as somebody applies them.

use crate::site::shared;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Where manifests are shown: files, and folders that are searched.
const SHOWN: [&str; 6] = ["README.md", "docs", "deploy", "charts", "e2e", "crates/serin/src/demo/manifests.yaml"];

/// Every file under these, in order.
fn files() -> Result<Vec<PathBuf>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut open: Vec<PathBuf> = SHOWN.iter().map(|path| repository.join(path)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            // What stands in `testdata` has a status, and tests of its own; templates are YAML once Helm has read them.
            let entries = fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
            open.extend(entries.into_iter().filter(|path| !path.ends_with("testdata") && !path.ends_with("templates")));
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The YAML of a file: the whole, or the marked blocks of a page.
fn blocks(path: &Path) -> Result<Vec<String>> {
    let text = || fs::read_to_string(path).with_context(|| path.display().to_string());
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => vec![text()?],
        Some("md") => text()?.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect(),
        _ => Vec::new(),
    })
}

/// The releases of a block. A page may show the `spec` alone.
fn releases(block: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(block)?;
    let whole = |document: Value| {
        let bare = document["kind"].is_null() && document["spec"]["scope"].is_object();
        let head = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {}, "spec": document["spec"]});
        if bare { head } else { document }
    };
    Ok(documents.into_iter().map(whole).filter(|document| document["kind"] == "CanaryRelease").collect())
}

#[test]
fn every_release_that_the_repository_shows_is_stored_with_its_lists_as_they_were_sent() -> Result<()> {
    let cluster = shared()?;
    cluster.apply(&serin_testkit::manifests::namespace("examples"))?;
    let mut seen = Vec::new();
    for file in files()? {
        for block in blocks(&file)? {
            for mut release in releases(&block).with_context(|| file.display().to_string())? {
                let name = format!("example-{}", seen.len());
                release["metadata"] = json!({"name": name, "namespace": "examples"});
                cluster.apply(&release.to_string()).with_context(|| file.display().to_string())?;
                // The same again is no change: what Argo CD asks before it says Synced.
                cluster.apply(&release.to_string())?;
                let stored = cluster.kubectl(&["get", "crel", &name, "-n", "examples", "-o", "json"], "")?.ok()?;
                let stored: Value = serde_json::from_str(&stored)?;
                kept(&release["spec"], &stored["spec"], "spec").with_context(|| file.display().to_string())?;
                ensure!(stored["metadata"]["generation"] == 1, "{} was changed by the second apply", file.display());
                seen.push(file.clone());
            }
        }
    }
    ensure!(seen.iter().filter(|file| file.ends_with("README.md")).count() >= 2, "the README shows fewer than two: {seen:?}");
    ensure!(seen.iter().any(|file| file.ends_with("manifests.yaml")), "the demo has none: {seen:?}");
    Ok(())
}

/// Whether all that was sent is there, lists to the last item; objects may have got defaults.
fn kept(sent: &Value, stored: &Value, path: &str) -> Result<()> {
    let Some(members) = sent.as_object() else {
        ensure!(sent == stored, "{path}: {sent} was sent, {stored} is stored");
        return Ok(());
    };
    members.iter().try_for_each(|(name, value)| kept(value, &stored[name], &format!("{path}.{name}")))
}
