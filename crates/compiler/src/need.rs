//! What is watched only while a release asks for it, and only in its namespace.

use crate::Objects;
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
}

impl Objects {
    /// What the releases of the cache ask for.
    pub fn needs(&self) -> BTreeSet<Need> {
        let by_pods = self.releases.values().filter(|declared| declared.parsed.canary.as_ref().is_some_and(|canary| canary.pods.is_some()));
        by_pods.map(|declared| Need { kind: Needed::Pods, namespace: declared.key.namespace.clone() }).collect()
    }

    /// Whether everything that releases ask for was listed once.
    pub fn has_what_it_needs(&self) -> bool {
        self.needs().is_subset(&self.known)
    }
}
