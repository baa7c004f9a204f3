//! The cache: the last seen state of every object that the compiler reads, and no more of it than it reads.

use crate::Key;
use crate::auth::{AnyAuthPolicy, AnyConsumer, DeclaredAuthPolicy, DeclaredConsumer, KeySet, Resolved, SecretData};
use crate::backends::{ENDPOINTS, SERVICE_OF_SLICE};
use crate::certificates::Kept;
use crate::class;
use crate::declared::Declared;
use crate::grants::{AnyReferenceGrant, Grant};
use crate::ingress::HTTPS_REDIRECT;
use crate::need::{Need, Needed};
use crate::outside::Resolution;
use crate::pods::PodLabels;
use crate::policies::DeclaredPolicy;
use crate::tls::SECRET_NAMESPACE;
use crate::workloads::Workload;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use serin_api::CanaryRelease;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// Everything that a table is compiled from.
///
/// Each change says whether it matters: a resourceVersion that moved, a status that nobody here reads or an object that was there
/// already does not, and needs no new table.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub(crate) services: Shelf<Service>,
    pub(crate) slices: Shelf<EndpointSlice>,
    pub(crate) ingresses: Shelf<Ingress>,
    pub(crate) classes: Shelf<IngressClass>,
    pub(crate) releases: Shelf<Declared>,
    pub(crate) policies: Shelf<DeclaredPolicy>,
    pub(crate) pods: Shelf<PodLabels>,
    pub(crate) auth_policies: Shelf<DeclaredAuthPolicy>,
    pub(crate) consumers: Shelf<DeclaredConsumer>,
    pub(crate) secrets: Shelf<SecretData>,
    /// Which Secrets were looked for.
    pub(crate) known_secrets: BTreeSet<Key>,
    /// What was read of those that hold certificates.
    pub(crate) certificates: BTreeMap<Key, Kept>,
    /// What is known of key sets by URL.
    pub(crate) key_sets: BTreeMap<String, KeySet>,
    /// What follows from AuthPolicies, Consumers, Secrets and key sets, once somebody asked and until one of them changes.
    pub(crate) resolved: OnceLock<Arc<Resolved>>,
    pub(crate) deployments: Shelf<Workload>,
    pub(crate) stateful_sets: Shelf<Workload>,
    pub(crate) grants: Shelf<Grant>,
    /// What names outside the cluster stand for.
    pub(crate) hosts: BTreeMap<String, Resolution>,
    /// Which of the [`Need`]s were listed.
    pub(crate) known: BTreeSet<Need>,
}

/// The objects of one kind.
pub(crate) type Shelf<T> = BTreeMap<Key, Arc<T>>;

/// Those of a namespace.
pub(crate) fn of_namespace<'a, T>(all: &'a BTreeMap<Key, T>, namespace: &str) -> impl Iterator<Item = (&'a Key, &'a T)> {
    all.range(Key::new(namespace, "")..).take_while(move |(key, _)| key.namespace == namespace)
}

/// A kind that the cache holds.
pub trait Cached: sealed::Cached {}

mod sealed {
    use super::{Arc, BTreeMap, Key, Objects};

    pub trait Cached {
        /// What is kept of it.
        type Kept: PartialEq;
        fn key(&self) -> Key;
        fn kept(self) -> Self::Kept;
        fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Self::Kept>>;
        /// Whether what is resolved of AuthPolicies depends on it.
        const AUTHENTICATES: bool = false;
    }
}

impl Objects {
    /// Takes a new or changed object; `false` when nothing that is read changed.
    pub fn apply<K: Cached>(&mut self, object: K) -> bool {
        let key = object.key();
        let kept = object.kept();
        let shelf = K::shelf(self);
        let matters = shelf.get(&key).is_none_or(|old| **old != kept);
        if matters {
            shelf.insert(key, Arc::new(kept));
            self.changed::<K>();
        }
        matters
    }

