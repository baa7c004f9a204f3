//! The commands on releases and their options.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows releases: phase, weight asked and measured, and why it waits.
    Get {
        /// One release; without it all of the namespace.
        name: Option<String>,
        /// The whole objects, as JSON.
        #[arg(short, long, value_parser = ["json"])]
        output: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Draws the progress of releases until it is interrupted.
    Watch {
        /// One release; without it all of the namespace.
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Waits for the end of a release. Exit code: 0 promoted, 1 aborted, 2 timed out.
    Wait {
        #[command(flatten)]
        release: Named,
        /// How long, in seconds.
        #[arg(long, default_value_t = 3600)]
        timeout: u64,
    },
    /// Gives everyone the canary at once: skips steps and checks.
    Promote {
        #[command(flatten)]
        release: Named,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Sends everyone back to stable at once.
    Abort(Named),
    /// Keeps the weight until `resume`.
    Pause(Named),
    /// Goes on after a command, a pause step or the analysis.
    Resume(Named),
    /// Ends the running step.
    Skip(Named),
    /// Begins an aborted release again, from the first step.
    Retry(Named),
}

/// One release.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The release.
    pub(super) name: String,
    #[command(flatten)]
    pub(super) target: Target,
}

/// Where releases are.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The namespace. Default: the one of the kubeconfig's context; on a standalone `default`.
    #[arg(short, long)]
    pub(super) namespace: Option<String>,
    /// The admin address of a standalone, such as 127.0.0.1:9901. Without it the kubeconfig's cluster is meant.
    #[arg(long, env = "SERIN_ADMIN_ADDRESS", value_name = "HOST:PORT")]
    pub(super) admin: Option<String>,
}
