//! What a balancer sees of a replica that starts: its readiness without pause, and what it serves from its first moment on.

use crate::replica::Seen;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One answer of the readiness probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) is_ready: bool,
}

/// Asks one replica until it is ended. Nobody listening is no answer.
pub(crate) struct Probe {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Answer>>>,
}

impl Probe {
    /// Whenever the replica says that it is ready, the route must be served that moment: a balancer would send requests.
    pub(crate) fn of(seen: &Seen) -> Self {
        let (seen, end) = (seen.clone(), Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                if let Ok(status) = seen.readiness() {
                    let is_ready = status == 200;
                    answers.push(Answer { at: Instant::now(), is_ready });
                    ensure!(is_ready || status == 503, "readiness was {status}");
                    if is_ready {
                        seen.k().context("it said that it is ready, and does not serve the route")?;
                    }
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(answers)
        });
        Self { end, thread }
    }

    /// All answers, in their order.
    pub(crate) fn end(self) -> Result<Vec<Answer>> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the probe panicked"))?
    }
}
