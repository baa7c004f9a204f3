//! `testkit`: what tests run as a process, beside or inside a namespace, and in pods.

#[cfg(target_os = "linux")]
mod node_commands;
mod shipped;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};
use http::{HeaderName, StatusCode};
use jiff::SignedDuration;
use serin_testkit::ask;
use serin_testkit::load::{self, Plan, Protocol};
use serin_testkit::origin::{Behaviour, Origin, Share};
use serin_testkit::packages;
use serin_testkit::tools;

/// What tests run as a process
#[derive(Parser)]
#[command(name = "testkit")]
enum Arguments {
    Origin(OriginArguments),
    Load(LoadArguments),
    Get(GetArguments),
    Cluster(ClusterArguments),
    #[cfg(target_os = "linux")]
    Node(node_commands::NodeArguments),
    /// Does nothing until it is told to end: what holds the namespaces of a pod
    Pause,
    /// Builds etcd, kube-apiserver, kubectl, Argo CD, a judge of Flux's, Helm and kubeconform if need be and prints the folder of the first
    /// three; ends with 69 and prints what is missing when tests with them cannot run here
    Kubernetes,
    #[cfg(target_os = "linux")]
    Deploy(DeployArguments),
    Image(shipped::Arguments),
}

/// Serves HTTP/1.1, and HTTP/2 without TLS, until it is told to end; then it finishes what is under way. /ws is a WebSocket that says back
/// what it is told, /sse sends events, /slow?seconds=N takes so long, and gRPC is said back
#[derive(Args)]
struct OriginArguments {
    /// Address and port
    #[arg(long)]
    listen: SocketAddr,
    /// What it answers, in the body and in the header x-origin
    #[arg(long)]
    label: String,
    /// Share of requests that fails
    #[arg(long, default_value = "0%")]
    fail: Share,
    /// Status of a failure
    #[arg(long, default_value = "503")]
    status: StatusCode,
    /// How long an answer takes to begin
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// Answers without end
    #[arg(long)]
    endless: bool,
}

/// Sends requests at a steady rate and prints what came of them as JSON
#[derive(Args)]
struct LoadArguments {
    /// Address and port to connect to
    #[arg(long)]
    target: SocketAddr,
    /// The Host of each request; the target when not given
    #[arg(long)]
    host: Option<String>,
    /// Path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// Requests a second
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// For how long requests fall due
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Identities that take turns; 0 for none
    #[arg(long, default_value_t = 200)]
    users: u64,
    /// The header that carries the identity
    #[arg(long, default_value = "x-user")]
    user_header: HeaderName,
    /// Connections, kept alive
    #[arg(long, default_value_t = 50)]
    connections: u64,
    /// HTTP/2 instead of HTTP/1.1
    #[arg(long)]
    http2: bool,
    /// Requests under way on each connection; more than one by HTTP/2 only
    #[arg(long, default_value_t = 1)]
    streams: u64,
    /// Opens a connection for each request
    #[arg(long)]
    fresh: bool,
    /// A request that takes longer has failed
    #[arg(long, default_value = "10s", value_parser = duration)]
    limit: Duration,
}

/// Sends one request and prints the answer's body; fails for every status but 2xx
#[derive(Args)]
struct GetArguments {
    /// Name or address, and port
    #[arg(long)]
    target: String,
    /// The Host of the request; the target when not given
    #[arg(long)]
    host: Option<String>,
    /// Path and query
    #[arg(long, default_value = "/")]
    path: String,
}

/// Runs a fresh etcd and kube-apiserver until it is ended, for trying things by hand
#[derive(Args)]
struct ClusterArguments {
    /// Applied once the API server is ready; the CRDs of crds/, for example
    #[arg(long)]
    crds: Option<PathBuf>,
    /// An older Kubernetes whose API is served, such as 1.31
    #[arg(long)]
    emulate: Option<String>,
}

/// Writes what `deploy/` has of the chart, by Helm 3, which it builds if need be
#[cfg(target_os = "linux")]
#[derive(Args)]
struct DeployArguments {
    /// The folder
    folder: PathBuf,
}

