//! What ARCHITECTURE.md promises and a compiler does not check.

use crate::root;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that decide: no runtime, no client, no random source.
const PURE: [&str; 2] = ["serin-split", "serin-rollout"];
const IMPURE: [&str; 7] = ["tokio", "hyper", "kube-client", "kube-runtime", "rand", "getrandom", "mio"];

/// Crates of which two versions side by side would not fit together.
const ONE_VERSION: [&str; 13] = [
    "kube",
    "kube-core",
    "kube-client",
    "kube-derive",
    "kube-runtime",
    "k8s-openapi",
    "schemars",
    "rustls",
    "hyper",
    "h2",
    "http",
    "tokio",
    "jiff",
];

const LONGEST_FILE: usize = 800;

/// Every promise that is broken, in one error.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    pure_crates(&mut broken)?;
    versions(&mut broken)?;
    file_lengths(&root().join("crates"), &mut broken)?;
    if !broken.is_empty() {
        bail!("{}", broken.join("\n  "));
    }
    Ok(())
}

fn pure_crates(broken: &mut Vec<String>) -> Result<()> {
    for pure in PURE {
        let tree = cargo_tree(&["--package", pure, "--edges", "normal", "--prefix", "none", "--format", "{p}"])?;
        let first_words = tree.lines().filter_map(|line| line.split(' ').next());
        for name in first_words.filter(|name| IMPURE.contains(name)) {
            broken.push(format!("{pure} depends on {name}: a pure crate takes time and chance as arguments and does no I/O"));
        }
    }
    Ok(())
}

fn versions(broken: &mut Vec<String>) -> Result<()> {
    let tree = cargo_tree(&["--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])?;
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let of_name = seen.entry(name).or_default();
            if !of_name.contains(&version) {
                of_name.push(version);
            }
        }
    }
    if seen.contains_key("ring") {
        broken.push("ring is built: aws-lc-rs is the one provider of cryptography; find who asks with `cargo tree -i ring`".to_owned());
    }
    for name in ONE_VERSION {
        if let Some(several) = seen.get(name).filter(|versions| versions.len() > 1) {
            broken.push(format!("{name} is built in versions {}: hold one back in Cargo.toml", several.join(" and ")));
        }
    }
    Ok(())
}

fn file_lengths(folder: &Path, broken: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    for path in paths {
        if path.is_dir() {
            file_lengths(&path, broken)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let lines = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?.lines().count();
            if lines > LONGEST_FILE {
                broken.push(format!("{} has {lines} lines, over {LONGEST_FILE}: split it", path.display()));
            }
        }
    }
    Ok(())
}

fn cargo_tree(arguments: &[&str]) -> Result<String> {
    let output = Command::new("cargo").arg("tree").args(arguments).current_dir(root()).output().context("cargo tree could not start")?;
    if !output.status.success() {
        bail!("cargo tree {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
