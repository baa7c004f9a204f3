//! Which endpoint a request goes to, by the policy of its Service; and what is known of each endpoint, over all workers and over tables.
//!
//! Workers share one [`State`] an endpoint. They read and write it with relaxed atomics, and only where the policy asks for it: without a policy
//! a request meets nothing of all this. A lock is taken only when an endpoint is left out.

mod budget;
mod choice;
mod registry;
mod state;
#[cfg(test)]
mod tests;

use crate::failure::{Blame, Failure};
use budget::Budget;
pub(crate) use choice::{Chance, next};
pub use registry::PolicyCounts;
pub(crate) use registry::{Groups, Registry};
use serin_routing::upstream::{Balance, PassiveCheck, Retries, Upstream};
pub(crate) use state::{State, UnderWay};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// An endpoint that fails at once would look the fastest: a failed attempt counts as one that took this long at least.
const FAILURE_LATENCY: Duration = Duration::from_secs(1);
/// So many times the first ejection the longest one is.
const LONGEST_EJECTION: u32 = 10;

/// The endpoints of a backend whose Service has a policy.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) upstream: Arc<Upstream>,
    /// Of the ready ones, then of those on their way out.
    pub(crate) states: Vec<Arc<State>>,
    pub(crate) policy: Arc<PolicyState>,
    clock: Clock,
}

/// What is known of a policy, whichever of its backends it is about.
#[derive(Debug)]
pub(crate) struct PolicyState {
    /// Held while an endpoint is left out, so that it is not one too many.
    ejecting: Mutex<()>,
    ejections: AtomicU64,
    /// Active checks, by what came of them.
    pub(crate) passed: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Of each worker.
    budgets: Box<[Budget]>,
}

/// Microseconds since the proxy was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Group {
    /// The time, where it is asked for.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether an endpoint is not to be passed over.
    pub(crate) fn is_healthy(&self, index: usize, now: u64) -> bool {
        self.states.get(index).is_none_or(|state| state.is_healthy(&self.upstream, now))
    }

    /// Whether any of the first `count` endpoints is healthy.
    pub(crate) fn is_up(&self, count: usize) -> bool {
        let now = if self.upstream.passive.is_some() { self.now() } else { 0 };
        (0..count).any(|index| self.is_healthy(index, now))
    }

    /// A request goes to an endpoint: it is under way until this is dropped. `None` where nobody asks how many are.
    pub(crate) fn begin(&self, index: usize) -> Option<UnderWay> {
        let started = match self.upstream.balance {
            Balance::LeastRequest => None,
            Balance::Ewma => Some(self.clock),
            Balance::RoundRobin | Balance::ConsistentHash(_) => return None,
        };
        Some(UnderWay::new(self.states.get(index)?, started))
    }

    /// An endpoint answered, with this status.
    pub(crate) fn answered(&self, index: usize, count: usize, status: u16, under_way: Option<&mut UnderWay>) {
        let failed = status >= 500;
        if let Some(under_way) = under_way {
            under_way.over(if failed { FAILURE_LATENCY } else { Duration::ZERO });
        }
        match (&self.upstream.passive, self.states.get(index)) {
            (Some(passive), Some(state)) if failed => self.count_failure(state, passive, count),
            (Some(_), Some(state)) => state.succeed(),
            _ => {}
        }
    }

    /// An attempt failed. What the client did, and what serin allows itself, is no endpoint's fault.
    pub(crate) fn failed(&self, index: usize, count: usize, failure: Failure, under_way: Option<&mut UnderWay>) {
        if failure.blame() != Blame::Origin && failure != Failure::RequestTimeout {
            return;
        }
        if let Some(under_way) = under_way {
            under_way.over(FAILURE_LATENCY);
        }
        if let (Some(passive), Some(state)) = (&self.upstream.passive, self.states.get(index)) {
            self.count_failure(state, passive, count);
        }
    }

    fn count_failure(&self, state: &State, passive: &PassiveCheck, count: usize) {
        let now = self.now();
        // What was under way when it was left out says nothing of how it is when it comes back.
        if !state.is_ejected(now) && state.fail() >= passive.consecutive_failures {
            self.eject(state, passive, count, now);
        }
    }

    /// Leaves an endpoint out, unless that would be too many of the `count` that serve.
    fn eject(&self, state: &State, passive: &PassiveCheck, count: usize, now: u64) {
        let _one_at_a_time = self.policy.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let out = self.states.iter().take(count).filter(|state| state.is_ejected(now)).count();
        if state.is_ejected(now) || (out + 1) * 100 > count * passive.max_ejected_percent as usize {
            return;
        }
        state.eject(now, passive.base_ejection, LONGEST_EJECTION);
        self.policy.ejections.fetch_add(1, Relaxed);
    }

    /// A request of this worker goes to the backend: its share of a retry is earned.
    pub(crate) fn earn(&self, worker: usize) {
        if let (Some(retries), Some(budget)) = (&self.upstream.retries, self.policy.budgets.get(worker)) {
            budget.earn(retries.percent);
        }
    }

    /// Whether this worker may send something again.
    pub(crate) fn spend(&self, worker: usize, retries: &Retries) -> bool {
        let workers = self.policy.budgets.len();
        self.policy.budgets.get(worker).is_some_and(|budget| budget.spend(retries.min_per_second, workers, self.now()))
    }
}

impl PolicyState {
    fn new(workers: usize) -> Self {
        Self {
            ejecting: Mutex::default(),
            ejections: AtomicU64::default(),
            passed: AtomicU64::default(),
            failed: AtomicU64::default(),
            budgets: (0..workers).map(|_| Budget::default()).collect(),
        }
    }
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Never 0, which stands for never.
    pub(crate) fn now(self) -> u64 {
        micros(self.0.elapsed()).saturating_add(1)
    }
}

/// A span in microseconds.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
