//! Revisions of the canary workload: a new one in each phase, the first one, and the rollout that step 1 waits for.

use super::table::in_phase;
use super::*;
use crate::state::Event;
use crate::status::{read, report};
use serin_api::reason::{self, condition};
use serin_api::release::WHOLE;
use serin_api::{CanaryReleaseStatus, Condition, Finding};

/// The workload has this revision, as the compiler tells it.
fn revision(w: &mut World, number: u32) {
    let plan = Plan { revision: None, release: format!("{number:010}"), ..w.plan.clone() };
    w.plan = plan.observing(Some(&format!("0c3e/{number}")), "0123456789");
}

fn told(w: &World) -> CanaryReleaseStatus {
    let rolling = w.evidence.rolling.then(|| "Deployment shop/checkout-v2 is not rolled out.".to_owned());
    let facts = Facts { rolling, ..facts(&w.evidence) };
    report(&CanaryReleaseStatus::default(), Some((&release_of(&w.plan), &w.plan)), &w.state, &facts, at(w.now))
}

fn reason_of(status: &CanaryReleaseStatus, kind: &str) -> String {
    status.conditions.iter().find(|c| c.type_ == kind).map(|c| format!("{}/{}", c.status, c.reason)).unwrap_or_default()
}

#[test]
fn a_new_revision_in_each_phase_is_weight_0_at_once_and_the_first_step_when_it_is_rolled_out() {
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Disabled) {
        let mut w = in_phase(phase);
        revision(&mut w, 7);
        w.decide();
        assert_eq!(w.state.phase, phase);
        (w.evidence.completed, w.evidence.rolling) = (false, true);
        let attempt = w.state.attempt;
        revision(&mut w, 8);
        let decision = w.decide();
        assert_eq!((w.k(), w.state.segment.k(at(100 * MIN * MIN)), w.state.attempt), (0, 0, attempt + 1), "{phase}");
        assert!(decision.events.contains(&Event::Began), "{phase}");
        assert_eq!((w.state.revision.as_deref(), w.state.observed.as_deref()), (Some("8"), Some("0c3e/8")), "{phase}");
        let degraded = reason_of(&told(&w), condition::DEGRADED);
        let not_finalized = format!("True/{}", reason::NOT_FINALIZED);
        assert_eq!(degraded == not_finalized, phase == Phase::Promoted, "{phase}: {degraded}");

        (w.evidence.ready, w.evidence.abort) = (true, None);
        w.plan.strategy = steps();
        w.run(120 * MIN);
        assert_eq!((w.state.phase, w.index(), w.k()), (Phase::Progressing, None, 0), "{phase}: it waits for the rollout");
        assert_eq!(reason_of(&told(&w), condition::PROGRESSING), format!("True/{}", reason::WAITING_FOR_ROLLOUT), "{phase}");
        w.evidence.rolling = false;
        w.run(10);
        assert_eq!((w.index(), w.k()), (Some(0), 10), "{phase}: the first step");
    }
}

#[test]
fn while_it_is_disabled_a_new_revision_begins_nothing() {
    let mut w = in_phase(Phase::Disabled);
    let attempt = w.state.attempt;
    revision(&mut w, 8);
    w.run(MIN);
    assert_eq!((w.state.phase, w.k(), w.state.attempt), (Phase::Disabled, 0, attempt));
}

