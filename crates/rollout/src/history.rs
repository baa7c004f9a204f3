//! Attempts that ended, as users read them in `status.history`.

use crate::phase::Phase;
use crate::share;
use crate::state::State;
use jiff::Timestamp;
use serin_api::status::HISTORY;

/// One attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Identity of its release.
    pub id: String,
    /// Revision of its release.
    pub revision: Option<String>,
    /// Which beginning of the object it was.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The phase in which it ended.
    pub phase: Phase,
    /// The weight that the canary had when it ended, in percent.
    pub weight: String,
    /// Why it ended: a sentence.
    pub message: Option<String>,
}

impl State {
    /// Records that this attempt ends in `phase`. One that ended before keeps its entry, and only the end is told anew: a promoted
    /// release may still be completed or aborted.
    pub(crate) fn end(&mut self, phase: Phase, why: Option<&str>, now: Timestamp) {
        if self.segment.release.is_empty() {
            return;
        }
        let newest = self.history.first().filter(|entry| entry.attempt == self.attempt);
        if newest.is_some_and(|entry| entry.phase == phase) {
            return;
        }
        let weight = share::weight(self.segment.k(now), self.segment.buckets);
        let entry = Entry {
            id: self.segment.release.clone(),
            revision: self.revision.clone(),
            attempt: self.attempt,
            started_at: self.started_at,
            ended_at: now,
            phase,
            weight: newest.map_or(weight.clone(), |entry| if phase == Phase::Aborted { weight } else { entry.weight.clone() }),
            message: why.map(str::to_owned),
        };
        if newest.is_some() {
            self.history.remove(0);
        }
        self.history.insert(0, entry);
        self.history.truncate(HISTORY);
    }

    /// Why the running attempt was aborted.
    pub fn cause(&self) -> Option<&str> {
        let newest = self.history.first().filter(|entry| entry.attempt == self.attempt && entry.phase == Phase::Aborted)?;
        newest.message.as_deref()
    }

    /// The id of the release that this one replaced while that was promoted and not finalised, until this one is itself promoted.
    pub fn not_finalized(&self) -> Option<&str> {
        let before = self.history.iter().find(|entry| entry.id != self.segment.release)?;
        let open = before.phase == Phase::Promoted && !matches!(self.phase, Phase::Promoted | Phase::Completed | Phase::Disabled);
        open.then_some(before.id.as_str())
    }
}
