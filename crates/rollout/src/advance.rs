//! How a release that is under way moves on: orders and steps.

use crate::later;
use crate::phase::Phase;
use crate::plan::Order;
use crate::state::{Running, Verdict};
use crate::step::Turn;
use serin_api::release::{NoTraffic, Step};

impl Turn<'_> {
    pub(crate) fn advance(&mut self) {
        self.edited();
        self.judge();
        if self.state.phase == Phase::Aborted {
            return;
        }
        match self.plan.order() {
            Some(order) => self.serve_order(order),
            None if self.state.phase == Phase::Promoted => {}
            None => self.run(),
        }
        if self.state.phase == Phase::Paused {
            self.state.stop(self.now);
        }
    }

    /// A percentage, weights or groups: lowered at once, raised when nothing holds it.
    fn serve_order(&mut self, Order { k, groups }: Order) {
        let buckets = self.plan.buckets;
        let (served, of) = (self.served(), self.state.segment.buckets);
        let rises = u64::from(k) * u64::from(of) > u64::from(served) * u64::from(buckets);
        let (held, open) = (self.held(), self.is_open());
        let may_rise = !held && open && self.evidence.ready && !self.awaits_rollout() && self.programmed(self.state.segment.epoch);
        let within = self.state.segment.groups.as_ref().zip(groups.as_ref()).and_then(|(served, asked)| served.within(asked));
        let (next, of) = if rises && !may_rise { (served, of) } else { (k, buckets) };
        self.state.flatten(next, of, if may_rise { groups.clone() } else { within }, self.now);
        let line = &self.state.segment;
        let reached = line.buckets == buckets && line.k(self.now) == k && line.groups == groups;
        let follows = self.programmed(self.state.segment.epoch);
        if reached && follows && self.state.running.is_none() {
            self.watch_order();
        }
        let everyone = k == buckets;
        self.state.phase = match self.state.phase {
            Phase::Promoted if everyone && reached => Phase::Promoted,
            _ if held => Phase::Paused,
            _ if !reached => Phase::Progressing,
            _ if !everyone => Phase::Steady,
            _ if open && follows && self.evidence.ready && self.evidence.canary_ready && !self.last_verdict_is_bad() => Phase::Promoted,
            _ => Phase::Progressing,
        };
    }

    /// A fixed order has no steps, but it is judged from when it is served.
    fn watch_order(&mut self) {
        self.state.running = Some(Running {
            index: 0,
            epoch: self.state.segment.epoch,
            entered_at: self.now,
            seen_at: self.now,
            clock: Some(self.now),
            planned_end: self.now,
            stopped_at: None,
            judged: None,
            due: self.analysis().map(|a| later(self.now, a.interval)),
        });
    }

    fn run(&mut self) {
        let Some(running) = self.state.running.clone() else {
            // The weight of the beginning, or of an edit, must be served everywhere before anything rises.
            self.state.phase = if self.held() { Phase::Paused } else { Phase::Progressing };
            let goes_on = !self.held() && self.is_open() && !self.awaits_rollout();
            if goes_on && self.evidence.ready && self.programmed(self.state.segment.epoch) {
                self.enter(self.state.position);
            }
            return;
        };
        self.state.phase = Phase::Paused;
        if self.held() {
            return;
        }
        self.state.phase = Phase::Progressing;
        if !self.is_open() {
            return self.state.stop(self.now);
        }
        self.restart();
        let previews = self.plan.is_preview(running.index);
        let serves = self.programmed(running.epoch) && self.evidence.ready && (self.evidence.canary_ready || !previews);
        match self.plan.stage(running.index) {
            None if serves && self.evidence.canary_ready && self.served() == self.state.segment.buckets => {
                self.state.phase = Phase::Promoted;
            }
            None => {}
            Some(_) if !serves => self.state.freeze(self.now),
            // A pause that has begun and holds no more was resumed.
            Some(Step::Pause) if running.clock.is_some() => self.enter(running.index.saturating_add(1)),
            Some(Step::Pause) => {
                self.start_clock();
                self.state.pauses.step = true;
                self.state.phase = Phase::Paused;
            }
            Some(step) => {
                if running.clock.is_none() {
                    self.start_clock();
                }
                self.go_on(&step, running.index);
            }
        }
        self.check_deadline();
    }

    /// The clock runs: ends the step when its time and its verdict say so, else moves the line on.
    fn go_on(&mut self, step: &Step, index: usize) {
        if !self.may_rise() {
            self.state.freeze(self.now);
            // Its time may be over though its rise is not.
            if self.state.running.as_ref().is_none_or(|r| self.now < r.planned_end) {
                return;
            }
        } else if self.now.min(self.state.segment.until) < later(self.state.segment.ends_at, self.plan.hold_of(step)) {
            return self.renew();
        }
        let next = index.saturating_add(1);
        let Some(analysis) = self.analysis() else { return self.enter(next) };
        match (self.last_verdict(), analysis.no_traffic) {
            (Some(Verdict::Pass), _) | (Some(Verdict::NoData), NoTraffic::Continue) => self.enter(next),
            (Some(Verdict::NoData), NoTraffic::Abort) => {
                self.state.abort("The step is over, and there was not enough traffic to judge it.", self.now, &mut self.events);
            }
            (Some(Verdict::Inconclusive), _) => self.pause(),
            (Some(Verdict::NoData), NoTraffic::Hold) | (Some(Verdict::Fail) | None, _) => {}
        }
    }

    /// Whether the last verdict lets a rise go on; a hold goes on whatever it says.
    fn may_rise(&self) -> bool {
        let rising = self.state.segment.rises_after(self.now);
        let Some(analysis) = self.analysis().filter(|_| rising) else { return true };
        match self.last_verdict() {
            // The step before passed, and `until` is the first judgement of this one.
            None | Some(Verdict::Pass) => true,
            Some(Verdict::NoData) => analysis.no_traffic == NoTraffic::Continue,
            Some(Verdict::Fail | Verdict::Inconclusive) => false,
        }
    }

    pub(crate) fn pause(&mut self) {
        self.state.pauses.analysis = true;
        self.state.phase = Phase::Paused;
    }
}
