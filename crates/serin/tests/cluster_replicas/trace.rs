//! What replicas served all the time, sampled beside the test.

use crate::replica::Seen;
use anyhow::{Context, Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One look at a replica: what it served at some moment between asking and the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
    pub(crate) k: u32,
}

/// What one thread has seen so far.
type Samples = Arc<Mutex<Vec<Sample>>>;

/// Asks replicas without pause until it is ended.
pub(crate) struct Trace {
    end: Arc<AtomicBool>,
    lines: Vec<(Samples, JoinHandle<Result<()>>)>,
}

impl Trace {
    /// Begins to ask each of these; each must answer, and be ready, all the time.
    pub(crate) fn of<'a>(replicas: impl IntoIterator<Item = &'a Seen>) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let follow = |seen: &Seen| {
            let (samples, seen, end) = (Samples::default(), seen.clone(), Arc::clone(&end));
            let kept = Arc::clone(&samples);
            let thread = std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let k = seen.k()?;
                    let sample = Sample { asked, answered: Instant::now(), k };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                    let readiness = seen.readiness()?;
                    ensure!(readiness == 200, "readiness was {readiness}");
                    std::thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            });
            (samples, thread)
        };
        let lines = replicas.into_iter().map(follow).collect();
        Self { end, lines }
    }

    /// The last sample of each.
    pub(crate) fn last(&self) -> Vec<Sample> {
        let of = |samples: &Mutex<Vec<Sample>>| samples.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
        self.lines.iter().filter_map(|(samples, _)| of(samples)).collect()
    }

    /// All samples, a list for each replica.
    pub(crate) fn end(self) -> Result<Vec<Vec<Sample>>> {
        self.end.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for (samples, thread) in self.lines {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("the sampling panicked"))?
                .context("a replica did not answer while it was sampled")?;
            all.push(std::mem::take(&mut *samples.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        Ok(all)
    }
}

/// That the weight never fell, and rose no faster than so many buckets a second, where a line may have been heard of so much later
/// than it was laid; gives the steepest rise between two samples, in buckets.
pub(crate) fn goes_by_the_line(samples: &[Sample], slope: f64, late: Duration) -> Result<u32> {
    let mut most = 0;
    for pair in samples.windows(2) {
        let [before, after] = pair else { continue };
        ensure!(after.k >= before.k, "the weight fell from {} to {}", before.k, after.k);
        let longest = (after.answered.duration_since(before.asked) + late).as_secs_f64();
        // A replica lays a line anew where it is, rounded down: that is a bucket or two.
        let may = (slope * longest).ceil() + 2.0;
        let rose = after.k - before.k;
        ensure!(f64::from(rose) <= may, "the weight jumped from {} to {} in {longest:.3} s", before.k, after.k);
        most = most.max(rose);
    }
    Ok(most)
}
