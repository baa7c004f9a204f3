//! What comes in from the world, and what goes out to it: the same for a cluster and for standalone mode.

use crate::admin::Name;
use crate::engine::Totals;
use crate::kind::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressLoadBalancerIngress};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_compiler::{AnyReferenceGrant, Resolution};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// A change of the objects that serin reads.
#[derive(Debug, Clone)]
pub enum Update {
    /// Of Services.
    Service(Delta<Service>),
    /// Of EndpointSlices.
    EndpointSlice(Delta<EndpointSlice>),
    /// Of Ingresses.
    Ingress(Delta<Ingress>),
    /// Where serin is reached, for the status of Ingresses; `None`: nobody knows.
    Addresses(Option<Vec<IngressLoadBalancerIngress>>),
    /// Of IngressClasses.
    IngressClass(Delta<IngressClass>),
    /// Of BackendPolicies, as they are stored.
    BackendPolicy(Delta<Value>),
    /// Of CanaryReleases, as they are stored: one may hold what no type of ours takes.
    CanaryRelease(Delta<Value>),
    /// Of Consumers, as they are stored.
    Consumer(Delta<Value>),
    /// Of AuthPolicies, as they are stored.
    AuthPolicy(Delta<Value>),
    /// Objects of this kind cannot be read, for want of rights. They count as absent.
    Unreadable(Kind),
    /// Of ReferenceGrants, as they are stored, which an Ingress asked for.
    ReferenceGrant(Delta<AnyReferenceGrant>),
    /// Of those Secrets of one namespace that are named there.
    Secret(Arc<Named>, Delta<Secret>),
    /// Of what a name outside the cluster stands for.
    Host(String, Resolution),
    /// The text that is at the URL of a key set, or why there is none.
    KeySet(String, Result<Vec<u8>, String>),
    /// Of the Pods of one namespace, which a release asked for; of each only metadata.
    Pod(String, Delta<Pod>),
    /// The admin ports of the replicas that are ready, at this moment.
    Peers(BTreeSet<SocketAddr>, Timestamp),
    /// What the replica at this address said, at this moment.
    Said(SocketAddr, Said, Timestamp),
    /// Of the Deployments of one namespace, which a release asked for.
    Deployment(String, Delta<Deployment>),
    /// Of the StatefulSets of one namespace, which a release asked for.
    StatefulSet(String, Delta<StatefulSet>),
}

/// Secrets that are read.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Of this namespace.
    pub namespace: String,
    /// Which; a list of them says of each whether it is there.
    pub names: BTreeSet<String>,
}

/// What a replica says of itself, at `/v1/counters` of its admin port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Which run of the process counted: another one begins at 0.
    pub boot: String,
    /// Its wall clock.
    pub at: Timestamp,
    /// The epoch that each of its workers serves, by uid of the release.
    pub served: BTreeMap<String, u64>,
    /// What it counted.
    pub counted: Vec<Counted>,
}

/// What a replica counted of one release since it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// The uid of the object.
    pub uid: String,
    /// The id of the release.
    pub id: String,
    /// Over all its epochs.
    pub totals: Totals,
}

/// A change of the objects of one kind.
#[derive(Debug, Clone)]
pub enum Delta<K> {
    /// One is new or another one now.
    Applied(Box<K>),
    /// One is gone.
    Deleted(Name),
    /// These are all.
    Listed(Vec<K>),
}

/// A status to write: always the whole, and only onto the object that the decision was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusWrite {
    /// Of which kind.
    pub kind: Kind,
    /// Which object.
    pub name: Name,
    /// `metadata.uid` of the object that was read.
    pub uid: String,
    /// `metadata.resourceVersion` of the object that was read: the guard.
    pub resource_version: String,
    /// The status, without nulls.
    pub status: Value,
    /// What to tell as Events of it.
    pub events: Vec<Event>,
}

/// An Event of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it is one to worry about.
    pub warning: bool,
    /// One word in CamelCase.
    pub reason: String,
    /// A sentence.
    pub message: String,
}