#[test]
fn the_first_revision_completes_the_identity_and_changes_nothing_else() {
    for phase in Phase::ALL.into_iter().filter(|phase| !matches!(phase, Phase::Disabled)) {
        let mut w = in_phase(phase);
        let before = w.state.clone();
        revision(&mut w, 7);
        let decision = w.decide();
        let after = &w.state;
        assert_eq!(
            (after.attempt, after.started_at, after.phase, w.k()),
            (before.attempt, before.started_at, phase, before.segment.k(at(w.now)))
        );
        let step = |state: &State| (state.position, state.running.as_ref().map(|running| (running.index, running.epoch, running.clock)));
        assert_eq!(step(after), step(&before), "{phase}");
        assert!(!decision.events.contains(&Event::Began), "{phase}");
        assert_eq!((&*after.segment.release, after.revision.as_deref()), ("0000000007", Some("7")), "{phase}");
        assert!(after.segment.epoch > before.segment.epoch && after.history.iter().all(|entry| entry.id == "0000000007"), "{phase}");
        // The next one is another release, also where status was read back in between.
        w.state = read(&told(&w), "u-1");
        revision(&mut w, 8);
        w.evidence.completed = false;
        w.decide();
        assert_eq!((w.state.attempt, w.k()), (before.attempt + 1, 0), "{phase}");
    }
}

#[test]
fn a_status_remembers_the_revision_that_was_seen_last() {
    let mut w = World::new(plan(steps()));
    revision(&mut w, 7);
    w.run(5 * MIN);
    let status = told(&w);
    let release = status.release.as_ref().expect("it began");
    assert_eq!((&*release.id, release.revision.as_deref()), ("0000000007", Some("7")));
    assert_eq!(status.progress.as_ref().and_then(|progress| progress.observed_revision.as_deref()), Some("0c3e/7"));
    assert_eq!(read(&status, "u-1"), w.state);
    assert_eq!(read(&status, "u-2").observed, None, "a copy in another object is no memory");
}

#[test]
fn orders_and_promote_wait_for_the_rollout_and_lowering_and_a_canary_that_is_served_do_not() {
    for strategy in [
        Strategy::Percentage(100_000),
        Strategy::Percentage(WHOLE),
        Strategy::Weights { stable: 1, canary: 1 },
        Strategy::Groups(Groups::Allow(names(&["testers"]))),
        Strategy::Linear { start: Some(at(-1800)), duration: secs(3600) },
        blue_green(Some(0), 60),
        Strategy::Steps(vec![admit(&["testers"], 60)]),
    ] {
        let mut w = World::new(plan(strategy.clone()));
        w.evidence.rolling = true;
        w.run(10 * MIN);
        assert_eq!((w.state.phase, w.k(), &w.state.segment.groups), (Phase::Progressing, 0, &None), "{strategy:?}");
        w.command("promote@1");
        assert_eq!((w.k(), w.index()), (0, None), "{strategy:?}");
        w.evidence.rolling = false;
        w.run(2 * MIN);
        assert!(w.k() > 0 || w.state.segment.groups.is_some(), "{strategy:?}");
        let served = w.k();
        w.evidence.rolling = true;
        w.run(MIN);
        assert!(w.k() >= served, "{strategy:?}: more pods of the same revision hold nothing");
    }
}

#[test]
fn a_workload_that_is_gone_holds_what_is_served_and_restarts_nothing() {
    let mut w = World::new(plan(steps()));
    revision(&mut w, 7);
    w.run(5 * MIN);
    let (attempt, k) = (w.state.attempt, w.k());
    // The compiler keeps the last revision, and finds that the workload is missing.
    (w.evidence.ready, w.evidence.rolling) = (false, true);
    w.run(60 * MIN);
    assert_eq!((w.state.attempt, w.k(), w.state.phase), (attempt, k, Phase::Progressing));
    let message = "Deployment shop/checkout-v2 does not exist.".to_owned();
    let missing = Finding { condition: Condition::ResolvedRefs, reason: reason::WORKLOAD_NOT_FOUND, field: String::new(), message };
    let all = Facts { findings: vec![missing], ..facts(&w.evidence) };
    let status = report(&told(&w), Some((&release_of(&w.plan), &w.plan)), &w.state, &all, at(w.now));
    assert_eq!(status.message.as_deref(), Some("Held at 1 %. Deployment shop/checkout-v2 does not exist."));
    (w.evidence.ready, w.evidence.rolling) = (true, false);
    w.run(10 * MIN);
    assert_eq!((w.state.attempt, w.index()), (attempt, Some(1)));
}
