//! How often a status is written: a decision at once, mere figures at most every 10 s, and nothing when nothing moved.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How often figures are refreshed.
const REFRESH: SignedDuration = SignedDuration::from_secs(10);

/// What moves by itself with time and traffic, and is no decision.
const FIGURES: [&str; 5] = ["weight", "measured", "message", "analysis", "replicas"];

/// Whether `next` is to be written over `stored` at `now`, the last write of this replica having been at `last`.
pub(super) fn is_due(stored: &Value, next: &Value, last: Option<Timestamp>, now: Timestamp) -> bool {
    if without_since(stored) == without_since(next) {
        return false;
    }
    let decided = without_figures(stored) != without_figures(next) || verdict(stored) != verdict(next);
    decided || last.is_none_or(|last| now.duration_since(last) >= REFRESH)
}

/// The begin of the window moves with time alone. What was counted since an earlier one is still true while the counts are the same.
fn without_since(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(measured) = status.get_mut("measured").and_then(Value::as_object_mut) {
        measured.remove("since");
    }
    status
}

fn verdict(status: &Value) -> Option<&Value> {
    status.pointer("/analysis/verdict")
}

/// The status without its figures; messages of conditions hold figures too, and their truth does not.
fn without_figures(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|name, _| !FIGURES.contains(&name.as_str()));
    }
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        condition["message"].take();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn figures_wait_and_decisions_do_not() {
        let stored =
            json!({"phase": "Progressing", "weight": "5", "conditions": [{"type": "Ready", "status": "True", "message": "At 5 %."}]});
        let mut moved = stored.clone();
        moved["weight"] = json!("6");
        moved["conditions"][0]["message"] = json!("At 6 %.");
        assert!(!is_due(&stored, &stored, None, at(100)), "nothing moved");
        assert!(!is_due(&stored, &moved, Some(at(91)), at(100)), "figures were refreshed 9 s ago");
        assert!(is_due(&stored, &moved, Some(at(90)), at(100)));
        assert!(is_due(&stored, &moved, None, at(100)), "never written by this replica");
        for (pointer, value) in [("/phase", "Aborted"), ("/conditions/0/status", "False")] {
            let mut decided = stored.clone();
            *decided.pointer_mut(pointer).unwrap() = json!(value);
            assert!(is_due(&stored, &decided, Some(at(100)), at(100)), "{pointer}");
        }
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
