//! A status that is nothing but conditions: what serin tells about the kinds that do not move.

use crate::finding::{Condition as About, Finding};
use crate::reason::{self, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What serin tells about the object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConditionsStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One of each type: Accepted, ResolvedRefs, Ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl ConditionsStatus {
    /// The status that follows this one, of an object of this generation with these findings. A transition time moves only when its
    /// condition does.
    pub fn next(&self, findings: &[Finding], generation: i64, now: Timestamp) -> Self {
        let found = |about: About| {
            let of: Vec<_> = findings.iter().filter(|finding| finding.condition == about).collect();
            let message = of.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            of.first().map(|first| (first.reason, message))
        };
        let said = |kind: &str, found: Option<(&str, String)>, reason: &str, message: &str| {
            let status = if found.is_none() { "True" } else { "False" };
            let (reason, message) = found.unwrap_or((reason, message.to_owned()));
            let same = self.conditions.iter().find(|old| old.type_ == kind && old.status == status);
            let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
            Condition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: bounded(message),
                observed_generation: Some(generation),
                last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
            }
        };
        let ready = (!findings.is_empty())
            .then(|| (reason::NOT_READY, "It is not in force as it stands: see Accepted and ResolvedRefs.".to_owned()));
        Self {
            observed_generation: Some(generation),
            conditions: vec![
                said(condition::ACCEPTED, found(About::Accepted), reason::ACCEPTED, "The spec is valid."),
                said(condition::RESOLVED_REFS, found(About::ResolvedRefs), reason::RESOLVED_REFS, "Everything that the spec names exists."),
                said(condition::READY, ready, reason::READY, "It is in force."),
            ],
        }
    }
}

/// The API server takes 32,768 characters; nobody reads as many.
fn bounded(message: String) -> String {
    const MOST: usize = 4_096;
    match message.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_time_moves_only_with_its_condition() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let finding = Finding {
            condition: About::ResolvedRefs,
            reason: reason::BACKEND_NOT_FOUND,
            field: "spec.service".into(),
            message: "It is gone.".into(),
        };
        let first = ConditionsStatus::default().next(&[], 1, at(10));
        assert!(first.conditions.iter().all(|condition| condition.status == "True"));
        let next = first.next(&[finding], 2, at(20));
        let told: Vec<_> =
            next.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.last_transition_time.0.as_second())).collect();
        assert_eq!(told, [("Accepted", "True", 10), ("ResolvedRefs", "False", 20), ("Ready", "False", 20)]);
        assert_eq!((next.conditions[1].message.as_str(), next.observed_generation), ("spec.service: It is gone.", Some(2)));
        assert_eq!(next.next(&[], 2, at(30)).conditions[0].last_transition_time, Time(at(10)));
    }
}
