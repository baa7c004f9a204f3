//! The Secrets that Consumers and AuthPolicies name, and no others.
//!
//! Each is watched by its name: that is what a Role with `resourceNames` allows, so it works with every grant of rights. Thousands of
//! watches are too dear, so where a namespace has many that are new at once they share one watch of it, which keeps what is named and
//! drops all else unread; where that is not allowed they have one each after all.

use super::{Told, config, lasting, read, refused_with, tell};
use crate::update::{Named, Update};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{Event, Result, watcher};
use kube::{Api, Client, ResourceExt};
use serin_compiler::SecretNeeds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, error, info_span, warn};

/// So many Secrets of a namespace have a watch of their own.
const ALONE: usize = 32;
/// How often in a row a watch must be refused before its Secrets count as absent: one that may not be read must not keep a replica from
/// its first table.
const SURE: usize = 5;

type Secrets = Api<DeserializeGuard<Secret>>;

/// Watches of Secrets by name.
pub struct SecretWatches {
    client: Client,
    updates: mpsc::Sender<Update>,
    by_name: bool,
    namespaces: BTreeMap<String, Namespace>,
    /// They end with it.
    tasks: JoinSet<()>,
}

/// The watches of one namespace.
#[derive(Default)]
struct Namespace {
    /// Those that share a watch, and that watch.
    together: Option<(BTreeSet<String>, AbortHandle)>,
    /// Those that have one of their own.
    alone: BTreeMap<String, AbortHandle>,
}

impl SecretWatches {
    /// Watches nothing yet. `by_name`: each has a watch of its own, however many there are.
    pub fn new(client: Client, updates: mpsc::Sender<Update>, by_name: bool) -> Self {
        Self { client, updates, by_name, namespaces: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watches these, and no others.
    pub fn are(&mut self, needs: &SecretNeeds) {
        self.namespaces.retain(|namespace, watches| {
            let stays = needs.contains_key(namespace);
            if !stays {
                watches.end();
            }
            stays
        });
        // Those that were ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
        for (namespace, names) in needs {
            let watches = self.namespaces.entry(namespace.clone()).or_default();
            watches.forget(names);
            let new: Vec<String> = names.iter().filter(|name| !watches.has(name)).cloned().collect();
            if !self.by_name && watches.alone.len() + new.len() > ALONE {
                watches.end();
                let task = together(self.client.clone(), namespace.clone(), names.clone(), self.updates.clone());
                let task = self.tasks.spawn(task.instrument(info_span!("watch", kind = "Secret", namespace)));
                watches.together = Some((names.clone(), task));
                continue;
            }
            for name in new {
                let task = alone(self.client.clone(), namespace.clone(), name.clone(), self.updates.clone());
                let task = self.tasks.spawn(task.instrument(info_span!("watch", kind = "Secret", namespace, name)));
                watches.alone.insert(name, task);
            }
        }
    }
}

impl Namespace {
    fn has(&self, name: &str) -> bool {
        self.alone.contains_key(name) || self.together.as_ref().is_some_and(|(names, _)| names.contains(name))
    }

    /// A shared watch goes on for those that are left: what it tells of others nobody takes.
    fn forget(&mut self, names: &BTreeSet<String>) {
        self.alone.retain(|name, task| {
            let stays = names.contains(name);
            if !stays {
                task.abort();
            }
            stays
        });
        if let Some((shared, task)) = &mut self.together {
            shared.retain(|name| names.contains(name));
            if shared.is_empty() {
                task.abort();
                self.together = None;
            }
        }
    }

    fn end(&mut self) {
        self.alone.values().chain(self.together.as_ref().map(|(_, task)| task)).for_each(AbortHandle::abort);
        *self = Self::default();
    }
}

/// One watch for a namespace, as long as that is allowed.
async fn together(client: Client, namespace: String, names: BTreeSet<String>, updates: mpsc::Sender<Update>) {
    let secrets: Secrets = Api::namespaced(client.clone(), &namespace);
    let events = until_refused(lasting(watcher(secrets, config())));
    let named = Arc::new(Named { namespace: namespace.clone(), names });
    follow(events, &named, updates.clone()).await;
    if updates.is_closed() {
        return;
    }
    warn!("serin may not watch all Secrets of the namespace, so it watches each that is named");
    let mut tasks = JoinSet::new();
    for name in named.names.clone() {
        let span = info_span!("watch", kind = "Secret", namespace, name);
        tasks.spawn(alone(client.clone(), namespace.clone(), name, updates.clone()).instrument(span));
    }
    while tasks.join_next().await.is_some() {}
}

/// One watch for one Secret. Refused for long it is told as absent, and asked for again all the same.
async fn alone(client: Client, namespace: String, name: String, updates: mpsc::Sender<Update>) {
    let named = Arc::new(Named { namespace: namespace.clone(), names: [name.clone()].into() });
    let secrets = || -> Secrets { Api::namespaced(client.clone(), &namespace) };
    let only = || config().fields(&format!("metadata.name={name}"));
    follow(until_refused(lasting(watcher(secrets(), only()))), &named, updates.clone()).await;
    if updates.is_closed() {
        return;
    }
    error!("serin may not read a Secret that is named, so it counts as absent: grant list and watch of it");
    let _ = updates.send(Update::Secret(Arc::clone(&named), crate::update::Delta::Listed(Vec::new()))).await;
    follow(lasting(watcher(secrets(), only())), &named, updates).await;
}

/// Tells what happens to those that are named.
async fn follow(
    events: impl Stream<Item = Result<Event<DeserializeGuard<Secret>>>> + Send + 'static,
    named: &Arc<Named>,
    updates: mpsc::Sender<Update>,
) {
    let update = Told { update: |delta| Update::Secret(Arc::clone(named), delta), unreadable: None };
    let read = |secret: DeserializeGuard<Secret>| {
        let (key, secret) = read(secret, Some);
        let secret = secret.filter(|secret| named.names.contains(&secret.name_any()));
        (key, secret)
    };
    tell(vec![events.boxed()], update, read, updates).await;
}

/// The events until it is certain that they are not allowed. What was once read is not given up.
fn until_refused<O: Send + 'static>(
    events: impl Stream<Item = Result<Event<O>>> + Send + 'static,
) -> impl Stream<Item = Result<Event<O>>> + Send + 'static {
    let (mut refused, mut read) = (0, false);
    events.take_while(move |event| {
        match event {
            Ok(_) => read = true,
            Err(error) if refused_with(error, 403) => refused += 1,
            Err(_) => refused = 0,
        }
        std::future::ready(read || refused < SURE)
    })
}
