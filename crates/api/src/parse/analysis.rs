//! `spec.analysis`. `confidence` is held to its bounds and not carried on: the judge of this version compares rates, not intervals.

use super::report::Report;
use super::{quantity, span};
use crate::release::{Analysis, Check, NoTraffic, OnFail};
use crate::spec::{self, AnalysisSpec, CheckSpec};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// The analysis, if it is valid and served.
pub(super) fn parse(raw: &AnalysisSpec, report: &mut Report) -> Option<Analysis> {
    let before = report.0.len();
    let interval = span(raw.interval.as_deref());
    if interval < SignedDuration::from_secs(1) {
        report
            .invalid("spec.analysis.interval", "interval is shorter than a second, in which no verdict means much. Make it 1s or longer.");
    }
    let mut checks = Vec::new();
    let mut names = BTreeSet::new();
    for (index, raw) in raw.checks.iter().flatten().enumerate() {
        let field = format!("spec.analysis.checks[{index}]");
        if !names.insert(raw.name.as_str()) {
            report.invalid("spec.analysis.checks", format!("Two checks are called {}. Give each a name of its own.", raw.name));
        }
        checks.extend(check(&field, raw, report));
    }
    let limit = raw.failure_limit.clone().unwrap_or_default();
    let count = |number: Option<i32>, default: u32| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(default);
    let analysis = Analysis {
        interval,
        min_requests: count(raw.min_requests, 200).into(),
        no_traffic: match raw.no_traffic {
            Some(spec::NoTraffic::Continue) => NoTraffic::Continue,
            Some(spec::NoTraffic::Abort) => NoTraffic::Abort,
            Some(spec::NoTraffic::Hold) | None => NoTraffic::Hold,
        },
        on_fail: match raw.on_fail {
            Some(spec::OnFail::Pause) => OnFail::Pause,
            Some(spec::OnFail::Abort) | None => OnFail::Abort,
        },
        consecutive: count(limit.consecutive, 1),
        total: count(limit.total, 3),
        checks,
    };
    (before == report.0.len()).then_some(analysis)
}

fn check(field: &str, raw: &CheckSpec, report: &mut Report) -> Option<Check> {
    let kinds = [
        (raw.error_rate.is_some(), "errorRate"),
        (raw.latency.is_some(), "latency"),
        (raw.prometheus.is_some(), "prometheus"),
        (raw.http.is_some(), "http"),
    ];
    let kinds: Vec<_> = kinds.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
    if kinds.len() != 1 {
        report.invalid(field, "A check looks at one thing. Give exactly one of errorRate, latency, prometheus and http.");
    }
    let bounded = [
        (
            raw.error_rate.as_ref().is_some_and(|check| check.max.is_none() && check.versus_stable.is_none()),
            "errorRate",
            "max, versusStable",
        ),
        (raw.latency.as_ref().is_some_and(|check| check.max.is_none() && check.versus_stable.is_none()), "latency", "max, versusStable"),
        (raw.prometheus.as_ref().is_some_and(|check| check.min.is_none() && check.max.is_none()), "prometheus", "min, max"),
    ];
    for (_, name, bounds) in bounded.into_iter().filter(|(unbounded, ..)| *unbounded) {
        report.invalid(&format!("{field}.{name}"), format!("{name} has no bound. Give {bounds} or both."));
    }
    if !report.is_clean(field) {
        return None;
    }
    let Some(error_rate) = &raw.error_rate else {
        for name in kinds {
            report.not_implemented(&format!("{field}.{name}"));
        }
        return None;
    };
    Some(Check {
        name: raw.name.clone(),
        dry_run: raw.dry_run == Some(true),
        max: error_rate.max.as_ref().and_then(quantity::percent),
        max_increase: error_rate.versus_stable.as_ref().and_then(|stable| quantity::percent(&stable.max_increase)),
    })
}
