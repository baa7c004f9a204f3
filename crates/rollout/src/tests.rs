//! Tables of (phase, event), and what must hold for any order of events.

use crate::command::Outcome;
use crate::phase::Phase;
use crate::plan::Plan;
use crate::state::{Decision, Event, Evidence, Judgement, State, Verdict};
use crate::step;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use serin_api::release::{Analysis, Check, NoTraffic, OnFail, Step, Strategy, WHOLE};

const MIN: i64 = 60;

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + s).unwrap()
}

fn secs(s: i64) -> SignedDuration {
    SignedDuration::from_secs(s)
}

fn weight(percent: u32, ramp: i64, hold: i64) -> Step {
    Step::Weight { share: percent * 10_000, ramp: secs(ramp), hold: secs(hold) }
}

fn steps() -> Strategy {
    Strategy::Steps(vec![weight(1, 0, 10 * MIN), weight(25, 15 * MIN, 30 * MIN), Step::Pause, weight(50, 0, 10 * MIN)])
}

fn plan(strategy: Strategy) -> Plan {
    Plan {
        release: "0123456789".into(),
        revision: None,
        enabled: true,
        paused: false,
        buckets: 1000,
        strategy,
        analysis: None,
        progress_deadline: secs(3600),
    }
}

fn analysis() -> Analysis {
    let check = Check { name: "errors".into(), dry_run: false, max: Some(10_000), max_increase: None };
    Analysis {
        interval: secs(30),
        min_requests: 200,
        no_traffic: NoTraffic::Hold,
        on_fail: OnFail::Abort,
        consecutive: 1,
        total: 3,
        checks: vec![check],
    }
}

fn fine() -> Evidence {
    Evidence {
        ready: true,
        programmed: None,
        canary_ready: true,
        routes: vec![],
        completed: false,
        judgement: None,
        failure: None,
        command: None,
        abort: None,
    }
}

/// A release whose replicas follow at once, decided each 10 s.
struct World {
    plan: Plan,
    state: State,
    evidence: Evidence,
    now: i64,
    verdict: Option<Verdict>,
}

impl World {
    fn new(plan: Plan) -> Self {
        Self { plan, state: State::empty(), evidence: fine(), now: 0, verdict: None }
    }

    fn decide(&mut self) -> Decision {
        self.evidence.programmed = self.evidence.programmed.map(|_| self.state.segment.epoch);
        self.evidence.judgement = self.verdict.map(|verdict| Judgement { verdict, at: at(self.now) });
        let decision = step(&self.plan, &self.state, &self.evidence, at(self.now));
        self.state = decision.state.clone();
        decision
    }

    fn run(&mut self, seconds: i64) {
        self.evidence.programmed = Some(0);
        for _ in 0..seconds / 10 {
            self.decide();
            self.now += 10;
        }
        self.decide();
    }

    fn command(&mut self, text: &str) -> Decision {
        self.evidence.command = Some(text.into());
        self.decide()
    }

    fn k(&self) -> u32 {
        self.state.segment.k(at(self.now))
    }

    fn index(&self) -> Option<usize> {
        self.state.running.as_ref().map(|r| r.index)
    }
}

