//! How a release that is under way moves on: orders, steps, lines, and what holds them.

use crate::phase::Phase;
use crate::plan::{Analysis, NoTraffic, OnFail, Step, Strategy};
use crate::state::{Event, Running, Verdict};
use crate::step::Turn;
use crate::{Segment, later};
use jiff::SignedDuration;

/// How far ahead a line may run without a new decision.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// The line is moved on when less than this is left, so that not every decision is a write.
const RENEW: SignedDuration = SignedDuration::from_secs(30);

impl Turn<'_> {
    pub(crate) fn advance(&mut self) {
        if self.state.strategy.as_ref() != Some(&self.plan.strategy) {
            self.edited();
        }
        self.judge();
        if self.state.phase == Phase::Aborted {
            return;
        }
        match self.plan.order() {
            Some(k) => self.serve_order(k),
            None if self.state.phase == Phase::Promoted => {}
            None => self.run(),
        }
        if self.state.pauses.any() && self.state.phase == Phase::Paused {
            self.stop();
        }
    }

    /// A new percentage or weights: lowered at once, raised when nothing holds it.
    fn serve_order(&mut self, k: u32) {
        if self.state.running.is_none() && self.programmed(self.state.segment.epoch) {
            self.watch_order();
        }
        let served = self.served();
        let held = self.held() || !self.evidence.ready || !self.programmed(self.state.segment.epoch);
        if k < served || (k > served && !held) {
            self.flatten(k);
        } else if self.state.segment.from != served || self.state.segment.to != served {
            self.flatten(served);
        }
        let everyone = k == self.plan.buckets && self.served() == k && self.programmed(self.state.segment.epoch);
        self.state.phase = match self.state.phase {
            _ if self.plan.paused || self.state.pauses.any() => Phase::Paused,
            _ if k < self.plan.buckets => Phase::Steady,
            Phase::Promoted => Phase::Promoted,
            _ if everyone && self.evidence.window_open && !self.last_verdict_is_bad() => Phase::Promoted,
            _ => Phase::Progressing,
        };
    }

    /// A fixed order has no steps, but it is judged from when it is served.
    fn watch_order(&mut self) {
        let due = self.plan.analysis.as_ref().map(|a| later(self.now, a.interval));
        self.state.running = Some(Running {
            index: 0,
            epoch: self.state.segment.epoch,
            entered_at: self.now,
            seen_at: self.now,
            clock: Some(self.now),
            planned_end: self.now,
            stopped_at: None,
            judged: None,
            due,
        });
    }

    fn last_verdict_is_bad(&self) -> bool {
        self.plan.analysis.is_some()
            && !matches!(self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict), Some(Verdict::Pass | Verdict::NoData))
    }

    fn held(&self) -> bool {
        self.plan.paused || self.state.pauses.any() || !self.evidence.window_open
    }

    fn served(&self) -> u32 {
        self.state.segment.k(self.now)
    }

    /// Steps and lines start again from the served weight and never lower it.
    fn edited(&mut self) {
        self.state.strategy = Some(self.plan.strategy.clone());
        if self.plan.order().is_some() {
            self.state.pauses.step = false;
            self.state.running = None;
        } else if self.state.phase != Phase::Promoted {
            let index = self.plan.position(self.served());
            self.state.pauses.step = false;
            self.state.position = index;
            self.state.running = None;
            self.flatten(self.served());
        }
    }

    fn run(&mut self) {
        let Some(running) = self.state.running.clone() else {
            // The weight of the beginning, or of an edit, must be served everywhere before anything rises.
            if !self.held() && self.evidence.ready && self.programmed(self.state.segment.epoch) {
                self.enter(self.state.position);
            }
            self.state.phase = if self.plan.paused || self.state.pauses.any() { Phase::Paused } else { Phase::Progressing };
            return;
        };
        let programmed = self.programmed(running.epoch);
        let Some(stage) = self.plan.stage(running.index) else {
            let free = self.evidence.window_open && self.evidence.ready && programmed;
            let served = self.served() == self.plan.buckets;
            self.state.phase = if free && served { Phase::Promoted } else { Phase::Progressing };
            return;
        };
        if self.held() {
            self.stop();
            self.state.phase = if self.evidence.window_open || self.state.pauses.any() { Phase::Paused } else { Phase::Progressing };
            return;
        }
        self.restart();
        self.state.phase = Phase::Progressing;
        if stage == Step::Pause {
            if programmed && running.clock.is_some() {
                self.enter(running.index.saturating_add(1));
            } else if programmed {
                self.state.pauses.step = true;
                self.state.phase = Phase::Paused;
            }
            return;
        }
        if !programmed || !self.evidence.ready {
            self.freeze();
        } else {
            if running.clock.is_none() {
                self.start_clock();
            }
            self.go_on(&stage, running.index);
        }
        self.check_deadline();
    }

    /// The clock runs: ends the step when its time and its verdict say so, else moves the line on.
    fn go_on(&mut self, stage: &Step, index: usize) {
        if !self.may_rise() {
            return self.freeze();
        }
        let end = later(self.state.segment.ends_at, self.plan.hold_of(stage));
        if self.now.min(self.state.segment.until) < end {
            return self.renew();
        }
        let judged = self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict);
        match (&self.plan.analysis, judged) {
            (None, _) | (Some(_), Some(Verdict::Pass)) => self.enter(index.saturating_add(1)),
            (Some(_), Some(Verdict::Inconclusive)) => {
                self.state.pauses.analysis = true;
                self.state.phase = Phase::Paused;
            }
            (Some(Analysis { no_traffic, .. }), Some(Verdict::NoData)) => match no_traffic {
                NoTraffic::Hold => {}
                NoTraffic::Continue => self.enter(index.saturating_add(1)),
                NoTraffic::Abort => self.abort("The step is over and there was not enough traffic to judge it."),
            },
            (Some(_), Some(Verdict::Fail) | None) => {}
        }
    }

    /// Whether the last verdict lets a rise go on; a hold goes on whatever it says.
    fn may_rise(&self) -> bool {
        let rising = self.state.segment.rises_after(self.now);
        let Some(analysis) = self.plan.analysis.as_ref().filter(|_| rising) else { return true };
        match self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict) {
            None | Some(Verdict::Pass) => true,
            Some(Verdict::NoData) => analysis.no_traffic == NoTraffic::Continue,
            Some(Verdict::Fail | Verdict::Inconclusive) => false,
        }
    }

    /// Enters the step at `index`, from the served weight; past the last one it only holds it.
    pub(crate) fn enter(&mut self, index: usize) {
        let k = self.served();
        let epoch = self.state.segment.epoch.saturating_add(1);
        let (to, ramp, hold) = match self.plan.stage(index) {
            Some(ref stage @ Step::Weight { share, ramp, .. }) => (self.plan.k_of(share).max(k), ramp, self.plan.hold_of(stage)),
            Some(Step::Pause) | None => (k, SignedDuration::ZERO, SignedDuration::ZERO),
        };
        let linear = matches!(self.plan.strategy, Strategy::Linear { .. });
        let (from, ends_at) = (if linear && index == 0 { 0 } else { k }, later(self.now, ramp));
        let s = &self.state.segment;
        let until = if ramp.is_zero() { self.now } else { self.now.min(s.until) };
        self.state.segment = Segment {
            buckets: s.buckets,
            from,
            to,
            starts_at: self.now,
            ends_at,
            until,
            floor: k.min(to),
            epoch,
            release: s.release.clone(),
        };
        let planned_end = later(ends_at, hold);
        self.state.running = Some(Running {
            index,
            epoch,
            entered_at: self.now,
            seen_at: self.now,
            clock: None,
            planned_end,
            stopped_at: None,
            judged: None,
            due: None,
        });
        self.events.push(Event::Step(index));
    }

    /// 100 % (or less) in one write.
    pub(crate) fn jump(&mut self, k: u32) {
        let s = &mut self.state.segment;
        (s.to, s.floor) = (k, k);
    }

    /// Every replica serves the step: its line starts now, or where the author put it (S9: what was held is not caught up).
    fn start_clock(&mut self) {
        let (now, started) = (self.now, self.state.started_at);
        let start = match self.plan.strategy {
            Strategy::Linear { start: Some(start), .. } => {
                let held = now.duration_since(start.max(started)).max(SignedDuration::ZERO);
                later(start, held)
            }
            _ => now,
        };
        let interval = self.plan.analysis.as_ref().map(|a| a.interval);
        let Some(running) = &mut self.state.running else { return };
        running.clock = Some(now);
        running.due = interval.map(|i| later(now, i));
        running.planned_end = later(running.planned_end, start.duration_since(running.entered_at).max(SignedDuration::ZERO));
        let s = &mut self.state.segment;
        let shift = start.duration_since(s.starts_at);
        s.shift(shift);
        s.until = s.until.max(now);
        s.epoch = s.epoch.saturating_add(1);
        self.renew();
    }

    /// Stops the line where it is; what passes from here on is held.
    fn freeze(&mut self) {
        let s = &mut self.state.segment;
        if s.until > self.now {
            s.until = self.now;
        }
    }

    /// Moves `until` on, after the line was shifted by the time that was held.
    fn renew(&mut self) {
        let due = self.state.running.as_ref().and_then(|r| r.due);
        let now = self.now;
        let s = &mut self.state.segment;
        let held = now.duration_since(s.until.max(s.starts_at));
        if held.is_positive() {
            s.floor = s.k(now);
            s.shift(held);
            s.until = now;
            s.epoch = s.epoch.saturating_add(1);
        }
        let lease = due.map_or(later(now, LEASE), |due| later(now, LEASE).min(due.max(now)));
        if later(now, RENEW) > s.until && lease > s.until {
            s.until = lease;
        }
    }

    fn stop(&mut self) {
        self.freeze();
        if let Some(running) = &mut self.state.running {
            running.stopped_at.get_or_insert(self.now);
        }
    }

    /// Time that was paused, outside a window, or in which nobody decided, does not count towards the deadline.
    fn restart(&mut self) {
        let now = self.now;
        let Some(running) = &mut self.state.running else { return };
        let unseen = now.duration_since(running.seen_at);
        let lost = match running.stopped_at.take() {
            Some(since) => now.duration_since(since),
            None if unseen > LEASE => unseen,
            None => SignedDuration::ZERO,
        };
        running.planned_end = later(running.planned_end, lost.max(SignedDuration::ZERO));
        if lost.is_positive() || unseen >= RENEW {
            running.seen_at = now;
        }
    }

    fn check_deadline(&mut self) {
        let Some(running) = &self.state.running else { return };
        let waits = self.state.phase == Phase::Progressing && self.plan.stage(running.index).is_some();
        if waits && self.now > later(running.planned_end, self.plan.progress_deadline) {
            self.fail("The step ran past its progressDeadline.");
        }
    }

    /// A judgement counts once, and only for the step in which it was made.
    fn judge(&mut self) {
        let (Some(analysis), Some(judgement)) = (&self.plan.analysis, self.evidence.judgement) else { return };
        let Some(running) = &mut self.state.running else { return };
        let fresh = running.clock.is_some_and(|clock| judgement.at > clock) && judgement.at <= self.now;
        if !fresh || running.judged.is_some_and(|last| judgement.at <= last.at) {
            return;
        }
        if running.judged.map(|last| last.verdict) != Some(judgement.verdict) {
            self.events.push(Event::Verdict(judgement.verdict));
        }
        running.judged = Some(judgement);
        running.due = Some(later(judgement.at, analysis.interval));
        match judgement.verdict {
            Verdict::Fail => {
                self.state.fails = self.state.fails.saturating_add(1);
                self.state.fails_in_row = self.state.fails_in_row.saturating_add(1);
            }
            Verdict::Pass => self.state.fails_in_row = 0,
            Verdict::Inconclusive | Verdict::NoData => {}
        }
        if judgement.verdict == Verdict::Fail && (self.state.fails >= analysis.total || self.state.fails_in_row >= analysis.consecutive) {
            self.fail("The analysis failed.");
        }
    }

    fn fail(&mut self, why: &str) {
        match self.plan.analysis.as_ref().map_or(OnFail::Abort, |a| a.on_fail) {
            OnFail::Abort => self.abort(why),
            OnFail::Pause => {
                self.state.pauses.analysis = true;
                self.state.phase = Phase::Paused;
            }
        }
    }

    /// After `resume` a person has answered for the old verdicts: the step needs a new one, and its deadline starts anew.
    pub(crate) fn forgive(&mut self) {
        (self.state.fails, self.state.fails_in_row) = (0, 0);
        let due = self.plan.analysis.as_ref().map(|a| later(self.now, a.interval));
        let Some(running) = &mut self.state.running else { return };
        running.planned_end = running.planned_end.max(self.now);
        (running.judged, running.due) = (None, due);
    }
}
