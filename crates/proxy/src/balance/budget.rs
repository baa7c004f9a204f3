//! How many retries a worker may send: a share of its requests, and a few a second beside that.

use crate::counters::add;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What one retry costs.
const RETRY: u64 = 100;
/// What can be saved up: ten retries.
const SAVINGS: u64 = 10 * RETRY;

/// The budget of one worker, which alone writes it. All are hundredths of a retry; the time is in microseconds.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Budget {
    earned: AtomicU64,
    reserve: AtomicU64,
    filled: AtomicU64,
}

impl Budget {
    /// A request earns its share of a retry.
    pub(super) fn earn(&self, percent: u32) {
        let earned = self.earned.load(Relaxed) + u64::from(percent);
        self.earned.store(earned.min(SAVINGS), Relaxed);
    }

    /// Pays for a retry, if it can: from what requests earned, else from this worker's share of so many a second.
    pub(super) fn spend(&self, per_second: u32, workers: usize, now: u64) -> bool {
        let earned = self.earned.load(Relaxed);
        if earned >= RETRY {
            self.earned.store(earned - RETRY, Relaxed);
            return true;
        }
        if per_second == 0 {
            return false;
        }
        self.fill(u64::from(per_second) * RETRY, workers as u64, now);
        let reserve = self.reserve.load(Relaxed);
        if reserve >= RETRY {
            self.reserve.store(reserve - RETRY, Relaxed);
        }
        reserve >= RETRY
    }

    /// Fills the reserve with what time gave: never more than that of a second, but one whole retry at least.
    fn fill(&self, per_second: u64, workers: u64, now: u64) {
        let most = (per_second / workers).max(RETRY);
        let elapsed = now.saturating_sub(self.filled.load(Relaxed));
        let reserve = self.reserve.load(Relaxed);
        let more = u128::from(elapsed) * u128::from(per_second) / u128::from(workers) / 1_000_000;
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if reserve.saturating_add(more) >= most {
            self.reserve.store(most, Relaxed);
            self.filled.store(now, Relaxed);
        } else if more > 0 {
            add(&self.reserve, more);
            // The part of a hundredth that is left is not lost.
            add(&self.filled, more * 1_000_000 * workers / per_second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_requests_and_a_few_a_second() {
        for (percent, per_second, workers) in [(20, 0, 1), (20, 10, 1), (5, 1, 4), (0, 3, 2), (100, 0, 1), (0, 0, 1)] {
            let budget = Budget::default();
            // A thousand requests a second, of which each fails, for ten seconds.
            let mut retries = 0;
            for millis in 1..=10_000_u64 {
                budget.earn(percent);
                retries += u64::from(budget.spend(per_second, workers, millis * 1000));
            }
            let exact = u64::from(percent) * 100 + u64::from(per_second) * 10 / workers as u64;
            assert!(retries <= exact + 11, "{percent} % and {per_second}/s of {workers}: {retries}, not {exact}");
            assert!(retries + 2 >= exact, "{percent} % and {per_second}/s of {workers}: {retries}, not {exact}");
        }
    }

    #[test]
    fn what_is_not_needed_is_saved_up_to_ten_retries() {
        let budget = Budget::default();
        (0..100_000).for_each(|_| budget.earn(100));
        let spent = (0..1000).filter(|_| budget.spend(0, 1, 1)).count();
        assert_eq!(spent, 10);
    }
}