#[test]
fn steps_run_to_promoted_by_time_alone_with_a_pause_between() {
    let mut w = World::new(plan(steps()));
    w.decide();
    assert_eq!((w.state.phase, w.k(), w.state.attempt), (Phase::Progressing, 0, 1));
    w.run(MIN);
    assert_eq!((w.index(), w.k()), (Some(0), 10));
    w.run(10 * MIN);
    assert_eq!(w.index(), Some(1));
    w.run(7 * MIN);
    assert!((100..200).contains(&w.k()), "{}", w.k());
    w.run(60 * MIN);
    assert_eq!((w.state.phase, w.index(), w.k()), (Phase::Paused, Some(2), 250));
    w.command("resume@1");
    assert_eq!((w.state.phase, w.index(), w.k()), (Phase::Progressing, Some(3), 500));
    w.run(12 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn s9_linear_takes_its_duration_and_time_paused_is_held() {
    let mut w = World::new(plan(Strategy::Linear { start: None, duration: secs(3600) }));
    w.run(30 * MIN);
    let k = w.k();
    assert!((480..=500).contains(&k), "{k}");
    w.command("pause@1");
    w.run(60 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Paused, k));
    w.command("resume@2");
    assert_eq!(w.k(), k);
    w.run(32 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn s9_a_start_in_the_past_counts_in_full() {
    let mut w = World::new(plan(Strategy::Linear { start: Some(at(-1800)), duration: secs(3600) }));
    w.decide();
    assert_eq!(w.k(), 0);
    w.run(30);
    assert!((500..=510).contains(&w.k()), "{}", w.k());
}

#[test]
fn a_fixed_order_is_served_at_once_and_lowering_waits_for_nobody() {
    let mut w = World::new(plan(Strategy::Percentage(100_000)));
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Steady, 100));
    w.plan.paused = true;
    w.plan.strategy = Strategy::Percentage(200_000);
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Paused, 100));
    w.evidence.programmed = None;
    w.plan.strategy = Strategy::Weights { stable: 100, canary: 1 };
    w.decide();
    assert_eq!(w.k(), 9);
    w.plan.paused = false;
    w.plan.strategy = Strategy::Percentage(WHOLE);
    w.run(20);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn a_fixed_order_that_fails_is_aborted() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(Strategy::Percentage(100_000)) });
    w.run(20);
    w.verdict = Some(Verdict::Fail);
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Aborted, 0));
}

#[test]
fn verdicts_decide_what_a_step_does_when_its_time_is_over() {
    for (verdict, no_traffic, on_fail, phase, k) in [
        (Some(Verdict::Pass), NoTraffic::Hold, OnFail::Abort, Phase::Progressing, 200),
        (Some(Verdict::Fail), NoTraffic::Hold, OnFail::Abort, Phase::Aborted, 0),
        (Some(Verdict::Fail), NoTraffic::Hold, OnFail::Pause, Phase::Paused, 100),
        (Some(Verdict::Inconclusive), NoTraffic::Hold, OnFail::Abort, Phase::Paused, 100),
        (Some(Verdict::NoData), NoTraffic::Hold, OnFail::Abort, Phase::Progressing, 100),
        (Some(Verdict::NoData), NoTraffic::Continue, OnFail::Abort, Phase::Progressing, 200),
        (Some(Verdict::NoData), NoTraffic::Abort, OnFail::Abort, Phase::Aborted, 0),
        (None, NoTraffic::Continue, OnFail::Abort, Phase::Progressing, 100),
    ] {
        let two = Strategy::Steps(vec![weight(10, 0, 5 * MIN), weight(20, 0, 50 * MIN)]);
        let mut w = World::new(Plan { analysis: Some(Analysis { no_traffic, on_fail, ..analysis() }), ..plan(two) });
        w.verdict = verdict;
        w.run(10 * MIN);
        assert_eq!((w.state.phase, w.k()), (phase, k), "{verdict:?} {no_traffic:?} {on_fail:?}");
    }
}

#[test]
fn no_data_never_moves_a_ramp() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(Strategy::Linear { start: None, duration: secs(3600) }) });
    w.verdict = Some(Verdict::NoData);
    w.run(50 * MIN);
    assert!(w.k() <= 9, "{}", w.k());
    assert_eq!(w.state.phase, Phase::Progressing);
}

#[test]
fn a_step_past_its_progress_deadline_is_aborted() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(Strategy::Linear { start: None, duration: secs(3600) }) });
    w.verdict = Some(Verdict::NoData);
    w.run(121 * MIN);
    assert_eq!(w.state.phase, Phase::Aborted);
}

