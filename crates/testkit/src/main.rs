//! `testkit`: what tests run as a process, beside or inside a namespace.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// What tests run as a process
#[derive(Parser)]
#[command(name = "testkit")]
enum Arguments {
    /// Builds etcd, kube-apiserver and kubectl if need be and prints their folder; ends with 69 and prints what is missing when they cannot
    /// run here
    Kubernetes,
}

/// `EX_UNAVAILABLE`: something that the machine lacks.
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("testkit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments {
        Arguments::Kubernetes => kubernetes(),
    }
}

fn kubernetes() -> Result<ExitCode> {
    if let Some(reason) = missing() {
        println!("{reason}");
        return Ok(ExitCode::from(UNAVAILABLE));
    }
    println!("{}", serin_testkit::kubernetes::binaries()?.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(target_os = "linux")]
fn missing() -> Option<String> {
    serin_testkit::cluster::missing()
}

#[cfg(not(target_os = "linux"))]
fn missing() -> Option<String> {
    Some("network namespaces need Linux".into())
}
