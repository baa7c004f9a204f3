//! How the served line is laid, stopped and moved on.

use crate::plan::Plan;
use crate::state::{Event, Line, Running, State};
use crate::step::Turn;
use crate::{Segment, later};
use jiff::{SignedDuration, Timestamp};
use serin_api::release::{Step, Strategy};

/// How far ahead a line may run without a new decision.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// The line is moved on when less than this is left, so that not every decision is a write.
pub(crate) const RENEW: SignedDuration = SignedDuration::from_secs(30);

impl State {
    /// A flat line at `k` of the same buckets, when the line is not that already.
    pub(crate) fn flatten(&mut self, k: u32, now: Timestamp) {
        self.flatten_to(k, self.segment.buckets, now);
    }

    /// A flat line at `k` of `buckets`.
    pub(crate) fn flatten_to(&mut self, k: u32, buckets: u32, now: Timestamp) {
        let s = &self.segment;
        if (s.from, s.to, s.floor, s.buckets) != (k, k, 0, buckets) {
            self.segment = Segment::flat(&s.release, buckets, k, s.epoch.saturating_add(1), now);
        }
    }

    /// Stops the line where it is; what passes from here on is held.
    pub(crate) fn freeze(&mut self, now: Timestamp) {
        self.segment.until = self.segment.until.min(now);
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
            if let Some(line) = &mut self.line {
                line.held = line.held.saturating_add(held);
            }
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
        self.state.pauses.step = false;
        let linear = matches!(self.plan.strategy, Strategy::Linear { .. });
        if !linear {
            self.state.line = None;
        }
        if self.plan.order().is_some() {
            self.state.running = None;
        } else if self.state.phase == crate::phase::Phase::Promoted {
            // Everyone has the canary: there is nowhere to start from.
        } else if self.state.line.is_some() {
            // The line of a linear release is laid anew by S9's formula; it rises when that is Programmed.
            self.state.shift_by_held(self.now);
            self.enter(0);
        } else {
            self.state.position = self.plan.position(self.served_in(self.plan));
            self.state.running = None;
            self.state.flatten(self.served(), self.now);
        }
    }

    /// The served weight in the buckets of `plan`, rounded up: nobody is moved back by an edit that changes their number.
    fn served_in(&self, plan: &Plan) -> u32 {
        let k = u64::from(self.served()) * u64::from(plan.buckets);
        u32::try_from(k.div_ceil(u64::from(self.state.segment.buckets.max(1)))).unwrap_or(u32::MAX).min(plan.buckets)
    }

    /// Enters the step at `index`, from the served weight; past the last one it only holds it.
    pub(crate) fn enter(&mut self, index: usize) {
        let (now, k) = (self.now, self.served_in(self.plan));
        let stage = self.plan.stage(index);
        let (to, ramp, hold) = match &stage {
            Some(step @ Step::Weight { share, ramp, .. }) => (self.plan.k_of(*share).max(k), *ramp, self.plan.hold_of(step)),
            Some(Step::Pause) | None => (k, SignedDuration::ZERO, SignedDuration::ZERO),
        };
        let linear = stage.is_some() && matches!(self.plan.strategy, Strategy::Linear { .. });
        let s = &self.state.segment;
        let (ends_at, epoch) = (later(now, ramp), s.epoch.saturating_add(1));
        self.state.segment = Segment {
            buckets: self.plan.buckets,
            from: if linear { 0 } else { k },
            to,
            starts_at: now,
            ends_at,
            // A rise waits until the step is Programmed.
            until: now,
            floor: k,
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
    }

    /// Everyone, in one write.
    pub(crate) fn jump(&mut self) {
        let s = &mut self.state.segment;
        (s.to, s.floor) = (s.buckets, s.buckets);
    }

    /// Every replica serves the step: its line starts now, or where S9 puts it.
    pub(crate) fn start_clock(&mut self) {
        let (now, started) = (self.now, self.state.started_at);
        let interval = self.analysis().map(|a| a.interval);
        let Some(running) = &mut self.state.running else { return };
        running.clock = Some(now);
        running.due = interval.map(|i| later(now, i));
        let mut start = now;
        if let Strategy::Linear { start: asked, .. } = self.plan.strategy {
            let (from, before) = match self.state.line {
                Some(line) => (asked.unwrap_or(line.start), line.held),
                None => (asked.unwrap_or(now), SignedDuration::ZERO),
            };
            let since = if self.state.line.is_some() { running.entered_at } else { started };
            let waited = now.duration_since(from.max(since)).max(SignedDuration::ZERO);
            let line = Line { start: from, held: before.saturating_add(waited) };
            self.state.line = Some(line);
            start = later(line.start, line.held);
        }
        let s = &mut self.state.segment;
        s.floor = s.k(now);
        s.shift(start.duration_since(s.starts_at));
        running.planned_end = match self.plan.stage(running.index) {
            Some(step) => later(s.ends_at, self.plan.hold_of(&step)),
            None => s.ends_at,
        };
        s.until = s.until.max(now);
        s.epoch = s.epoch.saturating_add(1);
        self.renew();
    }

    /// Moves `until` on, after the line was shifted by the time that was held.
    pub(crate) fn renew(&mut self) {
        self.state.shift_by_held(self.now);
        let (now, due) = (self.now, self.state.running.as_ref().and_then(|r| r.due));
        let due = due.filter(|_| self.analysis().is_some());
        let lease = due.map_or(later(now, LEASE), |due| later(now, LEASE).min(due.max(now)));
        let s = &mut self.state.segment;
        if later(now, RENEW) > s.until && lease > s.until {
            s.until = lease;
        }
    }
}
