//! `kubectl explain` as the manual of the fields.

use crate::site::{SOON, shared};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

/// The page of a field, its lines joined: kubectl breaks sentences where its 80 columns end.
fn page(path: &str) -> Result<String> {
    let cluster = shared()?;
    // The description of a new kind is published a moment after the kind is served.
    let text = eventually("explain knows the kind", SOON, || cluster.kubectl(&["explain", path], "")?.ok())?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn says(path: &str, sentences: &[&str]) -> Result<()> {
    let page = page(path)?;
    for sentence in sentences {
        ensure!(page.contains(sentence), "kubectl explain {path} does not say {sentence:?}: {page}");
    }
    Ok(())
}

#[test]
fn explain_says_what_each_strategy_is_and_that_there_is_exactly_one() -> Result<()> {
    says(
        "canaryrelease.spec.strategy",
        &[
            "How the weight moves: exactly one member. Required.",
            "percentage <Object> A fixed share in percent: a whole number, or a text with up to four decimals (\"12.5\"). Default: none.",
            "weights <Object> A fixed share as plain weights: {stable: 100, canary: 1} is 1/101. Default: none.",
            "linear <Object> Rises evenly from 0 to 100 percent; {} is now, over an hour. Default: none.",
            "steps <[]Object> One step after another, then everyone. Weights never fall. Default: none.",
        ],
    )
}

#[test]
fn explain_leads_from_the_kind_to_a_step_and_tells_defaults() -> Result<()> {
    says("crel", &["A canary release: serin splits the traffic of its scope", "spec <Object> -required- What is asked."])?;
    says(
        "canaryrelease.spec.strategy.steps",
        &["One step: exactly one of groups, weight and pause.", "ramp <string> With weight: how long the way to it takes. Default: 0s."],
    )
}
