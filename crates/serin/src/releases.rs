//! `get`, `watch`, `wait` and the commands, on a cluster or on a standalone.

mod arguments;
mod table;

use anyhow::{Context, bail};
pub(crate) use arguments::Command;
use arguments::{Named, Target};
use serde_json::Value;
use serin_controller::admin::Name;
use serin_controller::client::{self, AdminClient, Client, ClusterClient, next_token};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often `watch` and `wait` look.
const INTERVAL: Duration = Duration::from_millis(500);

/// An order to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// 100 % in one write.
    Promote,
    /// Weight 0 at once.
    Abort,
    /// Keep the weight.
    Pause,
    /// End pauses.
    Resume,
    /// End the running step.
    Skip,
    /// From Aborted to the first step.
    Retry,
}

struct Connected {
    client: Client,
    namespace: Option<String>,
    default_namespace: String,
}

impl Target {
    async fn connect(&self) -> anyhow::Result<Connected> {
        let (client, default_namespace) = match &self.admin {
            Some(address) => (Client::Admin(AdminClient::new(address)), "default".to_owned()),
            None => {
                let client = ClusterClient::infer().await?;
                let namespace = client.default_namespace().to_owned();
                (Client::Cluster(client), namespace)
            }
        };
        Ok(Connected { client, namespace: self.namespace.clone(), default_namespace })
    }
}

impl Connected {
    fn name(&self, name: &str) -> Name {
        Name { namespace: self.namespace.clone().unwrap_or_else(|| self.default_namespace.clone()), name: name.to_owned() }
    }

    /// One release by name, or all of the namespace; on a standalone without `-n` all there are.
    async fn read(&self, name: Option<&str>) -> anyhow::Result<Vec<Value>> {
        match (name, &self.client) {
            (Some(name), _) => Ok(vec![self.client.release(&self.name(name)).await?]),
            (None, Client::Admin(_)) => self.client.list(self.namespace.as_deref()).await,
            (None, Client::Cluster(_)) => self.client.list(Some(self.namespace.as_deref().unwrap_or(&self.default_namespace))).await,
        }
    }
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Get { name, output, target } => get(&target, name.as_deref(), output.is_some()).await,
        Command::Watch { name, target } => watch(&target, name.as_deref()).await,
        Command::Wait { release, timeout } => wait(&release, Duration::from_secs(timeout)).await,
        Command::Promote { release, yes } => order(&release, Order::Promote, yes).await,
        Command::Abort(release) => order(&release, Order::Abort, true).await,
        Command::Pause(release) => order(&release, Order::Pause, true).await,
        Command::Resume(release) => order(&release, Order::Resume, true).await,
        Command::Skip(release) => order(&release, Order::Skip, true).await,
        Command::Retry(release) => order(&release, Order::Retry, true).await,
    }
}

/// `serin get [NAME]`.
async fn get(target: &Target, name: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let releases = target.connect().await?.read(name).await?;
    match (json, name, releases.as_slice()) {
        (true, Some(_), [release]) => println!("{release:#}"),
        (true, ..) => println!("{:#}", Value::Array(releases)),
        (false, _, []) => println!("No releases found."),
        (false, ..) => print!("{}", table::render(&releases, now())),
    }
    Ok(ExitCode::SUCCESS)
}

/// `serin watch [NAME]`: redraws in a terminal, else a line for each change, until it is interrupted.
async fn watch(target: &Target, name: Option<&str>) -> anyhow::Result<ExitCode> {
    let connected = target.connect().await?;
    let terminal = std::io::stdout().is_terminal();
    let mut last = String::new();
    loop {
        let releases = connected.read(name).await?;
        let drawn = if terminal { table::draw(&releases, now()) } else { table::render(&releases, now()) };
        if drawn != last {
            let mut out = std::io::stdout().lock();
            // A terminal is drawn over from its top left corner.
            let written = if terminal { write!(out, "\x1b[2J\x1b[H{drawn}") } else { write!(out, "{}", table::new_lines(&last, &drawn)) };
            if written.and_then(|()| out.flush()).is_err() {
                return Ok(ExitCode::SUCCESS);
            }
            last = drawn;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// `serin wait NAME`: 0 on Promoted or Completed, 1 on Aborted, 2 when the time is over.
async fn wait(release: &Named, timeout: Duration) -> anyhow::Result<ExitCode> {
    let connected = release.target.connect().await?;
    let name = connected.name(&release.name);
    let end = Instant::now() + timeout;
    loop {
        let release = connected.client.release(&name).await?;
        let phase = release.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending");
        let message = release.pointer("/status/message").and_then(Value::as_str).unwrap_or_default();
        match phase {
            "Promoted" | "Completed" => {
                println!("{phase}: {message}");
                return Ok(ExitCode::SUCCESS);
            }
            "Aborted" => {
                println!("{phase}: {message}");
                return Ok(ExitCode::from(1));
            }
            _ if Instant::now() >= end => {
                eprintln!("timed out after {timeout:?}, still {phase}: {message}");
                return Ok(ExitCode::from(2));
            }
            _ => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// `serin promote|abort|pause|resume|skip|retry NAME`: writes the annotation, waits until it is decided, and tells the result.
async fn order(release: &Named, order: Order, yes: bool) -> anyhow::Result<ExitCode> {
    let connected = release.target.connect().await?;
    let name = connected.name(&release.name);
    let release = connected.client.release(&name).await?;
    if order == Order::Promote && !yes && std::io::stdin().is_terminal() && !confirmed(&release)? {
        println!("Nothing was changed.");
        return Ok(ExitCode::from(1));
    }
    let token = next_token(&release);
    match order.verb() {
        None => connected.client.annotate(&name, client::ABORT, &token).await?,
        Some(verb) => connected.client.annotate(&name, client::COMMAND, &format!("{verb}@{token}")).await?,
    };
    let end = Instant::now() + Duration::from_secs(30);
    let record = if order == Order::Abort { "/status/lastAbort" } else { "/status/lastCommand" };
    loop {
        let release = connected.client.release(&name).await?;
        let text = |field: &str| release.pointer(&format!("{record}/{field}")).and_then(Value::as_str);
        if text("token") == Some(&token) {
            let message = text("message").unwrap_or_default();
            if text("result") == Some("Refused") {
                bail!("{} of {}/{} was refused: {message}", order.word(), name.namespace, name.name);
            }
            print!("{}", table::render(&[release], now()));
            return Ok(ExitCode::SUCCESS);
        }
        if Instant::now() >= end {
            let meanwhile = if order == Order::Abort { "; every replica serves stable by itself meanwhile" } else { "" };
            bail!("{} was written, but no leader has taken it up within 30 s{meanwhile}: see the pods of serin", order.word());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Order {
    fn word(self) -> &'static str {
        self.verb().unwrap_or("abort")
    }

    /// The word of the command annotation; abort has an annotation of its own.
    fn verb(self) -> Option<&'static str> {
        match self {
            Self::Promote => Some("promote"),
            Self::Pause => Some("pause"),
            Self::Resume => Some("resume"),
            Self::Skip => Some("skip"),
            Self::Retry => Some("retry"),
            Self::Abort => None,
        }
    }
}

fn confirmed(release: &Value) -> anyhow::Result<bool> {
    let weight = release.pointer("/status/weight").and_then(Value::as_str).unwrap_or("0");
    let name = release["metadata"]["name"].as_str().unwrap_or_default();
    print!("Promote {name}: {weight} % -> 100 %, for everyone, at once? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
