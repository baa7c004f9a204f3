//! How often a status is written: a decision at once, mere figures at most every 10 s, and nothing when nothing moved.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How often figures are refreshed.
const REFRESH: SignedDuration = SignedDuration::from_secs(10);

/// What moves by itself with time and traffic, and is no decision.
const FIGURES: [&str; 5] = ["weight", "measured", "message", "analysis", "replicas"];

/// Whether `next` is to be written over `stored` at `now`, the last write of this replica having been at `last`.
///
/// Nothing is copied: of a hundred releases under way each is asked several times a second, and a status may tell of many routes.
pub(super) fn is_due(stored: &Value, next: &Value, last: Option<Timestamp>, now: Timestamp) -> bool {
    if same(stored, next, &|name, a, b| if name == "measured" { same_measured(a, b) } else { a == b }) {
        return false;
    }
    let finalises = next["phase"] == "Promoted" || next["phase"] == "Completed";
    let decided = !same(stored, next, &|name, a, b| match name {
        figure if FIGURES.contains(&figure) => true,
        // Each new route of a release changes it, and nobody acts on it before.
        "finalize" if !finalises => true,
        "conditions" => same_conditions(a, b),
        _ => a == b,
    });
    decided || verdict(stored) != verdict(next) || last.is_none_or(|last| now.duration_since(last) >= REFRESH)
}

type Member<'a> = Option<&'a Value>;

/// Whether two objects are the same, by what `is_same` says of the members of each name.
fn same(a: &Value, b: &Value, is_same: &dyn Fn(&str, Member<'_>, Member<'_>) -> bool) -> bool {
    let (Some(these), Some(those)) = (a.as_object(), b.as_object()) else { return a == b };
    let more = those.keys().filter(|name| !these.contains_key(*name));
    these.keys().chain(more).all(|name| is_same(name, these.get(name), those.get(name)))
}

fn same_both(a: Member<'_>, b: Member<'_>, is_same: &dyn Fn(&str, Member<'_>, Member<'_>) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, is_same),
        (a, b) => a == b,
    }
}

/// The begin of the window moves with time alone. What was counted since an earlier one is still true while the counts are the same.
fn same_measured(a: Member<'_>, b: Member<'_>) -> bool {
    same_both(a, b, &|name, a, b| name == "since" || a == b)
}

/// Messages of conditions hold figures, and their truth does not.
fn same_conditions(a: Member<'_>, b: Member<'_>) -> bool {
    let (Some(these), Some(those)) = (a.and_then(Value::as_array), b.and_then(Value::as_array)) else { return a == b };
    these.len() == those.len() && these.iter().zip(those).all(|(a, b)| same(a, b, &|name, a, b| name == "message" || a == b))
}

fn verdict(status: &Value) -> Member<'_> {
    status.pointer("/analysis/verdict")
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
        let mut joined = stored.clone();
        joined["finalize"] = json!({"edits": [{"name": "shop"}]});
        assert!(!is_due(&stored, &joined, Some(at(91)), at(100)), "a route joined");
        joined["phase"] = json!("Promoted");
        let mut done = joined.clone();
        done["finalize"]["edits"] = json!([]);
        assert!(is_due(&joined, &done, Some(at(100)), at(100)), "its edit was made");
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
