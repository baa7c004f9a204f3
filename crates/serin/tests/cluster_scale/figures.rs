//! Durations, and what is said of many of them.

use anyhow::{Result, ensure};
use std::fmt;
use std::time::Duration;

/// Durations of one kind, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Vec<Duration>);

impl Figures {
    pub(crate) fn new(durations: impl IntoIterator<Item = Duration>) -> Result<Self> {
        let mut durations: Vec<Duration> = durations.into_iter().collect();
        ensure!(!durations.is_empty(), "nothing was measured");
        durations.sort_unstable();
        Ok(Self(durations))
    }

    /// So many of a hundred took no longer.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1]
    }

    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}", ms(50), ms(99), ms(100), self.0.len())
    }
}
