//! What `kubectl apply` refuses, in words that lead to the field; `serin check` says it of the same file without a cluster.

use crate::site::shared;
use anyhow::{Result, ensure};
use serin_testkit::manifests;
use std::fs;
use std::process::Command;

/// A strategy as an author may write it, the field that is wrong, what kubectl says of it, and what `serin check` does.
const WRONG: [(&str, &str, &str, &str); 5] = [
    (
        "{percentage: 10, weights: {stable: 9, canary: 1}}",
        "spec.strategy",
        "exactly one of percentage, weights, linear, groups, blueGreen, steps must be given",
        "strategy has percentage and weights. Keep exactly one of them.",
    ),
    ("{percentage: 101}", "spec.strategy.percentage", "should be less than or equal to 100", "percentage is 101; the most is 100."),
    (
        "{percentage: 12.5}",
        "spec.strategy.percentage",
        "must be of type integer,string: \"number\"",
        "percentage is 12.5, which is read as a floating-point number. Put it in quotes: \"12.5\".",
    ),
    ("{linear: {duration: 1 hour}}", "spec.strategy.linear.duration", "\"1 hour\"", "it must be a span of time such as 1h30m"),
    ("{steps: [{weight: 5, for: 10min}]}", "spec.strategy.steps[0].for", "\"10min\"", "it must be a span of time such as 1h30m"),
];

#[test]
fn a_wrong_strategy_is_refused_by_kubectl_and_by_check_and_both_name_the_field() -> Result<()> {
    let cluster = shared()?;
    cluster.apply(&manifests::namespace("refused"))?;
    for (nth, (strategy, field, said, checked)) in WRONG.into_iter().enumerate() {
        let manifest = format!(
            "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: checkout, namespace: refused}}\n\
             spec:\n  scope: {{service: checkout}}\n  canary: {{service: checkout-v2}}\n  strategy: {strategy}\n"
        );
        for way in [&["apply", "-f", "-"][..], &["apply", "--server-side", "-f", "-"]] {
            let refused = cluster.kubectl(way, &manifest)?;
            ensure!(!refused.status.success(), "{strategy} is taken");
            ensure!(refused.stderr.contains(&format!("{field}: ")) && refused.stderr.contains(said), "{strategy}: {}", refused.stderr);
        }
        let file = cluster.folder().join(format!("refused-{nth}.yaml"));
        fs::write(&file, manifest)?;
        let check = Command::new(env!("CARGO_BIN_EXE_serin")).arg("check").arg(&file).output()?;
        let text = String::from_utf8(check.stdout)?;
        ensure!(check.status.code() == Some(1) && text.contains(&format!("{field}: ")) && text.contains(checked), "{strategy}: {text}");
    }
    let stored = cluster.kubectl(&["get", "crel", "-n", "refused", "-o", "name"], "")?.ok()?;
    assert_eq!(stored, "");
    Ok(())
}
