//! The project's own chores. `cargo xtask test` is what CI runs; `cargo xtask generate` writes what is generated.

mod architecture;

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let outcome = match command.as_deref() {
        Some("test") => test(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask test")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A tier's name and what it runs.
type Tier = (&'static str, fn() -> Result<()>);

/// Every tier in order, from fast to slow. All run even when one fails, so that one run shows all there is to mend.
const TIERS: [Tier; 5] = [
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("architecture", architecture::check),
    ("lint", || cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])),
    ("test", || cargo(&["test", "--workspace"])),
    ("docs", || run(Command::new("cargo").args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))),
];

fn test() -> Result<()> {
    let mut failed = Vec::new();
    for (name, tier) in TIERS {
        let start = Instant::now();
        let outcome = tier();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("tier {name}: passed in {seconds:.1} s"),
            Err(error) => {
                println!("tier {name}: FAILED in {seconds:.1} s: {error:#}");
                failed.push(name);
            }
        }
    }
    println!("{} passed, {} failed", TIERS.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(Command::new("cargo").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let status =
        command.current_dir(root()).status().with_context(|| format!("{line} could not start; is rustup's toolchain installed?"))?;
    if !status.success() {
        bail!("{line} ended with {status}");
    }
    Ok(())
}

/// The top of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
