//! What is watched only while an object asks for it: for a release only in its namespace.

use crate::declared::Declared;
use crate::{Objects, Options, tls};
use serin_api::release::WorkloadKind;
use std::collections::BTreeSet;

/// The objects of one kind, in one namespace or in all that are watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Of which kind.
    pub kind: Needed,
    /// Of which namespace; empty: of all.
    pub namespace: String,
}

/// The kinds that are not watched everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needed {
    /// For `canary.podSelector`: metadata is all that is read.
    Pods,
    /// For `workloads`.
    Deployments,
    /// For `workloads`.
    StatefulSets,
    /// For Secrets of another namespace that an Ingress names. They are few, and Ingresses may name any namespace, so they are watched in all.
    ReferenceGrants,
}

impl Needed {
    pub(crate) fn of(kind: WorkloadKind) -> Self {
        match kind {
            WorkloadKind::Deployment => Self::Deployments,
            WorkloadKind::StatefulSet => Self::StatefulSets,
        }
    }
}

impl Need {
    /// All ReferenceGrants.
    pub fn reference_grants() -> Self {
        Self { kind: Needed::ReferenceGrants, namespace: String::new() }
    }

    pub(crate) fn is_of(&self, namespace: &str) -> bool {
        self.namespace.is_empty() || self.namespace == namespace
    }
}

impl Objects {
    /// What releases and Ingresses of the cache ask for.
    pub fn needs(&self, options: &Options) -> BTreeSet<Need> {
        let of = |declared: &Declared| {
            let pods = declared.parsed.canary.as_ref().is_some_and(|canary| canary.pods.is_some()).then_some(Needed::Pods);
            let workloads = declared.parsed.workloads.iter().flat_map(|named| named.canary.iter().chain(&named.stable));
            let kinds = pods.into_iter().chain(workloads.map(|workload| Needed::of(workload.kind)));
            kinds.map(|kind| Need { kind, namespace: declared.key.namespace.clone() }).collect::<Vec<_>>()
        };
        let grants = tls::asks_for_grants(self, options).then(Need::reference_grants);
        self.releases.values().flat_map(|declared| of(declared)).chain(grants).collect()
    }

    /// Whether everything that they ask for was listed once.
    pub fn has_what_it_needs(&self, options: &Options) -> bool {
        self.needs(options).is_subset(&self.known)
    }
}
