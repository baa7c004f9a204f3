//! `serin import kong FILE...`: the configuration of another gateway as objects of serin.

use anyhow::Context;
use clap::{Args, Subcommand};
use serin_controller::standalone::manifests::{LARGEST, read};
use serin_import::{File, Options};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum From {
    /// Kong: its canary plugin, and Upstreams with weighted targets. docs/kong.md has both side by side.
    ///
    /// Prints a CanaryRelease for each, as YAML; what has no equivalent or needs a decision is printed to standard error, and stands at the
    /// top of the YAML too. Exit code: 0, or 1 when a file cannot be read or a canary became no release.
    Kong(Arguments),
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Declarative configuration (`deck gateway dump`, kong.yml) or what the Admin API answers (an object, or a page with data), as YAML or
    /// JSON. What one file names another may hold. - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Namespace of what says none; a host such as checkout.shop.svc does. Default: none, so that of whoever applies it.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Print also what the releases stand on: Services, EndpointSlices, Ingresses, BackendPolicies, Consumers and AuthPolicies. No secret is
    /// printed.
    #[arg(long)]
    all: bool,
}

/// Prints the objects, and what somebody has to know.
pub(crate) fn run(from: &From) -> anyhow::Result<ExitCode> {
    let From::Kong(arguments) = from;
    let texts = arguments.files.iter().map(|path| text(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let names: Vec<String> = arguments.files.iter().map(|path| path.display().to_string()).collect();
    let files: Vec<File<'_>> = names.iter().zip(&texts).map(|(name, text)| File { name, text }).collect();
    let imported = serin_import::kong::import(&files, &Options { namespace: arguments.namespace.clone(), all: arguments.all })?;
    print!("{imported}");
    imported.notes.iter().for_each(|note| eprintln!("{note}"));
    eprintln!("{} objects, {} notes", imported.documents.len(), imported.notes.len());
    Ok(if imported.left_out() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn text(path: &Path) -> anyhow::Result<String> {
    if path != Path::new("-") {
        return Ok(read(path)?);
    }
    let mut text = String::new();
    std::io::stdin().take(LARGEST).read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}
