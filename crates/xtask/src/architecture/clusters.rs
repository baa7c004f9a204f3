//! The rule on tests that need a cluster: plain `cargo test` leaves them out, the tiers api-server and node run them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Test targets named `cluster...` or `node...` that plain `cargo test` would run.
pub(super) fn in_the_open(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(root.join("crates")).context("cannot list crates")? {
        let folder = entry?.path();
        let Ok(tests) = fs::read_dir(folder.join("tests")) else { continue };
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        for test in tests {
            let test = test?.path();
            let name = test.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if (name.starts_with("cluster") || name.starts_with("node")) && !left_out(&manifest, &name) {
                findings.push(format!(
                    "{}: {name} needs a cluster; give it a [[test]] with `name = \"{name}\"` and `test = false`",
                    folder.strip_prefix(root).unwrap_or(&folder).join("Cargo.toml").display()
                ));
            }
        }
    }
    findings.sort();
    Ok(findings)
}

/// Whether the table `[[test]]` of this name has `test = false`.
fn left_out(manifest: &str, name: &str) -> bool {
    let tables = manifest.split("\n[").filter_map(|table| table.strip_prefix("[test]]"));
    let (named, off) = (format!("name = \"{name}\""), "test = false");
    tables.map(|table| table.lines().map(str::trim)).any(|lines| {
        let lines: Vec<&str> = lines.collect();
        lines.contains(&named.as_str()) && lines.contains(&off)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[package]\nname = \"a\"\n\n[[test]]\nname = \"cluster\"\ntest = false\n[[test]]\nname = \"cluster_api\"\n\n[dependencies]\n";

    #[test]
    fn a_cluster_test_is_left_out_by_its_own_table() {
        assert!(left_out(MANIFEST, "cluster"));
        assert!(!left_out(MANIFEST, "cluster_api"));
        assert!(!left_out(MANIFEST, "cluster_other"));
    }
}
