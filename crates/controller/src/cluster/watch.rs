//! What happens to the objects that serin reads, as [`Update`]s.
//!
//! One task a kind. Whatever goes wrong with one kind or one object stays there: a watch that breaks is taken up again, an object that
//! cannot be read is as absent (so every replica, and a fresh list, see the same), and a kind that the API server does not know has no
//! objects until it does.

mod gather;
mod grants;
mod managers;
mod needed;
mod secrets;

use super::publish::{ServiceName, addresses};
use crate::kind::Kind;
use crate::update::{Delta, Update};
use futures::stream::BoxStream;
use futures::stream::select_all;
use futures::{Stream, StreamExt};
use gather::{Gather, Key, Seen};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::DynamicObject;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Error, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
pub use needed::NeededWatches;
pub use secrets::SecretWatches;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info_span, warn};

/// The API server ends a watch after this many seconds, and kube takes one as dead that is silent for 5 s more.
const WATCH_SECONDS: u32 = 50;
/// The longest wait before a broken watch is tried again. kube's own goes up to a minute; an abort would be seen as late as
/// that, and a line that is laid once the API server is back would be a jump by as much.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The largest annotation of objects that people apply; nobody here reads it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Watches every kind, in these namespaces or, when none is named, in all. A task ends only when nobody takes its updates any more. Where
/// IngressClasses are optional they count as absent when they may not be read; else that right is waited for.
pub fn spawn(client: &Client, namespaces: &[String], optional_classes: bool, updates: &mpsc::Sender<Update>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut watch = |kind: &'static str, task: futures::future::BoxFuture<'static, ()>| {
        tasks.spawn(task.instrument(info_span!("watch", kind)));
    };
    watch("Service", Box::pin(follow(namespaced::<Service>(client, namespaces), Update::Service, Some, updates.clone())));
    watch("EndpointSlice", Box::pin(follow(namespaced::<EndpointSlice>(client, namespaces), Update::EndpointSlice, Some, updates.clone())));
    watch("Ingress", Box::pin(follow(namespaced::<Ingress>(client, namespaces), Update::Ingress, Some, updates.clone())));
    let classes: Vec<Api<DeserializeGuard<IngressClass>>> = vec![Api::all(client.clone())];
    let unreadable = optional_classes.then(|| Update::IngressClass(Delta::Listed(Vec::new())));
    let sources = classes.into_iter().map(|api| lasting(watcher(api, config())).boxed()).collect();
    let classes = tell(sources, Told { update: Update::IngressClass, unreadable }, |object| read(object, Some), updates.clone());
    watch("IngressClass", Box::pin(classes));
    for kind in Kind::ALL {
        let (update, unreadable): (fn(_) -> _, _) = match kind {
            // Whoever reads one as absent leaves its routes open, so a replica that may not read them waits for the right.
            Kind::AuthPolicy => (Update::AuthPolicy, None),
            Kind::BackendPolicy => (Update::BackendPolicy, None),
            Kind::CanaryRelease => (Update::CanaryRelease, None),
            Kind::Consumer => (Update::Consumer, Some(Update::Unreadable(kind))),
            // None of serin's own, and watched above.
            Kind::Ingress => continue,
        };
        let sources = ours(kind, client, namespaces).into_iter().map(|api| lasting(watcher(api, config())).boxed()).collect();
        let task = tell(sources, Told { update, unreadable }, |object| read(object, as_stored), updates.clone());
        watch(kind.name(), Box::pin(task));
    }
    tasks
}

/// Watches the one Service whose addresses Ingresses show: by its name, so that a right to that one is enough.
pub async fn published(client: Client, ServiceName { namespace, name }: ServiceName, updates: mpsc::Sender<Update>) {
    let api: Api<DeserializeGuard<Service>> = Api::namespaced(client, &namespace);
    let events = watcher(api, config().fields(&format!("metadata.name={name}")));
    let known = |service: Option<&Service>| {
        if service.is_none() {
            warn!(namespace, name, "the Service of --publish-service does not exist, so the status of Ingresses stays as it is");
        }
        Update::Addresses(service.map(addresses))
    };
    let update = |delta: Delta<Service>| match delta {
        Delta::Applied(service) => known(Some(&*service)),
        Delta::Deleted(_) => known(None),
        Delta::Listed(services) => known(services.first()),
    };
    tell(vec![lasting(events).boxed()], Told { update, unreadable: None }, |object| read(object, Some), updates).await;
}

/// The EndpointSlices of one Service, as they change.
pub(super) async fn slices_of(client: Client, ServiceName { namespace, name }: ServiceName, found: mpsc::Sender<Delta<EndpointSlice>>) {
    let api: Api<DeserializeGuard<EndpointSlice>> = Api::namespaced(client, &namespace);
    let mut events = lasting(watcher(api, config().labels(&format!("kubernetes.io/service-name={name}")))).boxed();
    let mut gather = Gather::new(1);
    while let Some(event) = events.next().await {
        let read = |slice: DeserializeGuard<EndpointSlice>| read(slice, Some);
        let seen = match seen(event, &read) {
            // They are waited for.
            Seen::Forbidden => Seen::Broken,
            seen => seen,
        };
        for delta in gather.take(0, seen) {
            if found.send(delta).await.is_err() {
                return;
            }
        }
    }
}

fn namespaced<K>(client: &Client, namespaces: &[String]) -> Vec<Api<DeserializeGuard<K>>>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    }
}

