//! The side-by-side: who takes part takes turns, round by round, and what counts is the ratio within a round.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::peers::{HOST, Peer};
use super::process::Core;
use crate::run;

const USERS: &str = include_str!("users.lua");
/// Clients at once.
const CONNECTIONS: u32 = 64;

/// What one turn gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    /// CPU microseconds a request.
    cpu: f64,
    /// The same, by that of the better yardstick in the same round.
    ratio: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    rate: f64,
    failures: u64,
}

/// What the load generator says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Load {
    requests: u64,
    failures: u64,
    seconds: f64,
    p50: f64,
    p99: f64,
}

/// Everyone's turns, in the order of `peers`.
pub(super) fn run(peers: &[Peer], rounds: usize, seconds: u64, folder: &Path) -> Result<Vec<Vec<Turn>>> {
    fs::write(folder.join("users.lua"), USERS)?;
    for peer in peers {
        turn(peer, 1, folder)?;
    }
    let mut all = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        let mut turns = vec![None; peers.len()];
        // Another one begins each time, so that nobody always follows the same one.
        for place in 0..peers.len() {
            let nth = (round + place) % peers.len();
            turns[nth] = Some(turn(&peers[nth], seconds, folder)?);
        }
        let turns: Vec<Turn> = turns.into_iter().flatten().collect();
        let better = peers.iter().zip(&turns).filter(|(peer, _)| peer.is_yardstick).map(|(_, turn)| turn.cpu).fold(f64::MAX, f64::min);
        let line: Vec<String> = peers.iter().zip(&turns).map(|(peer, turn)| format!("{} {:.2}", peer.name, turn.cpu)).collect();
        eprintln!("round {} of {rounds}: CPU us a request: {}", round + 1, line.join(", "));
        for (all, turn) in all.iter_mut().zip(turns) {
            all.push(Turn { ratio: turn.cpu / better, ..turn });
        }
    }
    Ok(all)
}

fn turn(peer: &Peer, seconds: u64, folder: &Path) -> Result<Turn> {
    let before = peer.process.cpu_time()?;
    let mut wrk = Core::Rest.command(Path::new("wrk"));
    wrk.args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s"), "--timeout", "10s"]);
    wrk.args(["--header", &format!("Host: {HOST}"), "--script", "users.lua", &format!("http://{}/", peer.address)]).current_dir(folder);
    let load = load(&run::stdout(&mut wrk)?)?;
    let spent: Duration = peer.process.cpu_time()?.saturating_sub(before);
    let requests = load.requests as f64;
    Ok(Turn {
        cpu: spent.as_secs_f64() * 1e6 / requests,
        ratio: 1.0,
        p50: load.p50,
        p99: load.p99,
        rate: requests / load.seconds,
        failures: load.failures,
    })
}

/// The line that the script ends with: requests, failures, and microseconds of the whole, of p50 and of p99.
fn load(output: &str) -> Result<Load> {
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT ")).with_context(|| format!("wrk says no result:\n{output}"))?;
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().with_context(|| format!("wrk says {line:?}"))?;
    let [requests, failures, duration, p50, p99] = numbers[..] else { anyhow::bail!("wrk says {line:?}") };
    Ok(Load { requests, failures, seconds: duration as f64 / 1e6, p50: p50 as f64 / 1e3, p99: p99 as f64 / 1e3 })
}

/// The table as Markdown: medians over the rounds, failures added up.
pub(super) fn table(names: &[&str], turns: &[Vec<Turn>]) -> String {
    let mut lines = vec![
        "| proxy | CPU us/request | to the better peer | p50 ms | p99 ms | requests/s | failures |".to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    for (name, turns) in names.iter().zip(turns) {
        let of = |value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
        let ratios = || turns.iter().map(|turn| turn.ratio);
        lines.push(format!(
            "| {name} | {:.2} | {:.2} ({:.2}-{:.2}) | {:.2} | {:.2} | {:.0} | {} |",
            of(|turn| turn.cpu),
            of(|turn| turn.ratio),
            ratios().fold(f64::MAX, f64::min),
            ratios().fold(0.0, f64::max),
            of(|turn| turn.p50),
            of(|turn| turn.p99),
            of(|turn| turn.rate),
            turns.iter().map(|turn| turn.failures).sum::<u64>(),
        ));
    }
    lines.join("\n")
}

/// The middle one, the mean of the middle two of an even number; NaN of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_load_is_read() -> Result<()> {
        let expected = Load { requests: 1000, failures: 2, seconds: 2.0, p50: 0.8, p99: 1.5 };
        assert_eq!(load("Running\nRESULT 1000 2 2000000 800 1500\n")?, expected);
        assert!(load("Running\n").is_err());
        Ok(())
    }

    #[test]
    fn the_table_has_medians_and_all_failures() {
        let turn = |cpu| Turn { cpu, ratio: cpu / 10.0, p50: 1.0, p99: 2.0, rate: 100.0, failures: 1 };
        let table = table(&["serin"], &[vec![turn(9.0), turn(30.0), turn(10.0)]]);
        assert_eq!(table.lines().last(), Some("| serin | 10.00 | 1.00 (0.90-3.00) | 1.00 | 2.00 | 100 | 3 |"));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
