//! What Flux says of releases, by its own code and the Kustomizations of docs/flux.md.

use crate::scripts::{group, read};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../../../docs/flux.md");

/// What Flux says of an object that a Kustomization of this name, as the page shows it, has applied.
pub(crate) fn says(kustomization: &str, object: &Value) -> Result<String> {
    let shown = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let named = format!("\n  name: {kustomization}\n");
    let manifest = shown.into_iter().find(|block| block.contains(&named)).with_context(|| format!("the page has no {kustomization}"))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kustomization.yaml");
    std::fs::write(&path, manifest)?;
    let mut command = Command::new(serin_testkit::tools::FLUX.folder()?.join("flux-health"));
    let mut child = command.arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(object.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{kustomization}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

#[test]
fn flux_waits_for_what_is_served_and_by_expressions_for_the_end_and_fails_on_an_abort() -> Result<()> {
    for (name, served, ended) in [
        ("progressing_notObserved", "Current", "Unknown"),
        ("progressing_newGeneration", "InProgress", "InProgress"),
        ("progressing_noRoute", "InProgress", "InProgress"),
        ("progressing_step", "Current", "InProgress"),
        ("suspended_step", "Current", "InProgress"),
        ("degraded_notAccepted", "Failed", "Failed"),
        ("degraded_aborted", "Failed", "Failed"),
        ("degraded_notResolved", "InProgress", "InProgress"),
        ("healthy_promoted", "Current", "Current"),
        ("healthy_completed", "Current", "Current"),
    ] {
        let release = read(&group().join(format!("CanaryRelease/testdata/{name}.yaml")))?;
        let said = (says("shop", &release)?, says("shop-release", &release)?);
        ensure!(said == (served.to_owned(), ended.to_owned()), "{name}: {said:?}");
    }
    for (kind, name, served) in [
        ("Consumer", "healthy", "Current"),
        ("Consumer", "degraded_notResolved", "InProgress"),
        ("AuthPolicy", "degraded_notAccepted", "InProgress"),
    ] {
        let said = says("shop", &read(&group().join(format!("{kind}/testdata/{name}.yaml")))?)?;
        ensure!(said == served, "{kind} {name}: {said}");
    }
    Ok(())
}
