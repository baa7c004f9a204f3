//! What holds in any order of events.

use super::*;
use crate::hold;
use crate::schedule::open_until;
use crate::state::Event;
use crate::status::{read, report};
use jiff::civil::time;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use serin_api::CanaryReleaseStatus;
use serin_api::release::{Groups, Strategy, WHOLE, Window};
use serin_split::Groups as Served;
use std::collections::BTreeSet;

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
    Frozen(bool),
    Window(Option<(i8, i8)>),
    Revision(u8),
    Observed(u8),
    Rolling(bool),
    Completed,
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(steps()),
        Just(Strategy::Steps(vec![weight(5, 0, 0), weight(60, 300, 0)])),
        Just(Strategy::Linear { start: None, duration: secs(3600) }),
        (0..=WHOLE).prop_map(Strategy::Percentage),
        Just(Strategy::Steps(vec![admit(&["a"], 60), weight(5, 0, 60), admit(&["b"], 0), weight(60, 300, 0)])),
        prop::option::of(0i64..300).prop_map(|after| blue_green(after, 300)),
        groups().prop_map(|groups| Strategy::Groups(Groups::Allow(groups))),
        groups().prop_map(|groups| Strategy::Groups(Groups::Deny(groups))),
        (0u32..10).prop_map(|num| Strategy::Weights { stable: 10 - num, canary: num }),
    ]
}

fn groups() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    prop::sample::subsequence(names(&["a", "b", "c"]), 1..=3)
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
        1 => any::<bool>().prop_map(Happening::Frozen),
        1 => prop::option::of((7i8..12, 0i8..7)).prop_map(Happening::Window),
        1 => (0u8..3).prop_map(Happening::Revision),
        1 => (0u8..3).prop_map(Happening::Observed),
        1 => any::<bool>().prop_map(Happening::Rolling),
    ];
    let rare = prop_oneof![30 => one, 1 => Just(Happening::Abort), 1 => Just(Happening::Completed)];
    prop::collection::vec(rare, 0..60)
}

/// By the hours of a day in UTC.
fn window(from: i8, to: i8) -> Window {
    Window { days: Vec::new(), from: time(from, 0, 0, 0), to: time(to, 0, 0, 0), zone: TimeZone::UTC }
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
        Happening::Edit(strategy) => {
            // The default number of buckets is the sum of weights.
            w.plan.buckets = if matches!(strategy, Strategy::Weights { .. }) { 10 } else { 1000 };
            w.plan.strategy = strategy.clone();
        }
        Happening::Frozen(yes) => w.plan.schedule.frozen = *yes,
        Happening::Window(given) => w.plan.schedule.windows = given.iter().map(|(from, to)| window(*from, *to)).collect(),
        Happening::Revision(r) => (w.plan.release, w.plan.unobserved) = (format!("000000000{r}"), format!("000000000{r}")),
        Happening::Observed(r) => (w.plan.release, w.plan.observed) = (format!("111111111{r}"), Some(format!("u/{r}"))),
        Happening::Rolling(yes) => w.evidence.rolling = *yes,
        Happening::Completed => w.evidence.completed = true,
    }
}

