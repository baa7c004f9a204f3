//! How the served line is laid, stopped and moved on.

use crate::phase::Phase;
use crate::plan::Plan;
use crate::state::{Event, Running, State};
use crate::step::Turn;
use crate::{Segment, later, schedule};
use jiff::{SignedDuration, Timestamp};
use serin_api::release::{Step, Strategy};
use serin_split::Groups;

/// How far ahead a line may run without a new decision.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How long a replica may take to hear of a decision, and goes on by the line that it has.
pub(crate) const SETTLE: SignedDuration = SignedDuration::from_secs(2);
/// The line is moved on when less than this is left, so that not every decision is a write.
pub(crate) const RENEW: SignedDuration = SignedDuration::from_secs(30);

impl State {
    /// Nobody has the canary any more.
    pub(crate) fn withdraw(&mut self, now: Timestamp) {
        self.flatten(0, self.segment.buckets, None, now);
    }

    /// A flat line at `k` of `buckets` beside `groups`, when the line is not that already.
    pub(crate) fn flatten(&mut self, k: u32, buckets: u32, groups: Option<Groups>, now: Timestamp) {
        let s = &self.segment;
        if (s.from, s.to, s.floor, s.buckets, &s.groups) != (k, k, 0, buckets, &groups) {
            self.segment = Segment { groups, ..Segment::flat(&s.release, buckets, k, s.epoch.saturating_add(1), now) };
        }
    }

    /// Stops the line; what passes from here on is held. Replicas rise until they hear of it, and whoever they gave the canary keeps
    /// it (S4), also when the clock is set back later: so what the line grants until then becomes the floor.
    pub(crate) fn freeze(&mut self, now: Timestamp) {
        let s = &mut self.segment;
        if s.until > now {
            let granted = s.k(later(now, SETTLE));
            s.until = now;
            if granted > s.floor && s.from < s.to {
                s.floor = granted;
                s.epoch = s.epoch.saturating_add(1);
            }
        }
    }

    /// Stops the line, and the time that counts towards the deadline.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        self.freeze(now);
        if let Some(running) = &mut self.running {
            running.stopped_at.get_or_insert(now);
        }
    }

    /// Shifts the line by the time in which it might not rise, so that nothing is caught up in a jump (S9).
    fn shift_by_held(&mut self, now: Timestamp) {
        let s = &mut self.segment;
        let held = now.duration_since(s.until.max(s.starts_at));
        if held.is_positive() {
            // Whoever has the canary keeps it, also on a replica whose clock is behind.
            s.floor = s.k(now);
            s.shift(held);
            s.until = now;
            s.epoch = s.epoch.saturating_add(1);
        }
    }
}

