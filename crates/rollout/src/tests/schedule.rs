//! Windows and freezes: nothing rises, lowering waits for nobody, and time is held.

use super::*;
use crate::command::Outcome;
use crate::status::report;
use jiff::civil::time;
use jiff::tz::TimeZone;
use serin_api::CanaryReleaseStatus;
use serin_api::reason::condition;
use serin_api::release::Window;

/// Releases begin at 08:00.
fn from_to(from: i8, to: i8) -> Schedule {
    let window = Window { days: Vec::new(), from: time(from, 0, 0, 0), to: time(to, 0, 0, 0), zone: TimeZone::UTC };
    Schedule { windows: vec![window], frozen: false }
}

fn frozen() -> Schedule {
    Schedule { windows: Vec::new(), frozen: true }
}

fn world(strategy: Strategy, schedule: Schedule) -> World {
    World::new(Plan { schedule, ..plan(strategy) })
}

fn told(w: &World) -> (String, String) {
    let spec = release_of(&w.plan);
    let status = report(&CanaryReleaseStatus::default(), Some((&spec, &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
    let progressing = status.conditions.into_iter().find(|c| c.type_ == condition::PROGRESSING).expect("it is always there");
    (progressing.reason, status.message.unwrap_or_default())
}

fn refused(w: &World) -> &str {
    match w.state.last_command.as_ref().map(|record| &record.outcome) {
        Some(Outcome::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s9_the_time_outside_a_window_is_held() {
    let mut w = world(Strategy::Linear { start: None, duration: secs(2 * 3600) }, from_to(8, 9));
    w.run(59 * MIN);
    let before = w.k();
    assert!((480..500).contains(&before), "{before}");
    w.run(31 * MIN);
    let held = w.k();
    assert_eq!(held, 497, "the line began 20 s late and stops where the window ends");
    assert_eq!(w.state.phase, Phase::Progressing);
    assert_eq!(told(&w), ("Window".into(), "Held at 49.7 %: outside its windows. It goes on at 2027-01-16T08:00:00Z.".into()));
    w.run(22 * 60 * MIN);
    assert_eq!(w.k(), held);
    w.run(MIN + 30 * MIN);
    let after = w.k();
    assert!(after > held && after <= held + 10, "nothing is caught up in a jump: {after}");
    w.run(62 * MIN);
    assert_eq!(w.state.phase, Phase::Progressing);
    w.run(23 * 60 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn a_release_starts_in_its_window_and_until_then_it_is_scheduled() {
    for strategy in [steps(), Strategy::Percentage(100_000), blue_green(None, 60), Strategy::Linear { start: None, duration: secs(600) }] {
        let mut w = world(strategy, from_to(9, 10));
        w.run(30 * MIN);
        assert_eq!((w.state.phase, w.k(), told(&w).1.as_str()), (Phase::Scheduled, 0, "It starts at 2027-01-15T09:00:00Z."));
        w.run(31 * MIN);
        assert!(matches!(w.state.phase, Phase::Progressing | Phase::Steady | Phase::Paused), "{}", w.state.phase);
    }
    let mut w = world(steps(), frozen());
    w.run(MIN);
    assert_eq!(w.state.phase, Phase::Scheduled);
    assert_eq!(told(&w).1, "spec.schedule.frozen is true. Set it to false, and it starts.");
    let start = Some(at(1800));
    let mut w = world(Strategy::Linear { start, duration: secs(3600) }, from_to(9, 10));
    w.run(MIN);
    assert_eq!(told(&w).1, "It starts at 2027-01-15T09:00:00Z.", "a start outside the windows waits for one");
}

#[test]
fn outside_a_window_no_step_advances_and_its_time_does_not_pass() {
    let mut w = world(Strategy::Steps(vec![weight(10, 0, 90 * MIN), weight(20, 0, 60 * MIN)]), from_to(8, 9));
    w.run(12 * 60 * MIN);
    assert_eq!((w.index(), w.k(), w.state.phase), (Some(0), 100, Phase::Progressing), "12 hours are over, and no deadline");
    w.run(12 * 60 * MIN + 20 * MIN);
    assert_eq!(w.k(), 100);
    w.run(15 * MIN);
    assert_eq!((w.index(), w.k()), (Some(1), 200));
}

#[test]
fn the_expected_end_adds_up_the_time_of_the_windows() {
    let mut w = world(Strategy::Steps(vec![weight(10, 0, 90 * MIN), weight(20, 0, 60 * MIN)]), from_to(8, 9));
    let expected = |w: &World| {
        let spec = release_of(&w.plan);
        let before = CanaryReleaseStatus::default();
        let status = report(&before, Some((&spec, &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
        (status.release.and_then(|r| r.expected_end), status.step.and_then(|s| s.ends_at))
    };
    w.run(MIN);
    let (end, step) = expected(&w);
    assert_eq!((end.as_deref(), step.as_deref()), (Some("2027-01-17T08:30:20.000Z"), Some("2027-01-16T08:30:20.000Z")));
    assert_eq!(told(&w).1, "It stays at 10 % until 2027-01-16T08:30:20Z.");
    w.run(5 * 60 * MIN);
    assert_eq!(expected(&w), (end, step), "it does not move while it is held");
    w.plan.schedule.frozen = true;
    assert_eq!(expected(&w), (None, None));
}

#[test]
fn frozen_holds_a_line_and_its_end_lets_it_go_on() {
    let mut w = world(Strategy::Linear { start: None, duration: secs(3600) }, Schedule::default());
    w.run(30 * MIN);
    w.plan.schedule = frozen();
    w.decide();
    let k = w.k();
    w.run(600 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, k));
    let message = format!("Held at {} %: spec.schedule.frozen is true. Set it to false to go on.", crate::share::weight(k, 1000));
    assert_eq!(told(&w), ("Window".into(), message));
    w.plan.schedule.frozen = false;
    w.decide();
    assert_eq!(w.k(), k);
    w.run(32 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn an_order_rises_in_its_window_and_falls_at_any_time() {
    let mut w = world(Strategy::Percentage(100_000), Schedule::default());
    w.run(MIN);
    w.plan.schedule = from_to(9, 10);
    w.plan.strategy = Strategy::Percentage(200_000);
    w.run(MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 100));
    assert_eq!(told(&w).1, "Held at 10 %: outside its windows. It goes on at 2027-01-15T09:00:00Z.");
    w.plan.strategy = Strategy::Percentage(50_000);
    w.decide();
    assert_eq!((w.state.phase, w.k()), (Phase::Steady, 50));
    w.plan.strategy = Strategy::Percentage(1_000_000);
    w.run(60 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn promote_and_skip_are_refused_outside_a_window_and_say_when_they_may() {
    let mut w = world(steps(), from_to(8, 9));
    w.run(70 * MIN);
    let k = w.k();
    w.command("promote@1");
    assert_eq!(refused(&w), "It is outside its windows, where nothing rises. Promote from 2027-01-16T08:00:00Z on.");
    w.command("skip@2");
    assert_eq!(refused(&w), "It is outside its windows, where nothing rises. Skip from 2027-01-16T08:00:00Z on.");
    w.plan.schedule = frozen();
    w.command("promote@3");
    assert_eq!((refused(&w), w.k()), ("spec.schedule.frozen is true. Promote when it is false.", k));
    w.plan.schedule = Schedule::default();
    w.command("promote@4");
    assert_eq!(w.k(), 1000);
}

#[test]
fn nobody_is_promoted_outside_a_window() {
    let mut w = world(Strategy::Steps(vec![weight(100, 0, 30 * MIN)]), from_to(8, 9));
    w.run(20 * MIN);
    w.plan.schedule = frozen();
    w.run(60 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000));
    w.plan.schedule = Schedule::default();
    w.run(11 * MIN);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn a_pause_that_is_resumed_outside_a_window_waits_for_it() {
    let mut w = world(Strategy::Steps(vec![weight(10, 0, 0), Step::Pause, weight(50, 0, 60 * MIN)]), from_to(8, 9));
    w.run(70 * MIN);
    assert_eq!(w.state.phase, Phase::Paused);
    w.command("resume@1");
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 100));
    w.run(23 * 60 * MIN);
    assert_eq!(w.k(), 500);
}

#[test]
fn an_abort_and_a_bad_verdict_wait_for_no_window() {
    let mut w = World::new(Plan { analysis: Some(analysis()), schedule: from_to(8, 9), ..plan(steps()) });
    w.verdict = Some(Verdict::Pass);
    w.run(70 * MIN);
    let mut judged = World { plan: w.plan.clone(), state: w.state.clone(), evidence: w.evidence.clone(), ..World::new(w.plan.clone()) };
    (judged.now, judged.verdict) = (w.now + 10, Some(Verdict::Fail));
    judged.decide();
    assert_eq!((judged.state.phase, judged.k()), (Phase::Aborted, 0));
    w.evidence.abort = Some("1".into());
    w.decide();
    assert_eq!((w.state.phase, w.k()), (Phase::Aborted, 0));
}
