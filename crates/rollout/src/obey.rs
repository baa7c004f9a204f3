//! What is done with a command, and why it may be refused.

use crate::command::{AbortRecord, Annotation, Command, Outcome, Record, Verb, names_another};
use crate::phase::{Pauses, Phase};
use crate::schedule::{self, moment};
use crate::state::{Event, Evidence, State};
use crate::step::Turn;
use jiff::Timestamp;

impl State {
    /// Abort has an annotation of its own; it wins over everything, until the release is Completed.
    pub(crate) fn obey_abort(&mut self, evidence: &Evidence, now: Timestamp, events: &mut Vec<Event>) {
        let Some(Annotation { value: token, tool }) = &evidence.abort else {
            self.last_abort = None;
            return;
        };
        if self.last_abort.as_ref().is_some_and(|last| last.token == *token) {
            return;
        }
        let refused = match self.phase {
            _ if names_another(token, &self.segment.release) => Some("It is for another release."),
            Phase::Completed => Some("The release is completed: it decides nothing."),
            Phase::Disabled => Some("The release is disabled: it decides nothing."),
            _ => None,
        };
        self.last_abort = Some(AbortRecord { token: token.clone(), tool: tool.clone(), at: now, refused: refused.map(str::to_owned) });
        match refused {
            Some(why) => events.push(Event::Refused("abort".to_owned(), why.to_owned())),
            None => self.abort("It was aborted by command.", now, events),
        }
    }

    /// Without an accepted spec there is nothing that a command could mean.
    pub(crate) fn refuse_command(&mut self, evidence: &Evidence, now: Timestamp, events: &mut Vec<Event>) {
        let Some(Annotation { value, tool }) = &evidence.command else { return };
        let command = Command::parse(value);
        if !self.last_command.as_ref().is_some_and(|last| command.is(last)) {
            let why = "The spec is not accepted. Cure it first: see condition Accepted.".to_owned();
            self.record(command, tool.clone(), Outcome::Refused(why), now, events);
        }
    }

    fn record(&mut self, command: Command, tool: Option<String>, outcome: Outcome, at: Timestamp, events: &mut Vec<Event>) {
        match &outcome {
            Outcome::Done => events.push(Event::Done(command.text.clone())),
            Outcome::Refused(why) => events.push(Event::Refused(command.text.clone(), why.clone())),
            Outcome::Ignored => {}
        }
        self.last_command = Some(Record { command: command.text, token: command.token, tool, at, outcome });
    }

    /// Weight 0 at once; waits for nobody (S14).
    pub(crate) fn abort(&mut self, why: &str, now: Timestamp, events: &mut Vec<Event>) {
        if self.phase != Phase::Aborted {
            self.end(Phase::Aborted, Some(why), now);
            self.phase = Phase::Aborted;
            self.running = None;
            self.withdraw(now);
            events.push(Event::Aborted(why.to_owned()));
        }
    }
}