impl Turn<'_> {
    /// Steps and lines start again from the served weight and never lower it.
    pub(crate) fn edited(&mut self) {
        let fingerprint = self.plan.fingerprint();
        if self.state.strategy.as_ref() == Some(&fingerprint) {
            return;
        }
        self.state.strategy = Some(fingerprint);
        self.state.freeze(self.now);
        self.state.pauses.step = false;
        let laid = self.state.running.as_ref().is_some_and(|r| r.index == 0);
        let old_start = std::mem::replace(&mut self.state.start, self.plan.start());
        if self.plan.order().is_some() {
            self.state.running = None;
        } else if let Some(old) = old_start.filter(|_| laid && matches!(self.plan.strategy, Strategy::Linear { .. })) {
            // S9's formula with the new values: what was held before stays held.
            self.state.shift_by_held(self.now);
            let start = *self.state.start.get_or_insert(old);
            let starts_at = later(self.state.segment.starts_at, start.duration_since(old));
            self.enter(0);
            self.lay_from(starts_at);
        } else if self.state.phase != Phase::Promoted {
            self.state.position = self.plan.position(self.served_in(self.plan));
            self.state.running = None;
            // Groups that were kept out have no place in a strategy that ends with everyone: it begins with its own.
            let groups = self.state.segment.groups.clone().filter(|groups| matches!(groups, Groups::Admitted(_)));
            self.state.flatten(self.served(), self.state.segment.buckets, groups, self.now);
        }
    }

    /// The line of a linear release that was entered: it begins where S9 says, and rises when that is Programmed.
    fn lay_from(&mut self, starts_at: Timestamp) {
        let s = &mut self.state.segment;
        s.shift(starts_at.duration_since(s.starts_at));
        s.until = self.now.min(starts_at);
    }

    /// The served weight in the buckets of `plan`, rounded up: nobody is moved back by an edit that changes their number.
    fn served_in(&self, plan: &Plan) -> u32 {
        let k = u64::from(self.served()) * u64::from(plan.buckets);
        u32::try_from(k.div_ceil(u64::from(self.state.segment.buckets.max(1)))).unwrap_or(u32::MAX).min(plan.buckets)
    }

    /// Enters the step at `index`, from the served weight; past the last one it only holds it.
    pub(crate) fn enter(&mut self, index: usize) {
        self.state.freeze(self.now);
        let (now, k) = (self.now, self.served_in(self.plan));
        let stage = self.plan.stage(index);
        let (to, ramp, hold) = match &stage {
            Some(step @ Step::Weight { share, ramp, .. }) => (self.plan.k_of(*share).max(k), *ramp, self.plan.hold_of(step)),
            Some(step @ Step::Groups { .. }) => (k, SignedDuration::ZERO, self.plan.hold_of(step)),
            Some(Step::Pause) | None => (k, SignedDuration::ZERO, SignedDuration::ZERO),
        };
        let linear = stage.is_some() && matches!(self.plan.strategy, Strategy::Linear { .. });
        let from = match self.plan.strategy {
            _ if linear => 0,
            // One write switches everyone, whatever a replica's clock says.
            Strategy::BlueGreen { .. } => to,
            _ => k,
        };
        let s = &self.state.segment;
        let (ends_at, epoch) = (later(now, ramp), s.epoch.saturating_add(1));
        self.state.segment = Segment {
            buckets: self.plan.buckets,
            from,
            to,
            starts_at: now,
            ends_at,
            // A rise waits until the step is Programmed.
            until: now,
            floor: k,
            groups: self.plan.admitted(index, s.groups.as_ref()),
            epoch,
            release: s.release.clone(),
        };
        self.state.running = Some(Running {
            index,
            epoch,
            entered_at: now,
            clock: None,
            planned_end: later(ends_at, hold),
            seen_at: now,
            stopped_at: None,
            judged: None,
            due: None,
        });
        self.events.push(Event::Step(index, self.plan.stages()));
        if let Some(start) = self.state.start.filter(|_| linear) {
            // A start in the past counts in full; the time since the release began is held.
            let held = now.duration_since(start.max(self.state.started_at)).max(SignedDuration::ZERO);
            self.lay_from(later(start, held));
        }
    }

    /// Everyone, in one write.
    pub(crate) fn jump(&mut self) {
        let s = &mut self.state.segment;
        if s.from < s.buckets {
            (s.to, s.floor) = (s.buckets, s.buckets);
        }
    }

    /// Every replica serves the step: its line starts now, or where S9 puts it.
    pub(crate) fn start_clock(&mut self) {
        let now = self.now;
        let interval = self.analysis().map(|a| a.interval);
        let Some(running) = &mut self.state.running else { return };
        running.clock = Some(now);
        running.due = interval.map(|i| later(now, i));
        let s = &mut self.state.segment;
        // What was waited for is held; a line that starts later has waited for nothing.
        let waited = now.duration_since(running.entered_at.max(s.starts_at)).max(SignedDuration::ZERO);
        if matches!(self.plan.strategy, Strategy::Linear { .. }) {
            self.state.start.get_or_insert(now);
        }
        s.floor = s.k(now);
        s.shift(waited);
        let hold = self.plan.stage(running.index).map_or(SignedDuration::ZERO, |step| self.plan.hold_of(&step));
        // A line may have been over before the release began; its deadline still runs from now.
        running.planned_end = later(s.ends_at, hold).max(now);
        s.until = s.until.max(now);
        s.epoch = s.epoch.saturating_add(1);
        self.renew();
    }

    /// Moves `until` on, after the line was shifted by the time that was held.
    pub(crate) fn renew(&mut self) {
        self.state.shift_by_held(self.now);
        let (now, due) = (self.now, self.state.running.as_ref().and_then(|r| r.due));
        // Where nothing rises, no judgement is waited for: a late one would only prolong the step.
        let due = due.filter(|_| self.analysis().is_some() && self.state.segment.rises_after(now));
        let lease = due.map_or(later(now, LEASE), |due| later(now, LEASE).min(due.max(now)));
        let lease = schedule::open_until(&self.plan.schedule, now, lease).unwrap_or(now);
        let s = &mut self.state.segment;
        if later(now, RENEW) > s.until && lease > s.until {
            s.until = lease;
        }
    }
}
