//! What happened to a release, as the Events that users see.

use crate::update::Event;
use serin_rollout::phase::Phase;
use serin_rollout::state::{Event as Happened, Verdict};

/// The Event of what happened; none for what another one tells already.
pub(crate) fn of(happened: &Happened) -> Option<Event> {
    let event = |warning, reason: &str, message: String| Some(Event { warning, reason: reason.to_owned(), message });
    match happened {
        Happened::Began => event(false, "Began", "A new attempt begins at weight 0.".to_owned()),
        Happened::Phase(Phase::Aborted) => None,
        Happened::Phase(phase) => event(false, "PhaseChanged", format!("The release is {phase} now.")),
        Happened::Step(index, of) if index < of => event(false, "StepStarted", format!("Step {} of {of} begins.", index + 1)),
        Happened::Step(..) => None,
        Happened::Verdict(Verdict::Fail) => event(true, "AnalysisFailed", "The verdict is Fail.".to_owned()),
        Happened::Verdict(verdict) => event(false, "VerdictChanged", format!("The verdict is {verdict}.")),
        Happened::Done(command) => event(false, "CommandDone", format!("{command} is done.")),
        Happened::Refused(command, why) => event(true, "CommandRefused", format!("{command} is refused. {why}")),
        Happened::Aborted(why) => event(true, "Aborted", format!("All traffic is on stable. {why}")),
    }
}