    /// Forgets an object; `false` when it was not there.
    pub fn delete<K: Cached>(&mut self, key: &Key) -> bool {
        let was_there = K::shelf(self).remove(key).is_some();
        if was_there {
            self.changed::<K>();
        }
        was_there
    }

    /// Takes a complete list of a kind; `false` when nothing that is read changed.
    pub fn replace<K: Cached>(&mut self, objects: impl IntoIterator<Item = K>) -> bool {
        let listed: BTreeMap<_, _> = objects.into_iter().map(|object| (object.key(), Arc::new(object.kept()))).collect();
        let shelf = K::shelf(self);
        let matters = *shelf != listed;
        *shelf = listed;
        if matters {
            self.changed::<K>();
        }
        matters
    }

    fn changed<K: Cached>(&mut self) {
        if K::AUTHENTICATES {
            self.resolved.take();
        }
    }

    /// Takes a complete list of what was asked for; `false` when nothing that is read changed.
    pub fn replace_needed<K: Cached>(&mut self, need: Need, objects: impl IntoIterator<Item = K>) -> bool {
        let listed: BTreeMap<_, _> = objects.into_iter().map(|object| (object.key(), Arc::new(object.kept()))).collect();
        let shelf = K::shelf(self);
        let before = shelf.len();
        shelf.retain(|key, _| !need.is_of(&key.namespace) || listed.contains_key(key));
        let mut matters = shelf.len() != before;
        for (key, kept) in listed {
            matters |= shelf.get(&key) != Some(&kept);
            shelf.insert(key, kept);
        }
        self.known.insert(need) || matters
    }

    /// Forgets what nothing asks for any more.
    pub fn forget(&mut self, need: &Need) {
        self.known.remove(need);
        match need.kind {
            Needed::Pods => self.pods.retain(|key, _| !need.is_of(&key.namespace)),
            Needed::Deployments => self.deployments.retain(|key, _| !need.is_of(&key.namespace)),
            Needed::StatefulSets => self.stateful_sets.retain(|key, _| !need.is_of(&key.namespace)),
            Needed::ReferenceGrants => self.grants.retain(|key, _| !need.is_of(&key.namespace)),
        }
    }
}

macro_rules! cached {
    ($kind:ty, $shelf:ident, $key:expr, $strip:expr) => {
        impl Cached for $kind {}
        impl sealed::Cached for $kind {
            type Kept = Self;
            fn key(&self) -> Key {
                $key(&self.metadata)
            }
            fn kept(mut self) -> Self {
                strip(&mut self.metadata);
                $strip(&mut self);
                self
            }
            fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Self>> {
                &mut objects.$shelf
            }
        }
    };
}

cached!(Service, services, Key::namespaced, |service: &mut Self| service.status = None);
cached!(Ingress, ingresses, Key::namespaced, |ingress: &mut Self| ingress.status = None);
cached!(IngressClass, classes, |meta: &ObjectMeta| Key::new("", meta.name.clone().unwrap_or_default()), |_: &mut Self| ());
cached!(EndpointSlice, slices, Key::namespaced, |_: &mut Self| ());

impl Cached for Pod {}
impl sealed::Cached for Pod {
    type Kept = PodLabels;
    fn key(&self) -> Key {
        Key::namespaced(&self.metadata)
    }
    fn kept(self) -> PodLabels {
        PodLabels { uid: self.metadata.uid, labels: self.metadata.labels.unwrap_or_default() }
    }
    fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<PodLabels>> {
        &mut objects.pods
    }
}

macro_rules! workload {
    ($kind:ty, $shelf:ident, $kept:path) => {
        impl Cached for $kind {}
        impl sealed::Cached for $kind {
            type Kept = Workload;
            fn key(&self) -> Key {
                Key::namespaced(&self.metadata)
            }
            fn kept(self) -> Workload {
                $kept(self)
            }
            fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Workload>> {
                &mut objects.$shelf
            }
        }
    };
}

