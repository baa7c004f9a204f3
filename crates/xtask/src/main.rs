//! The project's chores. `cargo xtask test` is what CI runs, and all it runs.

mod architecture;
mod bench;
mod generate;
mod image;
mod run;
mod testkit;
mod tiers;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  test [--long] [TIER]...  runs the tiers in order, or only those named; all run even when one fails
                           --long adds the forms of the tests that take minutes
                           a tier that cannot run here says what is missing; with CI=true that is a failure
  cluster [--name NAME] up | down | status | kubectl ARGUMENT... | load-image TAR | build
                           a real node with pods, in a network namespace of this machine; up builds the images that it is born with,
                           and build does that alone
  image [--name NAME] [--out FOLDER] [--profile PROFILE] [--check]
                           the static program that ships, its SBOM, and an archive and a root folder of their image; --check builds them
                           again from a copy elsewhere, and fails unless each byte is the same
  generate                 writes what is generated: crds/, docs/reference.md, what the chart has of them, deploy/argocd/argocd-cm.yaml
  bench [--rounds N] [--seconds N] [--serin PROGRAM] [--against PROGRAM]
                           measures serin, nginx and haproxy in turns, and how fast a change is served; docs/benchmarks.md explains
                           --serin measures that build and makes none; --against lets another one take its turn

tiers:";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["cluster", words @ ..] if !words.is_empty() => done(testkit::cluster(words)),
        words if words.iter().any(|word| matches!(*word, "help" | "--help" | "-h")) => {
            println!("{}", usage());
            ExitCode::SUCCESS
        }
        ["test", words @ ..] => test(words),
        ["image", words @ ..] => match image::Options::parse(words) {
            Ok(options) => done(image::run(&options)),
            Err(error) => mistake(&format!("{error:#}")),
        },
        ["generate"] => done(generate::generate()),
        ["bench", words @ ..] => match bench::Options::parse(words) {
            Ok(options) => done(bench::run(&options)),
            Err(error) => mistake(&format!("{error:#}")),
        },
        _ => mistake("no such command"),
    }
}

fn done(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test(words: &[&str]) -> ExitCode {
    let (options, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| **option != "--long") {
        return mistake(&format!("no option {unknown}"));
    }
    let long = !options.is_empty();
    match tiers::chosen(&names, long) {
        Ok(chosen) if tiers::test(&chosen, long) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(unknown) => mistake(&format!("no tier {unknown}")),
    }
}

fn mistake(what: &str) -> ExitCode {
    eprintln!("error: {what}\n{}", usage());
    ExitCode::from(2)
}

fn usage() -> String {
    format!("{USAGE} {}", tiers::names().join(", "))
}
