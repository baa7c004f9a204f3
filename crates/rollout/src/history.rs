//! What happened to a release, as its users read it in `status.history`.

use crate::phase::Phase;
use crate::state::{Event, State};
use jiff::Timestamp;

/// How many entries are kept.
pub const KEPT: usize = 20;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The release that it happened to.
    pub release: String,
    /// Its attempt.
    pub attempt: u32,
    /// The phase that it led to.
    pub phase: Phase,
    /// What happened: a sentence.
    pub message: String,
}

impl State {
    /// Adds what the events of one decision say; verdicts have a place of their own.
    pub(crate) fn remember(&mut self, events: &[Event], now: Timestamp) {
        for message in events.iter().filter_map(sentence) {
            let (release, attempt) = (self.segment.release.clone(), self.attempt);
            self.history.push(Entry { at: now, release, attempt, phase: self.phase, message });
        }
        let excess = self.history.len().saturating_sub(KEPT);
        self.history.drain(..excess);
    }
}

fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Began => "A new attempt began at weight 0.".to_owned(),
        Event::Phase(phase) => match phase {
            // The cause has an entry of its own.
            Phase::Aborted => return None,
            phase => format!("It is {phase}."),
        },
        Event::Step(index, of) if index < of => format!("Step {} of {of} began.", index + 1),
        Event::Step(..) => "All steps are over.".to_owned(),
        Event::Verdict(_) => return None,
        Event::Done(command) => format!("The command {command} was done."),
        Event::Refused(command, why) => format!("The command {command} was refused: {why}"),
        Event::Aborted(why) => why.clone(),
    })
}
