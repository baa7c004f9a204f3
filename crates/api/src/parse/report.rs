//! Findings as they are collected.

use crate::finding::{Condition, Finding};
use crate::reason;
use strsim::levenshtein;

/// What is to be said about a spec.
#[derive(Debug, Default)]
pub(super) struct Report(pub(super) Vec<Finding>);

impl Report {
    /// The spec is wrong at `field`.
    pub(super) fn invalid(&mut self, field: &str, message: impl Into<String>) {
        self.say(reason::INVALID_SPEC, field, message);
    }

    /// The spec is right at `field`, but this version does not serve it.
    pub(super) fn not_implemented(&mut self, field: &str) {
        let name = field.strip_prefix("spec.").unwrap_or(field);
        let message = format!("This version of serin does not serve {name} yet. Leave it out, or use a version that does.");
        self.say(reason::NOT_IMPLEMENTED, field, message);
    }

    pub(super) fn say(&mut self, reason: &'static str, field: &str, message: impl Into<String>) {
        self.0.push(Finding { condition: Condition::Accepted, reason, field: field.to_owned(), message: message.into() });
    }

    /// Whether nothing is wrong at `field`, or below it. What is only not served yet is not wrong.
    pub(super) fn is_clean(&self, field: &str) -> bool {
        let below = |finding: &Finding| {
            finding.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                || field.strip_prefix(finding.field.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']) && finding.field != "spec")
        };
        !self.0.iter().any(|finding| finding.reason != reason::NOT_IMPLEMENTED && below(finding))
    }
}

/// The last part of a path: `steps[2]` of `spec.strategy.steps[2]`.
pub(super) fn last(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// The candidate that `word` was probably meant to be: one that differs in case, or in at most two letters.
pub(super) fn meant<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word is like none, and costs its length times theirs.
    let lower = Some(word.to_lowercase()).filter(|word| word.len() <= 64)?;
    let near = candidates.map(|candidate| (levenshtein(&lower, &candidate.to_lowercase()), candidate)).min()?;
    (near.0 <= 2 && near.0 * 2 < lower.chars().count().max(1)).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_like() {
        let fields = ["service", "route", "consumer", "consumerGroup", "all"];
        for (word, like) in [
            ("sevice", Some("service")),
            ("Service", Some("service")),
            ("x", None),
            ("al", None),
            ("", None),
            ("consumers", Some("consumer")),
        ] {
            assert_eq!(meant(word, fields.into_iter()), like, "{word}");
        }
    }
}