fn ours(kind: Kind, client: &Client, namespaces: &[String]) -> Vec<Api<DeserializeGuard<DynamicObject>>> {
    let kind = kind.resource();
    match namespaces {
        [] => vec![Api::all_with(client.clone(), &kind)],
        some => some.iter().map(|namespace| Api::namespaced_with(client.clone(), namespace, &kind)).collect(),
    }
}

/// An object of serin's as it is stored, but for what [`read`] drops.
fn as_stored(object: DynamicObject) -> Option<Value> {
    serde_json::to_value(object).ok()
}

/// Follows one kind in all its namespaces.
async fn follow<K, T>(
    apis: Vec<Api<DeserializeGuard<K>>>,
    update: fn(Delta<T>) -> Update,
    shape: fn(K) -> Option<T>,
    updates: mpsc::Sender<Update>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let sources = apis.into_iter().map(|api| lasting(watcher(api, config())).boxed()).collect();
    tell(sources, Told { update, unreadable: None }, |object| read(object, shape), updates).await;
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// How a change is told.
struct Told<F> {
    update: F,
    /// Told when it is certain that the kind may not be read: then it counts as absent. None: it is waited for.
    unreadable: Option<Update>,
}

/// Tells what changes in these sources, as one.
async fn tell<O, T>(
    sources: Vec<BoxStream<'static, watcher::Result<Event<O>>>>,
    Told { update, unreadable }: Told<impl Fn(Delta<T>) -> Update>,
    read: impl Fn(O) -> (Key, Option<T>),
    updates: mpsc::Sender<Update>,
) where
    O: Send + 'static,
{
    let mut gather = Gather::new(sources.len());
    let numbered = sources.into_iter().enumerate().map(|(source, events)| events.map(move |event| (source, event)).boxed());
    let mut events = select_all(numbered);
    while let Some((source, event)) = events.next().await {
        let seen = match seen(event, &read) {
            Seen::Forbidden if unreadable.is_none() => Seen::Broken,
            seen => seen,
        };
        let forbidden = matches!(seen, Seen::Forbidden);
        let deltas = gather.take(source, seen);
        let unreadable = unreadable.as_ref().filter(|_| forbidden && !deltas.is_empty());
        if unreadable.is_some() {
            error!("serin may not read this kind, so its objects count as absent: grant list and watch");
        }
        for update in deltas.into_iter().map(&update).chain(unreadable.cloned()) {
            if updates.send(update).await.is_err() {
                return;
            }
        }
    }
}

/// The events of one watch for ever.
///
/// `Init` says only that a list is asked for, and as a success it would undo the waiting. That the API server does not remember what
/// happened since the last event, as after each start, is no failure of its: the list that tells it is asked for at once.
fn lasting<O: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<O>>> + Send + 'static,
) -> impl Stream<Item = watcher::Result<Event<O>>> + Send {
    let tells = |event: &watcher::Result<_>| !matches!(event, Ok(Event::Init)) && !event.as_ref().is_err_and(is_expired);
    events.filter(move |event| std::future::ready(tells(event))).backoff(Patience::default())
}

/// What an event means, and a line in the log about each that means trouble.
fn seen<O, T>(event: watcher::Result<Event<O>>, read: &impl Fn(O) -> (Key, Option<T>)) -> Seen<T> {
    match event {
        // A list begins, so one that was under way does not go on.
        Ok(Event::Init) => Seen::Broken,
        Ok(Event::InitApply(object)) => {
            let (key, object) = read(object);
            object.map_or(Seen::Nothing, |object| Seen::Listing(key, object))
        }
        Ok(Event::InitDone) => Seen::Listed,
        Ok(Event::Apply(object)) => {
            let (key, object) = read(object);
            object.map_or_else(|| Seen::Deleted(key.clone()), |object| Seen::Applied(key.clone(), object))
        }
        Ok(Event::Delete(object)) => Seen::Deleted(read(object).0),
        Err(error) if refused_with(&error, 404) => Seen::Missing,
        Err(error) if refused_with(&error, 403) => {
            warn!(%error, "the watch is refused, and will be tried again");
            Seen::Forbidden
        }
        Err(error) => {
            warn!(%error, "the watch is broken, and will be taken up again");
            Seen::Broken
        }
    }
}

/// The object without what nobody reads; none when it is not of its kind's shape.
fn read<K: Resource, T>(object: DeserializeGuard<K>, shape: fn(K) -> Option<T>) -> (Key, Option<T>) {
    let key = key(&object);
    match object.0 {
        Ok(mut object) => {
            managers::keep_tools(object.managed_fields_mut());
            object.annotations_mut().remove(LAST_APPLIED);
            (key, shape(object))
        }
        Err(invalid) => {
            warn!(namespace = key.0, name = key.1, error = invalid.error, "an object is not of its kind's shape, and taken as absent");
            (key, None)
        }
    }
}

fn key<K: Resource>(object: &K) -> Key {
    (object.meta().namespace.clone().unwrap_or_default(), object.meta().name.clone().unwrap_or_default())
}

/// Whether the API server answers so. 404 says that it does not know the kind: only then is it certain that there is no object.
fn refused_with(error: &Error, code: u16) -> bool {
    let (Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchStartFailed(kube::Error::Api(status))) = error else {
        return false;
    };
    status.code == code
}

/// Whether what happened since the last event is not known any more (410): kube lists again.
fn is_expired(error: &Error) -> bool {
    matches!(error, Error::WatchError(status) if status.code == 410)
}

/// kube's waits between attempts, cut short.
#[derive(Default)]
struct Patience(DefaultBackoff);

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|wait| wait.min(LONGEST_WAIT))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests;
