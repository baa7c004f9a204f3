//! What is known of one endpoint.

use super::{Clock, micros};
use serin_routing::upstream::Upstream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

/// Within this time what was measured before loses most of its weight.
const MEMORY: f64 = 10_000_000.0;
/// What an endpoint costs that never answered, but has requests under way.
const UNKNOWN: u64 = 1_000_000;

/// What is known of one endpoint, for all workers. Times are microseconds of the registry's clock.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct State {
    /// Of its address: the same on each replica.
    pub(crate) hash: u64,
    under_way: AtomicU32,
    /// A moving average of latencies; 0: none was measured.
    latency: AtomicU64,
    measured: AtomicU64,
    /// In a row.
    failures: AtomicU32,
    /// When it is used again, or was; 0: it was never left out.
    ejected_until: AtomicU64,
    /// How many times in short order.
    ejected: AtomicU32,
    /// Active checks say so.
    is_down: AtomicBool,
}

/// A request that is under way at an endpoint.
#[derive(Debug)]
pub(crate) struct UnderWay {
    state: Arc<State>,
    /// Where latencies count, and until there is an answer: when it was sent.
    since: Option<(Clock, u64)>,
}

impl State {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut bytes = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(ip) => ip.octets(),
        }
        .to_vec();
        bytes.extend(address.port().to_be_bytes());
        Self { hash: xxhash_rust::xxh3::xxh3_64(&bytes), ..Self::default() }
    }

    /// What says nothing while the policy does not ask.
    pub(crate) fn is_healthy(&self, upstream: &Upstream, now: u64) -> bool {
        let is_passed_over = upstream.active.is_some() && self.is_down() || upstream.passive.is_some() && self.is_ejected(now);
        !is_passed_over
    }

    /// What active checks say.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Relaxed);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.is_down.load(Relaxed)
    }

    pub(crate) fn is_ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Relaxed) > now
    }

    /// How many failures in a row there are now.
    pub(super) fn fail(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Written only when there is something to forget, so that the line stays shared.
    pub(super) fn succeed(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Leaves it out: for so much longer than at first as it was left out before, unless it has served as long as that since. Only one
    /// thread does this at a time.
    pub(super) fn eject(&self, now: u64, base: Duration, longest: u32) {
        let (base, times) = (micros(base), self.ejected.load(Relaxed));
        let last = base.saturating_mul(u64::from(times));
        let served = now.saturating_sub(self.ejected_until.load(Relaxed));
        let times = if times > 0 && served <= last { (times + 1).min(longest) } else { 1 };
        self.ejected.store(times, Relaxed);
        self.failures.store(0, Relaxed);
        self.ejected_until.store(now.saturating_add(base.saturating_mul(u64::from(times))), Relaxed);
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> u64 {
        u64::from(self.under_way.load(Relaxed))
    }

    /// How long another request would take, as far as can be told.
    pub(crate) fn cost(&self) -> u64 {
        let (latency, under_way) = (self.latency.load(Relaxed), self.under_way());
        if latency == 0 { under_way.saturating_mul(UNKNOWN) } else { latency.saturating_mul(under_way + 1) }
    }

    /// Takes a latency: at once when it is longer than what is known, and by and by when it is shorter.
    pub(super) fn measure(&self, latency: u64, now: u64) {
        let (old, before) = (self.latency.load(Relaxed), self.measured.swap(now, Relaxed));
        let latency = latency.max(1);
        let new = if latency >= old {
            latency
        } else {
            let kept = (-(now.saturating_sub(before) as f64) / MEMORY).exp();
            (old as f64 * kept + latency as f64 * (1.0 - kept)) as u64
        };
        self.latency.store(new.max(1), Relaxed);
    }
}

impl UnderWay {
    pub(super) fn new(state: &Arc<State>, clock: Option<Clock>) -> Self {
        state.under_way.fetch_add(1, Relaxed);
        Self { state: Arc::clone(state), since: clock.map(|clock| (clock, clock.now())) }
    }

    /// There is an answer, or none will come. It counts as one that took so long at least.
    pub(super) fn over(&mut self, least: Duration) {
        if let Some((clock, since)) = self.since.take() {
            let now = clock.now();
            self.state.measure(now.saturating_sub(since).max(micros(least)), now);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Nobody waited for the answer, so it took longer than this.
        if let Some((clock, since)) = self.since.take() {
            let now = clock.now();
            let waited = now.saturating_sub(since);
            if waited > self.state.latency.load(Relaxed) {
                self.state.measure(waited, now);
            }
        }
        self.state.under_way.fetch_sub(1, Relaxed);
    }
}
