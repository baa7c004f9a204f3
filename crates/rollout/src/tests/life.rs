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
    // Replicas rise by the old line until they hear of the pause; nobody loses the canary by it (S4).
    assert!((k..=k + 1).contains(&w.k()), "{} after {k}", w.k());
    let k = w.k();
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
fn a_ramp_without_data_does_what_no_traffic_says_when_its_time_is_over() {
    for (no_traffic, phase, rises) in [
        (NoTraffic::Hold, Phase::Progressing, false),
        (NoTraffic::Abort, Phase::Aborted, false),
        (NoTraffic::Continue, Phase::Progressing, true),
    ] {
        let ramp = Strategy::Steps(vec![weight(50, 20 * MIN, 0), weight(60, 0, 60 * MIN)]);
        let mut w = World::new(Plan { analysis: Some(Analysis { no_traffic, ..analysis() }), ..plan(ramp) });
        w.verdict = Some(Verdict::NoData);
        w.run(10 * MIN);
        assert_eq!(w.state.phase, Phase::Progressing, "{no_traffic:?}");
        w.run(15 * MIN);
        assert_eq!((w.state.phase, w.k() > 100), (phase, rises), "{no_traffic:?}");
    }
}

#[test]
fn a_line_that_was_over_before_the_release_began_is_judged_not_aborted() {
    let long_ago = Strategy::Linear { start: Some(at(-20 * 3600)), duration: secs(3600) };
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(long_ago) });
    w.run(MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000));
    w.verdict = Some(Verdict::Pass);
    w.run(20);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn a_judged_hold_takes_its_time_and_no_more() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(Strategy::Steps(vec![weight(10, 0, 600 * MIN)])) });
    w.verdict = Some(Verdict::Pass);
    w.run(MIN);
    let end = w.state.segment.ends_at;
    for _ in 0..100 {
        w.now += 37;
        w.decide();
    }
    assert_eq!(w.state.segment.ends_at, end);
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

#[test]
fn s9_an_edit_of_a_linear_release_follows_the_formula_and_never_lowers_the_weight() {
    let linear = |minutes| Strategy::Linear { start: None, duration: secs(minutes * MIN) };
    let mut w = World::new(plan(linear(60)));
    w.run(30 * MIN);
    w.plan.strategy = linear(240);
    w.decide();
    let half = w.k();
    assert!((480..=500).contains(&half), "{half}");
    w.run(30 * MIN);
    assert_eq!(w.k(), half, "the new line is at a quarter");
    w.run(90 * MIN);
    assert!((610..=626).contains(&w.k()), "{}", w.k());
    w.plan.strategy = linear(120);
    w.run(20);
    assert_eq!(w.k(), 1000);
}

#[test]
fn a_linear_release_whose_start_is_to_come_is_scheduled() {
    let mut w = World::new(plan(Strategy::Linear { start: Some(at(600)), duration: secs(1000) }));
    w.run(5 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Scheduled, 0));
    w.command("promote@1");
    assert!(matches!(w.state.last_command.as_ref().map(|r| &r.outcome), Some(Outcome::Refused(why)) if why.contains("has not begun")));
    w.run(10 * MIN);
    // The step took one decision to be Programmed, and that is held.
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 290));
}

#[test]
fn promote_is_refused_while_the_canary_is_dead_or_a_replica_cannot_follow() {
    let refused = |w: &World| match w.state.last_command.as_ref().map(|r| r.outcome.clone()) {
        Some(Outcome::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut w = World::new(plan(steps()));
    w.run(MIN);
    w.evidence.canary_ready = false;
    w.command("promote@1");
    assert_eq!((refused(&w).as_str(), w.k()), ("The canary has no ready endpoint. Promote when it has one.", 10));
    w.evidence.canary_ready = true;
    w.evidence.programmed = None;
    w.command("promote@2");
    assert!(refused(&w).ends_with("Promote when Programmed is True."));
    w.evidence.programmed = Some(0);
    w.plan.paused = true;
    w.command("promote@3");
    assert!(refused(&w).starts_with("spec.paused"));
    w.plan.strategy = Strategy::Percentage(10_000);
    w.command("promote@4");
    assert!(refused(&w).ends_with("change the spec instead."));
}

#[test]
fn everyone_on_a_dead_canary_is_no_promotion() {
    let mut w = World::new(plan(Strategy::Steps(vec![weight(100, 0, MIN)])));
    w.evidence.canary_ready = false;
    w.run(5 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000));
    w.evidence.canary_ready = true;
    w.run(10);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn a_release_with_no_check_left_at_full_weight_is_promoted_when_its_time_is_over() {
    let versus = Check { name: "errors".into(), dry_run: false, max: None, max_increase: Some(5_000) };
    let mut w = World::new(Plan {
        analysis: Some(Analysis { checks: vec![versus], ..analysis() }),
        ..plan(Strategy::Steps(vec![weight(50, 0, MIN), weight(100, 0, 2 * MIN)]))
    });
    w.verdict = Some(Verdict::Pass);
    w.run(MIN + 20);
    assert_eq!(w.k(), 1000);
    w.verdict = None;
    w.run(MIN);
    assert_eq!(w.state.phase, Phase::Progressing);
    w.run(2 * MIN);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn a_canary_that_fails_while_a_step_pauses_is_aborted() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(Strategy::Steps(vec![weight(25, 0, MIN), Step::Pause])) });
    w.verdict = Some(Verdict::Pass);
    w.run(5 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Paused, 250));
    w.verdict = Some(Verdict::Fail);
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Aborted, 0));
}

