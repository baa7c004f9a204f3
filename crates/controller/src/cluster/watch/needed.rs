//! What is watched only while an object asks for it: of Pods nothing but metadata is asked of the API server.

use super::{Told, config, grants, key, lasting, read, tell};
use crate::update::{Delta, Update};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serin_compiler::{Need, Needed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument, info_span};

/// One watch for each kind and namespace that is asked for.
pub struct NeededWatches {
    client: Client,
    /// Those that are watched; none: all.
    namespaces: Vec<String>,
    updates: mpsc::Sender<Update>,
    watched: BTreeMap<Need, AbortHandle>,
    /// They end with it.
    tasks: JoinSet<()>,
}

impl NeededWatches {
    /// Watches nothing yet.
    pub fn new(client: Client, namespaces: &[String], updates: mpsc::Sender<Update>) -> Self {
        Self { client, namespaces: namespaces.to_vec(), updates, watched: BTreeMap::new(), tasks: JoinSet::new() }
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
                let task = follow(self.client.clone(), need.clone(), self.namespaces.clone(), self.updates.clone()).instrument(span);
                self.watched.insert(need.clone(), self.tasks.spawn(task));
            }
        }
    }
}

async fn follow(client: Client, Need { kind, namespace }: Need, namespaces: Vec<String>, updates: mpsc::Sender<Update>) {
    match kind {
        Needed::Pods => {
            let pods = Api::<PartialObjectMeta<Pod>>::namespaced(client, &namespace);
            let update = Told { update: |delta| Update::Pod(namespace.clone(), delta), unreadable: None };
            tell(vec![lasting(watcher(pods, config())).boxed()], update, labels, updates).await;
        }
        Needed::Deployments => whole::<Deployment>(client, &namespace, Update::Deployment, updates).await,
        Needed::StatefulSets => whole::<StatefulSet>(client, &namespace, Update::StatefulSet, updates).await,
        Needed::ReferenceGrants => grants::follow(client, &namespaces, updates).await,
    }
}

/// Of workloads status and template are read too.
async fn whole<K>(client: Client, namespace: &str, update: fn(String, Delta<K>) -> Update, updates: mpsc::Sender<Update>)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let objects = Api::<DeserializeGuard<K>>::namespaced(client, namespace);
    let events = lasting(watcher(objects, config())).boxed();
    // A workload that may not be read is one that is not there: status knows its last revision.
    let unreadable = Some(update(namespace.to_owned(), Delta::Listed(Vec::new())));
    let update = Told { update: |delta| update(namespace.to_owned(), delta), unreadable };
    tell(vec![events], update, |object| read(object, Some), updates).await;
}

/// Name, uid and labels.
fn labels(pod: PartialObjectMeta<Pod>) -> (super::Key, Option<Pod>) {
    let key = key(&pod);
    let mut metadata = pod.metadata;
    (metadata.managed_fields, metadata.annotations, metadata.owner_references) = (None, None, None);
    (key, Some(Pod { metadata, ..Pod::default() }))
}
