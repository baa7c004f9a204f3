//! `cargo xtask bench`: serin beside Debian's nginx and haproxy on the same work, and how long a change takes until it is served.
//!
//! No machine is quiet, so an absolute figure says little: everyone takes turns within one run, and what counts is the ratio.

mod change;
mod peers;
mod process;
mod request;
mod rounds;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{cargo, passes};

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    rounds: usize,
    seconds: u64,
    /// The build of serin to measure; one is made when none is named.
    serin: Option<PathBuf>,
    /// Another build of serin that takes its turn too.
    against: Option<PathBuf>,
}

impl Options {
    /// Reads the words behind `bench`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { rounds: 31, seconds: 1, serin: None, against: None };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let value = words.next().with_context(|| format!("{option} has no value, or is no option"))?;
            let number =
                || value.parse::<u32>().ok().filter(|&number| number > 0).with_context(|| format!("{option} {value}: no number above 0"));
            let program = || fs::canonicalize(value).with_context(|| format!("{option} {value}"));
            match *option {
                "--rounds" => options.rounds = number()? as usize,
                "--seconds" => options.seconds = u64::from(number()?),
                "--serin" => options.serin = Some(program()?),
                "--against" => options.against = Some(program()?),
                _ => bail!("no option {option}"),
            }
        }
        Ok(options)
    }
}

/// Builds serin with the profile `dist`, measures, and prints what `docs/benchmarks.md` keeps.
pub(crate) fn run(options: &Options) -> Result<()> {
    peers::installed()?;
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores >= 2, "the proxy needs a core that load and origins do not use, and there is one only");
    // target/debug/xtask
    let own = std::env::current_exe().context("xtask has no path")?;
    let target = own.ancestors().nth(2).context("xtask is not in a target folder")?;
    let folder = target.join("bench");
    let serin = match &options.serin {
        Some(program) => program.clone(),
        None => {
            passes(&mut cargo(&["build", "--profile", "dist", "--package", "serin"]))?;
            target.join("dist/serin")
        }
    };
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    println!("{}\n", machine(cores));
    let _origins = peers::origins(&folder)?;
    println!("{}\n", side_by_side(options, &serin, &folder)?);
    println!("{}", change::measure(&serin, &folder)?);
    Ok(())
}

fn side_by_side(options: &Options, serin: &Path, folder: &Path) -> Result<String> {
    let mut peers = vec![peers::serin("serin", serin, folder, 18100)?];
    if let Some(other) = &options.against {
        peers.push(peers::serin("other-serin", other, folder, 18104)?);
    }
    peers.extend(peers::yardsticks(folder)?);
    let turns = rounds::run(&peers, options.rounds, options.seconds, folder)?;
    let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    Ok(rounds::table(&names, &turns))
}

/// What it was measured on.
fn machine(cores: usize) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).map_or("unknown", |model| model.trim_start_matches(['\t', ' ', ':']));
    format!("{cores} cores, {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_defaults_and_take_numbers_above_0() -> Result<()> {
        assert_eq!(Options::parse(&[])?, Options { rounds: 31, seconds: 1, serin: None, against: None });
        assert_eq!(Options::parse(&["--seconds", "2", "--rounds", "3"])?, Options { rounds: 3, seconds: 2, serin: None, against: None });
        for wrong in [&["--rounds"][..], &["--rounds", "0"], &["--speed", "1"], &["--against", "/does/not/exist"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
