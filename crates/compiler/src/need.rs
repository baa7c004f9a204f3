//! What is watched only while a release asks for it, and only in its namespace.

use crate::Objects;
use crate::declared::Declared;
use serin_api::release::WorkloadKind;
use std::collections::BTreeSet;

/// The objects of one kind in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Of which kind.
    pub kind: Needed,
    /// Of which namespace.
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
}

impl Needed {
    pub(crate) fn of(kind: WorkloadKind) -> Self {
        match kind {
            WorkloadKind::Deployment => Self::Deployments,
            WorkloadKind::StatefulSet => Self::StatefulSets,
        }
    }
}

impl Objects {
    /// What the releases of the cache ask for.
    pub fn needs(&self) -> BTreeSet<Need> {
        let of = |declared: &Declared| {
            let pods = declared.parsed.canary.as_ref().is_some_and(|canary| canary.pods.is_some()).then_some(Needed::Pods);
            let workloads = declared.parsed.workloads.iter().flat_map(|named| named.canary.iter().chain(&named.stable));
            let kinds = pods.into_iter().chain(workloads.map(|workload| Needed::of(workload.kind)));
            kinds.map(|kind| Need { kind, namespace: declared.key.namespace.clone() }).collect::<Vec<_>>()
        };
        self.releases.values().flat_map(|declared| of(declared)).collect()
    }

    /// Whether everything that releases ask for was listed once.
    pub fn has_what_it_needs(&self) -> bool {
        self.needs().is_subset(&self.known)
    }
}
