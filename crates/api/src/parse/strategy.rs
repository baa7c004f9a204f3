//! `spec.strategy`.

use super::report::Report;
use super::{quantity, span};
use crate::reason;
use crate::release::{Groups, Step, Strategy, WHOLE};
use crate::spec::{GroupsSpec, LinearSpec, StepSpec, StrategySpec, WeightsSpec};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The strategy, if it is valid and served.
pub(super) fn parse(raw: &StrategySpec, report: &mut Report) -> Option<Strategy> {
    let ways = [
        (raw.percentage.is_some(), "percentage"),
        (raw.weights.is_some(), "weights"),
        (raw.linear.is_some(), "linear"),
        (raw.groups.is_some(), "groups"),
        (raw.blue_green.is_some(), "blueGreen"),
        (raw.steps.is_some(), "steps"),
    ];
    let ways: Vec<_> = ways.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
    match ways.as_slice() {
        [_] => {}
        [] => report
            .invalid("spec.strategy", "strategy is empty. Give exactly one of percentage, weights, linear, groups, blueGreen and steps."),
        several => report.invalid("spec.strategy", format!("strategy has {}. Keep exactly one of them.", several.join(" and "))),
    }
    let groups = raw.groups.as_ref().and_then(|groups| self::groups(groups, report));
    let weights = raw.weights.as_ref().and_then(|weights| self::weights(weights, report));
    let linear = raw.linear.as_ref().and_then(|linear| self::linear(linear, report));
    let blue_green = raw.blue_green.as_ref().map(|raw| Strategy::BlueGreen {
        auto_switch_after: raw.auto_switch_after.as_deref().and_then(quantity::duration),
        keep_old: span(raw.keep_old.as_deref()),
    });
    let steps = raw.steps.as_ref().and_then(|steps| self::steps(steps, report));
    if !report.is_clean("spec.strategy") {
        return None;
    }
    let percentage = raw.percentage.as_ref().and_then(quantity::percent).map(Strategy::Percentage);
    percentage.or(weights).or(linear).or(groups).or(blue_green).or(steps)
}

/// A share above 0 that gives no bucket would be served to nobody (S3).
pub(super) fn reaches_a_bucket(strategy: &Strategy, buckets: u32, report: &mut Report) {
    let mut check = |field: &str, share: u32, of: u32, text: String| {
        if share > 0 && u64::from(buckets) * u64::from(share) < u64::from(of) {
            let needed = of.div_ceil(share);
            let message = format!(
                "{text} of {buckets} buckets is less than one bucket, so nobody would get the canary. Set spec.split.buckets to {needed} or more."
            );
            report.say(reason::BELOW_ONE_BUCKET, field, message);
        }
    };
    match strategy {
        Strategy::Percentage(share) => check("spec.strategy.percentage", *share, WHOLE, format!("{} %", quantity::shown(*share))),
        Strategy::Weights { stable, canary } => {
            let sum = stable + canary;
            check("spec.strategy.weights", *canary, sum, format!("{canary}/{sum}"));
        }
        Strategy::Linear { .. } | Strategy::Groups(_) | Strategy::BlueGreen { .. } => {}
        Strategy::Steps(steps) => {
            for (index, step) in steps.iter().enumerate() {
                if let Step::Weight { share, .. } = step {
                    check(&format!("spec.strategy.steps[{index}].weight"), *share, WHOLE, format!("{} %", quantity::shown(*share)));
                }
            }
        }
    }
}

fn weights(raw: &WeightsSpec, report: &mut Report) -> Option<Strategy> {
    let field = "spec.strategy.weights";
    let (stable, canary) = (u32::try_from(raw.stable).ok()?, u32::try_from(raw.canary).ok()?);
    match stable.saturating_add(canary) {
        0 => report.invalid(field, "Both weights are 0, so nobody would be served. Make one greater."),
        1..=1_000_000 => return Some(Strategy::Weights { stable, canary }),
        sum => report.invalid(field, format!("stable and canary add up to {sum}; the most is 1000000. Divide both.")),
    }
    None
}

fn linear(raw: &LinearSpec, report: &mut Report) -> Option<Strategy> {
    let start = match &raw.start {
        None => None,
        Some(text) => match text.parse::<Timestamp>() {
            Ok(moment) => Some(moment),
            Err(_) => {
                let message = format!("start is {text:?}, which is no moment of the calendar. Write it as in 2026-12-01T09:00:00Z.");
                report.invalid("spec.strategy.linear.start", message);
                return None;
            }
        },
    };
    Some(Strategy::Linear { start, duration: span(raw.duration.as_deref()) })
}

fn groups(raw: &GroupsSpec, report: &mut Report) -> Option<Strategy> {
    match (&raw.allow, &raw.deny) {
        (Some(allow), None) => Some(Strategy::Groups(Groups::Allow(set(allow)))),
        (None, Some(deny)) => Some(Strategy::Groups(Groups::Deny(set(deny)))),
        _ => {
            report.invalid("spec.strategy.groups", "groups needs exactly one of allow and deny.");
            None
        }
    }
}

/// Names in which neither order nor number means anything.
fn set(names: &[String]) -> Vec<String> {
    names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn steps(raw: &[StepSpec], report: &mut Report) -> Option<Strategy> {
    let mut steps = Vec::with_capacity(raw.len());
    let mut highest = None;
    for (index, raw) in raw.iter().enumerate() {
        let field = format!("spec.strategy.steps[{index}]");
        let step = step(&field, raw, report);
        if let Some(Step::Weight { share, .. }) = step {
            if let Some(before) = highest.filter(|before| share < *before) {
                let (share, before) = (quantity::shown(share), quantity::shown(before));
                let message = format!("The weight falls from {before} to {share}. Weights of steps may not fall: put the steps in order.");
                report.say(reason::INVALID_STEPS, &format!("{field}.weight"), message);
            }
            highest = highest.max(Some(share));
        }
        steps.extend(step);
    }
    (steps.len() == raw.len()).then_some(Strategy::Steps(steps))
}

fn step(field: &str, raw: &StepSpec, report: &mut Report) -> Option<Step> {
    let given = usize::from(raw.groups.is_some()) + usize::from(raw.weight.is_some()) + usize::from(raw.pause.is_some());
    if given != 1 {
        report.invalid(field, "A step does one thing. Give exactly one of groups, weight and pause.");
    }
    if let Some(pause) = raw.pause
        && (!pause || raw.for_.is_some())
    {
        let message =
            if pause { "A pause lasts until the command resume. Remove for." } else { "pause can only be true. Remove the step." };
        report.invalid(&format!("{field}.pause"), message);
    }
    if raw.ramp.is_some() && raw.weight.is_none() {
        report.invalid(&format!("{field}.ramp"), "ramp is the way to a weight. Remove it, or give weight.");
    }
    if !report.is_clean(field) {
        return None;
    }
    let hold = span(raw.for_.as_deref());
    if let Some(groups) = &raw.groups {
        return Some(Step::Groups { groups: set(groups), hold });
    }
    let Some(weight) = &raw.weight else { return Some(Step::Pause) };
    Some(Step::Weight { share: quantity::percent(weight)?, ramp: span(raw.ramp.as_deref()), hold })
}
