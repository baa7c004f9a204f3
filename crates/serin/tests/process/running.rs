//! A `serin standalone` that runs.

use crate::site::PATIENCE;
use anyhow::{Context, Result, ensure};
use serin_testkit::ask::{Answer, get};
use serin_testkit::eventually;
use serin_testkit::process::Process;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The process and the ports that it got.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The binary under test; what the caller has in the environment does not reach it.
pub(crate) fn serin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SERIN_")) {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

impl Running {
    /// Serves the folder here, port 0 for any, with its state in a file of the folder; returns when it is ready.
    pub(crate) fn start(folder: &Path, http: SocketAddr, state: &str) -> Result<Self> {
        Self::start_with(folder, http, state, &[])
    }

    /// The same with further options.
    pub(crate) fn start_with(folder: &Path, http: SocketAddr, state: &str, options: &[String]) -> Result<Self> {
        let log = folder.join(format!("{state}.log"));
        let printed_before = fs::read(&log).unwrap_or_default().len();
        let mut command = serin();
        command.arg("standalone").arg("--manifests").arg(folder).args(["--http", &http.to_string(), "--admin", "127.0.0.1:0"]);
        command.args(["--workers", "2", "--state"]).arg(folder.join(state)).args(options);
        let mut process = Process::start("serin standalone", command, &log)?;
        let addresses = eventually("it prints its addresses", PATIENCE, || {
            if process.ended()?.is_some() {
                return Ok(None);
            }
            let printed = process.log().split_off(printed_before);
            Ok(Some((address(&printed, "http")?, address(&printed, "admin")?)))
        })?;
        let (http, admin) = addresses.with_context(|| format!("it ended:\n{}", process.last_lines()))?;
        let running = Self { process, http, admin };
        running.is_ready()?;
        Ok(running)
    }

    fn is_ready(&self) -> Result<()> {
        eventually("it is ready", PATIENCE, || {
            let answer = self.ask("/readyz")?;
            ensure!(answer.status == 200, "{answer:?}\n{}", self.process.last_lines());
            Ok(())
        })
    }

    /// What the admin port answers.
    pub(crate) fn ask(&self, path: &str) -> Result<Answer> {
        get(self.admin, path, &[("Host", "localhost")])
    }

    /// The value of a series on `/metrics`.
    pub(crate) fn metric(&self, series: &str) -> Result<f64> {
        let metrics = self.ask("/metrics")?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {series} in:\n{metrics}"))?.parse()?)
    }
}

/// As a script reads it: the second word of the line that begins so.
pub(crate) fn address(printed: &str, name: &str) -> Result<SocketAddr> {
    let line = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|words| words.first() == Some(&name));
    let url = line.and_then(|words| words.get(1).copied()).with_context(|| format!("no {name} in:\n{printed}"))?;
    Ok(url.trim_start_matches("http://").parse()?)
}
