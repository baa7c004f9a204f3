//! Releases from their beginning to their end.

use super::*;
use crate::command::Outcome;
use crate::state::Event;
use serin_api::release::WHOLE;

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
