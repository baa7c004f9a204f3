//! A release as a table holds it.

use crate::config::{self, PathRewrite, People, Traffic};
use jiff::Timestamp;
use serin_split::{Policy, Served};
use std::sync::Arc;
use std::time::Duration;

/// A release that may decide requests.
#[derive(Debug)]
pub struct Release {
    /// Its place in [`crate::Table::releases`]: what a worker keeps for each release is a list of that order.
    pub index: usize,
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The object's uid.
    pub uid: String,
    /// The id of the release.
    pub id: String,
    /// Whose requests it may decide.
    pub people: People,
    /// How it splits.
    pub policy: Arc<Policy>,
    /// How the path becomes the canary's: see [`crate::Route::rewrite`].
    pub path: Option<PathRewrite>,
    /// 503 instead of stable while the canary has no ready endpoint.
    pub fail_when_unavailable: bool,
    /// How long streams to the canary go on after an abort (S20).
    pub drain_on_abort: Duration,
    traffic: Traffic,
}

impl Release {
    /// Without a policy nothing but side A can be served, which a replica may do at any time.
    pub(crate) fn new(index: usize, release: config::Release, policy: Option<Arc<Policy>>) -> Self {
        let (policy, traffic) = match policy {
            Some(policy) => (policy, release.traffic),
            None => (without_buckets(), Traffic::RolledBack { epoch: release.traffic.epoch() }),
        };
        Self {
            index,
            namespace: release.namespace,
            name: release.name,
            uid: release.uid,
            id: release.id,
            people: release.people,
            policy,
            path: release.path,
            fail_when_unavailable: release.fail_when_unavailable,
            drain_on_abort: release.drain_on_abort,
            traffic,
        }
    }

    /// What it serves at `now`: its line, never above what the spec was lowered to since.
    pub fn served(&self, now: Timestamp) -> Served<'_> {
        match &self.traffic {
            Traffic::RolledBack { .. } => Served { k: 0, groups: None, rolled_back: true },
            Traffic::Segment { segment, cap } => {
                Served { k: segment.k(now).min(*cap), groups: segment.groups.as_ref(), rolled_back: false }
            }
        }
    }

    /// Whether all goes to stable: aborted, or not this release's traffic.
    pub fn is_rolled_back(&self) -> bool {
        matches!(self.traffic, Traffic::RolledBack { .. })
    }

    /// The epoch that is served, which a replica acknowledges.
    pub fn epoch(&self) -> u64 {
        self.traffic.epoch()
    }
}

/// A policy that is never asked.
fn without_buckets() -> Arc<Policy> {
    Arc::new(Policy::new(String::new(), serin_split::SplitBy::Request, 1, Vec::new(), Arc::default()))
}
