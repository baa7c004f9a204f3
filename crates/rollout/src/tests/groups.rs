//! Groups in turn, and groups alone.

use super::*;
use crate::status::{read, report};
use serin_api::CanaryReleaseStatus;
use serin_split::Groups as Served;

fn alone(groups: Groups) -> World {
    let mut w = World::new(plan(Strategy::Groups(groups)));
    w.run(MIN);
    w
}

fn admitted(w: &World) -> Vec<String> {
    match &w.state.segment.groups {
        Some(Served::Admitted(groups)) => groups.clone(),
        None => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn message(w: &World) -> String {
    let spec = release_of(&w.plan);
    report(&CanaryReleaseStatus::default(), Some((&spec, &w.plan)), &w.state, &facts(&w.evidence), at(w.now)).message.unwrap_or_default()
}

#[test]
fn s19_testers_then_employees_then_everyone() {
    let turns = vec![admit(&["testers"], 10 * MIN), weight(5, 0, 10 * MIN), admit(&["employees"], 10 * MIN), weight(50, 0, 10 * MIN)];
    let mut w = World::new(plan(Strategy::Steps(turns)));
    w.decide();
    assert_eq!((admitted(&w), w.k()), (vec![], 0), "nobody before replicas follow");
    w.run(MIN);
    assert_eq!((admitted(&w), w.k(), w.state.phase), (names(&["testers"]), 0, Phase::Progressing));
    assert_eq!(message(&w), "It stays at 0 % and group testers until 2027-01-15T08:10:10Z.");
    w.run(10 * MIN);
    assert_eq!((admitted(&w), w.k()), (names(&["testers"]), 50));
    w.run(10 * MIN);
    assert_eq!((admitted(&w), w.k()), (names(&["employees", "testers"]), 50), "groups of successive steps add up");
    w.run(20 * MIN);
    assert_eq!((w.state.phase, w.k()), (Phase::Promoted, 1000));
}

#[test]
fn a_step_of_groups_without_a_time_lasts_until_it_is_programmed_and_one_interval_when_it_is_judged() {
    let turns = || Strategy::Steps(vec![admit(&["testers"], 0), weight(5, 0, 60 * MIN)]);
    let mut w = World::new(plan(turns()));
    w.run(30);
    assert_eq!(w.index(), Some(1));
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(turns()) });
    w.verdict = Some(Verdict::NoData);
    w.run(5 * MIN);
    assert_eq!(w.index(), Some(0), "no data is never good data");
    w.verdict = Some(Verdict::Pass);
    w.run(20);
    assert_eq!(w.index(), Some(1));
}

#[test]
fn groups_that_were_admitted_stay_after_an_edit_of_the_steps_and_go_with_an_order_and_an_abort() {
    let mut w = World::new(plan(Strategy::Steps(vec![admit(&["testers"], 0), weight(5, 0, 60 * MIN)])));
    w.run(MIN);
    w.plan.strategy = Strategy::Steps(vec![admit(&["staff"], 0), weight(4, 0, 60 * MIN)]);
    w.run(MIN);
    assert_eq!((w.index(), admitted(&w), w.k()), (Some(1), names(&["staff", "testers"]), 50));
    w.plan.strategy = Strategy::Percentage(50_000);
    w.decide();
    assert_eq!((w.state.phase, admitted(&w), w.k()), (Phase::Steady, vec![], 50));

    let mut w = World::new(plan(Strategy::Steps(vec![admit(&["testers"], 60 * MIN)])));
    w.run(MIN);
    w.evidence.abort = Some("1".into());
    w.decide();
    assert_eq!((w.state.phase, admitted(&w)), (Phase::Aborted, vec![]));
}

#[test]
fn s2_groups_alone_are_an_order_that_is_steady_and_never_promoted() {
    let mut w = alone(Groups::Allow(names(&["testers"])));
    assert_eq!((w.state.phase, w.k(), admitted(&w)), (Phase::Steady, 0, names(&["testers"])));
    assert_eq!(message(&w), "It serves group testers, as asked.");
    w.run(600 * MIN);
    assert_eq!(w.state.phase, Phase::Steady, "it has neither end nor deadline");
    let refused = w.command("promote@1");
    assert!(matches!(&refused.events[..], [crate::state::Event::Refused(..)]), "{refused:?}");

    let w = alone(Groups::Deny(names(&["key-accounts", "staff"])));
    assert_eq!((w.state.phase, w.k(), &w.state.segment.groups), (Phase::Steady, 0, &Some(Served::Deny(names(&["key-accounts", "staff"])))));
    assert_eq!(message(&w), "It serves all but groups key-accounts, staff, as asked.");
}

#[test]
fn s2_a_group_less_is_served_at_once_and_one_more_waits_for_replicas_and_pauses() {
    let mut w = alone(Groups::Allow(names(&["a", "b"])));
    w.evidence.programmed = None;
    w.plan.strategy = Strategy::Groups(Groups::Allow(names(&["b", "c"])));
    w.decide();
    assert_eq!((w.state.phase, admitted(&w)), (Phase::Progressing, names(&["b"])));
    w.plan.paused = true;
    w.run(MIN);
    assert_eq!((w.state.phase, admitted(&w)), (Phase::Paused, names(&["b"])));
    w.plan.paused = false;
    w.run(20);
    assert_eq!((w.state.phase, admitted(&w)), (Phase::Steady, names(&["b", "c"])));

    let mut w = alone(Groups::Deny(names(&["a", "b"])));
    w.evidence.programmed = None;
    w.plan.strategy = Strategy::Groups(Groups::Deny(names(&["b", "c"])));
    w.decide();
    assert_eq!(w.state.segment.groups, Some(Served::Deny(names(&["a", "b", "c"]))));
    w.run(20);
    assert_eq!(w.state.segment.groups, Some(Served::Deny(names(&["b", "c"]))));
}

#[test]
fn groups_alone_that_become_steps_begin_with_whoever_was_let_in_and_with_nobody_whom_all_but_some_let_in() {
    let steps = || Strategy::Steps(vec![weight(5, 0, 60 * MIN)]);
    for (groups, stay) in [(Groups::Allow(names(&["a"])), names(&["a"])), (Groups::Deny(names(&["a"])), vec![])] {
        let mut w = alone(groups);
        w.plan.strategy = steps();
        w.decide();
        assert_eq!(admitted(&w), stay);
        w.run(20);
        assert_eq!((admitted(&w), w.k(), w.state.phase), (stay, 50, Phase::Progressing));
    }
}

#[test]
fn groups_go_through_status_unchanged() {
    for groups in [Groups::Allow(names(&["a", "b"])), Groups::Deny(names(&["a"]))] {
        let w = alone(groups);
        let spec = release_of(&w.plan);
        let status = report(&CanaryReleaseStatus::default(), Some((&spec, &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
        assert_eq!(read(&status, "u-1"), w.state);
    }
}
