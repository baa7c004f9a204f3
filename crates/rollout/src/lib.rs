//! The life of a release, decided: `step(plan, state, evidence, now) -> Decision`.
//!
//! Not here: a clock, a random source, I/O, or anything of Kubernetes. The caller reads and writes; this crate only decides.

mod advance;
pub mod command;
pub mod phase;
pub mod plan;
pub mod state;
pub mod step;
#[cfg(test)]
mod tests;

pub use serin_split::Segment;
pub use step::step;

use jiff::{SignedDuration, Timestamp};

/// `t + d`, at the end of time when that is out of range.
pub(crate) fn later(t: Timestamp, d: SignedDuration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}
