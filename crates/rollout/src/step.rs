//! The state machine: one decision, at most one step.

use crate::Segment;
use crate::command::{AbortRecord, Command, Record, Verb, names_another};
use crate::phase::{Pauses, Phase};
use crate::plan::Plan;
use crate::state::{Decision, Event, Evidence, State};
use jiff::Timestamp;

/// Decides what is so at `now`. The same input gives the same decision, and a decision made again changes nothing.
pub fn step(plan: &Plan, state: &State, evidence: &Evidence, now: Timestamp) -> Decision {
    let mut turn = Turn { plan, evidence, now, state: state.clone(), events: Vec::new() };
    turn.decide();
    if turn.state.phase != state.phase {
        turn.events.push(Event::Phase(turn.state.phase));
    }
    Decision { state: turn.state, events: turn.events }
}

/// One decision under way.
pub(crate) struct Turn<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) evidence: &'a Evidence,
    pub(crate) now: Timestamp,
    pub(crate) state: State,
    pub(crate) events: Vec<Event>,
}

impl Turn<'_> {
    fn decide(&mut self) {
        let unborn = self.state.segment.release.is_empty();
        if !self.plan.enabled {
            self.disable();
        } else if self.state.segment.release != self.plan.release || self.state.phase == Phase::Disabled {
            self.begin();
        }
        self.obey_command(unborn);
        self.obey_abort();
        if matches!(self.state.phase, Phase::Aborted | Phase::Disabled | Phase::Completed) {
            return;
        }
        if self.evidence.completed {
            self.state.phase = Phase::Completed;
            return self.flatten(0);
        }
        if matches!(self.state.phase, Phase::Pending | Phase::Scheduled) {
            self.state.phase = match (self.evidence.ready, self.evidence.window_open) {
                (true, true) => Phase::Progressing,
                (true, false) => Phase::Scheduled,
                (false, _) => self.state.phase,
            };
            if self.state.phase != Phase::Progressing {
                return;
            }
        }
        self.advance();
    }

    fn disable(&mut self) {
        if self.state.phase != Phase::Disabled {
            self.state.phase = Phase::Disabled;
            self.state.running = None;
            self.flatten(0);
        }
    }

    /// A new attempt: weight 0 in the same write, from the first step.
    fn begin(&mut self) {
        let state = &mut self.state;
        state.phase = Phase::Pending;
        state.attempt = state.attempt.saturating_add(1);
        state.started_at = self.now;
        state.strategy = Some(self.plan.strategy.clone());
        state.position = 0;
        state.running = None;
        state.pauses = Pauses::default();
        state.fails_in_row = 0;
        state.fails = 0;
        state.segment = Segment::flat(&self.plan.release, self.plan.buckets, 0, state.segment.epoch.saturating_add(1), self.now);
        self.events.push(Event::Began);
    }

    fn obey_abort(&mut self) {
        let Some(token) = &self.evidence.abort else {
            self.state.last_abort = None;
            return;
        };
        if self.state.last_abort.as_ref().is_some_and(|last| last.token == *token) {
            return;
        }
        let refused = match self.state.phase {
            _ if names_another(token, &self.plan.release) => Some("The abort is for another release."),
            Phase::Completed => Some("The release is completed: it decides nothing."),
            Phase::Disabled => Some("The release is disabled: it decides nothing."),
            _ => None,
        };
        self.state.last_abort = Some(AbortRecord { token: token.clone(), at: self.now, refused: refused.map(str::to_owned) });
        match refused {
            Some(why) => self.events.push(Event::Refused("abort".to_owned(), why.to_owned())),
            None => self.abort("It was aborted by command."),
        }
    }

    /// Weight 0 at once; waits for nobody (S14).
    pub(crate) fn abort(&mut self, why: &str) {
        if self.state.phase != Phase::Aborted {
            self.state.phase = Phase::Aborted;
            self.state.running = None;
            self.flatten(0);
            self.events.push(Event::Aborted(why.to_owned()));
        }
    }

    fn obey_command(&mut self, unborn: bool) {
        let Some(text) = &self.evidence.command else { return };
        let command = Command::parse(text);
        if self.state.last_command.as_ref().is_some_and(|last| command.is(last)) {
            return;
        }
        let foreign = command.token.as_deref().is_some_and(|token| names_another(token, &self.plan.release));
        let result = match command.verb {
            None => Err("The command is not one of promote, pause, resume, skip and retry."),
            Some(_) if foreign => Err("The command is for another release."),
            Some(verb) if unborn && verb != Verb::Pause => Err("The command is older than this release."),
            Some(verb) => self.obey(verb),
        };
        self.events.push(match result {
            Ok(()) => Event::Done(command.text.clone()),
            Err(why) => Event::Refused(command.text.clone(), why.to_owned()),
        });
        let refused = result.err().map(str::to_owned);
        self.state.last_command = Some(Record { command: command.text, token: command.token, at: self.now, refused });
    }

    fn obey(&mut self, verb: Verb) -> Result<(), &'static str> {
        let phase = self.state.phase;
        match (verb, phase) {
            (_, Phase::Disabled) => Err("The release is disabled: it decides nothing."),
            (_, Phase::Completed) => Err("The release is completed: it decides nothing."),
            (Verb::Retry, Phase::Aborted) => {
                self.begin();
                Ok(())
            }
            (Verb::Retry, _) => Err("Only an aborted release can be retried."),
            (_, Phase::Aborted) => Err("The release is aborted. Use retry, or make a new revision."),
            (Verb::Pause, _) => {
                self.state.pauses.command = true;
                Ok(())
            }
            (Verb::Resume, _) => self.resume(),
            (Verb::Promote | Verb::Skip, Phase::Progressing | Phase::Paused) if !self.evidence.window_open => {
                Err("It is outside its window, or frozen. Try again when the window opens.")
            }
            (Verb::Promote, Phase::Progressing | Phase::Paused) => self.promote(),
            (Verb::Skip, Phase::Progressing | Phase::Paused) => self.skip(),
            (Verb::Promote | Verb::Skip, _) => Err("The release is not under way."),
        }
    }

    fn resume(&mut self) -> Result<(), &'static str> {
        if !self.state.pauses.any() {
            return Err("The release is not paused by a command, a step or the analysis.");
        }
        let (judged, by_step) = (self.state.pauses.analysis, self.state.pauses.step);
        self.state.pauses = Pauses::default();
        if judged {
            self.forgive();
        }
        if by_step && let Some(running) = &mut self.state.running {
            running.clock = Some(self.now);
        }
        Ok(())
    }

    fn promote(&mut self) -> Result<(), &'static str> {
        if self.plan.order().is_some() {
            return Err("A percentage, weights or groups are an order of their own: change the spec instead.");
        }
        self.state.pauses = Pauses::default();
        self.enter(usize::MAX);
        self.jump(self.plan.buckets);
        Ok(())
    }

    fn skip(&mut self) -> Result<(), &'static str> {
        if self.plan.paused || self.state.pauses.command {
            return Err("The release is paused. Resume it first.");
        }
        match &self.state.running {
            Some(running) if self.plan.stage(running.index).is_some() => {
                if !self.programmed(running.epoch) {
                    return Err("Not every replica serves this step yet. Try again when Programmed is True.");
                }
                let index = running.index.saturating_add(1);
                self.state.pauses = Pauses::default();
                self.enter(index);
                Ok(())
            }
            _ => Err("There is no step to skip."),
        }
    }

    /// Whether every ready replica serves `epoch` or a later one.
    pub(crate) fn programmed(&self, epoch: u64) -> bool {
        self.evidence.programmed.is_some_and(|served| served >= epoch)
    }

    /// A flat line at `k`, when the line is not that already.
    pub(crate) fn flatten(&mut self, k: u32) {
        let s = &self.state.segment;
        if (s.from, s.to, s.floor) != (k, k, 0) {
            self.state.segment = Segment::flat(&s.release, s.buckets, k, s.epoch.saturating_add(1), self.now);
        }
    }
}
