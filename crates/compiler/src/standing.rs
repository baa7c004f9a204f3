//! Which releases decide, what they serve, and who holds a scope: by phase, and by what a replica lowers by itself.

use crate::declared::Declared;
use crate::scope;
use serin_api::release::{self, Strategy, WHOLE};
use serin_routing::config::Traffic;
use serin_split::{Groups, Segment};

/// How many buckets a split may have.
const MOST_BUCKETS: u32 = 1_000_000;

/// What a release is to others (ARCHITECTURE.md, "Which releases decide").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not begun: decides nothing, holds its scope only while nobody is under way.
    Waiting,
    /// Under way, but nothing is served yet.
    Scheduled,
    /// Under way: the canary can be reached.
    Serving,
    /// Under way: all goes to stable, and no broader release takes over (S14).
    Aborted,
    /// Completed, disabled or on its way out: decides nothing and holds nothing.
    Over,
}

impl Standing {
    pub(crate) fn of(declared: &Declared) -> Self {
        if declared.deleting || !declared.parsed.enabled || declared.parsed.scope.is_none() {
            return Self::Over;
        }
        match declared.status.phase.as_str() {
            "Scheduled" => Self::Scheduled,
            "Progressing" | "Paused" | "Steady" | "Promoted" => Self::Serving,
            "Aborted" => Self::Aborted,
            // A new identity begins anew, whatever the old one came to. Without traffic in status nothing tells the two apart.
            "Completed" if declared.status.traffic.as_ref().is_none_or(|traffic| declared.is_of(traffic)) => Self::Over,
            // Enabled again, a new release, or a phase of a later version: nothing may be served before the leader says what.
            _ => Self::Waiting,
        }
    }

    fn under_way(self) -> bool {
        matches!(self, Self::Scheduled | Self::Serving | Self::Aborted)
    }
}

/// Whether a release is under way in the scope that its spec has now: an edit of the scope takes none from another release.
pub(crate) fn under_way(declared: &Declared) -> bool {
    let scope = declared.parsed.scope.as_ref().map(scope::describe);
    Standing::of(declared).under_way() && (declared.status.scope.is_none() || declared.status.scope == scope)
}

/// What a release serves on this replica; `None` when it decides nothing.
///
/// A replica lowers by itself, without a leader: on an abort that status does not know yet, on another identity than that of
/// `status.traffic`, and on a spec that asks for less.
pub(crate) fn traffic(declared: &Declared) -> Option<Traffic> {
    let segment = declared.status.traffic.as_ref();
    let rolled_back = Traffic::RolledBack { epoch: segment.map_or(0, |segment| segment.epoch) };
    let standing = Standing::of(declared);
    match standing {
        Standing::Waiting | Standing::Over => keeps_out_the_next_revision(declared).then_some(rolled_back),
        Standing::Aborted => Some(rolled_back),
        _ if aborts(declared) => Some(rolled_back),
        Standing::Scheduled => keeps_out_the_next_revision(declared).then_some(rolled_back),
        Standing::Serving => Some(match segment {
            Some(segment) if declared.is_of(segment) && (1..=MOST_BUCKETS).contains(&segment.buckets) => {
                let (cap, groups) = asked(declared, segment);
                Traffic::Segment { cap, segment: Segment { groups, ..segment.clone() } }
            }
            _ => rolled_back,
        }),
    }
}

/// Whether side A must be kept though nothing is decided: with `podSelector` a route without a release reaches the canary's pods too, and
/// those take the next revision while the release is Completed, or waits to begin.
fn keeps_out_the_next_revision(declared: &Declared) -> bool {
    let by_pods = declared.parsed.canary.as_ref().is_some_and(|canary| canary.pods.is_some());
    let stays = declared.parsed.workloads.as_ref().is_some_and(|workloads| workloads.canary.is_some() && workloads.stable.is_some());
    let is_there = declared.parsed.enabled && !declared.deleting && declared.status.phase != "Disabled";
    by_pods && stays && is_there
}

/// Whether there is an abort that status has not recorded.
fn aborts(declared: &Declared) -> bool {
    declared.abort.is_some() && declared.abort != declared.status.last_abort
}

/// The most that the spec asks for, in buckets and in groups: fixed shares and groups are orders, all else ends with everyone. After a bad
/// edit status alone counts.
fn asked(declared: &Declared, served: &Segment) -> (u32, Option<Groups>) {
    let part = |part: u32, whole: u32| {
        let k = u64::from(served.buckets) * u64::from(part) / u64::from(whole.max(1));
        u32::try_from(k).unwrap_or(served.buckets).min(served.buckets)
    };
    match declared.parsed.release.as_ref().map(|release| &release.strategy) {
        Some(Strategy::Percentage(share)) => (part(*share, WHOLE), None),
        Some(Strategy::Weights { stable, canary }) => (part(*canary, stable.saturating_add(*canary)), None),
        Some(Strategy::Groups(asked)) => (0, served.groups.as_ref().and_then(|groups| groups.within(&alone(asked)))),
        Some(Strategy::Linear { .. } | Strategy::BlueGreen { .. } | Strategy::Steps(_)) | None => (served.buckets, served.groups.clone()),
    }
}

/// Groups that are the whole strategy.
fn alone(asked: &release::Groups) -> Groups {
    match asked {
        release::Groups::Allow(groups) => Groups::Allow(groups.clone()),
        release::Groups::Deny(groups) => Groups::Deny(groups.clone()),
    }
}
