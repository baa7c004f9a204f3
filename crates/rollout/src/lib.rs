//! The life of a release, decided: `step(plan, state, evidence, now) -> Decision`; the verdict of checks; and the status that users read.
//!
//! Not here: a clock, a random source, I/O, or a client. The caller reads and writes; this crate only decides.

mod advance;
pub mod command;
pub mod history;
pub mod judge;
mod line;
mod obey;
pub mod phase;
pub mod plan;
mod schedule;
pub mod share;
pub mod state;
pub mod status;
pub mod step;
#[cfg(test)]
mod tests;
pub mod timetable;
mod verdict;

pub use judge::judge;
pub use plan::Plan;
pub use serin_split::Segment;
pub use state::{Decision, Evidence, State};
pub use status::{Facts, fit, read, report};
pub use step::{hold, step};
pub use timetable::timetable;

use jiff::{SignedDuration, Timestamp};

/// `t + d`, at the end of time when that is out of range.
pub(crate) fn later(t: Timestamp, d: SignedDuration) -> Timestamp {
    t.checked_add(d).unwrap_or_else(|_| plan::to_millis(Timestamp::MAX))
}
