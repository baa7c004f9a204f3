//! The window of `status.measured`: the last 60 s, or the time since the weight's line or the release changed, if that is shorter (S7).

use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::ops::Sub;

/// How far back it looks.
pub(crate) const LENGTH: SignedDuration = SignedDuration::from_secs(60);
/// How close two samples may be.
pub(crate) const SPACING: SignedDuration = SignedDuration::from_secs(1);

/// Samples of counters that only grow. `K` is what ends a window when it changes.
#[derive(Debug, Clone)]
pub(crate) struct Window<K, C> {
    key: Option<K>,
    samples: VecDeque<(Timestamp, C)>,
}

impl<K, C> Default for Window<K, C> {
    fn default() -> Self {
        Self { key: None, samples: VecDeque::new() }
    }
}

impl<K: PartialEq, C: Copy + Sub<Output = C>> Window<K, C> {
    /// What was counted within the window, and since when.
    pub(crate) fn observe(&mut self, key: K, now: Timestamp, counts: C) -> (Timestamp, C) {
        if self.key.as_ref() != Some(&key) {
            self.key = Some(key);
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SPACING) {
            self.samples.push_back((now, counts));
        }
        // The first sample is the newest one that is old enough, so that the window is never shorter than asked.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= LENGTH) {
            self.samples.pop_front();
        }
        let (since, first) = self.samples.front().copied().unwrap_or((now, counts));
        (since, counts - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn counts_are_of_the_last_minute() {
        let mut window = Window::default();
        for second in 0..=300 {
            let (since, counted) = window.observe("a", at(second), second * 10);
            assert_eq!(counted, second.min(60) * 10);
            assert_eq!(since, at((second - 60).max(0)));
        }
    }

    #[test]
    fn another_line_begins_another_window() {
        let mut window = Window::default();
        window.observe("0..10", at(0), 5);
        assert_eq!(window.observe("0..10", at(5), 25), (at(0), 20));
        assert_eq!(window.observe("10..20", at(6), 30), (at(6), 0));
        assert_eq!(window.observe("10..20", at(8), 37), (at(6), 7));
    }

    #[test]
    fn many_looks_a_second_keep_few_samples() {
        let mut window = Window::default();
        for tick in 0..10_000_i64 {
            window.observe((), Timestamp::from_millisecond(tick * 100).unwrap(), tick);
        }
        assert!(window.samples.len() <= 62, "{}", window.samples.len());
    }
}