#[test]
fn an_edit_of_the_steps_never_lowers_the_weight() {
    let mut w = World::new(plan(steps()));
    w.run(70 * MIN);
    assert_eq!(w.k(), 250);
    w.plan.strategy = Strategy::Steps(vec![weight(5, 0, MIN), weight(20, 0, 30 * MIN), weight(80, 0, MIN)]);
    w.run(MIN);
    assert_eq!((w.index(), w.k(), w.state.phase), (Some(1), 250, Phase::Progressing));
}

#[test]
fn commands_are_done_once_and_refusals_are_recorded() {
    let mut w = World::new(plan(steps()));
    w.run(MIN);
    w.command("skip@a");
    assert_eq!(w.index(), Some(1));
    let again = w.command("skip@a");
    assert_eq!((w.index(), again.events), (Some(1), vec![]));
    let foreign = w.command("promote@aaaaaaaaaa-1");
    assert!(matches!(foreign.events[..], [Event::Refused(..)]));
    assert!(w.state.last_command.as_ref().is_some_and(|r| matches!(r.outcome, Outcome::Refused(_))));
    w.command("retry@b");
    assert!(w.state.last_command.as_ref().is_some_and(|r| matches!(r.outcome, Outcome::Refused(_))));
    w.command("promote@c");
    assert_eq!((w.k(), w.state.phase), (1000, Phase::Progressing));
    w.run(10);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn retry_new_identity_and_enabled_again_begin_a_new_attempt_at_zero() {
    let mut w = World::new(plan(steps()));
    w.run(MIN);
    w.evidence.abort = Some("x".into());
    w.decide();
    w.command("promote@1");
    assert_eq!(w.state.phase, Phase::Aborted);
    w.command("retry@2");
    assert_eq!((w.state.phase, w.state.attempt, w.k()), (Phase::Progressing, 2, 0));
    w.run(MIN);
    w.plan.release = "aaaaaaaaaa".into();
    w.decide();
    assert_eq!((w.state.attempt, w.k(), w.state.segment.release.as_str()), (3, 0, "aaaaaaaaaa"));
    w.run(MIN);
    w.plan.enabled = false;
    w.decide();
    assert_eq!((w.state.phase, w.k()), (Phase::Disabled, 0));
    w.plan.enabled = true;
    w.decide();
    assert_eq!((w.state.phase, w.state.attempt, w.k()), (Phase::Progressing, 4, 0));
}

#[test]
fn a_command_older_than_the_release_is_ignored_but_abort_and_pause_are_obeyed() {
    for (text, phase) in [("promote@1", Phase::Progressing), ("pause@1", Phase::Paused)] {
        let mut w = World::new(plan(steps()));
        w.command(text);
        assert_eq!((w.state.phase, w.k()), (phase, 0), "{text}");
    }
    let mut w = World::new(plan(steps()));
    w.evidence.abort = Some("x".into());
    w.decide();
    assert_eq!(w.state.phase, Phase::Aborted);
}

/// What may happen between two decisions.
#[derive(Clone, Debug)]
enum Happening {
    Time(i64),
    Programmed(bool),
    Ready(bool),
    CanaryReady(bool),
    Says(Option<Verdict>),
    Command(&'static str),
    Abort,
    Paused(bool),
    Enabled(bool),
    Edit(Strategy),
    Revision(u8),
    Completed,
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(steps()),
        Just(Strategy::Steps(vec![weight(5, 0, 0), weight(60, 300, 0)])),
        Just(Strategy::Linear { start: None, duration: secs(3600) }),
        (0..=WHOLE).prop_map(Strategy::Percentage),
        (0u32..10).prop_map(|num| Strategy::Weights { stable: 10 - num, canary: num }),
    ]
}

fn happenings() -> impl proptest::strategy::Strategy<Value = Vec<Happening>> {
    use Verdict::{Fail, Inconclusive, NoData, Pass};
    let one = prop_oneof![
        8 => (0i64..120).prop_map(Happening::Time),
        2 => (0i64..100_000).prop_map(Happening::Time),
        3 => prop::bool::weighted(0.8).prop_map(Happening::Programmed),
        1 => any::<bool>().prop_map(Happening::Ready),
        1 => any::<bool>().prop_map(Happening::CanaryReady),
        3 => prop::sample::select(vec![None, Some(Pass), Some(Pass), Some(Fail), Some(NoData), Some(Inconclusive)]).prop_map(Happening::Says),
        2 => prop::sample::select(vec!["pause", "resume", "skip", "retry", "promote"]).prop_map(Happening::Command),
        1 => any::<bool>().prop_map(Happening::Paused),
        1 => prop::bool::weighted(0.8).prop_map(Happening::Enabled),
        1 => strategies().prop_map(Happening::Edit),
        1 => (0u8..3).prop_map(Happening::Revision),
    ];
    let rare = prop_oneof![30 => one, 1 => Just(Happening::Abort), 1 => Just(Happening::Completed)];
    prop::collection::vec(rare, 0..60)
}

fn happen(w: &mut World, happening: &Happening, n: usize) {
    w.evidence.command = None;
    match happening {
        Happening::Time(s) => w.now += s,
        Happening::Programmed(yes) => w.evidence.programmed = yes.then_some(0),
        Happening::Ready(yes) => w.evidence.ready = *yes,
        Happening::CanaryReady(yes) => w.evidence.canary_ready = *yes,
        Happening::Says(verdict) => w.verdict = *verdict,
        Happening::Command(verb) => w.evidence.command = Some(format!("{verb}@{n}").as_str().into()),
        Happening::Abort => w.evidence.abort = Some(n.to_string().as_str().into()),
        Happening::Paused(yes) => w.plan.paused = *yes,
        Happening::Enabled(yes) => w.plan.enabled = *yes,
        Happening::Edit(strategy) => w.plan.strategy = strategy.clone(),
        Happening::Revision(r) => w.plan.release = format!("000000000{r}"),
        Happening::Completed => w.evidence.completed = true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_the_invariants_hold(first in strategies(), judged in any::<bool>(), story in happenings()) {
        let mut w = World::new(Plan { analysis: judged.then(analysis), ..plan(first) });
        for (n, happening) in story.iter().enumerate() {
            happen(&mut w, happening, n);
            let before = w.state.clone();
            let decision = w.decide();
            let (now, after) = (at(w.now), &decision.state);
            let served = before.segment.k(now);

            let again = step(&w.plan, after, &w.evidence, now);
            prop_assert_eq!(&again.state, after, "decided twice is decided once, after {:?}", happening);
            prop_assert!(again.events.is_empty(), "{:?}", again.events);

            if w.evidence.programmed.is_none() {
                prop_assert!(after.segment.k(at(w.now + 1_000_000)) <= served, "rose without Programmed, after {:?}", happening);
            }
            prop_assert!(after.segment.until <= at(w.now + 60));
            prop_assert!(after.segment.floor <= after.segment.to && after.segment.to <= after.segment.buckets);
            prop_assert!(after.segment.epoch >= before.segment.epoch);
            let (mut a, mut b) = (before.segment.clone(), after.segment.clone());
            (a.until, b.until) = (now, now);
            prop_assert!(a == b || after.segment.epoch > before.segment.epoch, "changed without a new epoch");
            let entered = decision.events.iter().filter(|e| matches!(e, Event::Step(..))).count();
            prop_assert!(entered <= 1, "{:?}", decision.events);

            let abort = Evidence { abort: Some("stop".into()), ..w.evidence.clone() };
            let aborted = step(&w.plan, after, &abort, now).state;
            prop_assert_eq!(aborted.segment.k(at(w.now + 1_000_000)), 0);
            prop_assert!(matches!(aborted.phase, Phase::Aborted | Phase::Completed | Phase::Disabled));
        }
    }

    #[test]
    fn a_clock_that_jumps_a_day_advances_at_most_one_step(lead in 10i64..7200) {
        let mut w = World::new(plan(steps()));
        w.run(lead);
        let before = w.index();
        w.now += 86_400;
        w.decide();
        prop_assert!(w.index() == before || w.index() == before.map(|i| i + 1));
    }
}
