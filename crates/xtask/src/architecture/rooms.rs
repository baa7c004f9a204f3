//! The rule on ARCHITECTURE.md's table: one row for each crate, one crate for each row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Crates without a row, and rows without a crate.
pub(super) fn unlisted(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).context("cannot read ARCHITECTURE.md")?;
    let mut crates = BTreeSet::new();
    for entry in fs::read_dir(root.join("crates")).context("cannot list crates")? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            crates.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(findings(&crates, &rows(&text)))
}

fn findings(crates: &BTreeSet<String>, rows: &BTreeSet<String>) -> Vec<String> {
    let missing =
        crates.difference(rows).map(|name| format!("ARCHITECTURE.md: no row for crates/{name}; say what lives there and what does not"));
    let stale = rows.difference(crates).map(|name| format!("ARCHITECTURE.md: a row for `{name}`, but crates/{name} is not there"));
    missing.chain(stale).collect()
}

/// The names in backticks of the first column, below the heading `Rooms`.
fn rows(text: &str) -> BTreeSet<String> {
    let section = text.lines().skip_while(|line| *line != "## Rooms").skip(1).take_while(|line| !line.starts_with("## "));
    let first_cells = section.filter_map(|line| line.strip_prefix('|')?.split('|').next());
    first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A\n\n| `before` | x |\n\n## Rooms\n\n| crate | what |\n|---|---|\n| `split` | see `api` |\n| `testkit`, `xtask` | y |\n\n## Next\n\n| `after` | z |\n";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_the_first_column_of_the_rooms_names_crates() {
        assert_eq!(rows(TEXT), set(&["split", "testkit", "xtask"]));
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let findings = findings(&set(&["api", "split"]), &set(&["split", "demo"]));
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("no row for crates/api"), "{findings:?}");
        assert!(findings[1].contains("crates/demo is not there"), "{findings:?}");
    }
}
