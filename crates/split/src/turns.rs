//! Splitting by request: one counter that walks the buckets so evenly that no window of requests is off by more than a few (S6).

use std::sync::atomic::{AtomicU64, Ordering};

/// One release's counter on one replica, on a cache line of its own: the only line that workers share and write.
///
/// With a constant threshold `k`, any `buckets` consecutive decisions are exactly `k` for the canary.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Turns(AtomicU64);

impl Turns {
    /// The bucket of the next decision. Called when the bucket stage decides, not for overrides, groups, retries and probes.
    pub fn next(&self, buckets: u32, stride: u32) -> u32 {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) % u64::from(buckets);
        u32::try_from(turn * u64::from(stride) % u64::from(buckets)).expect("a remainder is below its u32 divisor")
    }
}

/// The step by which [`Turns`] walks `buckets`: coprime to it, at most half of it, and such that the largest partial quotient of the
/// continued fraction of `buckets / (buckets - stride)` is as small as possible; of several the smallest.
///
/// That quotient bounds how far any window is off its share. The mirror `buckets - stride` walks as evenly and folds the first
/// quotient in, so that a stride such as 2 for 101 is not taken for an even one.
pub fn stride(buckets: u32) -> u32 {
    let mut best = (u32::MAX, 1);
    for candidate in 1..=buckets / 2 {
        if let Some(quotient) = largest_quotient(buckets, buckets - candidate, best.0) {
            best = (quotient, candidate);
        }
    }
    best.1
}

/// The largest partial quotient of `a / b`, when they are coprime and it is below `limit`.
fn largest_quotient(mut a: u32, mut b: u32, limit: u32) -> Option<u32> {
    let mut largest = 0;
    while b != 0 {
        largest = largest.max(a / b);
        if largest >= limit {
            return None;
        }
        (a, b) = (b, a % b);
    }
    (a == 1).then_some(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_the_ones_of_the_rule() {
        assert_eq!(stride(100), 27);
        assert_eq!(stride(1000), 297);
        assert_eq!(stride(1), 1);
        assert_eq!(stride(2), 1);
    }

    #[test]
    fn every_stride_walks_every_bucket_once() {
        for buckets in (1..200).chain([999, 1000, 1010]) {
            let (turns, step) = (Turns::default(), stride(buckets));
            let mut seen = vec![false; buckets as usize];
            for _ in 0..buckets {
                seen[turns.next(buckets, step) as usize] = true;
            }
            assert!(seen.iter().all(|&s| s), "{buckets} by {step}");
        }
    }

    /// How far the count of canary decisions of any window is from its share, in units of `1 / buckets` of a request.
    fn worst_window(buckets: u32, k: u32) -> i64 {
        let (turns, step) = (Turns::default(), stride(buckets));
        let (canary, stable) = (i64::from(buckets - k), -i64::from(k));
        let (mut off, mut low, mut high) = (0, 0, 0);
        for _ in 0..2 * buckets {
            off += if turns.next(buckets, step) < k { canary } else { stable };
            (low, high) = (low.min(off), high.max(off));
        }
        high - low
    }

    #[test]
    fn s6_no_window_is_off_by_more_than_a_few() {
        for (buckets, tenths_of_a_request) in [(100, 24), (1000, 35)] {
            for k in 1..buckets {
                let worst = worst_window(buckets, k);
                assert!(worst * 10 <= tenths_of_a_request * i64::from(buckets), "{buckets} buckets, k {k}: {worst}");
            }
        }
    }

    #[test]
    fn ten_percent_of_10_000_requests_are_exactly_1_000_from_any_number_of_threads() {
        for threads in [1, 2, 4] {
            let (turns, step) = (Turns::default(), stride(1000));
            let canary: usize = std::thread::scope(|scope| {
                let handles: Vec<_> =
                    (0..threads).map(|_| scope.spawn(|| (0..10_000 / threads).filter(|_| turns.next(1000, step) < 100).count())).collect();
                handles.into_iter().map(|h| h.join().expect("no panic")).sum()
            });
            assert_eq!(canary, 1000, "{threads} threads");
        }
    }

    #[test]
    fn s15_weights_100_to_1_are_10_of_1_010() {
        let (turns, step) = (Turns::default(), stride(101));
        assert_eq!((0..1010).filter(|_| turns.next(101, step) < 1).count(), 10);
    }
}
