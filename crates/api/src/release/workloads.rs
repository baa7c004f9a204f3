//! `spec.workloads`, valid.

use std::fmt;

/// The workloads whose revisions are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workloads {
    /// Its revision is the revision of the release.
    pub canary: Option<Workload>,
    /// When it has rolled out the images of the canary's, the release is Completed.
    pub stable: Option<Workload>,
}

/// A workload of the release's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Of `apps/v1`.
    pub kind: WorkloadKind,
    /// `metadata.name`.
    pub name: String,
}

/// The kinds of workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// Its revision is the annotation `deployment.kubernetes.io/revision`.
    Deployment,
    /// Its revision is `status.updateRevision`.
    StatefulSet,
}

impl WorkloadKind {
    /// As it stands in `kind`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
