//! What verdicts and the deadline do to a release that is under way.

use crate::later;
use crate::line::{LEASE, RENEW};
use crate::phase::Phase;
use crate::plan::to_millis;
use crate::state::{Event, Judgement, Verdict};
use crate::step::Turn;
use jiff::SignedDuration;
use serin_api::release::{Analysis, OnFail};

impl<'a> Turn<'a> {
    /// The analysis that judges what is served now.
    pub(crate) fn analysis(&self) -> Option<&'a Analysis> {
        self.plan.judged(self.served() == self.state.segment.buckets)
    }

    pub(crate) fn last_verdict(&self) -> Option<Verdict> {
        self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict)
    }

    pub(crate) fn last_verdict_is_bad(&self) -> bool {
        self.analysis().is_some() && !matches!(self.last_verdict(), Some(Verdict::Pass | Verdict::NoData))
    }

    /// A judgement counts once, and only for the step in which it was made; also while a pause holds the weight.
    pub(crate) fn judge(&mut self) {
        let (Some(analysis), Some(Judgement { verdict, at })) = (self.analysis(), self.evidence.judgement) else { return };
        let judgement = Judgement { verdict, at: to_millis(at) };
        let Some(running) = self.state.running.as_mut().filter(|_| self.state.phase != Phase::Promoted) else { return };
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
                if self.state.fails >= analysis.total || self.state.fails_in_row >= analysis.consecutive {
                    let why = self.evidence.failure.as_deref().unwrap_or("The analysis failed.");
                    self.fail(why);
                }
            }
            Verdict::Pass => self.state.fails_in_row = 0,
            Verdict::Inconclusive | Verdict::NoData => {}
        }
    }

    fn fail(&mut self, why: &str) {
        match self.plan.analysis.as_ref().map_or(OnFail::Abort, |a| a.on_fail) {
            OnFail::Abort => self.state.abort(why, self.now, &mut self.events),
            OnFail::Pause => self.pause(),
        }
    }

    /// After `resume` a person has answered for the old verdicts: the step needs a new one, and its deadline starts anew.
    /// Failures go on to count for the attempt.
    pub(crate) fn forgive(&mut self) {
        self.state.fails_in_row = 0;
        let due = self.plan.analysis.as_ref().map(|a| later(self.now, a.interval));
        let Some(running) = &mut self.state.running else { return };
        running.planned_end = running.planned_end.max(self.now);
        (running.judged, running.due) = (None, due);
    }

    /// Time that was paused, or in which nobody decided, does not count towards the deadline: a leader that was away for longer
    /// than that must not end the release by coming back.
    pub(crate) fn restart(&mut self) {
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

    pub(crate) fn check_deadline(&mut self) {
        let Some(running) = &self.state.running else { return };
        let waits = self.state.phase == Phase::Progressing && self.plan.stage(running.index).is_some();
        if waits && self.now > later(running.planned_end, self.plan.progress_deadline) {
            self.fail("The step ran past its progressDeadline.");
        }
    }
}
