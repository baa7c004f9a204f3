//! A replica in a process of its own, which only elects and writes: to be frozen and killed, with a clock of its own.
//!
//! It is the test binary itself, started again with the name of the test and [`ROLE`] in its environment; so each test that starts
//! replicas begins with [`role`].

use crate::world::{named, releases, serin};
use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};
use serin_controller::cluster::lease::{self, Options, Times};
use serin_controller::cluster::writer::StatusWriter;
use serin_controller::cluster::{ServerClock, lease::Leadership};
use serin_controller::kind::Kind;
use serin_controller::update::StatusWrite;
use serin_testkit::cluster::Cluster;
use serin_testkit::process::{Process, shift_clock};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What a replica is told, as JSON.
const ROLE: &str = "SERIN_TEST_REPLICA";

/// The replicas of one test.
pub(crate) struct Replicas<'a> {
    /// Where.
    pub(crate) cluster: &'a Cluster,
    /// The name of the test, as the test binary takes it.
    pub(crate) test: &'a str,
    /// serin's own namespace; the release that they write to is there too.
    pub(crate) namespace: &'a str,
    /// Of serin's service account.
    pub(crate) token: &'a str,
    /// How they elect.
    pub(crate) times: Times,
}

impl Replicas<'_> {
    /// Starts one, whose wall clock is ahead by so many seconds.
    pub(crate) fn start(&self, identity: &str, ahead: i64) -> Result<Process> {
        let millis = |duration: Duration| json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        let role = json!({
            "kubeconfig": self.cluster.kubeconfig(), "token": self.token, "namespace": self.namespace, "identity": identity,
            "lease": millis(self.times.lease), "deadline": millis(self.times.renew_deadline), "retry": millis(self.times.retry),
        });
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", self.test, "--nocapture", "--test-threads=1"]).env(ROLE, role.to_string());
        if ahead != 0 {
            shift_clock(&mut command, ahead)?;
        }
        Process::start(identity, command, &self.cluster.folder().join(format!("{}-{identity}.log", self.namespace)))
    }
}

/// In a replica: does its work until SIGTERM, and gives how it ended. In the test itself: none.
pub(crate) fn role() -> Option<Result<()>> {
    let role = std::env::var(ROLE).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Some(runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&role))))
}

/// Prints `leads true`, `leads false`, and the outcome of each write; it tries to write all the time, leader or not.
async fn run(role: &str) -> Result<()> {
    let role: Value = serde_json::from_str(role)?;
    let text = |key: &str| role[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
    let duration = |key: &str| role[key].as_u64().map(Duration::from_millis).with_context(|| format!("no {key}"));
    let times = Times { lease: duration("lease")?, renew_deadline: duration("deadline")?, retry: duration("retry")? };
    let client = serin(Path::new(&text("kubeconfig")?), &text("token")?).await?;
    let options = Options { namespace: text("namespace")?, name: "serin".to_owned(), identity: text("identity")?, times };
    let mut term = signal(SignalKind::terminate())?;
    let (leadership, election) = lease::spawn(client.clone(), options, async move { term.recv().await.unwrap_or_default() });
    let clock = ServerClock::spawn(client.clone());
    let replica =
        Replica { writer: StatusWriter::new(client.clone(), leadership.clone()), client, leadership, namespace: text("namespace")? };
    let mut changes = replica.leadership.changes();
    let telling = async {
        while changes.changed().await.is_ok() {
            println!("leads {}", *changes.borrow_and_update());
        }
    };
    let writing = async {
        let mut skew = None;
        for n in 0_u64.. {
            println!("{}", replica.write(n).await.unwrap_or_else(|error| format!("error {error:#}")));
            if skew.is_none() {
                skew = clock.skew().inspect(|skew| println!("skew {}", skew.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        ended = election => ended?,
        () = telling => {}
        () = writing => {}
    }
    Ok(())
}

struct Replica {
    client: kube::Client,
    writer: StatusWriter,
    leadership: Leadership,
    namespace: String,
}

impl Replica {
    async fn write(&self, n: u64) -> Result<String> {
        let list = releases(&self.client, &self.namespace).list(&ListParams::default()).await?;
        let object = list.items.first().context("no release")?;
        let write = StatusWrite {
            kind: Kind::CanaryRelease,
            name: named(&self.namespace, object.metadata.name.as_deref().unwrap_or_default()),
            uid: object.metadata.uid.clone().context("no uid")?,
            resource_version: object.metadata.resource_version.clone().context("no resourceVersion")?,
            status: json!({"message": format!("{} {n}", self.leadership.identity())}),
            events: Vec::new(),
        };
        Ok(format!("{:?}", self.writer.write(&write).await.outcome))
    }
}

/// How often a line of the log begins so.
pub(crate) fn said(log: &str, line: &str) -> usize {
    log.lines().filter(|it| it.starts_with(line)).count()
}

/// That a line of the log begins so.
pub(crate) fn has_said(process: &Process, line: &str) -> Result<()> {
    ensure!(said(&process.log(), line) > 0, "no `{line}` in:\n{}", process.last_lines());
    Ok(())
}