workload!(Deployment, deployments, Workload::of_deployment);
workload!(StatefulSet, stateful_sets, Workload::of_stateful_set);

/// A CanaryRelease of any shape: from a file, or one that was stored past the schema. It shares its place with [`CanaryRelease`].
#[derive(Debug, Clone, PartialEq)]
pub struct AnyRelease(
    /// The whole object.
    pub Value,
);

impl Cached for AnyRelease {}
impl sealed::Cached for AnyRelease {
    type Kept = Declared;
    fn key(&self) -> Key {
        key_of(&self.0)
    }
    fn kept(self) -> Declared {
        Declared::new(self.key(), self.0)
    }
    fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Declared>> {
        &mut objects.releases
    }
}

/// A BackendPolicy of any shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyBackendPolicy(
    /// The whole object.
    pub Value,
);

impl Cached for AnyBackendPolicy {}
impl sealed::Cached for AnyBackendPolicy {
    type Kept = DeclaredPolicy;
    fn key(&self) -> Key {
        key_of(&self.0)
    }
    fn kept(self) -> DeclaredPolicy {
        DeclaredPolicy::new(&self.key(), &self.0)
    }
    fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<DeclaredPolicy>> {
        &mut objects.policies
    }
}

impl Cached for AnyReferenceGrant {}
impl sealed::Cached for AnyReferenceGrant {
    type Kept = Grant;
    fn key(&self) -> Key {
        key_of(&self.0)
    }
    fn kept(self) -> Grant {
        Grant::new(&self)
    }
    fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Grant>> {
        &mut objects.grants
    }
}

macro_rules! authenticates {
    ($kind:ty, $shelf:ident, $kept:ty, $keep:expr, $key:expr) => {
        impl Cached for $kind {}
        impl sealed::Cached for $kind {
            type Kept = $kept;
            const AUTHENTICATES: bool = true;
            fn key(&self) -> Key {
                $key(self)
            }
            fn kept(self) -> $kept {
                $keep(self)
            }
            fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<$kept>> {
                &mut objects.$shelf
            }
        }
    };
}

authenticates!(Secret, secrets, SecretData, SecretData::of, |secret: &Secret| Key::namespaced(&secret.metadata));
authenticates!(
    AnyConsumer,
    consumers,
    DeclaredConsumer,
    |AnyConsumer(object): Self| DeclaredConsumer::new(key_of(&object), &object),
    |consumer: &Self| key_of(&consumer.0)
);
authenticates!(
    AnyAuthPolicy,
    auth_policies,
    DeclaredAuthPolicy,
    |AnyAuthPolicy(object): Self| DeclaredAuthPolicy::new(key_of(&object), &object),
    |policy: &Self| key_of(&policy.0)
);

fn key_of(object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().filter(|text| !text.is_empty());
    Key::new(text("namespace").unwrap_or("default"), text("name").unwrap_or_default())
}

impl Cached for CanaryRelease {}
impl sealed::Cached for CanaryRelease {
    type Kept = Declared;
    fn key(&self) -> Key {
        Key::namespaced(&self.metadata)
    }
    fn kept(self) -> Declared {
        // Its only maps have text as keys, so it always is JSON.
        Declared::new(self.key(), serde_json::to_value(self).unwrap_or_default())
    }
    fn shelf(objects: &mut Objects) -> &mut BTreeMap<Key, Arc<Declared>> {
        &mut objects.releases
    }
}

/// Leaves out what changes with every write, such as a slice's annotation with the time of its trigger, and what nobody here reads.
fn strip(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.resource_version = None;
    meta.generation = None;
    meta.owner_references = None;
    meta.finalizers = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations
            .retain(|name, _| [ENDPOINTS, HTTPS_REDIRECT, SECRET_NAMESPACE, class::ANNOTATION, class::DEFAULT].contains(&name.as_str()));
    }
    if let Some(labels) = &mut meta.labels {
        labels.retain(|name, _| name == SERVICE_OF_SLICE);
    }
}
