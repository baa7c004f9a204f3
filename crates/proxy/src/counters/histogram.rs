//! Latencies in cells that grow with the latency, so that every one is known to within one percent.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Cells an octave: 64 make a cell 1/64 wide at most, so its middle is off by less than 0.8 %.
const PER_OCTAVE: usize = 64;
/// All cells: microseconds one by one below 64, then 19 octaves, up to 33.5 s. The last cell takes what is longer.
pub(crate) const CELLS: usize = PER_OCTAVE * 20;

/// How many requests took how long. Histograms of the same thing are added cell by cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram(Vec<u64>);

/// The same, while it is counted by one worker.
#[derive(Debug)]
pub(crate) struct Cells(Box<[AtomicU32; CELLS]>);

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self(vec![0; CELLS])
    }

    /// How many are counted.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many took at most so long; a cell counts whole when its middle does.
    pub fn at_most(&self, limit: Duration) -> u64 {
        self.cells().filter(|(middle, _)| *middle <= limit).map(|(_, count)| count).sum()
    }

    /// The cells that are not empty, from short to long: the middle of each, and its count.
    pub fn cells(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.0.iter().enumerate().filter(|(_, count)| **count > 0).map(|(cell, count)| (middle(cell), *count))
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (cell, more) in self.0.iter_mut().zip(&other.0) {
            *cell += more;
        }
    }

    pub(crate) fn add_cells(&mut self, cells: &Cells) {
        for (cell, more) in self.0.iter_mut().zip(cells.0.iter()) {
            *cell += u64::from(more.load(Ordering::Relaxed));
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Cells {
    pub(crate) fn new() -> Self {
        Self(Box::new([const { AtomicU32::new(0) }; CELLS]))
    }

    /// Counts one. Only the worker that owns the cells may, so that it takes no atomic read-modify-write.
    pub(crate) fn count(&self, latency: Duration) {
        add(&self.0[cell(latency)], 1);
    }

    /// Adds what was counted elsewhere. Only the worker that owns the cells may.
    pub(crate) fn add(&self, other: &Self) {
        for (cell, more) in self.0.iter().zip(other.0.iter()) {
            add(cell, more.load(Ordering::Relaxed));
        }
    }
}

fn add(cell: &AtomicU32, more: u32) {
    cell.store(cell.load(Ordering::Relaxed).saturating_add(more), Ordering::Relaxed);
}

fn cell(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < PER_OCTAVE as u64 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let octave = micros.ilog2() as usize - 5;
    let within = usize::try_from(micros >> (octave - 1)).map_or(0, |top| top - PER_OCTAVE);
    (octave * PER_OCTAVE + within).min(CELLS - 1)
}

fn middle(cell: usize) -> Duration {
    let (octave, within) = (cell / PER_OCTAVE, cell % PER_OCTAVE);
    let Some(shift) = octave.checked_sub(1) else { return Duration::from_micros(cell as u64) };
    let (start, width) = (((PER_OCTAVE + within) as u64) << shift, 1_u64 << shift);
    Duration::from_nanos((start * 2 + width - 1) * 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_known_to_within_one_percent() {
        let mut micros = 1_u64;
        while micros < 33_000_000 {
            let known = middle(cell(Duration::from_micros(micros))).as_nanos() as f64 / 1000.0;
            assert!((known - micros as f64).abs() <= micros as f64 / 100.0, "{micros} us is taken for {known}");
            micros += 1 + micros / 997;
        }
    }

    #[test]
    fn cells_are_in_order_and_the_longest_are_in_the_last() {
        assert!((1..CELLS).all(|c| middle(c - 1) < middle(c)));
        assert_eq!(cell(Duration::from_secs(34)), CELLS - 1);
        assert_eq!(cell(Duration::MAX), CELLS - 1);
    }

    #[test]
    fn histograms_add_up() {
        let cells = Cells::new();
        for ms in 1..=100 {
            cells.count(Duration::from_millis(ms));
        }
        let mut sum = Histogram::new();
        sum.add_cells(&cells);
        sum.add(&sum.clone());
        assert_eq!((sum.count(), sum.at_most(Duration::from_millis(50))), (200, 100));
    }
}
