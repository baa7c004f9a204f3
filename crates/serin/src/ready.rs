//! `serin ready`.

use clap::Args;
use serin_controller::client::AdminClient;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often it asks.
const INTERVAL: Duration = Duration::from_millis(500);

/// The options of `serin ready`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The admin address, such as 127.0.0.1:9901.
    #[arg(long, env = "SERIN_ADMIN_ADDRESS", value_name = "HOST:PORT", default_value = "127.0.0.1:9901")]
    admin: String,
    /// How long it may take, in seconds. Default: it asks once.
    #[arg(long, default_value_t = 0)]
    timeout: u64,
}

/// Asks until it is ready or the time is over.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let admin = AdminClient::new(&options.admin);
    let end = Instant::now() + Duration::from_secs(options.timeout);
    loop {
        let why = match admin.ready().await {
            Ok(Ok(())) => {
                println!("{} is ready", options.admin);
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Err(why)) => format!("{} is not ready: {why}", options.admin),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= end {
            eprintln!("{why}");
            return Ok(ExitCode::FAILURE);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
