//! What is watched only while a release asks for it: of Pods nothing but metadata is asked of the API server.

use super::{Told, config, key, lasting, tell};
use crate::update::Update;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use serin_compiler::{Need, Needed};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, info_span};

/// One watch for each kind and namespace that is asked for.
pub struct NeededWatches {
    client: Client,
    updates: mpsc::Sender<Update>,
    watched: BTreeMap<Need, AbortHandle>,
    /// They end with it.
    tasks: JoinSet<()>,
}

impl NeededWatches {
    /// Watches nothing yet.
    pub fn new(client: Client, updates: mpsc::Sender<Update>) -> Self {
        Self { client, updates, watched: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Watches these, and no others.
    pub fn are(&mut self, needs: &BTreeSet<Need>) {
        self.watched.retain(|need, task| {
            let stays = needs.contains(need);
            if !stays {
                task.abort();
            }
            stays
        });
        // Those that were ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
        for need in needs {
            if !self.watched.contains_key(need) {
                let span = info_span!("watch", kind = ?need.kind, namespace = need.namespace);
                let task = follow(self.client.clone(), need.clone(), self.updates.clone()).instrument(span);
                self.watched.insert(need.clone(), self.tasks.spawn(task));
            }
        }
    }
}

async fn follow(client: Client, Need { kind, namespace }: Need, updates: mpsc::Sender<Update>) {
    match kind {
        Needed::Pods => {
            let pods = Api::<PartialObjectMeta<Pod>>::namespaced(client, &namespace);
            let update = Told { update: |delta| Update::Pod(namespace.clone(), delta), unreadable: None };
            tell(vec![lasting(watcher(pods, config())).boxed()], update, labels, updates).await;
        }
    }
}

/// Name, uid and labels.
fn labels(pod: PartialObjectMeta<Pod>) -> (super::Key, Option<Pod>) {
    let key = key(&pod);
    let mut metadata = pod.metadata;
    (metadata.managed_fields, metadata.annotations, metadata.owner_references) = (None, None, None);
    (key, Some(Pod { metadata, ..Pod::default() }))
}
