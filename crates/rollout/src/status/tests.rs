//! What users read, moment by moment.

use super::*;
use crate::judge::{Counts, Tally, judge};
use crate::phase::Phase;
use crate::state::{Route, Verdict};
use crate::tests::{World, analysis, at, facts, plan, release_of, secs, steps, weight};
use crate::{Plan, hold};
use serin_api::reason::{self, condition};
use serin_api::release::{SplitBy, Strategy};
use serin_api::status::FinalizeEdit;
use serin_api::{CanaryReleaseStatus, Condition, Finding};
use serin_split::Kind;

fn told(w: &World, facts: &Facts) -> CanaryReleaseStatus {
    report(&CanaryReleaseStatus::default(), Some((&release_of(&w.plan), &w.plan)), &w.state, facts, at(w.now))
}

fn said<'a>(status: &'a CanaryReleaseStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|c| c.type_ == kind).expect("all conditions are always present");
    (&found.status, &found.reason, &found.message)
}

fn message(status: &CanaryReleaseStatus) -> &str {
    status.message.as_deref().expect("a message is always present")
}

fn missing(condition: Condition, reason: &'static str, message: &str) -> Finding {
    Finding { condition, reason, field: String::new(), message: message.to_owned() }
}

#[test]
fn each_moment_of_a_release_says_what_is_so_and_what_to_do() {
    let mut w = World::new(plan(steps()));
    let mut lines = Vec::new();
    let mut tell = |w: &World| {
        let status = told(w, &facts(&w.evidence));
        let step = status.step.as_ref().map_or("-", |s| &s.label).to_owned();
        lines.push(format!(
            "{} {} {step} {}",
            status.phase.as_deref().unwrap_or("-"),
            status.weight.as_deref().unwrap_or("-"),
            message(&status)
        ));
    };
    w.decide();
    tell(&w);
    w.run(60);
    tell(&w);
    w.run(660);
    tell(&w);
    w.run(1500);
    tell(&w);
    w.run(1800);
    tell(&w);
    w.command("resume@1");
    w.run(60);
    tell(&w);
    w.command("pause@2");
    tell(&w);
    w.command("promote@3");
    w.run(10);
    tell(&w);
    w.evidence.abort = Some("1".into());
    w.decide();
    tell(&w);
    w.command("retry@4");
    w.plan.enabled = false;
    w.decide();
    tell(&w);
    let expected = "\
Progressing 0 - It waits for replicas: 0 of 2 serve it.
Progressing 1 1/5 It stays at 1 % until 2027-01-15T08:10:10Z.
Progressing 3.6 2/5 It rises to 25 % until 2027-01-15T08:25:20Z, and stays there until 2027-01-15T08:55:20Z.
Progressing 25 2/5 It stays at 25 % until 2027-01-15T08:55:20Z.
Paused 25 3/5 Step 3/5 pauses at 25 %. Go on with: serin resume checkout
Progressing 50 4/5 It stays at 50 % until 2027-01-15T09:17:00Z.
Paused 50 4/5 It was paused at 50 % by command. Go on with: serin resume checkout
Promoted 100 5/5 100 % on checkout-v2:8080. See status.finalize, then delete this release.
Aborted 0 - It was aborted by command. All is on stable. Fix it, then: serin retry checkout, or a new revision.
Disabled 0 - spec.enabled is false, so all is on stable. Set it to true to begin a new attempt.
";
    assert!(lines.join("\n").trim() == expected.trim(), "{}", lines.join("\n"));
}

#[test]
fn a_release_that_has_begun_keeps_its_phase_while_conditions_tell_what_is_missing() {
    let mut w = World::new(plan(steps()));
    w.run(5 * 60);
    w.evidence.ready = false;
    w.run(20);
    let lost = missing(Condition::ResolvedRefs, reason::BACKEND_NOT_FOUND, "Service shop/checkout-v2 does not exist.");
    let status = told(&w, &Facts { findings: vec![lost], ..facts(&w.evidence) });
    assert_eq!((status.phase.as_deref(), status.weight.as_deref()), (Some("Progressing"), Some("1")));
    assert_eq!(message(&status), "Held at 1 %. Service shop/checkout-v2 does not exist.");
    assert_eq!(said(&status, condition::RESOLVED_REFS).0, "False");
    assert_eq!(said(&status, condition::READY), ("False", "NotReady", "The spec is not resolved. See condition ResolvedRefs."));
    assert_eq!(said(&status, condition::PROGRESSING).1, "BackendNotFound");
    assert_eq!(said(&status, condition::STALLED).0, "False");
}

