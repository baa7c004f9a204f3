//! `testkit node`: a node by hand. `cargo xtask cluster` builds what it needs and calls it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serin_testkit::node::{self, Node};
use serin_testkit::packages;

use crate::UNAVAILABLE;

/// A real node on this machine, for trying things and for tests
#[derive(Args)]
pub(crate) struct NodeArguments {
    /// Which node; several can be up
    #[arg(long, default_value = "serin")]
    name: String,
    #[command(subcommand)]
    command: NodeCommand,
}

#[derive(Subcommand)]
enum NodeCommand {
    /// Installs and builds what is missing; ends with 69 and says what, when it cannot
    Prepare,
    /// Starts it; it stays until it is taken down
    Up,
    /// Takes it down, and what killed runs left
    Down,
    /// Says what runs
    Status,
    /// kubectl as its administrator
    Kubectl {
        /// What kubectl gets
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Loads images from a docker archive
    LoadImage {
        /// The archive
        tar: PathBuf,
    },
    /// Stands by a node; it starts this itself
    #[command(hide = true)]
    Keep,
}

pub(crate) fn run(arguments: &NodeArguments) -> Result<ExitCode> {
    let name = arguments.name.as_str();
    match &arguments.command {
        NodeCommand::Prepare => return prepare(),
        NodeCommand::Up => {
            Node::up(name)?;
            status(name)?;
        }
        NodeCommand::Down => {
            let was_up = node::down(name)?;
            println!("{}", if was_up { format!("{name} is down") } else { format!("there was no node {name}") });
        }
        NodeCommand::Status => status(name)?,
        NodeCommand::Kubectl { arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut kubectl = Node::open(name)?.kubectl_command(&arguments);
            // Files that it is given are of the caller's folder.
            kubectl.current_dir(std::env::current_dir()?);
            return Err(kubectl.exec().into());
        }
        NodeCommand::LoadImage { tar } => print!("{}", Node::open(name)?.load_image(tar)?),
        NodeCommand::Keep => node::keep(name)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn prepare() -> Result<ExitCode> {
    packages::install(node::PACKAGES);
    packages::install(packages::API_SERVER);
    if let Some(reason) = node::missing() {
        println!("{reason}");
        return Ok(ExitCode::from(UNAVAILABLE));
    }
    node::build()?;
    Ok(ExitCode::SUCCESS)
}

/// Fails when something of it does not run.
fn status(name: &str) -> Result<()> {
    let names = node::names();
    if !names.iter().any(|there| there == name) {
        let others = if names.is_empty() { "none is".into() } else { names.join(", ") };
        bail!("the node {name} is not up; of others: {others}");
    }
    let node = Node::open(name)?;
    let mut dead = Vec::new();
    for (daemon, pid) in node.daemons() {
        match pid {
            Some(pid) => println!("{:<24} {pid}", daemon.name()),
            None => dead.push(daemon.name()),
        }
    }
    println!("{:<24} {}", "node", node.address());
    println!("{:<24} {}", "images", [&[node::SERIN], node::APP].concat().join(" "));
    println!("KUBECONFIG={}", node.kubeconfig().display());
    if !dead.is_empty() {
        bail!("{} of {name} does not run; the logs are in {}", dead.join(", "), node.folder().join("logs").display());
    }
    Ok(())
}
