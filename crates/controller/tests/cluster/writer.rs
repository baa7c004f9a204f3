//! What is written.

use crate::world::{CRD, admin, create_release, eventually, install, named, namespace, releases, serin, shared};
use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use serin_controller::cluster::lease::{self, Leadership, Options, Times};
use serin_controller::cluster::writer::{Outcome, StatusWriter};
use serin_controller::kind::Kind;
use serin_controller::update::StatusWrite;
use serin_testkit::cluster::Cluster;
use std::time::Duration;
use tokio::sync::oneshot;

/// A leader with a release to write to. It leads until the sender goes.
struct Leader {
    user: Client,
    writer: StatusWriter,
    leadership: Leadership,
    namespace: &'static str,
    stop: Option<oneshot::Sender<()>>,
}

impl Leader {
    async fn start(cluster: &Cluster, namespace: &'static str) -> Result<Self> {
        let client = serin(&cluster.kubeconfig(), &install(cluster, namespace)?).await?;
        let options = Options {
            namespace: namespace.to_owned(),
            name: "serin".to_owned(),
            identity: "writer".to_owned(),
            times: Times { retry: Duration::from_millis(200), ..Times::default() },
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (leadership, _) = lease::spawn(client.clone(), options, async { drop(stopped.await) });
        leadership.changes().wait_for(|leads| *leads).await?;
        let user = admin(cluster).await?;
        create_release(&user, namespace, "checkout").await?;
        let writer = StatusWriter::new(client, leadership.clone());
        Ok(Self { user, writer, leadership, namespace, stop: Some(stop) })
    }

    /// The release as it is now, with this status to write.
    async fn decided(&self, status: Value) -> Result<StatusWrite> {
        let object = releases(&self.user, self.namespace).get("checkout").await?;
        Ok(StatusWrite {
            kind: Kind::CanaryRelease,
            name: named(self.namespace, "checkout"),
            uid: object.metadata.uid.context("no uid")?,
            resource_version: object.metadata.resource_version.context("no resourceVersion")?,
            status,
            events: Vec::new(),
        })
    }

    async fn status(&self) -> Result<Value> {
        Ok(releases(&self.user, self.namespace).get("checkout").await?.data["status"].clone())
    }
}

#[tokio::test]
async fn a_status_is_written_once_and_only_onto_what_it_was_decided_from() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "write-guard")?;
    let leader = Leader::start(cluster, "write-guard").await?;
    let first = leader.decided(json!({"phase": "Progressing", "message": "a", "weight": "5"})).await?;
    let report = leader.writer.write(&first).await;
    let Outcome::Written(version) = &report.outcome else { anyhow::bail!("{report:?}") };
    assert_ne!(*version, first.resource_version);
    assert!(report.cut.is_empty(), "{report:?}");

    // Decided from what is no longer there.
    assert_eq!(
        leader.writer.write(&StatusWrite { status: json!({"phase": "Promoted"}), ..first.clone() }).await.outcome,
        Outcome::Conflict
    );
    // The same onto the new one.
    let again = StatusWrite { resource_version: version.clone(), ..first.clone() };
    assert_eq!(leader.writer.write(&again).await.outcome, Outcome::Unchanged);
    assert_eq!(leader.decided(Value::Null).await?.resource_version, *version);
    // The whole is written: what is left out goes.
    let whole = StatusWrite { status: json!({"phase": "Paused", "message": null}), ..again };
    assert!(matches!(leader.writer.write(&whole).await.outcome, Outcome::Written(_)));
    assert_eq!(leader.status().await?, json!({"phase": "Paused"}));
    Ok(())
}