/// `EX_UNAVAILABLE`: something that the machine lacks.
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let outcome = match Arguments::parse() {
        Arguments::Origin(arguments) => origin(&arguments),
        Arguments::Load(arguments) => load(arguments),
        Arguments::Get(arguments) => get(&arguments),
        Arguments::Cluster(arguments) => cluster(&arguments),
        #[cfg(target_os = "linux")]
        Arguments::Node(arguments) => node_commands::run(&arguments),
        Arguments::Pause => until_told_to_end().map(|()| ExitCode::SUCCESS),
        Arguments::Kubernetes => kubernetes(),
        #[cfg(target_os = "linux")]
        Arguments::Deploy(arguments) => deploy(&arguments),
        Arguments::Image(arguments) => shipped::image(&arguments).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("testkit: {error:#}");
        ExitCode::FAILURE
    })
}

fn origin(arguments: &OriginArguments) -> Result<ExitCode> {
    let origin = Origin::start(arguments.listen, &arguments.label)?;
    let OriginArguments { fail, status, delay, endless, .. } = *arguments;
    origin.behave(Behaviour { fail, status, delay, endless });
    println!("{} listens on {}", arguments.label, origin.address());
    until_told_to_end()?;
    origin.drain();
    Ok(ExitCode::SUCCESS)
}

fn load(arguments: LoadArguments) -> Result<ExitCode> {
    let LoadArguments { target, host, path, rate, duration, users, user_header, connections, http2, streams, fresh, limit } = arguments;
    let host = host.unwrap_or_else(|| target.to_string());
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    let plan = Plan { target, protocol, tls: None, host, path, rate, duration, users, user_header, connections, streams, fresh, limit };
    let report = load::run(&plan)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(ExitCode::SUCCESS)
}

fn get(arguments: &GetArguments) -> Result<ExitCode> {
    let GetArguments { target, host, path } = arguments;
    let mut addresses = target.to_socket_addrs().with_context(|| format!("{target} has no address"))?;
    let address = addresses.next().with_context(|| format!("{target} has no address"))?;
    let answer = ask::get(address, path, &[("Host", host.as_ref().unwrap_or(target))])?;
    print!("{}", answer.body);
    ensure!((200..300).contains(&answer.status), "{target}{path}: {}", answer.status);
    Ok(ExitCode::SUCCESS)
}

#[cfg(target_os = "linux")]
fn cluster(arguments: &ClusterArguments) -> Result<ExitCode> {
    use serin_testkit::cluster::Cluster;

    let cluster = arguments.emulate.as_deref().map_or_else(Cluster::start, Cluster::emulating)?;
    if let Some(path) = &arguments.crds {
        cluster.apply_crds(&std::fs::read_to_string(path).with_context(|| path.display().to_string())?)?;
    }
    println!("KUBECONFIG={}", cluster.kubeconfig().display());
    // The cluster ends with this process, whatever ends that.
    loop {
        std::thread::park();
    }
}

#[cfg(not(target_os = "linux"))]
fn cluster(_: &ClusterArguments) -> Result<ExitCode> {
    anyhow::bail!("network namespaces need Linux")
}

fn kubernetes() -> Result<ExitCode> {
    packages::install(packages::API_SERVER);
    if let Some(reason) = missing() {
        println!("{reason}");
        return Ok(ExitCode::from(UNAVAILABLE));
    }
    serin_testkit::argocd::program()?;
    for tools in [&tools::FLUX, &tools::HELM_3, &tools::HELM_4, &tools::KUBECONFORM] {
        tools.folder()?;
    }
    println!("{}", tools::KUBERNETES.folder()?.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(target_os = "linux")]
fn deploy(arguments: &DeployArguments) -> Result<ExitCode> {
    for (name, text) in serin_testkit::deploy::files(&serin_testkit::helm::Helm::three()?)? {
        let path = arguments.folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(target_os = "linux")]
fn missing() -> Option<String> {
    serin_testkit::cluster::missing().or_else(serin_testkit::process::missing).or_else(serin_testkit::argocd::missing)
}

#[cfg(not(target_os = "linux"))]
fn missing() -> Option<String> {
    Some("network namespaces need Linux".into())
}

/// The first process of a container gets no signal that it does not ask for.
fn until_told_to_end() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// `500ms`, `30s`, `1m30s`.
fn duration(text: &str) -> Result<Duration> {
    let duration: SignedDuration = text.parse().with_context(|| format!("{text} is no duration; say 30s or 500ms"))?;
    Duration::try_from(duration).context("a duration is not negative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_duration_has_a_unit_and_is_not_negative() {
        assert_eq!(duration("1m30s").ok(), Some(Duration::from_secs(90)));
        assert!(duration("30").is_err());
        assert!(duration("-1s").is_err());
    }
}
