//! The tiers with real servers: `serin-testkit` builds and starts those; here only its program is asked, so that xtask stays small.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, passes};
use crate::tiers::{Outcome, long_form};

/// The test targets that need an API server, of any crate. They have `test = false`, so the tier `test` leaves them out.
const API_SERVER: &str = "cluster*";
/// Those that need a node with pods, likewise.
const NODE: &str = "node*";

/// `testkit` ends so when this machine lacks something.
const UNAVAILABLE: i32 = 69;

/// Every target that `cargo clippy --all-targets` leaves out.
pub(crate) const LEFT_OUT: &[&str] = &["--test", API_SERVER, "--test", NODE];

/// The api-server tier: whole processes against a real etcd and kube-apiserver.
pub(crate) fn api_server(long: bool) -> Result<Outcome> {
    passes(&mut cargo(&["build", "--workspace", "--bins"]))?;
    tests(&["kubernetes"], API_SERVER, long)
}

/// The node tier: images in pods of a real kubelet.
pub(crate) fn node(long: bool) -> Result<Outcome> {
    build_for_node()?;
    tests(&["node", "prepare"], NODE, long)
}

/// `cargo xtask cluster`: what `testkit node` is told, once it is built. A node that starts needs its images too.
pub(crate) fn cluster(words: &[&str]) -> Result<()> {
    if words.contains(&"up") || words.contains(&"build") {
        build_for_node()?;
    } else {
        passes(&mut cargo(&["build", "--quiet", "--workspace", "--bin", "testkit"]))?;
    }
    match words {
        ["build"] => Ok(()),
        words => {
            if words.contains(&"up")
                && let Some(reason) = lacking(&["node", "prepare"])?
            {
                bail!("no node can run here: {reason}");
            }
            let status = Command::new(program()?).arg("node").args(words).status().context("cannot start testkit")?;
            // What went wrong it has said itself.
            std::process::exit(status.code().unwrap_or(1));
        }
    }
}

/// The programs of the machine, and what goes into images: static, so that an image needs nothing else, and without symbols.
fn build_for_node() -> Result<()> {
    passes(&mut cargo(&["build", "--workspace", "--bins"]))?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.replace('-', "_").to_uppercase());
    let mut build = cargo(&["build", "--workspace", "--bin", "serin", "--bin", "testkit", "--target", &target]);
    passes(build.env(flags, "-C target-feature=+crt-static -C strip=symbols"))
}

fn tests(ready: &[&str], targets: &str, long: bool) -> Result<Outcome> {
    let start = Instant::now();
    if let Some(reason) = lacking(ready)? {
        return Ok(Outcome::NotRun(reason));
    }
    // With a cold cache it is most of the tier's time.
    println!("the programs that the tests need are there after {:.1} s", start.elapsed().as_secs_f64());
    passes(long_form(&mut cargo(&["test", "--workspace", "--no-fail-fast", "--test", targets]), long))?;
    Ok(Outcome::Passed)
}

/// What testkit says is missing. Its standard output is the reason, when it lacks something; a first build reports on standard error.
fn lacking(arguments: &[&str]) -> Result<Option<String>> {
    let output = Command::new(program()?).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start testkit")?;
    match output.status.code() {
        Some(0) => Ok(None),
        Some(UNAVAILABLE) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())),
        _ => bail!("`testkit {}`: {}", arguments.join(" "), output.status),
    }
}

fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe().context("xtask has no path")?.with_file_name("testkit"))
}
