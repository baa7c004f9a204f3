//! Argo CD, and what it needs beside the API server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{is_there, stdout};
use crate::tools::ARGOCD;

/// The module that has the program and the CRDs.
const MODULE: &str = "github.com/argoproj/argo-cd/v3";
const CRDS: [&str; 3] = ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"];

/// What is missing to build and to run it, and how to get it; `None` when nothing is.
pub fn missing() -> Option<String> {
    let beside = [("redis-server", "--version", "redis-server"), ("git", "--version", "git")];
    let absent = beside.iter().find(|(program, argument, _)| !is_there(program, argument));
    let said = |(program, _, package): &(&str, &str, &str)| format!("{program} is not there; install the Debian package {package}");
    absent.map(said).or_else(|| ARGOCD.missing())
}

/// The program, as the command line. The variable `ARGOCD_BINARY_NAME` makes it another one: `argocd-server`,
/// `argocd-repo-server`, `argocd-application-controller`. The first call takes minutes; a second one beside it waits.
///
/// # Errors
/// When the build fails, or the cache folder cannot be written.
pub fn program() -> Result<PathBuf> {
    Ok(ARGOCD.folder()?.join("argocd"))
}

/// Its CRDs, as one text.
///
/// # Errors
/// When Go does not find the module that the program was built from.
pub fn crds() -> Result<String> {
    let mut go = Command::new("go");
    go.current_dir(ARGOCD.source()).args(["mod", "download", "-json", MODULE]).env("GOTOOLCHAIN", "local");
    let module: Value = serde_json::from_str(&stdout(&mut go)?).context("go mod download")?;
    let folder = module["Dir"].as_str().with_context(|| format!("{MODULE} is in no folder: {module}"))?;
    let read = |name: &&str| {
        let path = Path::new(folder).join("manifests/crds").join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(CRDS.iter().map(read).collect::<Result<Vec<_>>>()?.join("\n---\n"))
}
