//! The state machine: one decision, at most one step.

use crate::phase::{Pauses, Phase};
use crate::plan::{Plan, to_millis};
use crate::state::{Decision, Event, Evidence, State};
use crate::{Segment, schedule};
use jiff::Timestamp;

/// Decides what is so at `now`. The same input gives the same decision, and a decision made again changes nothing.
pub fn step(plan: &Plan, state: &State, evidence: &Evidence, now: Timestamp) -> Decision {
    let mut turn = Turn { plan, evidence, now: to_millis(now), state: state.clone(), events: Vec::new() };
    turn.decide();
    finish(state, turn.state, turn.events, turn.now)
}

/// Decides for an object whose spec is not accepted: what is served stays and nothing rises until it is cured, but an abort and
/// `enabled: false` are obeyed. A release that has not begun stays Pending; what was ordered for it is decided when it begins.
pub fn hold(enabled: bool, state: &State, evidence: &Evidence, now: Timestamp) -> Decision {
    let now = to_millis(now);
    let (mut next, mut events) = (state.clone(), Vec::new());
    if !enabled {
        next.disable(now);
    }
    if !state.segment.release.is_empty() {
        next.refuse_command(evidence, now, &mut events);
        next.obey_abort(evidence, now, &mut events);
        next.stop(now);
    }
    finish(state, next, events, now)
}

fn finish(before: &State, mut state: State, mut events: Vec<Event>, now: Timestamp) -> Decision {
    if state.phase != before.phase {
        events.push(Event::Phase(state.phase));
    }
    state.ended_at = match state.phase.is_over() {
        true if state.phase == before.phase => state.ended_at.or(Some(now)),
        true => Some(now),
        false => None,
    };
    Decision { state, events }
}

/// One decision under way.
pub(crate) struct Turn<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) evidence: &'a Evidence,
    pub(crate) now: Timestamp,
    pub(crate) state: State,
    pub(crate) events: Vec<Event>,
}

impl State {
    /// `enabled: false`: stable at once; true again is a new attempt.
    fn disable(&mut self, now: Timestamp) {
        if self.phase != Phase::Disabled {
            self.end(Phase::Disabled, None, now);
            self.phase = Phase::Disabled;
            self.running = None;
            self.withdraw(now);
        }
    }
}

impl Turn<'_> {
    fn decide(&mut self) {
        let unborn = self.state.segment.release.is_empty();
        let promoted = self.state.phase == Phase::Promoted;
        if !self.plan.enabled {
            self.state.disable(self.now);
        } else if self.state.segment.release != self.plan.release || self.state.phase == Phase::Disabled {
            if self.completes_identity() { self.complete_identity() } else { self.begin() }
        } else if self.plan.observed.is_some() {
            self.state.observed.clone_from(&self.plan.observed);
        }
        self.obey_command(unborn);
        self.state.obey_abort(self.evidence, self.now, &mut self.events);
        if matches!(self.state.phase, Phase::Aborted | Phase::Disabled | Phase::Completed) {
            return;
        }
        if self.evidence.completed {
            return self.complete();
        }
        if matches!(self.state.phase, Phase::Pending | Phase::Scheduled) && !self.starts() {
            return;
        }
        self.advance();
        if self.state.phase == Phase::Promoted && !promoted {
            self.record_routes();
            self.state.end(Phase::Promoted, None, self.now);
        }
    }

    /// The routes that take part, beside those that took part before: one that was repointed early is no longer reached.
    fn record_routes(&mut self) {
        self.state.routes.extend(self.evidence.routes.iter().cloned());
        self.state.routes.sort();
        self.state.routes.dedup();
    }

    /// The routes do without the release what the canary does: it decides nothing more (S10).
    fn complete(&mut self) {
        self.record_routes();
        self.state.end(Phase::Completed, None, self.now);
        self.state.phase = Phase::Completed;
        self.state.running = None;
        self.state.withdraw(self.now);
    }

    /// Whether the release began before its workload was seen: the first revision is no change.
    fn completes_identity(&self) -> bool {
        let (state, plan) = (&self.state, self.plan);
        let first = state.observed.is_none() && plan.observed.is_some() && state.segment.release == plan.unobserved;
        first && state.phase != Phase::Disabled
    }

    fn complete_identity(&mut self) {
        let (state, plan) = (&mut self.state, self.plan);
        state.history.iter_mut().filter(|entry| entry.id == plan.unobserved).for_each(|entry| entry.id.clone_from(&plan.release));
        state.segment.release.clone_from(&plan.release);
        state.segment.epoch = state.segment.epoch.saturating_add(1);
        state.revision.clone_from(&plan.revision);
        state.observed.clone_from(&plan.observed);
    }

    /// A new attempt: weight 0 in the same write, from the first step.
    pub(crate) fn begin(&mut self) {
        let state = &mut self.state;
        state.end(state.phase, Some("It was replaced by a new one."), self.now);
        // A status that is empty may be one that was lost: replicas then know an epoch, and would ignore a lower one.
        let epoch = match state.segment.epoch {
            0 => u64::try_from(self.now.as_millisecond()).unwrap_or(1),
            last => last.saturating_add(1),
        };
        state.phase = Phase::Pending;
        state.attempt = state.attempt.saturating_add(1);
        state.started_at = self.now;
        state.ended_at = None;
        state.strategy = Some(self.plan.fingerprint());
        state.position = 0;
        state.running = None;
        state.start = self.plan.start();
        state.pauses = Pauses::default();
        (state.fails_in_row, state.fails) = (0, 0);
        state.routes = Vec::new();
        state.revision = self.plan.revision.clone();
        state.observed = self.plan.observed.clone();
        state.segment = Segment::flat(&self.plan.release, self.plan.buckets, 0, epoch, self.now);
        self.events.push(Event::Began);
    }

    /// Whether a release that waits begins now; one that has begun never comes back here.
    fn starts(&mut self) -> bool {
        if self.evidence.ready {
            let waits = self.plan.start().is_some_and(|start| self.now < start) || !self.is_open();
            if self.state.phase == Phase::Pending {
                self.record_routes();
            }
            self.state.phase = if waits { Phase::Scheduled } else { Phase::Progressing };
        }
        self.state.phase == Phase::Progressing
    }

    /// Whether every ready replica serves `epoch` or a later one.
    pub(crate) fn programmed(&self, epoch: u64) -> bool {
        self.evidence.programmed.is_some_and(|served| served >= epoch)
    }

    /// Whether nobody has the canary, and nobody may be the first: its workload is not rolled out.
    pub(crate) fn awaits_rollout(&self) -> bool {
        self.evidence.rolling && self.served() == 0 && self.state.segment.groups.is_none()
    }

    /// Whether someone keeps the weight where it is.
    pub(crate) fn held(&self) -> bool {
        self.plan.paused || self.state.pauses.any()
    }

    /// Whether the schedule lets it start, advance and be promoted.
    pub(crate) fn is_open(&self) -> bool {
        schedule::is_open(&self.plan.schedule, self.now)
    }

    /// The number of buckets that the canary has.
    pub(crate) fn served(&self) -> u32 {
        self.state.segment.k(self.now)
    }
}
