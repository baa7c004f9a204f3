//! A release whose replicas follow at once, and the tests of its life, of every event in every phase, and of what always holds.

mod blue_green;
mod groups;
mod life;
mod line;
mod properties;
mod revisions;
mod schedule;
mod table;

use crate::phase::Phase;
use crate::plan::Plan;
use crate::state::{Decision, Evidence, Judgement, State, Verdict};
use crate::{Facts, step};
use jiff::{SignedDuration, Timestamp};
use serin_api::Release;
use serin_api::release::{
    Analysis, Canary, Check, Groups, NoTraffic, OnFail, Schedule, Scope, Split, SplitBy, Step, Strategy, WhenUnavailable,
};

const MIN: i64 = 60;

pub(crate) fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + s).unwrap()
}

pub(crate) fn secs(s: i64) -> SignedDuration {
    SignedDuration::from_secs(s)
}

pub(crate) fn weight(percent: u32, ramp: i64, hold: i64) -> Step {
    Step::Weight { share: percent * 10_000, ramp: secs(ramp), hold: secs(hold) }
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn admit(groups: &[&str], hold: i64) -> Step {
    Step::Groups { groups: names(groups), hold: secs(hold) }
}

pub(crate) fn blue_green(auto_switch_after: Option<i64>, keep_old: i64) -> Strategy {
    Strategy::BlueGreen { auto_switch_after: auto_switch_after.map(secs), keep_old: secs(keep_old) }
}

pub(crate) fn steps() -> Strategy {
    Strategy::Steps(vec![weight(1, 0, 10 * MIN), weight(25, 15 * MIN, 30 * MIN), Step::Pause, weight(50, 0, 10 * MIN)])
}

pub(crate) fn plan(strategy: Strategy) -> Plan {
    Plan {
        release: "0123456789".into(),
        unobserved: "0123456789".into(),
        observed: None,
        revision: None,
        enabled: true,
        paused: false,
        buckets: 1000,
        strategy,
        analysis: None,
        schedule: Schedule::default(),
        progress_deadline: secs(3600),
    }
}

pub(crate) fn analysis() -> Analysis {
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

pub(crate) fn fine() -> Evidence {
    Evidence { ready: true, canary_ready: true, ..Evidence::default() }
}

/// A release and what is known of it, decided each 10 s.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) evidence: Evidence,
    pub(crate) now: i64,
    pub(crate) verdict: Option<Verdict>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, state: State::empty(), evidence: fine(), now: 0, verdict: None }
    }

    pub(crate) fn decide(&mut self) -> Decision {
        self.evidence.programmed = self.evidence.programmed.map(|_| self.state.segment.epoch);
        self.evidence.judgement = self.verdict.map(|verdict| Judgement { verdict, at: at(self.now) });
        let decision = step(&self.plan, &self.state, &self.evidence, at(self.now));
        self.state = decision.state.clone();
        decision
    }

    pub(crate) fn run(&mut self, seconds: i64) {
        self.evidence.programmed = Some(0);
        for _ in 0..seconds / 10 {
            self.decide();
            self.now += 10;
        }
        self.decide();
    }

    pub(crate) fn command(&mut self, text: &str) -> Decision {
        self.evidence.command = Some(text.into());
        self.decide()
    }

    pub(crate) fn k(&self) -> u32 {
        self.state.segment.k(at(self.now))
    }

    pub(crate) fn index(&self) -> Option<usize> {
        self.state.running.as_ref().map(|r| r.index)
    }
}

/// The object that a plan may have come from.
pub(crate) fn release_of(plan: &Plan) -> Release {
    Release {
        namespace: "shop".into(),
        name: "checkout".into(),
        uid: "u-1".into(),
        created: None,
        generation: 1,
        enabled: plan.enabled,
        scope: Scope { service: Some("checkout".into()), ..Scope::default() },
        canary: Canary {
            service: Some("checkout-v2".into()),
            pods: None,
            host: None,
            port: None,
            path: None,
            when_unavailable: WhenUnavailable::Stable,
        },
        split: Split {
            by: SplitBy::Consumer,
            buckets: plan.buckets,
            salt: "shop/checkout".into(),
            issue_cookie: false,
            names_buckets: false,
            names_salt: false,
        },
        overrides: Vec::new(),
        strategy: plan.strategy.clone(),
        analysis: plan.analysis.clone(),
        schedule: plan.schedule.clone(),
        revision: plan.revision.clone(),
        progress_deadline: plan.progress_deadline,
        paused: plan.paused,
        drain_on_abort: secs(30),
    }
}

/// What a healthy cluster tells of the release.
pub(crate) fn facts(evidence: &Evidence) -> Facts {
    Facts {
        uid: "u-1".into(),
        generation: 1,
        canary: Some("checkout-v2:8080".into()),
        canary_ready: evidence.canary_ready,
        any_route_left: true,
        programmed: evidence.programmed,
        replicas_programmed: if evidence.programmed.is_some() { 2 } else { 0 },
        replicas_ready: 2,
        ..Facts::default()
    }
}

#[test]
fn a_plan_is_taken_from_the_parsed_release_and_an_edit_of_the_strategy_is_seen() {
    let all = [
        steps(),
        Strategy::Steps(vec![Step::Pause]),
        Strategy::Percentage(1),
        Strategy::Weights { stable: 1, canary: 1 },
        Strategy::Linear { start: None, duration: secs(3600) },
        Strategy::Linear { start: Some(at(0)), duration: secs(3600) },
        blue_green(None, 60),
        blue_green(Some(60), 60),
        blue_green(Some(60), 61),
        Strategy::Groups(Groups::Allow(names(&["a", "b"]))),
        Strategy::Groups(Groups::Allow(names(&["a1:b"]))),
        Strategy::Groups(Groups::Deny(names(&["a", "b"]))),
        Strategy::Steps(vec![admit(&["a", "b"], 0)]),
    ];
    let prints: std::collections::BTreeSet<String> = all.iter().map(|s| plan(s.clone()).fingerprint()).collect();
    assert_eq!(prints.len(), all.len());
    for strategy in all {
        let plan = plan(strategy);
        assert_eq!(Plan::of(&release_of(&plan), "0123456789"), plan);
    }
}
