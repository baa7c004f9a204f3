//! When a release would do what if all goes well: the state machine itself, on a clock that runs ahead.

use crate::command::Annotation;
use crate::phase::Phase;
use crate::plan::Plan;
use crate::state::{Event, Evidence, Judgement, State, Verdict};
use crate::{later, share, step};
use jiff::{SignedDuration, Timestamp};

/// The longest time between two decisions; a line goes no further than it is moved on.
const TICK: SignedDuration = SignedDuration::from_secs(30);
/// Decisions until a release that comes to nothing is given up: some weeks of its time.
const DECISIONS: usize = 100_000;

/// A moment at which something begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The weight that is served then, in percent.
    pub weight: String,
    /// What begins.
    pub what: What,
}

/// What begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// This step, from 0, of so many.
    Step(usize, usize),
    /// It waits for `resume`, or for `promote`; the times behind it begin when that comes.
    Waits(&'static str),
    /// This phase.
    Phase(Phase),
}

/// The timetable of a release that begins at `start`: replicas follow at once, every check passes, and nobody lets it wait. It ends with a
/// phase that lasts, or where there is no end in sight.
pub fn timetable(plan: &Plan, start: Timestamp) -> Vec<Entry> {
    let (mut state, mut now, mut entries, mut orders) = (State::empty(), start, Vec::new(), 0);
    let mut evidence = Evidence { ready: true, canary_ready: true, ..Evidence::default() };
    for _ in 0..DECISIONS {
        evidence.programmed = Some(state.segment.epoch);
        evidence.judgement = Some(Judgement { verdict: Verdict::Pass, at: now });
        let decision = step(plan, &state, &evidence, now);
        let weight = || share::weight(decision.state.segment.k(now), decision.state.segment.buckets);
        for event in &decision.events {
            let what = match event {
                Event::Step(index, of) if index < of => What::Step(*index, *of),
                Event::Phase(phase) if !matches!(phase, Phase::Pending | Phase::Progressing | Phase::Paused) => What::Phase(*phase),
                _ => continue,
            };
            entries.push(Entry { at: now, weight: weight(), what });
        }
        if matches!(decision.state.phase, Phase::Steady | Phase::Promoted | Phase::Completed | Phase::Aborted | Phase::Disabled) {
            return entries;
        }
        let changed = decision.state != state;
        if let Some(order) = awaited(plan, &decision.state).filter(|_| !changed) {
            entries.push(Entry { at: now, weight: weight(), what: What::Waits(order) });
            orders += 1;
            evidence.command = Some(Annotation::from(format!("{order}@{}-{orders}", plan.release)));
        } else if !changed {
            now = next(&state, now);
        }
        state = decision.state;
    }
    entries
}

/// The order that it waits for.
fn awaited(plan: &Plan, state: &State) -> Option<&'static str> {
    let paused = state.phase == Phase::Paused && !plan.paused;
    (paused && state.pauses.step).then(|| if plan.awaits_promotion(state.pauses) { "promote" } else { "resume" })
}

/// When something is due, at the latest after a tick.
fn next(state: &State, now: Timestamp) -> Timestamp {
    let running = state.running.as_ref();
    let due = [running.map(|running| running.planned_end), running.and_then(|running| running.due), Some(state.segment.ends_at)];
    due.into_iter().flatten().filter(|due| *due > now).chain([later(now, TICK)]).min().unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{analysis, at, blue_green, plan, secs, steps};
    use serin_api::release::Strategy;

    fn told(plan: &Plan) -> Vec<(i64, String, What)> {
        let rows = timetable(plan, at(0)).into_iter();
        rows.map(|entry| (entry.at.as_second() - at(0).as_second(), entry.weight, entry.what)).collect()
    }

    #[test]
    fn steps_begin_when_the_ones_before_them_are_over_and_end_with_everyone() {
        let expected = [
            (0, "1", What::Step(0, 5)),
            (600, "1", What::Step(1, 5)),
            (600 + 2700, "25", What::Step(2, 5)),
            (600 + 2700, "25", What::Waits("resume")),
            (600 + 2700, "50", What::Step(3, 5)),
            (600 + 2700 + 600, "100", What::Step(4, 5)),
            (600 + 2700 + 600, "100", What::Phase(Phase::Promoted)),
        ];
        assert_eq!(told(&plan(steps())), expected.map(|(second, weight, what)| (second, weight.to_owned(), what)));
    }

    #[test]
    fn s9_linear_takes_its_duration() {
        let linear = plan(Strategy::Linear { start: None, duration: secs(36_000) });
        let told = told(&linear);
        assert_eq!(told.first(), Some(&(0, "0".to_owned(), What::Step(0, 1))));
        assert_eq!(told.last(), Some(&(36_000, "100".to_owned(), What::Phase(Phase::Promoted))));
    }

    #[test]
    fn s18_blue_green_waits_for_promote_switches_and_keeps_the_old_side() {
        let told = told(&plan(blue_green(None, 3600)));
        assert!(told.contains(&(0, "0".to_owned(), What::Waits("promote"))), "{told:?}");
        assert_eq!(told.last(), Some(&(3600, "100".to_owned(), What::Phase(Phase::Promoted))));
    }

    #[test]
    fn a_release_that_is_judged_is_promoted_too() {
        let judged = Plan { analysis: Some(analysis()), ..plan(steps()) };
        assert_eq!(told(&judged).last().map(|(_, weight, what)| (weight.as_str(), *what)), Some(("100", What::Phase(Phase::Promoted))));
    }

    #[test]
    fn a_fixed_share_is_steady_and_one_that_is_frozen_comes_to_nothing() {
        let share = plan(Strategy::Percentage(100_000));
        assert_eq!(told(&share).last(), Some(&(0, "10".to_owned(), What::Phase(Phase::Steady))));
        let mut frozen = share;
        frozen.schedule.frozen = true;
        assert!(told(&frozen).iter().all(|(_, weight, _)| weight == "0"), "nothing rises");
    }
}
