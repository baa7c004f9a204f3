//! `cargo xtask generate`: what a program writes and the repository keeps. That it is up to date is a test, of the crate it comes from or
//! beside the text that is generated here.

mod argocd;
mod chart;

use anyhow::Result;

use crate::run::{cargo, passes, root};

/// Writes `crds/` and `docs/reference.md` from the types of `serin-api`, what the chart has of them and of its values, the ConfigMap for
/// Argo CD, and `deploy/`, by Helm.
pub(crate) fn generate() -> Result<()> {
    passes(&mut cargo(&["run", "--quiet", "--package", "serin-api", "--example", "generated", "--", "."]))?;
    for (path, text) in chart::files(&root())? {
        std::fs::write(root().join(path), text)?;
    }
    std::fs::write(argocd::place(), argocd::config_map()?)?;
    passes(&mut cargo(&["run", "--quiet", "--package", "serin-testkit", "--", "deploy", "deploy"]))
}
