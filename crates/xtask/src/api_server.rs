//! The api-server tier: tests of whole processes against a real etcd and kube-apiserver.
//!
//! `serin-testkit` builds and starts those two; here only its program is asked, so that xtask stays small.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, passes};
use crate::tiers::{Outcome, long_form};

/// The test targets that need a cluster, of any crate. They have `test = false`, so the tier `test` leaves them out.
pub(crate) const TARGETS: &str = "cluster*";

/// `testkit` ends so when this machine lacks something.
const UNAVAILABLE: i32 = 69;

/// Runs the tests once the programs that they start are built.
pub(crate) fn check(long: bool) -> Result<Outcome> {
    passes(&mut cargo(&["build", "--workspace", "--bins"]))?;
    let testkit = std::env::current_exe().context("xtask has no path")?.with_file_name("testkit");
    // Its standard output is the reason or the folder; a first build reports on standard error meanwhile.
    let output = Command::new(&testkit).arg("kubernetes").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {}", testkit.display()))?;
    match output.status.code() {
        Some(0) => {}
        Some(UNAVAILABLE) => return Ok(Outcome::NotRun(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())),
        _ => bail!("`testkit kubernetes`: {}", output.status),
    }
    passes(long_form(&mut cargo(&["test", "--workspace", "--no-fail-fast", "--test", TARGETS]), long))?;
    Ok(Outcome::Passed)
}
