//! What happened to a release, as the Events that users see.

use crate::update::Event;
use serde_json::Value;
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

/// What an author is told whose object is stored so that the API server takes no status for it: an Event is all that is left.
pub(crate) fn refused(status: &Value, why: &str) -> Event {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let accepted = conditions.iter().find(|condition| condition["type"] == "Accepted" && condition["status"] == "False");
    let finding = accepted.and_then(|condition| condition["message"].as_str()).unwrap_or_default();
    let message = format!("{finding} The API server takes no status for this object: {why}");
    Event { warning: true, reason: "StatusRefused".to_owned(), message: message.trim_start().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_author_whose_object_takes_no_status_is_told_the_finding_and_why() {
        let condition = |of: &str, is: &str| json!({"type": of, "status": is, "message": format!("{of} it is.")});
        let status = json!({"conditions": [condition("Ready", "False"), condition("Accepted", "False")]});
        assert_eq!(refused(&status, "no").message, "Accepted it is. The API server takes no status for this object: no");
        let status = json!({"conditions": [condition("Accepted", "True")]});
        assert_eq!(refused(&status, "no").message, "The API server takes no status for this object: no");
    }
}