#[test]
fn failures_count_for_the_whole_attempt_and_resume_forgives_only_those_in_a_row() {
    let limits = Analysis { on_fail: OnFail::Pause, consecutive: 2, total: 3, ..analysis() };
    let mut w = World::new(Plan { analysis: Some(limits), ..plan(Strategy::Steps(vec![weight(10, 0, 600 * MIN)])) });
    w.verdict = Some(Verdict::Pass);
    w.run(MIN);
    w.verdict = Some(Verdict::Fail);
    w.run(20);
    assert_eq!((w.state.phase, w.state.fails_in_row, w.state.fails), (Phase::Paused, 2, 2));
    w.verdict = None;
    w.command("resume@1");
    assert_eq!((w.state.phase, w.state.fails_in_row, w.state.fails), (Phase::Progressing, 0, 2));
    w.now += 10;
    w.verdict = Some(Verdict::Fail);
    w.decide();
    assert_eq!((w.state.phase, w.state.fails), (Phase::Paused, 3), "the total is reached");
}

#[test]
fn an_edit_of_weights_that_changes_the_buckets_is_served_by_share() {
    let mut w = World::new(Plan { buckets: 101, ..plan(Strategy::Weights { stable: 100, canary: 1 }) });
    w.run(20);
    assert_eq!((w.k(), w.state.segment.buckets), (1, 101));
    (w.plan.buckets, w.plan.strategy) = (1000, Strategy::Weights { stable: 999, canary: 1 });
    w.evidence.programmed = None;
    w.decide();
    assert_eq!((w.k(), w.state.segment.buckets), (1, 1000), "lowering waits for nobody");
    (w.plan.buckets, w.plan.strategy) = (4, Strategy::Weights { stable: 3, canary: 1 });
    w.decide();
    assert_eq!((w.k(), w.state.segment.buckets), (1, 1000), "a rise waits for replicas");
    w.run(10);
    assert_eq!((w.k(), w.state.segment.buckets), (1, 4));
    (w.plan.buckets, w.plan.strategy) = (101, Strategy::Weights { stable: 100, canary: 1 });
    w.run(10);
    (w.plan.buckets, w.plan.strategy) = (1000, Strategy::Steps(vec![weight(0, 0, 60 * MIN)]));
    w.run(20);
    assert_eq!((w.k(), w.state.segment.buckets), (10, 1000), "1/101 is more than 9/1000, and nobody is moved back");
}

#[test]
fn a_step_rises_for_a_replica_whose_clock_is_behind_without_a_way_back() {
    let mut w = World::new(plan(Strategy::Steps(vec![weight(25, 0, MIN), weight(50, 0, MIN)])));
    w.evidence.programmed = Some(0);
    for _ in 0..30 {
        let behind = at(w.now - 4);
        let served = w.state.segment.k(behind);
        w.decide();
        let k = w.state.segment.k(behind);
        assert!(k >= served, "{k} after {served}");
        w.now += 10;
    }
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn a_release_that_begins_after_a_promotion_without_its_edit_says_so_until_it_is_promoted() {
    let mut w = World::new(plan(steps()));
    w.run(MIN);
    w.command("promote@1");
    w.run(10);
    w.plan.release = "ffffffffff".into();
    w.run(10);
    assert_eq!(w.state.not_finalized(), Some("0123456789"));
    w.command("promote@2");
    w.run(10);
    assert_eq!((w.state.phase, w.state.not_finalized()), (Phase::Promoted, None));
    let phases: Vec<_> = w.state.history.iter().map(|e| (e.attempt, e.phase)).collect();
    assert_eq!(phases, [(2, Phase::Promoted), (1, Phase::Promoted)]);
    w.evidence.completed = true;
    w.run(10);
    assert_eq!(w.state.history.first().map(|e| (e.attempt, e.phase, e.weight.as_str())), Some((2, Phase::Completed, "100")));
}

#[test]
fn an_empty_status_begins_with_an_epoch_that_no_replica_knows() {
    let mut w = World::new(plan(steps()));
    w.run(60 * MIN);
    let known = w.state.segment.epoch;
    w.state = State::empty();
    w.decide();
    assert!(w.state.segment.epoch > known);
}