/// Two Leases stand for one that two replicas both believe to hold: whatever the election does, the guard holds alone.
#[tokio::test]
async fn of_two_leaders_that_decide_from_the_same_object_one_writes() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "write-two")?;
    namespace(cluster, "write-too")?;
    let (one, other) = (Leader::start(cluster, "write-two").await?, Leader::start(cluster, "write-too").await?);
    for round in 0..20 {
        let write = |who: &str| one.decided(json!({"weight": format!("{round}"), "message": who.to_owned()}));
        let (first, second) = (write("one").await?, write("other").await?);
        assert_eq!(first.resource_version, second.resource_version);
        let (first, second) = futures::join!(one.writer.write(&first), other.writer.write(&second));
        let (winner, loser) = match &first.outcome {
            Outcome::Written(_) => ("one", &second),
            _ => ("other", &first),
        };
        assert_eq!(loser.outcome, Outcome::Conflict, "round {round}: {first:?} {second:?}");
        assert_eq!(one.status().await?["message"], winner, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn without_the_guard_nothing_is_sent_and_what_is_not_there_is_gone() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "write-gone")?;
    let leader = Leader::start(cluster, "write-gone").await?;
    let write = leader.decided(json!({"phase": "Promoted"})).await?;
    for bare in [StatusWrite { resource_version: String::new(), ..write.clone() }, StatusWrite { uid: String::new(), ..write.clone() }] {
        assert!(matches!(leader.writer.write(&bare).await.outcome, Outcome::Refused(_)));
    }
    assert_eq!(leader.status().await?, Value::Null);
    let elsewhere = StatusWrite { name: named("write-gone", "other"), ..write.clone() };
    assert_eq!(leader.writer.write(&elsewhere).await.outcome, Outcome::Gone);
    // Another object of the same name. It is the resourceVersion that stops this; the API server takes a wrong uid alone.
    releases(&leader.user, "write-gone").delete("checkout", &DeleteParams::default()).await?;
    create_release(&leader.user, "write-gone", "checkout").await?;
    assert_eq!(leader.writer.write(&write).await.outcome, Outcome::Conflict);
    assert_eq!(leader.status().await?, Value::Null);
    Ok(())
}

#[tokio::test]
async fn who_does_not_lead_any_more_writes_nothing() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "write-lost")?;
    let mut leader = Leader::start(cluster, "write-lost").await?;
    let write = leader.decided(json!({"phase": "Progressing"})).await?;
    drop(leader.stop.take());
    leader.leadership.changes().wait_for(|leads| !*leads).await?;
    assert_eq!(leader.writer.write(&write).await.outcome, Outcome::NotLeader);
    assert_eq!(leader.status().await?, Value::Null);
    Ok(())
}

#[tokio::test]
async fn an_older_crd_takes_what_it_knows_and_a_newer_one_the_rest() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(&without(&["measured"])?)?;
    let leader = Leader::start(&cluster, "serin-system").await?;
    let status = json!({"phase": "Progressing", "measured": {"weight": "24.8"}});
    let write = leader.decided(status.clone()).await?;
    let report = leader.writer.write(&write).await;
    assert!(matches!(report.outcome, Outcome::Written(_)), "{report:?}");
    assert_eq!((report.cut, leader.status().await?), (vec!["status.measured".to_owned()], json!({"phase": "Progressing"})));

    cluster.apply_crds(CRD)?;
    let whole = || async {
        let report = leader.writer.write(&leader.decided(status.clone()).await?).await;
        ensure!(report.cut.is_empty() && matches!(report.outcome, Outcome::Written(_) | Outcome::Unchanged), "{report:?}");
        ensure!(leader.status().await? == status, "{}", leader.status().await?);
        Ok(())
    };
    eventually("the newer CRD's field is written", whole).await?;

    cluster.apply_crds(&without(&["measured", "message"])?)?;
    let status = json!({"phase": "Paused", "message": "a", "measured": {"weight": "24.8"}});
    let reduced = || async {
        let report = leader.writer.write(&leader.decided(status.clone()).await?).await;
        ensure!(report.cut == ["status.measured", "status.message"], "{report:?}");
        ensure!(matches!(report.outcome, Outcome::Written(_) | Outcome::Unchanged), "{report:?}");
        Ok(())
    };
    eventually("a CRD that lost fields is written to", reduced).await
}

/// The CRD without these fields of its status.
fn without(fields: &[&str]) -> Result<String> {
    let mut crd: Value = serde_saphyr::from_str(CRD)?;
    let status = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties").context("no status")?;
    for field in fields {
        status.as_object_mut().context("no object")?.remove(*field).with_context(|| format!("no {field}"))?;
    }
    Ok(crd.to_string())
}
