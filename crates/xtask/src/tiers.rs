//! `cargo xtask test`: the tiers from fast to slow, and what came of each.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{cargo, passes};
use crate::{architecture, image, testkit};

/// What came of a tier that did not fail.
pub(crate) enum Outcome {
    Passed,
    /// It cannot run here; the reason says what is missing and how to get it.
    NotRun(String),
}

/// One entry of the closing lines.
pub(crate) struct Tier {
    name: &'static str,
    /// The flag asks for the long forms of the tests.
    run: fn(bool) -> Result<Outcome>,
    /// It has no short form: it runs with `--long`, or when it is named.
    only_long: bool,
}

const TIERS: &[Tier] = &[
    short("format", |_| format()),
    short("architecture", |_| architecture::check().map(|()| Outcome::Passed)),
    short("lint", |_| lint()),
    short("test", test_in_process),
    short("docs", |_| docs()),
    short("api-server", testkit::api_server),
    short("node", testkit::node),
    Tier { name: "image", run: image::tier, only_long: true },
];

const fn short(name: &'static str, run: fn(bool) -> Result<Outcome>) -> Tier {
    Tier { name, run, only_long: false }
}

/// Every tier's name, in order.
pub(crate) fn names() -> Vec<&'static str> {
    TIERS.iter().map(|tier| tier.name).collect()
}

/// The tiers of these names in the order of the table; when none is named all, those without a short form only with `long`. The error is the
/// first name that no tier has.
pub(crate) fn chosen(names: &[&str], long: bool) -> Result<Vec<&'static Tier>, String> {
    if let Some(unknown) = names.iter().find(|name| TIERS.iter().all(|tier| tier.name != **name)) {
        return Err((*unknown).to_owned());
    }
    let wanted = |tier: &&Tier| if names.is_empty() { long || !tier.only_long } else { names.contains(&tier.name) };
    Ok(TIERS.iter().filter(wanted).collect())
}

/// Runs these tiers, all of them even when one fails, so that one run shows all there is to mend. True when none failed.
pub(crate) fn test(tiers: &[&Tier], long: bool) -> bool {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let mut tally = Tally::default();
    for tier in tiers {
        println!("== {}", tier.name);
        let start = Instant::now();
        let outcome = verdict((tier.run)(long), ci);
        let seconds = start.elapsed().as_secs_f64();
        println!("== {}: {}", tier.name, tally.count(tier.name, outcome, seconds));
    }
    println!("{}", tally.closing_lines());
    tally.failed.is_empty()
}

/// In CI nothing may be left out.
fn verdict(outcome: Result<Outcome>, ci: bool) -> Result<Outcome> {
    match outcome {
        Ok(Outcome::NotRun(reason)) if ci => bail!("cannot run, and CI=true leaves nothing out: {reason}"),
        other => other,
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    not_run: Vec<String>,
}

impl Tally {
    /// Counts one tier and says what came of it.
    fn count(&mut self, name: &'static str, outcome: Result<Outcome>, seconds: f64) -> String {
        match outcome {
            Ok(Outcome::Passed) => {
                self.passed += 1;
                format!("passed in {seconds:.1} s")
            }
            Ok(Outcome::NotRun(reason)) => {
                let text = format!("not run: {reason}");
                self.not_run.push(format!("{name} {text}"));
                text
            }
            Err(error) => {
                self.failed.push(name);
                format!("failed in {seconds:.1} s\n{error:#}")
            }
        }
    }

    /// What needs someone's eyes, then the numbers.
    fn closing_lines(&self) -> String {
        let mut lines = self.not_run.clone();
        lines.extend(self.failed.iter().map(|name| format!("{name} failed")));
        lines.push(format!("{} passed, {} failed, {} not run", self.passed, self.failed.len(), self.not_run.len()));
        lines.join("\n")
    }
}

fn format() -> Result<Outcome> {
    with_component("fmt", "rustfmt", || passes(&mut cargo(&["fmt", "--all", "--check"])))
}

fn lint() -> Result<Outcome> {
    with_component("clippy", "clippy", || {
        passes(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        // `--all-targets` leaves out what has `test = false`.
        passes(&mut cargo(&[&["clippy", "--workspace"], testkit::LEFT_OUT, &["--", "-D", "warnings"]].concat()))
    })
}

fn test_in_process(long: bool) -> Result<Outcome> {
    passes(long_form(&mut cargo(&["test", "--workspace", "--no-fail-fast"]), long))?;
    Ok(Outcome::Passed)
}

fn docs() -> Result<Outcome> {
    passes(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

/// The variable that a test reads to choose its long form. Taken away without `--long`, so that a run depends on its command line alone.
pub(crate) fn long_form(command: &mut Command, long: bool) -> &mut Command {
    if long { command.env("SERIN_LONG", "1") } else { command.env_remove("SERIN_LONG") }
}

/// Does not run when the toolchain lacks the component behind a cargo subcommand.
fn with_component(subcommand: &str, component: &str, run: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    let probe = cargo(&[subcommand, "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return Ok(Outcome::NotRun(format!("{component} is not installed; get it with `rustup component add {component}`")));
    }
    run()?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn the_last_line_counts_every_tier() {
        let mut tally = Tally::default();
        tally.count("format", Ok(Outcome::Passed), 0.5);
        tally.count("lint", Err(anyhow!("a warning")), 2.0);
        tally.count("api-server", Ok(Outcome::NotRun("ip is not there".into())), 0.0);
        assert_eq!(tally.closing_lines(), "api-server not run: ip is not there\nlint failed\n1 passed, 1 failed, 1 not run");
    }

    #[test]
    fn a_tier_prints_its_seconds_and_the_whole_error() {
        let mut tally = Tally::default();
        assert_eq!(tally.count("docs", Ok(Outcome::Passed), 1.26), "passed in 1.3 s");
        assert_eq!(tally.count("lint", Err(anyhow!("inner").context("outer")), 2.0), "failed in 2.0 s\nouter: inner");
    }

    #[test]
    fn a_tier_that_cannot_run_fails_in_ci_only() {
        let not_run = || Ok(Outcome::NotRun("no clippy".into()));
        assert!(verdict(not_run(), true).is_err());
        assert!(matches!(verdict(not_run(), false), Ok(Outcome::NotRun(_))));
        assert!(verdict(Ok(Outcome::Passed), true).is_ok());
    }

    #[test]
    fn named_tiers_keep_the_order_of_the_table() {
        let names = |chosen: Vec<&Tier>| chosen.iter().map(|tier| tier.name).collect::<Vec<_>>();
        assert_eq!(chosen(&["docs", "format"], false).map(names), Ok(vec!["format", "docs"]));
        assert_eq!(chosen(&[], true).map(|all| all.len()), Ok(TIERS.len()));
        let short = chosen(&[], false).map(names).unwrap_or_default();
        assert_eq!((short.len(), short.contains(&"image")), (TIERS.len() - 1, false));
        assert_eq!(chosen(&["image"], false).map(names), Ok(vec!["image"]));
    }

    #[test]
    fn an_unknown_tier_is_named() {
        assert_eq!(chosen(&["format", "speed"], true).err().as_deref(), Some("speed"));
    }
}
