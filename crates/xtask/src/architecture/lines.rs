//! The rule on the length of files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A file above this is split.
const LONGEST: usize = 800;

/// Every Rust file under `crates` that is too long.
pub(super) fn too_long(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    visit(root, &root.join("crates"), &mut findings)?;
    findings.sort();
    Ok(findings)
}

fn visit(root: &Path, folder: &Path, findings: &mut Vec<String>) -> Result<()> {
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", name(folder)))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                visit(root, &path, findings)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", name(&path)))?;
            findings.extend(finding(&name(&path), &text));
        }
    }
    Ok(())
}

fn finding(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LONGEST).then(|| format!("{name}: {lines} lines, {LONGEST} at most; split it by what its parts are for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_800_lines_passes_and_one_more_does_not() {
        assert_eq!(finding("a.rs", &"x\n".repeat(800)), None);
        assert_eq!(
            finding("a.rs", &"x\n".repeat(801)).as_deref(),
            Some("a.rs: 801 lines, 800 at most; split it by what its parts are for")
        );
    }
}