#[test]
fn a_bad_edit_keeps_what_is_served_and_what_was_told_of_its_step() {
    let mut w = World::new(plan(steps()));
    w.run(5 * 60);
    let before = told(&w, &facts(&w.evidence));
    let state = hold(true, &w.state, &w.evidence, at(w.now)).state;
    let bad = missing(Condition::Accepted, reason::INVALID_STEPS, "The weights of the steps fall. Let them rise.");
    let all = Facts { generation: 2, findings: vec![bad], ..facts(&w.evidence) };
    let status = report(&before, None, &state, &all, at(w.now));
    assert_eq!(read(&status, "u-1"), state);
    assert_eq!((&status.step, &status.phase, &status.weight), (&before.step, &before.phase, &before.weight));
    assert_eq!(message(&status), "Held at 1 %. The weights of the steps fall. Let them rise.");
    for (kind, is) in
        [(condition::ACCEPTED, "False"), (condition::RESOLVED_REFS, "Unknown"), (condition::READY, "False"), (condition::STALLED, "True")]
    {
        assert_eq!(said(&status, kind).0, is, "{kind}");
    }
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2)));
}

#[test]
fn conditions_are_all_there_in_order_and_their_time_moves_only_on_a_change() {
    let mut w = World::new(plan(steps()));
    w.run(60);
    let first = told(&w, &facts(&w.evidence));
    let kinds: Vec<&str> = first.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(kinds, condition::ALL);
    w.run(60);
    w.command("pause@1");
    let second = report(&first, Some((&release_of(&w.plan), &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
    assert_eq!(said(&second, condition::PROGRESSING).1, "Paused");
    for (old, new) in first.conditions.iter().zip(&second.conditions) {
        assert_eq!(old.last_transition_time, new.last_transition_time, "{}", new.type_);
    }
    w.evidence.abort = Some("1".into());
    w.decide();
    let third = report(&second, Some((&release_of(&w.plan), &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
    let moved: Vec<&str> = second
        .conditions
        .iter()
        .zip(&third.conditions)
        .filter(|(a, b)| a.last_transition_time != b.last_transition_time)
        .map(|(_, b)| &*b.type_)
        .collect();
    // Programmed too: the abort has an epoch that replicas do not serve yet.
    assert_eq!(moved, ["Programmed", "Ready", "Progressing", "Finished", "Degraded", "Stalled"]);
}

#[test]
fn an_abort_by_the_analysis_says_which_check_failed_with_its_numbers() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(steps()) });
    w.run(60);
    let counts = Counts { canary: Tally { requests: 412, failures: 21 }, stable: Tally { requests: 9_000, failures: 9 } };
    let (verdict, checks) = judge(&analysis(), &counts, false);
    (w.verdict, w.evidence.failure) = (verdict, crate::judge::failure(&checks));
    w.decide();
    let status = told(&w, &Facts { checks, ..facts(&w.evidence) });
    let cause = "Check errors failed: canary 5.10 % of 412, stable 0.10 % of 9000, limit 1.00 % (plain threshold).";
    assert_eq!(said(&status, condition::FINISHED), ("True", "Aborted", cause));
    assert!(said(&status, condition::STALLED).2.starts_with(cause));
    assert_eq!(
        message(&status),
        "Check errors failed: canary 5.10 % of 412, stable 0.10 % of 9000, limit 1.00 %... Fix it, then: serin retry checkout"
    );
    assert_eq!((&*status.history[0].phase, status.history[0].message.as_deref()), ("Aborted", Some(cause)));
    assert_eq!(status.history[0].weight.as_deref(), Some("1"));
    let check = &status.analysis.as_ref().expect("always present").checks[0];
    assert_eq!((&*check.verdict, check.max.as_ref().and_then(|m| m.limit.as_deref())), ("Fail", Some("1.00 %")));
}

#[test]
fn s7_few_identities_are_said_to_be_skewed_but_never_by_request() {
    let mut w = World::new(plan(Strategy::Percentage(100_000)));
    w.run(60);
    let decided = Decided { requests: 200, identities: 1, kind: Some(Kind::Ip), busiest: Some("10.244.0.1".into()) };
    let measured = Measured {
        canary_requests: 0,
        stable_requests: 200,
        identities: Identities { seen: 1, largest: 200 },
        since: at(0),
        fallbacks: [("ClientIP".to_owned(), 200)].into(),
    };
    let all = Facts { decided, measured: Some(measured), ..facts(&w.evidence) };
    let status = told(&w, &all);
    let text = "All requests come from 1 address (10.244.0.1), so 10 % of users is 0 % of requests. Set split.by to Request, set \
                trusted-proxies, or split by a header or cookie.";
    assert_eq!(said(&status, condition::SKEWED), ("True", "FewIdentities", text));
    let measured = status.measured.as_ref().expect("it was measured");
    assert_eq!((&*measured.weight, measured.identities, measured.largest_share.as_deref()), ("0", Some(1), Some("100")));
    let tenants = Decided { requests: 200, identities: 3, kind: Some(Kind::Header), busiest: None };
    let text = "All requests come from 3 values of the header, so 10 % of users is any share of requests. Set split.by to Request, or split by \
                something in which more users differ.";
    let status = told(&w, &Facts { decided: tenants.clone(), ..facts(&w.evidence) });
    assert_eq!(said(&status, condition::SKEWED), ("True", "FewIdentities", text));
    for decided in [Decided { requests: 199, ..tenants.clone() }, Decided { identities: 20, ..tenants }] {
        assert_eq!(said(&told(&w, &Facts { decided, ..facts(&w.evidence) }), condition::SKEWED).0, "False");
    }

    let mut release = release_of(&w.plan);
    release.split.by = SplitBy::Request;
    let status = report(&status, Some((&release, &w.plan)), &w.state, &all, at(w.now));
    assert_eq!(said(&status, condition::SKEWED), ("False", "Even", "Each request counts for itself."));
    let few = Facts { measured: all.measured.map(|m| Measured { stable_requests: 19, ..m }), ..facts(&w.evidence) };
    assert_eq!(told(&w, &few).measured.expect("it was measured").weight, "-");
}

#[test]
fn s10_and_s12_a_promoted_release_carries_its_edits_unless_other_routes_are_not_done() {
    let mut w = World::new(plan(steps()));
    let route = |name: &str| Route { kind: "Ingress".into(), namespace: "shop".into(), name: name.into(), host: None, path: None };
    w.evidence.routes = vec![route("shop")];
    w.run(60);
    w.evidence.routes = vec![route("shop"), route("late")];
    w.command("promote@1");
    w.run(10);
    let edit = FinalizeEdit {
        kind: "Ingress".into(),
        namespace: "shop".into(),
        name: "shop".into(),
        text: "Set the backend to checkout-v2:8080".into(),
    };
    let all = Facts { edits: vec![edit], done: vec![route("late")], ..facts(&w.evidence) };
    let status = told(&w, &all);
    assert_eq!(message(&status), "100 % on checkout-v2:8080. Set the backend to checkout-v2:8080, then delete this release.");
    let text = "Make these edits, then delete this release: Ingress shop/shop: Set the backend to checkout-v2:8080";
    assert_eq!(said(&status, condition::READY_TO_FINALIZE), ("True", "Promoted", text));
    let finalize = status.finalize.expect("routes were recorded");
    let done: Vec<_> = finalize.routes.iter().map(|r| (&*r.name, r.done)).collect();
    assert_eq!(done, [("late", true), ("shop", false)]);

    let shared = Facts { waits_for: vec!["Ingress shop/other, which has no release".into()], ..all.clone() };
    let status = told(&w, &shared);
    assert_eq!(said(&status, condition::READY_TO_FINALIZE).1, "OtherRoutes");
    let text = "100 % on checkout-v2:8080. Its Service is shared: it waits for Ingress shop/other, which has no... See ReadyToFinalize.";
    assert_eq!(message(&status), text);
    let gone = Facts { any_route_left: false, ..all };
    assert_eq!(said(&told(&w, &gone), condition::READY_TO_FINALIZE).1, "NoRoute");

    w.plan.release = "ffffffffff".into();
    w.decide();
    let status = told(&w, &facts(&w.evidence));
    let (is, reason, text) = said(&status, condition::DEGRADED);
    assert_eq!((is, reason), ("True", "NotFinalized"));
    assert!(text.starts_with("Release 0123456789 was promoted"), "{text}");
}

#[test]
fn a_canary_without_endpoints_is_degraded_and_not_ready() {
    let mut w = World::new(plan(Strategy::Percentage(100_000)));
    w.run(60);
    assert_eq!(said(&told(&w, &facts(&w.evidence)), condition::READY).0, "True");
    w.evidence.canary_ready = false;
    let status = told(&w, &facts(&w.evidence));
    assert_eq!(said(&status, condition::READY).0, "False");
    assert_eq!(said(&status, condition::DEGRADED).1, "CanaryUnavailable");
}

#[test]
fn the_expected_end_adds_up_the_steps_and_waits_for_nobody() {
    let end = |w: &World| told(w, &facts(&w.evidence)).release.and_then(|r| r.expected_end);
    let mut w = World::new(plan(Strategy::Steps(vec![weight(1, 0, 600), weight(25, 900, 1800)])));
    w.run(60);
    let clock = w.state.running.as_ref().and_then(|r| r.clock).expect("the clock runs");
    assert_eq!(end(&w), Some(format!("{:.3}", clock + secs(600 + 900 + 1800))));
    w.command("pause@1");
    assert_eq!(end(&w), None);
    assert_eq!(told(&w, &facts(&w.evidence)).step.and_then(|s| s.ends_at), None, "nor has a paused step an end");
    let mut w = World::new(plan(steps()));
    w.run(60);
    assert_eq!(end(&w), None, "a pause step waits for someone");
}

#[test]
fn a_status_that_lost_its_progress_goes_on_from_the_served_weight() {
    let mut w = World::new(plan(steps()));
    w.run(5 * 60);
    let status = CanaryReleaseStatus { progress: None, ..told(&w, &facts(&w.evidence)) };
    let served = w.k();
    w.state = read(&status, "u-1");
    w.run(20);
    assert_eq!((w.k(), w.state.attempt, w.index()), (served, 1, Some(0)));
}

#[test]
fn a_damaged_status_begins_anew_at_weight_0() {
    let mut w = World::new(plan(steps()));
    w.run(5 * 60);
    let mut status = told(&w, &facts(&w.evidence));
    status.traffic.as_mut().expect("it serves").until = "yesterday".into();
    assert_eq!(read(&status, "u-1").segment.release, "");
    assert_eq!(read(&CanaryReleaseStatus::default(), "u-1"), crate::State::empty());
    assert_eq!(Verdict::parse("Good"), None);
}

#[test]
fn a_condition_never_outgrows_what_the_api_server_takes() {
    let w = World::new(plan(steps()));
    let many =
        (0..1000).map(|n| missing(Condition::ResolvedRefs, reason::BACKEND_NOT_FOUND, &format!("Service \u{e4}{n} does not exist.")));
    let status = told(&w, &Facts { findings: many.collect(), ..facts(&w.evidence) });
    assert!(status.conditions.iter().all(|c| c.message.chars().count() < 5_000));
}

#[test]
fn the_verdict_that_aborts_is_shown_then_and_from_then_on() {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(steps()) });
    let mut status = CanaryReleaseStatus::default();
    let mut verdict = |w: &World| {
        let all = Facts { judgement: w.evidence.judgement, ..facts(&w.evidence) };
        status = report(&status, Some((&release_of(&w.plan), &w.plan)), &w.state, &all, at(w.now));
        let shown = status.analysis.clone().expect("always present");
        (shown.verdict, shown.at)
    };
    w.verdict = Some(Verdict::Pass);
    w.run(60);
    assert_eq!(verdict(&w).0, "Pass");
    w.now += 10;
    w.verdict = Some(Verdict::Fail);
    w.decide();
    let failed = verdict(&w);
    assert_eq!((w.state.phase, &*failed.0, failed.1.is_some()), (Phase::Aborted, "Fail", true));
    w.verdict = None;
    w.run(60);
    assert_eq!(verdict(&w), failed);
    w.command("retry@1");
    assert_eq!(verdict(&w).0, "NoData");
}

#[test]
fn the_last_verdict_is_shown_until_there_is_a_new_one_of_the_same_attempt() {
    let two = Strategy::Steps(vec![weight(10, 0, 60), weight(20, 0, 600)]);
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(two) });
    let mut status = CanaryReleaseStatus::default();
    let mut verdict = |w: &World| {
        status = report(&status, Some((&release_of(&w.plan), &w.plan)), &w.state, &facts(&w.evidence), at(w.now));
        status.analysis.as_ref().expect("always present").verdict.clone()
    };
    w.run(20);
    assert_eq!(verdict(&w), "NoData");
    w.verdict = Some(Verdict::Pass);
    w.run(10);
    assert_eq!(verdict(&w), "Pass");
    w.run(50);
    w.verdict = None;
    w.run(10);
    assert_eq!((w.index(), verdict(&w).as_str()), (Some(1), "Pass"));
    w.evidence.abort = Some("1".into());
    w.decide();
    assert_eq!(verdict(&w), "Pass");
    w.command("retry@1");
    assert_eq!(verdict(&w), "NoData");
    w.plan.analysis = None;
    w.decide();
    assert_eq!(verdict(&w), "off");
}