/// What holds of one decision, in whatever state it was made.
fn check(w: &World, before: &State, decision: &Decision, happening: &Happening) -> Result<(), TestCaseError> {
    let (now, after) = (at(w.now), &decision.state);
    let (served, far) = (share_of(before, now), at(w.now + 1_000_000));
    // What replicas rise to by the old line until they hear of the decision.
    let granted = share_of(before, at(w.now + 2));

    let again = step(&w.plan, after, &w.evidence, now);
    prop_assert_eq!(&again.state, after, "decided twice is decided once, after {:?}", happening);
    prop_assert!(again.events.is_empty(), "{:?}", again.events);

    if w.evidence.programmed.is_none() {
        prop_assert!(share_of(after, far) <= granted, "rose without Programmed, after {:?}", happening);
        prop_assert!(let_in(after).is_subset(&let_in(before)), "let a group in without Programmed, after {:?}", happening);
    }
    let nobody = |state: &State| share_of(state, far) == 0 && let_in(state).is_empty();
    if w.evidence.rolling && before.running.is_none() && nobody(before) {
        prop_assert!(nobody(after), "let someone be the first on a workload that is not rolled out, after {:?}", happening);
    }
    match open_until(&w.plan.schedule, now, at(w.now + 60)) {
        None => {
            prop_assert!(share_of(after, far) <= granted, "rose outside its windows, after {:?}", happening);
            prop_assert!(let_in(after).is_subset(&let_in(before)), "let a group in outside its windows, after {:?}", happening);
            let began = [Phase::Pending, Phase::Scheduled].contains(&before.phase) && after.phase.serves();
            prop_assert!(!began && (before.phase == Phase::Promoted || after.phase != Phase::Promoted), "after {:?}", happening);
        }
        Some(closes) => prop_assert_eq!(share_of(after, far), share_of(after, closes), "would rise past its window, after {:?}", happening),
    }
    prop_assert!(after.segment.until <= at(w.now + 60));
    prop_assert!(after.segment.floor <= after.segment.to && after.segment.to <= after.segment.buckets);
    prop_assert!(after.segment.epoch >= before.segment.epoch);
    let (mut a, mut b) = (before.segment.clone(), after.segment.clone());
    (a.until, b.until) = (now, now);
    prop_assert!(a == b || after.segment.epoch > before.segment.epoch, "changed without a new epoch");
    let entered = decision.events.iter().filter(|e| matches!(e, Event::Step(..))).count();
    prop_assert!(entered <= 1, "{:?}", decision.events);

    // Weight falls only where S4 says so.
    let lowers = matches!(after.phase, Phase::Aborted | Phase::Disabled | Phase::Completed)
        || before.attempt != after.attempt
        || w.plan.order().is_some();
    let denied = matches!(before.segment.groups, Some(Served::Deny(_)));
    prop_assert!(lowers || denied || let_in(before).is_subset(&let_in(after)), "put a group out, after {:?}", happening);
    prop_assert!(lowers || share_of(after, now) >= served, "moved someone back, after {:?}", happening);
    for t in [w.now - 4, w.now - 1, w.now + 1, w.now + 2] {
        // Also where a clock is behind, or the decision is heard of late.
        prop_assert!(lowers || share_of(after, at(t)) >= share_of(before, at(t)), "moved someone back at {}, after {:?}", t, happening);
    }

    let abort = Evidence { abort: Some("stop".into()), ..w.evidence.clone() };
    let aborted = step(&w.plan, after, &abort, now).state;
    prop_assert_eq!((aborted.segment.k(far), &aborted.segment.groups), (0, &None));
    prop_assert!(matches!(aborted.phase, Phase::Aborted | Phase::Completed | Phase::Disabled));
    Ok(())
}

/// Who of the groups `a` to `c`, and of nobody's (``), has the canary whatever the buckets say.
fn let_in(state: &State) -> BTreeSet<&'static str> {
    let all = ["a", "b", "c", ""];
    let has = |groups: &[String], name: &str| groups.iter().any(|group| group == name);
    let lets = |name: &&str| match &state.segment.groups {
        None => false,
        Some(Served::Admitted(groups) | Served::Allow(groups)) => has(groups, name),
        Some(Served::Deny(groups)) => !has(groups, name),
    };
    all.into_iter().filter(lets).collect()
}

/// The weight in parts of all numbers of buckets that are used here.
fn share_of(state: &State, t: Timestamp) -> u64 {
    u64::from(state.segment.k(t)) * 1_000_000_000 / u64::from(state.segment.buckets)
}

