//! The counters of the proxy as evidence: what the running step counted, and what was measured lately.

use super::fallbacks::{Episodes, Fallback};
use super::identities::Crowd;
use crate::update::Event;
use crate::window::Window;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_proxy::{Identities, ReleaseCounts};
use serin_rollout::State;
use serin_rollout::judge::{Counts, Tally};
use serin_rollout::status::{self, Decided, Measured};
use std::collections::BTreeMap;
use std::ops::{Add, Sub};

/// What was counted of one release since a replica started, as replicas tell it each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Totals {
    canary: Side,
    stable: Side,
    fallbacks: Fallbacks,
}

/// Requests that were not decided or served as asked, by what took its place (S8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fallbacks {
    consumer: u64,
    client_ip: u64,
    request: u64,
    stable: u64,
}

/// One side of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Side {
    requests: u64,
    failures: u64,
    /// Requests that a bucket sent here.
    by_bucket: u64,
    /// Those of them that counted for themselves.
    by_turn: u64,
}

/// Where the running step's clock started, and what was counted until then.
#[derive(Debug, Clone)]
struct Baseline {
    attempt: u32,
    step: usize,
    clock: Timestamp,
    totals: Totals,
}

/// What evidence needs to remember of one release.
#[derive(Debug, Default)]
pub(super) struct Memory {
    baseline: Option<Baseline>,
    window: Window<Line, Totals>,
    /// Of this replica alone: for whom buckets decided elsewhere is not known here.
    own: Window<Line, Totals>,
    crowd: Crowd<Line>,
    episodes: Episodes,
}

/// What a window is of: the id of the release, from and to.
type Line = (String, u32, u32);

impl Memory {
    /// What was counted since the running step's clock started; nothing while none runs. A replica that starts in mid-step counts from
    /// its start: what it did not see is not evidence.
    pub(super) fn of_step(&mut self, state: &State, totals: Totals) -> Counts {
        let Some((running, clock)) = state.running.as_ref().and_then(|running| Some((running, running.clock?))) else {
            self.baseline = None;
            return Counts::default();
        };
        let same = |b: &Baseline| (b.attempt, b.step, b.clock) == (state.attempt, running.index, clock);
        if !self.baseline.as_ref().is_some_and(same) {
            self.baseline = Some(Baseline { attempt: state.attempt, step: running.index, clock, totals });
        }
        let since = totals - self.baseline.as_ref().map_or(totals, |baseline| baseline.totals);
        Counts { canary: since.canary.tally(), stable: since.stable.tally() }
    }

    /// What buckets decided within the window, on all replicas, and since the release began (S7), on this one. `identities` reads for whom;
    /// it is asked only when more was decided. The busiest identity's requests are scaled to all replicas: each meets the same crowd.
    pub(super) fn measured(
        &mut self,
        state: &State,
        totals: Totals,
        own: Totals,
        identities: impl FnOnce() -> Option<Identities>,
        now: Timestamp,
    ) -> (Measured, Decided) {
        let segment = &state.segment;
        let line = (segment.release.clone(), segment.from, segment.to);
        let (since, counted) = self.window.observe(line.clone(), now, totals);
        let (_, counted_here) = self.own.observe(line.clone(), now, own);
        self.crowd.observe(line, now, own.by_bucket(), own.by_turn(), identities);
        let turns = counted_here.by_turn();
        let largest = scaled(self.crowd.largest().max(turns.min(1)), counted.by_bucket(), counted_here.by_bucket());
        let identities = status::Identities { seen: self.crowd.seen() + turns, largest };
        let measured = Measured {
            canary_requests: counted.canary.by_bucket,
            stable_requests: counted.stable.by_bucket,
            identities,
            since,
            fallbacks: counted.fallbacks.by_name(),
        };
        (measured, self.crowd.decided().clone())
    }

    /// The episodes of fallbacks that begin or are over (S8).
    pub(super) fn episodes(&mut self, state: &State, totals: Totals, now: Timestamp) -> Vec<Event> {
        self.episodes.observe(&state.segment.release, totals.fallbacks.each(), now)
    }
}

/// `of` of so many `here`, as that share of `all`.
fn scaled(of: u64, all: u64, here: u64) -> u64 {
    if all == here || here == 0 {
        return of;
    }
    u64::try_from(u128::from(of) * u128::from(all) / u128::from(here)).unwrap_or(u64::MAX)
}

/// What was counted of each release, by uid and id, over all epochs.
pub(super) fn by_release(counts: &[ReleaseCounts]) -> BTreeMap<(String, String), Totals> {
    let mut all: BTreeMap<(String, String), Totals> = BTreeMap::new();
    for row in counts {
        let totals = all.entry((row.uid.clone(), row.id.clone())).or_default();
        *totals = *totals + Totals::from(row);
    }
    all
}

impl Totals {
    fn by_bucket(&self) -> u64 {
        self.canary.by_bucket + self.stable.by_bucket
    }

    fn by_turn(&self) -> u64 {
        self.canary.by_turn + self.stable.by_turn
    }

    /// Of the release with this uid and id, over all its epochs.
    pub(super) fn of(counts: &[ReleaseCounts], uid: &str, id: &str) -> Self {
        counts.iter().filter(|c| c.uid == uid && c.id == id).map(Self::from).fold(Self::default(), Add::add)
    }
}

impl Fallbacks {
    fn each(self) -> [(Fallback, u64); 4] {
        [
            (Fallback::Consumer, self.consumer),
            (Fallback::ClientIp, self.client_ip),
            (Fallback::Request, self.request),
            (Fallback::Stable, self.stable),
        ]
    }

    fn by_name(self) -> BTreeMap<String, u64> {
        self.each().into_iter().filter(|(_, count)| *count > 0).map(|(to, count)| (to.word().to_owned(), count)).collect()
    }
}

impl From<&ReleaseCounts> for Totals {
    fn from(row: &ReleaseCounts) -> Self {
        let counts = &row.counts;
        let side = Side { requests: counts.requests, failures: counts.failures, by_bucket: counts.by_bucket, by_turn: counts.by_turn };
        let fallbacks = Fallbacks {
            consumer: counts.fallbacks.to_consumer,
            client_ip: counts.fallbacks.to_client_ip,
            request: counts.fallbacks.to_request,
            stable: counts.unavailable,
        };
        match row.side {
            serin_split::Side::Canary => Self { canary: side, fallbacks, ..Self::default() },
            serin_split::Side::Stable => Self { stable: side, fallbacks, ..Self::default() },
        }
    }
}

impl Side {
    fn tally(self) -> Tally {
        Tally { requests: self.requests, failures: self.failures.min(self.requests) }
    }
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }
}

impl Sub for Totals {
    type Output = Self;

    /// Counters only grow; one that fell was a worker's that is gone, and says nothing.
    fn sub(self, other: Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }
}

impl Totals {
    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        let side = |a: Side, b: Side| Side {
            requests: with(a.requests, b.requests),
            failures: with(a.failures, b.failures),
            by_bucket: with(a.by_bucket, b.by_bucket),
            by_turn: with(a.by_turn, b.by_turn),
        };
        Self {
            canary: side(self.canary, other.canary),
            stable: side(self.stable, other.stable),
            fallbacks: Fallbacks {
                consumer: with(self.fallbacks.consumer, other.fallbacks.consumer),
                client_ip: with(self.fallbacks.client_ip, other.fallbacks.client_ip),
                request: with(self.fallbacks.request, other.fallbacks.request),
                stable: with(self.fallbacks.stable, other.fallbacks.stable),
            },
        }
    }
}