impl Turn<'_> {
    /// `unborn`: the object's status has no release, so a command that it carries is older than the release, such as one from a backup.
    pub(crate) fn obey_command(&mut self, unborn: bool) {
        let Some(Annotation { value, tool }) = &self.evidence.command else { return };
        let command = Command::parse(value);
        if self.state.last_command.as_ref().is_some_and(|last| command.is(last)) {
            return;
        }
        let foreign = command.token.as_deref().is_some_and(|token| names_another(token, &self.plan.release));
        let outcome = match command.verb {
            Some(verb) if unborn && verb != Verb::Pause => Outcome::Ignored,
            None => Outcome::Refused("It is not one of promote, pause, resume, skip and retry.".to_owned()),
            Some(_) if foreign => Outcome::Refused("It is for another release.".to_owned()),
            Some(verb) => match self.closed_for(verb) {
                Some(why) => Outcome::Refused(why),
                None => self.obey(verb).map_or_else(|why| Outcome::Refused(why.to_owned()), |()| Outcome::Done),
            },
        };
        self.state.record(command, tool.clone(), outcome, self.now, &mut self.events);
    }

    /// Why the schedule refuses a command that would advance the release, and when it will not.
    fn closed_for(&self, verb: Verb) -> Option<String> {
        let again = match verb {
            Verb::Promote => "Promote",
            Verb::Skip => "Skip",
            Verb::Pause | Verb::Resume | Verb::Retry => return None,
        };
        let advances = matches!(self.state.phase, Phase::Pending | Phase::Scheduled | Phase::Progressing | Phase::Paused);
        if !advances || self.plan.order().is_some() || self.is_open() {
            return None;
        }
        Some(match schedule::opens(&self.plan.schedule, self.now) {
            _ if self.plan.schedule.frozen => format!("spec.schedule.frozen is true. {again} when it is false."),
            Some(opens) => format!("It is outside its windows, where nothing rises. {again} from {} on.", moment(opens)),
            None => "It is outside its windows, where nothing rises, and none opens soon. Change spec.schedule.windows.".to_owned(),
        })
    }

    fn obey(&mut self, verb: Verb) -> Result<(), &'static str> {
        match (verb, self.state.phase) {
            (_, Phase::Disabled) => Err("The release is disabled: it decides nothing. Set spec.enabled to true first."),
            (_, Phase::Completed) => Err("The release is completed: it decides nothing."),
            (Verb::Retry, Phase::Aborted) => {
                self.begin();
                Ok(())
            }
            (Verb::Retry, _) => Err("Only an aborted release can be retried."),
            (_, Phase::Aborted) => Err("The release is aborted. Use retry, or make a new revision."),
            (Verb::Pause, Phase::Promoted) => Err("The release is promoted: there is nothing left to pause."),
            (Verb::Pause, _) => {
                self.state.pauses.command = true;
                Ok(())
            }
            (Verb::Resume, _) => self.resume(),
            (Verb::Promote | Verb::Skip, _) if self.plan.order().is_some() => {
                Err("A percentage, weights and groups are orders of their own: change the spec instead.")
            }
            (Verb::Promote | Verb::Skip, Phase::Pending | Phase::Scheduled) => {
                Err("The release has not begun. Try again when it is Progressing.")
            }
            (Verb::Promote | Verb::Skip, _) if self.plan.paused => Err("spec.paused is true. Set it to false first."),
            (Verb::Promote, Phase::Progressing | Phase::Paused) => self.promote(),
            (Verb::Skip, Phase::Progressing | Phase::Paused) => self.skip(),
            (Verb::Promote | Verb::Skip, Phase::Promoted | Phase::Steady) => Err("Everyone has the canary already."),
        }
    }

    /// Ends what a command, a step or the analysis paused, never `spec.paused`, nor a preview.
    fn resume(&mut self) -> Result<(), &'static str> {
        let awaits_promotion = self.plan.awaits_promotion(self.state.pauses);
        match self.state.pauses {
            pauses if awaits_promotion && !pauses.command && !pauses.analysis => Err("It waits to be switched. Use promote."),
            pauses if pauses.any() => {
                if pauses.analysis {
                    self.forgive();
                }
                self.state.pauses = Pauses { step: awaits_promotion, ..Pauses::default() };
                Ok(())
            }
            _ if self.plan.paused => Err("spec.paused is true, and only an edit ends that."),
            _ => Err("The release is not paused by a command, a step or the analysis."),
        }
    }

    /// 100 % in one write, or the end of `keepOld`: skips steps and checks, but nothing rises past a replica that cannot follow, or to a dead canary.
    fn promote(&mut self) -> Result<(), &'static str> {
        if !self.evidence.ready {
            return Err("The spec is not resolved. Promote when ResolvedRefs is True.");
        }
        if !self.evidence.canary_ready {
            return Err("The canary has no ready endpoint. Promote when it has one.");
        }
        if self.awaits_rollout() {
            return Err("The canary workload is not rolled out. Promote when it is.");
        }
        if self.evidence.programmed.is_none() {
            return Err("Not every replica follows, so nothing rises. Promote when Programmed is True.");
        }
        self.state.pauses = Pauses::default();
        let index = self.state.running.as_ref().map_or(self.state.position, |running| running.index);
        self.enter(self.plan.promotion(index));
        self.jump();
        Ok(())
    }

    fn skip(&mut self) -> Result<(), &'static str> {
        if self.state.pauses.command || self.state.pauses.analysis {
            return Err("The release is paused. Resume it first.");
        }
        match &self.state.running {
            Some(running) if self.plan.stage(running.index).is_some() => {
                if !self.programmed(running.epoch) || !self.evidence.ready {
                    return Err("Not every replica serves this step yet. Skip when Programmed is True.");
                }
                if self.plan.is_preview(running.index) && !self.evidence.canary_ready {
                    return Err("The canary has no ready endpoint. Skip when it has one.");
                }
                let next = running.index.saturating_add(1);
                self.state.pauses.step = false;
                self.enter(next);
                Ok(())
            }
            Some(_) => Err("There is no step left to skip."),
            None => Err("No step runs yet. Skip when Programmed is True."),
        }
    }
}
