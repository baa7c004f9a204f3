//! The binary: arguments and wiring only.

mod check;
mod controller;
mod demo;
mod explain;
mod import;
mod log;
mod plan;
mod ready;
mod releases;
mod simulate;
mod standalone;

use clap::{Parser, Subcommand};
use log::LogFormat;
use std::io::IsTerminal;
use std::process::ExitCode;

/// A request makes some twenty short-lived allocations; the C libraries' allocators, musl's above all, take longer for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Kubernetes ingress controller that makes canary releases a first-class object.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole story in the terminal within a minute, without a cluster. Exit code: 0 when it went as announced, else 1.
    Demo {
        /// The canary starts to fail on the way, and the release is rolled back.
        #[arg(long)]
        fail: bool,
    },
    /// One replica in a cluster: watches, compiles, serves, and leads when elected.
    Controller(Box<controller::Options>),
    /// Serves a folder of manifests, without a cluster.
    Standalone(Box<standalone::Options>),
    /// Prints the CustomResourceDefinitions.
    Crds,
    /// Validates manifests with the rules of the API server and serin's own. Exit code: 0 when there is no finding, else 1.
    Check {
        /// YAML or JSON files.
        #[arg(required = true)]
        files: Vec<std::path::PathBuf>,
    },
    /// Asks an admin port whether traffic may be sent there. Exit code: 0 when it may, else 1.
    Ready(ready::Options),
    /// Prints when a release would do what, without a cluster.
    Plan(plan::Options),
    /// Tells which route, release, rule and side a request gets, and why.
    Explain(explain::Options),
    /// Tells, from an access log, which share of users and of requests a release would send to the canary.
    Simulate(simulate::Options),
    /// Turns the configuration of another gateway into objects of serin, and tells what of it has no equivalent.
    #[command(subcommand)]
    Import(import::From),
    #[command(flatten)]
    Releases(releases::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SERIN_LOG").unwrap_or_else(|_| arguments.command.log_filter().into());
    let format = arguments.command.log_format();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || log::Lines(format));
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(arguments)));
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo { fail } => demo::run(fail).await,
        Command::Controller(options) => controller::run(&options).await,
        Command::Standalone(options) => standalone::run(&options).await,
        Command::Crds => {
            print!("{}", serin_api::crd_yaml());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { files } => check::run(&files),
        Command::Simulate(options) => simulate::run(&options),
        Command::Explain(options) => explain::run(&options).await,
        Command::Import(from) => import::run(&from),
        Command::Plan(options) => plan::run(&options),
        Command::Ready(options) => ready::run(&options).await,
        Command::Releases(command) => releases::run(command).await,
    }
}

impl Command {
    /// How it is logged: what serves may be asked for JSON.
    fn log_format(&self) -> LogFormat {
        match self {
            Self::Standalone(options) => options.proxy.log_format,
            Self::Controller(options) => options.proxy.log_format,
            _ => LogFormat::Text,
        }
    }

    /// What is logged unless `SERIN_LOG` says otherwise: what serves tells what it does, the rest only what goes wrong.
    fn log_filter(&self) -> &'static str {
        match self {
            Self::Standalone(_) | Self::Controller(_) => "info",
            _ => "error",
        }
    }
}
