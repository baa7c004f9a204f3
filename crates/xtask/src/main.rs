//! The project's chores. `cargo xtask test` is what CI runs, and all it runs.

mod api_server;
mod architecture;
mod run;
mod tiers;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask test [--long] [TIER]...

Runs the tiers in order, or only those named. All run even when one fails. --long adds the forms of the tests that take minutes.
A tier that cannot run here says what is missing; with CI=true that is a failure.

tiers:";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(("test", words)) = arguments.split_first().map(|(command, rest)| (command.as_str(), rest)) else {
        return usage(arguments.iter().any(|word| matches!(word.as_str(), "help" | "--help" | "-h")));
    };
    if words.iter().any(|word| matches!(word.as_str(), "--help" | "-h")) {
        return usage(true);
    }
    let (options, names): (Vec<&str>, Vec<&str>) = words.iter().map(String::as_str).partition(|word| word.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| **option != "--long") {
        eprintln!("error: no option {unknown}");
        return usage(false);
    }
    match tiers::chosen(&names) {
        Ok(chosen) if tiers::test(&chosen, !options.is_empty()) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(unknown) => {
            eprintln!("error: no tier {unknown}");
            usage(false)
        }
    }
}

/// Asked for, it goes to standard output; after a mistake, to standard error.
fn usage(asked: bool) -> ExitCode {
    let text = format!("{USAGE} {}", tiers::names().join(", "));
    if asked {
        println!("{text}");
        return ExitCode::SUCCESS;
    }
    eprintln!("{text}");
    ExitCode::from(2)
}
