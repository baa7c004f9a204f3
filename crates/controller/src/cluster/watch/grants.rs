//! ReferenceGrants, in the version that the cluster has: Gateway API is installed apart from Kubernetes, or not at all.

use super::{Told, as_stored, config, lasting, read, refused_with, tell};
use crate::update::{Delta, Update};
use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use kube::api::{ApiResource, DynamicObject};
use kube::core::{DeserializeGuard, GroupVersionKind};
use kube::runtime::watcher::{Event, Result, watcher};
use kube::{Api, Client};
use serin_compiler::AnyReferenceGrant;
use tokio::sync::mpsc;

const GROUP: &str = "gateway.networking.k8s.io";
const PLURAL: &str = "referencegrants";
/// Of Gateway API 1.5 and newer.
const NEW: &str = "v1";
/// Of those before, and for some time beside the other.
const OLD: &str = "v1beta1";

type Grant = DeserializeGuard<DynamicObject>;

/// Follows them in these namespaces or, when none is named, in all. Those that may not be read are as absent, and so are all while the
/// cluster does not have the kind.
pub(super) async fn follow(client: Client, namespaces: &[String], updates: mpsc::Sender<Update>) {
    let scopes = if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    let sources = scopes.into_iter().map(|scope| lasting(events(client.clone(), scope)).boxed()).collect();
    let unreadable = Some(Update::ReferenceGrant(Delta::Listed(Vec::new())));
    tell(sources, Told { update: Update::ReferenceGrant, unreadable }, |object| read(object, grant), updates).await;
}

fn grant(object: DynamicObject) -> Option<AnyReferenceGrant> {
    as_stored(object).map(AnyReferenceGrant)
}

/// Events of one watch. When its version is not served any more the next one is of the version that is.
fn events(client: Client, namespace: Option<String>) -> impl Stream<Item = Result<Event<Grant>>> + Send {
    unfold(None, move |watch: Option<BoxStream<'static, Result<Event<Grant>>>>| {
        let (client, namespace) = (client.clone(), namespace.clone());
        async move {
            let mut watch = match watch {
                Some(watch) => watch,
                None => watcher(api(client, namespace.as_deref()).await, config()).boxed(),
            };
            let event = watch.next().await?;
            let is_missing = event.as_ref().is_err_and(|error| refused_with(error, 404));
            Some((event, (!is_missing).then_some(watch)))
        }
    })
}

async fn api(client: Client, namespace: Option<&str>) -> Api<Grant> {
    // Whatever else is wrong, the watch meets it too, and tells.
    let served = client.list_api_group_resources(&format!("{GROUP}/{NEW}")).await.map(|list| list.resources).unwrap_or_default();
    let version = if served.iter().any(|resource| resource.name == PLURAL) { NEW } else { OLD };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, version, "ReferenceGrant"), PLURAL);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}
