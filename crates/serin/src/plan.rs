//! `serin plan FILE...`: when each release would do what, by the state machine that will do it.

use anyhow::{Context, bail};
use clap::Args;
use comfy_table::{Table, presets};
use jiff::{SignedDuration, Timestamp};
use serin_api::Release;
use serin_api::release::Step;
use serin_controller::standalone::manifests::{parse, read};
use serin_rollout::timetable::{Entry, What};
use serin_rollout::{Plan, timetable};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// YAML or JSON files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// When it begins, such as 2026-12-01T09:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
}

/// Prints the timetable of each release of the files.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let start = options.start.unwrap_or_else(Timestamp::now);
    let mut planned = 0;
    for path in &options.files {
        for manifest in parse(path, &read(path)?)?.into_iter().filter(|manifest| manifest.key.kind == "CanaryRelease") {
            let parsed = serin_api::parse_value(&manifest.object);
            let Some(release) = &parsed.release else {
                let findings: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
                bail!("{}: {}: {}", path.display(), manifest.key, findings.join(" "));
            };
            let id = parsed.id(None).with_context(|| format!("{}: {} has no identity", path.display(), manifest.key))?;
            println!("{}", text(release, &Plan::of(release, &id), start));
            planned += 1;
        }
    }
    if planned == 0 {
        bail!("the files have no CanaryRelease");
    }
    Ok(ExitCode::SUCCESS)
}

fn text(release: &Release, plan: &Plan, start: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["TIME", "AFTER", "WEIGHT", "WHAT"]);
    let entries = timetable(plan, start);
    for entry in &entries {
        let after = entry.at.duration_since(start);
        table.add_row([format!("{:.0}", entry.at), length(after), format!("{} %", entry.weight), what(release, plan, entry)]);
    }
    let lasts = entries.last().is_some_and(|entry| matches!(entry.what, What::Phase(_)));
    let end = if lasts { "" } else { "\nNo end is in sight: see schedule and paused.\n" };
    let name = format!("{}/{}", release.namespace, release.name);
    format!("{name}, if replicas follow at once, every check passes and nobody lets it wait:\n{table}\n{end}")
}

fn what(release: &Release, plan: &Plan, entry: &Entry) -> String {
    match entry.what {
        What::Step(index, of) => {
            let author = matches!(&release.strategy, serin_api::release::Strategy::Steps(steps) if index >= steps.len());
            let step = plan.stage(index).map(|step| if author { "then everyone".to_owned() } else { described(plan, &step) });
            format!("step {} of {of}: {}", index + 1, step.unwrap_or_default())
        }
        What::Waits(order) => format!("waits for: serin {order} {}; what follows begins then", release.name),
        What::Phase(phase) => phase.to_string(),
    }
}

fn described(plan: &Plan, step: &Step) -> String {
    let hold = plan.hold_of(step);
    let held = if hold.is_zero() { String::new() } else { format!(", held for {}", length(hold)) };
    match step {
        Step::Pause => "pause".to_owned(),
        Step::Groups { groups, .. } => format!("groups {} to the canary{held}", groups.join(", ")),
        Step::Weight { share, ramp, .. } => {
            let weight = serin_rollout::share::weight(plan.k_of(*share), plan.buckets);
            let over = if ramp.is_zero() { String::new() } else { format!(" over {}", length(*ramp)) };
            format!("weight {weight} %{over}{held}")
        }
    }
}

/// As `1h30m`, with seconds only where there are any.
fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_tells_each_step_what_it_waits_for_and_the_end() -> anyhow::Result<()> {
        let steps = json!([{"weight": 1, "for": "10m"}, {"weight": 25, "ramp": "15m", "for": "30m"}, {"pause": true}]);
        let spec = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"steps": steps}});
        let metadata = json!({"name": "checkout", "namespace": "shop"});
        let parsed = serin_api::parse_value(&json!({"metadata": metadata, "spec": spec}));
        let release = parsed.release.as_ref().context("it is accepted")?;
        let told = text(release, &Plan::of(release, "0123456789"), "2026-12-01T09:00:00Z".parse()?);
        let words: Vec<String> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "shop/checkout, if replicas follow at once, every check passes and nobody lets it wait:",
            "TIME AFTER WEIGHT WHAT",
            "2026-12-01T09:00:00Z 0s 1 % step 1 of 4: weight 1 %, held for 10m",
            "2026-12-01T09:10:00Z 10m 1 % step 2 of 4: weight 25 % over 15m, held for 30m",
            "2026-12-01T09:55:00Z 55m 25 % step 3 of 4: pause",
            "2026-12-01T09:55:00Z 55m 25 % waits for: serin resume checkout; what follows begins then",
            "2026-12-01T09:55:00Z 55m 100 % step 4 of 4: then everyone",
            "2026-12-01T09:55:00Z 55m 100 % Promoted",
        ];
        assert_eq!(words, expected);
        Ok(())
    }

    #[test]
    fn lengths_are_short() {
        let cases = [(0, "0s"), (90, "1m30s"), (3600, "1h"), (90_061, "1d1h1m1s")];
        for (seconds, expected) in cases {
            assert_eq!(length(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
