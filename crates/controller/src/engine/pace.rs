//! How often a status is written: a decision at once, mere figures at most every 10 s, and nothing when nothing moved.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serin_api::CanaryReleaseStatus;
use serin_api::status::{AnalysisStatus, MeasuredStatus};

/// How often figures are refreshed.
const REFRESH: SignedDuration = SignedDuration::from_secs(10);

/// Whether `next` is to be written over `stored` at `now`, the last write of this replica having been at `last`.
pub(super) fn is_due(stored: &CanaryReleaseStatus, next: &CanaryReleaseStatus, last: Option<Timestamp>, now: Timestamp) -> bool {
    !is_same_decision(stored, next) || !are_same_figures(stored, next) && last.is_none_or(|last| now.duration_since(last) >= REFRESH)
}

/// Whether all is the same but what moves by itself with time and traffic.
fn is_same_decision(stored: &CanaryReleaseStatus, next: &CanaryReleaseStatus) -> bool {
    let CanaryReleaseStatus {
        observed_generation,
        phase,
        message: _,
        release,
        step,
        traffic,
        weight: _,
        measured: _,
        resolved,
        replicas: _,
        analysis,
        last_command,
        last_abort,
        finalize,
        history,
        stable,
        canary,
        conditions,
        progress,
    } = stored;
    // Which routes are done is told at once only where somebody makes edits.
    let finalises = matches!(next.phase.as_deref(), Some("Promoted" | "Completed"));
    let verdict = |analysis: &Option<AnalysisStatus>| analysis.as_ref().map(|analysis| analysis.verdict.clone());
    (observed_generation, phase, release, step, traffic)
        == (&next.observed_generation, &next.phase, &next.release, &next.step, &next.traffic)
        && (resolved, last_command, last_abort) == (&next.resolved, &next.last_command, &next.last_abort)
        && (!finalises || *finalize == next.finalize)
        && (history, stable, canary) == (&next.history, &next.stable, &next.canary)
        && (progress, verdict(analysis)) == (&next.progress, verdict(&next.analysis))
        && conditions.len() == next.conditions.len()
        && conditions.iter().zip(&next.conditions).all(|(a, b)| is_same_condition(a, b))
}

/// Messages of conditions hold figures, and their truth does not.
fn is_same_condition(a: &Condition, b: &Condition) -> bool {
    let Condition { last_transition_time, message: _, observed_generation, reason, status, type_ } = a;
    (last_transition_time, observed_generation, reason, status, type_)
        == (&b.last_transition_time, &b.observed_generation, &b.reason, &b.status, &b.type_)
}

fn are_same_figures(stored: &CanaryReleaseStatus, next: &CanaryReleaseStatus) -> bool {
    (&stored.message, &stored.weight, &stored.replicas, &stored.analysis) == (&next.message, &next.weight, &next.replicas, &next.analysis)
        && is_same_measured(stored.measured.as_ref(), next.measured.as_ref())
        && (&stored.finalize, &stored.conditions) == (&next.finalize, &next.conditions)
}

/// The begin of the window moves with time alone. What was counted since an earlier one is still true while the counts are the same.
fn is_same_measured(a: Option<&MeasuredStatus>, b: Option<&MeasuredStatus>) -> bool {
    let counts = |measured: Option<&MeasuredStatus>| measured.map(|measured| MeasuredStatus { since: None, ..measured.clone() });
    counts(a) == counts(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn figures_wait_and_decisions_do_not() {
        let status = |value: &Value| serde_json::from_value::<CanaryReleaseStatus>(value.clone()).unwrap();
        let is_due = |stored: &Value, next: &Value, last, now| is_due(&status(stored), &status(next), last, now);
        let condition = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "At 5 %.", "lastTransitionTime": "2026-12-01T09:00:00Z"});
        let stored = json!({"phase": "Progressing", "weight": "5", "stable": "checkout", "conditions": [condition]});
        let mut moved = stored.clone();
        moved["weight"] = json!("6");
        moved["conditions"][0]["message"] = json!("At 6 %.");
        assert!(!is_due(&stored, &stored, None, at(100)), "nothing moved");
        assert!(!is_due(&stored, &moved, Some(at(91)), at(100)), "figures were refreshed 9 s ago");
        assert!(is_due(&stored, &moved, Some(at(90)), at(100)));
        assert!(is_due(&stored, &moved, None, at(100)), "never written by this replica");
        for (pointer, value) in
            [("/phase", "Aborted"), ("/stable", "shop"), ("/conditions/0/status", "False"), ("/conditions/0/reason", "Other")]
        {
            let mut decided = stored.clone();
            *decided.pointer_mut(pointer).unwrap() = json!(value);
            assert!(is_due(&stored, &decided, Some(at(100)), at(100)), "{pointer}");
        }
        let mut early = stored.clone();
        early["finalize"] = json!({"routes": [{"name": "shop", "done": true}]});
        assert!(!is_due(&stored, &early, Some(at(91)), at(100)), "one of many routes was edited early");
        assert!(is_due(&stored, &early, Some(at(90)), at(100)));
        early["phase"] = json!("Promoted");
        let mut edited = early.clone();
        edited["finalize"] = json!({});
        assert!(is_due(&early, &edited, Some(at(100)), at(100)), "whoever makes an edit sees at once that it is done");
        let mut measured = stored.clone();
        measured["measured"] = json!({"canaryRequests": 0, "since": "2026-12-01T09:00:00.000Z"});
        let mut later = measured.clone();
        later["measured"]["since"] = json!("2026-12-01T09:01:00.000Z");
        assert!(!is_due(&measured, &later, None, at(100)), "only time has passed");
        later["measured"]["canaryRequests"] = json!(1);
        assert!(is_due(&measured, &later, None, at(100)));
        let mut judged = stored.clone();
        judged["analysis"] = json!({"verdict": "Fail"});
        assert!(is_due(&stored, &judged, Some(at(100)), at(100)));
    }
}