/// A verdict that is not good lets nothing rise, unless a person says so or the plan is another one.
fn check_verdict(w: &World, before: &State, after: &State, happening: &Happening) -> Result<(), TestCaseError> {
    let person = matches!(
        happening,
        Happening::Command(_) | Happening::Edit(_) | Happening::Revision(_) | Happening::Observed(_) | Happening::Enabled(_)
    );
    let order = w.plan.order().is_some();
    let last = |state: &State| state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict);
    let bad = last(before).is_some_and(|v| v != Verdict::Pass) && !matches!(w.verdict, None | Some(Verdict::Pass));
    if w.plan.analysis.is_some() && bad && !person && !order && before.strategy == after.strategy {
        let far = at(w.now + 1_000_000);
        prop_assert!(share_of(after, far) <= share_of(before, at(w.now + 2)), "rose without Pass, after {:?}", happening);
    }
    Ok(())
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
            check(&w, &before, &decision, happening)?;
            check_verdict(&w, &before, &decision.state, happening)?;
        }
    }

    #[test]
    fn a_restart_changes_nothing(first in strategies(), judged in any::<bool>(), story in happenings()) {
        let mut w = World::new(Plan { analysis: judged.then(analysis), ..plan(first) });
        let mut status = CanaryReleaseStatus::default();
        for (n, happening) in story.iter().enumerate() {
            prop_assert_eq!(&read(&status, "u-1"), &w.state, "before {:?}", happening);
            happen(&mut w, happening, n);
            w.decide();
            let (release, facts) = (release_of(&w.plan), facts(&w.evidence));
            let spec = Some((&release, &w.plan));
            let next = report(&status, spec, &w.state, &facts, at(w.now));
            prop_assert_eq!(&report(&next, spec, &w.state, &facts, at(w.now)), &next, "equal input gives an equal status");
            prop_assert!(next.message.as_ref().is_some_and(|m| !m.is_empty() && m.chars().count() <= 120), "{:?}", next.message);
            prop_assert_eq!(next.conditions.len(), 11);
            prop_assert!(next.conditions.iter().all(|c| !c.message.is_empty() && !c.reason.is_empty()));
            prop_assert!(next.history.len() <= 20);
            prop_assert!(read(&next, "another") == State::empty());
            status = next;
        }
    }

    #[test]
    fn what_is_not_accepted_rises_no_more_and_can_be_aborted(first in strategies(), story in happenings(), wait in 0i64..10_000) {
        let mut w = World::new(plan(first));
        for (n, happening) in story.iter().enumerate() {
            happen(&mut w, happening, n);
            w.decide();
        }
        let (now, served) = (at(w.now + wait), w.state.segment.k(at(w.now + wait + 2)));
        let held = hold(w.plan.enabled, &w.state, &w.evidence, now).state;
        prop_assert_eq!(held.segment.k(at(w.now + wait + 1_000_000)), served);
        prop_assert_eq!(held.phase, w.state.phase);
        prop_assert_eq!(&hold(w.plan.enabled, &held, &w.evidence, now).state, &held);
        let abort = Evidence { abort: Some("stop".into()), ..w.evidence.clone() };
        prop_assert_eq!(hold(w.plan.enabled, &held, &abort, now).state.segment.k(now), 0);
    }

    #[test]
    fn s9_the_weight_is_the_formula_at_every_instant(
        past in -7200i64..7200,
        given in any::<bool>(),
        late in 0i64..600,
        story in prop::collection::vec((1i64..20, 0u8..12, 600i64..20_000), 1..200),
    ) {
        let start = given.then_some(past.min(0));
        let mut duration = 3600;
        let mut w = World::new(plan(Strategy::Linear { start: start.map(at), duration: secs(duration) }));
        w.decide();
        w.now += late;
        w.evidence.programmed = Some(0);
        w.decide();
        w.decide();
        // The release began at 0 and was Programmed at `late`: what lies between is held.
        let start = start.unwrap_or(late);
        let mut held = if given { late } else { 0 };
        let (mut floor, mut held_since) = (0, None);
        for (seconds, what, other) in story {
            let formula = |t: i64| {
                let past = (t - start - held).clamp(0, duration);
                u32::try_from(1000 * past / duration).unwrap()
            };
            for t in [w.now, w.now + seconds / 2, w.now + seconds] {
                let k = w.state.segment.k(at(t));
                let want = held_since.map_or_else(|| formula(t).max(floor), |_| floor);
                prop_assert_eq!(k, want, "at {} of {} after {} with {} held", t, duration, start, held);
            }
            w.now += seconds;
            w.evidence.command = None;
            let released = held_since.filter(|(_, paused)| !paused || what == 0).map(|(since, _)| since);
            match (what, held_since) {
                (0, Some((_, true))) => w.evidence.command = Some(format!("resume@{}", w.now).as_str().into()),
                (1, None) => {
                    floor = formula(w.now + 2).max(floor);
                    held_since = Some((w.now, true));
                    w.evidence.command = Some(format!("pause@{}", w.now).as_str().into());
                }
                (2, None) if other != duration => {
                    floor = formula(w.now + 2).max(floor);
                    held_since = Some((w.now, false));
                    duration = other;
                    w.plan.strategy = Strategy::Linear { start: given.then(|| at(start)), duration: secs(duration) };
                }
                _ => {}
            }
            if let Some(since) = released {
                held += w.now - since;
                held_since = None;
            }
            w.decide();
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
