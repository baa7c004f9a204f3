//! What the tests of every crate share: a real API server, processes beside it, origins, and load.
//!
//! A test that needs a cluster stands in a test target whose name begins with `cluster` and that has `test = false` in its
//! `Cargo.toml`: plain `cargo test` leaves it out, `cargo xtask test api-server` runs it. A test that has a form of minutes asks
//! [`long`].

pub mod argocd;
#[cfg(target_os = "linux")]
mod certificates;
#[cfg(target_os = "linux")]
pub mod cluster;
#[cfg(target_os = "linux")]
pub mod deploy;
#[cfg(target_os = "linux")]
pub mod helm;
#[cfg(target_os = "linux")]
mod kubectl;
#[cfg(target_os = "linux")]
pub mod node;
#[cfg(target_os = "linux")]
pub mod packages;
#[cfg(unix)]
pub mod process;

pub mod ask;
pub mod authority;
pub mod dns;
pub mod image;
pub mod load;
pub mod manifests;
pub mod origin;
pub mod rotation;
pub mod tools;
pub mod websocket;

mod run;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// True when the long forms of the tests are asked for: `cargo xtask test --long`, or `SERIN_LONG=1`.
pub fn long() -> bool {
    std::env::var("SERIN_LONG").is_ok_and(|value| value == "1")
}

/// A program of this workspace in the profile of the running test, such as `serin` or `testkit`.
///
/// # Errors
/// When it is not built. `cargo xtask test` builds all of them first.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = folder_of_programs()?.join(name);
    ensure!(path.is_file(), "{name} is not built; run `cargo build --workspace --bins`");
    Ok(path)
}

/// A program of this workspace as it is shipped, optimised, for figures that say something. It is built first where it is not there or
/// older than its source: for some minutes, from nothing.
///
/// # Errors
/// When it does not build.
pub fn optimised(name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // As `cargo run --release` builds it, so that there is one build for both.
    let status = cargo.args(["build", "--quiet", "--release", "--package", name]).status().context("cannot start cargo")?;
    ensure!(status.success(), "{name} does not build");
    let folder = folder_of_programs()?;
    Ok(folder.parent().context("the programs are in no folder")?.join("release").join(name))
}

/// `target/PROFILE`, where this test, or this program of the workspace, was built.
pub(crate) fn folder_of_programs() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the running program has no path")?;
    let folder = program.parent().context("the running program has no folder")?;
    // target/PROFILE/deps/TEST-HASH
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Asks until the condition holds, and gives what it gave then.
///
/// # Errors
/// After `within`: the last answer, with `what` was waited for.
pub fn eventually<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error.context(format!("not within {within:?}: {what}"))),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_condition_that_comes_to_hold_gives_its_value() {
        let mut asked = 0;
        let value = eventually("three", Duration::from_secs(5), || {
            asked += 1;
            ensure!(asked == 3, "only {asked}");
            Ok(asked)
        });
        assert_eq!(value.ok(), Some(3));
    }

    #[test]
    fn a_condition_that_never_holds_ends_with_what_was_seen_last() {
        let outcome: Result<()> = eventually("the weight is 5", Duration::ZERO, || bail!("it is 4"));
        assert_eq!(outcome.err().map(|error| format!("{error:#}")).as_deref(), Some("not within 0ns: the weight is 5: it is 4"));
    }
}
