//! The architecture tier: what ARCHITECTURE.md promises and no compiler checks.
//!
//! Each rule gives findings; a finding names the file or crate and the fix. All are printed, not the first alone.

mod clusters;
mod dependencies;
mod lines;
mod rooms;

use anyhow::{Result, bail};

use crate::run::{cargo, root, stdout};

/// The crates that only decide.
const PURE: &[&str] = &["serin-api", "serin-split", "serin-auth", "serin-rollout", "serin-routing", "serin-compiler", "serin-import"];

/// Runs every rule and fails with all findings.
pub(crate) fn check() -> Result<()> {
    let root = root();
    let mut findings = Vec::new();
    for name in PURE {
        findings.extend(dependencies::impure(name, &tree(&["-p", name, "-e", "normal"])?));
        let bans = format!("crates/{}/clippy.toml", name.trim_start_matches("serin-"));
        if !root.join(&bans).is_file() {
            findings.push(format!("{bans} is not there; it bans the clock, chance and the environment in a pure crate"));
        }
    }
    let everything = tree(&["--workspace", "-e", "normal,build,dev"])?;
    findings.extend(dependencies::ring(&everything));
    findings.extend(dependencies::duplicates(&everything));
    findings.extend(lines::too_long(&root)?);
    findings.extend(rooms::unlisted(&root)?);
    findings.extend(clusters::in_the_open(&root)?);
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    Ok(())
}

/// `name vVERSION ...`, a line for each edge. The tree, not Cargo.lock: that one names optional dependencies which nobody turns on.
fn tree(selection: &[&str]) -> Result<String> {
    stdout(cargo(&["tree", "--prefix", "none", "--format", "{p}"]).args(selection))
}
