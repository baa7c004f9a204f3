//! One switch, and the way back.

use super::*;
use crate::command::Outcome;
use crate::status::report;
use serin_api::CanaryReleaseStatus;
use serin_api::reason::condition;

fn told(w: &World) -> CanaryReleaseStatus {
    let spec = release_of(&w.plan);
    report(&CanaryReleaseStatus::default(), Some((&spec, &w.plan)), &w.state, &facts(&w.evidence), at(w.now))
}

fn message(w: &World) -> String {
    told(w).message.unwrap_or_default()
}

fn progressing(w: &World) -> String {
    told(w).conditions.into_iter().find(|c| c.type_ == condition::PROGRESSING).map(|c| c.reason).unwrap_or_default()
}

fn refused(w: &World) -> String {
    match w.state.last_command.as_ref().map(|record| record.outcome.clone()) {
        Some(Outcome::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Previewed and switched by command.
fn switched(analysis: Option<Analysis>) -> World {
    let mut w = World::new(Plan { analysis, ..plan(blue_green(None, 60 * MIN)) });
    w.run(MIN);
    w.command("promote@switch");
    w.run(MIN);
    assert_eq!((w.state.phase, w.k(), w.index()), (Phase::Progressing, 1000, Some(1)));
    w
}

#[test]
fn s18_one_write_switches_everyone_and_the_old_side_stays_for_a_while() {
    let mut w = World::new(plan(blue_green(None, 60 * MIN)));
    w.decide();
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 0));
    w.run(600 * MIN);
    assert_eq!((w.state.phase, w.k(), progressing(&w).as_str()), (Phase::Paused, 0, "AwaitingPromotion"));
    assert_eq!(message(&w), "The preview is ready. Switch with: serin promote checkout");

    let decision = w.command("promote@1");
    let segment = &decision.state.segment;
    assert_eq!((segment.from, segment.to, w.state.phase), (1000, 1000, Phase::Progressing));
    assert_eq!(segment.k(at(w.now - 3600)), 1000, "whatever a replica's clock says");
    w.run(MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000));
    assert_eq!(message(&w), "All have switched. It is promoted at 2027-01-15T19:00:00Z. Back: serin abort checkout");
    w.run(60 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn s18_abort_switches_back_at_once_from_the_preview_from_the_old_side_kept_and_after_promotion() {
    for (auto, wait) in [(None, MIN), (Some(10 * MIN), MIN), (Some(MIN), 10 * MIN), (Some(MIN), 120 * MIN)] {
        let mut w = World::new(plan(blue_green(auto, 60 * MIN)));
        w.run(wait);
        w.evidence.programmed = None;
        w.evidence.abort = Some("1".into());
        w.decide();
        assert_eq!((w.state.phase, w.k()), (Phase::Aborted, 0), "{auto:?} after {wait} s");
    }
}

#[test]
fn the_time_to_the_switch_counts_from_ready_and_programmed() {
    let mut w = World::new(plan(blue_green(Some(10 * MIN), 60 * MIN)));
    w.evidence.canary_ready = false;
    w.run(20 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 0));
    assert_eq!(message(&w), "It is at 0 %, but the canary has no ready endpoint. Look at its pods.");
    w.evidence.canary_ready = true;
    w.run(9 * MIN);
    assert_eq!(w.k(), 0);
    assert_eq!(message(&w), "The preview is ready. All switch to it at 2027-01-15T08:30:00Z. At once: serin promote checkout");
    w.run(MIN);
    assert_eq!((w.k(), w.state.phase), (1000, Phase::Progressing));
    assert_eq!(told(&w).release.and_then(|r| r.expected_end), Some("2027-01-15T09:30:00.000Z".into()));
}

#[test]
fn it_never_switches_to_a_side_without_ready_endpoints() {
    let mut w = World::new(plan(blue_green(Some(10 * MIN), 60 * MIN)));
    w.run(5 * MIN);
    w.evidence.canary_ready = false;
    w.run(30 * MIN);
    assert_eq!(w.k(), 0);
    for command in ["promote@1", "skip@2"] {
        w.command(command);
        assert!(refused(&w).starts_with("The canary has no ready endpoint."), "{}", refused(&w));
    }
    w.evidence.canary_ready = true;
    w.run(4 * MIN);
    assert_eq!(w.k(), 0, "time without endpoints is held");
    w.run(2 * MIN);
    assert_eq!(w.k(), 1000);
}

#[test]
fn a_preview_is_switched_by_promote_and_not_by_resume() {
    let mut w = World::new(plan(blue_green(None, 60 * MIN)));
    w.run(MIN);
    w.command("resume@1");
    assert_eq!((refused(&w).as_str(), w.k()), ("It waits to be switched. Use promote.", 0));
    w.command("pause@2");
    w.command("resume@3");
    w.run(MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Paused, 0), "resume ends the pause, and it waits as before");
    w.plan.paused = true;
    w.command("promote@4");
    assert_eq!((refused(&w).as_str(), w.k()), ("spec.paused is true. Set it to false first.", 0));
}

#[test]
fn promote_ends_the_time_for_which_the_old_side_is_kept() {
    let mut w = switched(None);
    w.command("promote@end");
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn checks_judge_after_the_switch_and_not_the_preview() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(blue_green(Some(10 * MIN), 60 * MIN)) });
    w.verdict = Some(Verdict::Fail);
    w.run(9 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 0));
    w.verdict = Some(Verdict::Pass);
    w.run(5 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000));
    w.verdict = Some(Verdict::Fail);
    w.run(10);
    assert_eq!((w.state.phase, w.k()), (Phase::Aborted, 0));

    let mut w = switched(Some(analysis()));
    w.verdict = Some(Verdict::NoData);
    w.run(90 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Progressing, 1000), "no data is never good data");
    w.verdict = Some(Verdict::Pass);
    w.run(MIN);
    assert_eq!(w.state.phase, Phase::Promoted);
}

#[test]
fn an_edit_never_switches_back() {
    let mut w = switched(None);
    w.plan.strategy = blue_green(Some(MIN), 10 * MIN);
    w.run(MIN);
    assert_eq!((w.index(), w.k(), w.state.phase), (Some(1), 1000, Phase::Progressing));
    w.run(10 * MIN);
    assert_eq!(w.state.phase, Phase::Promoted);

    let mut w = World::new(plan(Strategy::Steps(vec![weight(40, 0, 60 * MIN)])));
    w.run(MIN);
    w.plan.strategy = blue_green(None, MIN);
    w.run(MIN);
    assert_eq!((w.index(), w.k(), w.state.phase), (Some(0), 400, Phase::Paused));
}
