//! What is told.

use crate::world::{admin, create_release, eventually, install, named, namespace, serin, shared};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event as Stored;
use kube::Api;
use kube::api::ListParams;
use serin_controller::cluster::events::Events;
use serin_controller::kind::Kind;
use serin_controller::update::Event;

#[tokio::test]
async fn what_happens_to_a_release_is_an_event_of_it_and_the_same_again_is_not_another() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "events")?;
    let user = admin(cluster).await?;
    let uid = create_release(&user, "events", "checkout").await?.metadata.uid.context("no uid")?;
    let events = Events::spawn(serin(&cluster.kubeconfig(), &install(cluster, "events")?).await?, "replica-1");
    let event = |warning, message: &str| Event { warning, reason: "PhaseChanged".to_owned(), message: message.to_owned() };
    let told = [
        event(false, "It is Progressing."),
        event(false, "It is Progressing."),
        event(true, "It is Aborted."),
        event(false, &"µ".repeat(2_000)),
    ];
    events.tell(Kind::CanaryRelease, &named("events", "checkout"), &uid, &told);

    let api = Api::<Stored>::namespaced(user, "events");
    let list = || async {
        let mut items = api.list(&ListParams::default()).await?.items;
        ensure!(items.len() == 3, "{} Events", items.len());
        items.sort_by_key(|event| event.note.clone());
        Ok(items)
    };
    let items = eventually("three Events", list).await?;
    let shown: Vec<_> = items.iter().map(|event| (event.type_.as_deref(), event.note.as_deref())).collect();
    assert_eq!(shown[0], (Some("Warning"), Some("It is Aborted.")));
    assert_eq!(shown[1], (Some("Normal"), Some("It is Progressing.")));
    assert_eq!(shown[2].1.map(str::len), Some(1024));
    for event in &items {
        let regarding = event.regarding.as_ref().context("no regarding")?;
        assert_eq!((regarding.kind.as_deref(), regarding.uid.as_deref()), (Some("CanaryRelease"), Some(uid.as_str())));
        assert_eq!(event.reporting_instance.as_deref(), Some("replica-1"));
    }
    let described = cluster.kubectl(&["describe", "canaryrelease", "checkout", "-n", "events"], "")?.ok()?;
    ensure!(described.contains("It is Aborted."), "{described}");
    Ok(())
}
