//! `cargo xtask generate`: what a program writes and the repository keeps. That it is up to date is a test of the crate it comes from.

use anyhow::Result;

use crate::run::{cargo, passes};

/// Writes `crds/` from the types of `serin-api`.
pub(crate) fn generate() -> Result<()> {
    passes(&mut cargo(&["run", "--quiet", "--package", "serin-api", "--example", "crds", "--", "crds"]))
}
