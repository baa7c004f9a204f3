//! `spec.overrides`. Each stands for itself, so that those which parse stay in force beside one that does not.

use super::report::Report;
use crate::release::{Override, Side, Source};
use crate::spec::{self, OverrideSpec, ValueMatch};
use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

/// How much memory a compiled expression may take: it is held by each worker.
const EXPRESSION: usize = 1 << 20;

/// The overrides that are valid and served, in order.
pub(super) fn parse(list: &Value, report: &mut Report) -> Vec<Override> {
    let Some(items) = list.as_array().filter(|items| items.len() <= 32) else { return Vec::new() };
    items.iter().enumerate().filter_map(|(index, item)| one(&format!("spec.overrides[{index}]"), item, report)).collect()
}

fn one(field: &str, item: &Value, report: &mut Report) -> Option<Override> {
    if !report.is_clean(field) {
        return None;
    }
    let raw =
        OverrideSpec::deserialize(item).map_err(|error| report.invalid(field, format!("This override cannot be read: {error}."))).ok()?;
    let given = usize::from(raw.header.is_some()) + usize::from(raw.cookie.is_some()) + usize::from(raw.consumer_groups.is_some());
    if given != 1 {
        report.invalid(field, "An override reads one place. Give exactly one of header, cookie and consumerGroups.");
    }
    let header = raw.header.map(|header| (Source::Header(header.name.to_ascii_lowercase()), header, "header"));
    let cookie = raw.cookie.map(|cookie| (Source::Cookie(cookie.name.clone()), cookie, "cookie"));
    let places: Vec<_> = header.into_iter().chain(cookie).collect();
    for (_, matched, place) in &places {
        value(&format!("{field}.{place}"), matched, report);
    }
    let named = raw.consumer_groups.is_some() || places.iter().any(|(_, matched, _)| matched.exact.is_some() || matched.regex.is_some());
    if raw.to.is_some() != named {
        let message = if named {
            "to is missing. With exact, regex and consumerGroups it says which side a match takes: Canary or Stable."
        } else {
            "to is only for exact, regex and consumerGroups: without them the values always and never decide. Remove it."
        };
        report.invalid(&format!("{field}.to"), message);
    }
    if !report.is_clean(field) {
        return None;
    }
    let to = raw.to.map(|side| match side {
        spec::Side::Canary => Side::Canary,
        spec::Side::Stable => Side::Stable,
    });
    if let Some(groups) = raw.consumer_groups {
        return Some(Override::ConsumerGroups(groups, to?));
    }
    let (source, matched, _) = places.into_iter().next()?;
    let Some(to) = to else { return Some(Override::AlwaysNever(source)) };
    match (matched.exact, matched.regex) {
        (Some(exact), _) => Some(Override::Exact(source, exact, to)),
        (_, Some(regex)) => Some(Override::Regex(source, regex, to)),
        (None, None) => None,
    }
}

fn value(field: &str, raw: &ValueMatch, report: &mut Report) {
    if raw.exact.is_some() && raw.regex.is_some() {
        report.invalid(field, "exact and regex exclude each other. Keep one.");
    }
    if let Some(regex) = &raw.regex
        && let Err(error) = RegexBuilder::new(regex).size_limit(EXPRESSION).build()
    {
        let message = match &error {
            regex::Error::CompiledTooBig(_) => "regex takes too much memory. Repeat less in it.".to_owned(),
            // The text has several lines; the last one says what is wrong.
            _ => {
                let text = error.to_string();
                let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ").trim_end_matches('.');
                format!("regex does not compile: {cause}.")
            }
        };
        report.invalid(&format!("{field}.regex"), message);
    }
}
