//! What came of a load.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Counts of one load; as JSON it is what `testkit load` prints.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Requests that fell due.
    pub sent: u64,
    /// Those without a whole answer, and those with a status of 500 or above.
    pub failed: u64,
    /// By status; without those that got no whole answer.
    pub statuses: BTreeMap<u16, u64>,
    /// By the label of the origin that answered.
    pub labels: BTreeMap<String, u64>,
    /// By the side that serin named in its decision header.
    pub sides: BTreeMap<String, u64>,
    /// No whole answer, by what went wrong.
    pub failures: BTreeMap<String, u64>,
    /// Sent again, because it was known that nobody had processed it: no failure, and by how it was known.
    pub again: BTreeMap<String, u64>,
    /// How often a user met another label than the time before, as `v1 -> v2`.
    pub moves: BTreeMap<String, u64>,
    /// Connections that were opened.
    pub connections: u64,
    /// From the first request's time to the last answer.
    pub seconds: f64,
    /// From when a request was due to its whole answer.
    pub latency: Latencies,
    /// Each request that got a whole answer, in the order of the answers.
    #[serde(skip)]
    pub exchanges: Vec<Exchange>,
    /// Each request that got none.
    #[serde(skip)]
    pub lost: Vec<Lost>,
    #[serde(skip)]
    took: Vec<Duration>,
    #[serde(skip)]
    last: HashMap<u64, String>,
}

/// A request and its whole answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Before anything of it was sent.
    pub began: Instant,
    /// After the whole answer was read.
    pub ended: Instant,
    /// Of the origin that answered.
    pub label: Option<String>,
}

/// A request without a whole answer.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Before anything of it was sent.
    pub began: Instant,
    /// When that was known.
    pub ended: Instant,
    /// `connect: `, `send: ` or `body: ` and the error, or `timeout`.
    pub why: String,
}

/// Milliseconds; of requests with a whole answer, whatever its status.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// Half are faster.
    pub p50: f64,
    /// One in a hundred is slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// What a request got.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) label: Option<String>,
    pub(super) side: Option<String>,
}

impl Report {
    pub(super) fn record(&mut self, user: Option<u64>, began: Instant, took: Duration, outcome: Result<Answer, String>) {
        self.sent += 1;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => {
                self.failed += 1;
                self.lost.push(Lost { began, ended: Instant::now(), why: failure.clone() });
                *self.failures.entry(failure).or_default() += 1;
                return;
            }
        };
        self.took.push(took);
        self.exchanges.push(Exchange { began, ended: Instant::now(), label: answer.label.clone() });
        self.failed += u64::from(answer.status.is_server_error());
        *self.statuses.entry(answer.status.as_u16()).or_default() += 1;
        if let Some(side) = answer.side {
            *self.sides.entry(side).or_default() += 1;
        }
        let Some(label) = answer.label else { return };
        *self.labels.entry(label.clone()).or_default() += 1;
        let Some(user) = user else { return };
        if let Some(before) = self.last.insert(user, label.clone()).filter(|before| *before != label) {
            *self.moves.entry(format!("{before} -> {label}")).or_default() += 1;
        }
    }

    /// The figures that need all answers.
    pub(super) fn closed(mut self, seconds: f64) -> Self {
        self.seconds = seconds;
        self.took.sort_unstable();
        let at = |permille: usize| {
            let index = (self.took.len().saturating_sub(1)) * permille / 1000;
            self.took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        self.latency = Latencies { p50: at(500), p99: at(990), max: at(1000) };
        self
    }
}

/// The side in `release=shop/checkout; side=canary; ...`.
pub(super) fn side(decision: &str) -> Option<String> {
    decision.split(';').find_map(|part| part.trim().strip_prefix("side=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(label: &str) -> Result<Answer, String> {
        Ok(Answer { status: StatusCode::OK, label: Some(label.into()), side: None })
    }

    #[test]
    fn a_user_who_meets_another_label_has_moved() {
        let mut report = Report::default();
        for (user, label) in [(1, "v1"), (2, "v2"), (1, "v1"), (1, "v2"), (2, "v2"), (1, "v1")] {
            report.record(Some(user), Instant::now(), Duration::ZERO, answer(label));
        }
        let moves: Vec<_> = report.moves.iter().map(|(path, count)| (path.as_str(), *count)).collect();
        assert_eq!(moves, [("v1 -> v2", 1), ("v2 -> v1", 1)]);
    }

    #[test]
    fn latencies_are_of_the_sorted_answers() {
        let mut report = Report::default();
        for millis in (1..=100).rev() {
            report.record(None, Instant::now(), Duration::from_millis(millis), answer("v1"));
        }
        let latency = report.closed(1.0).latency;
        assert_eq!((latency.p50, latency.p99, latency.max), (50.0, 99.0, 100.0));
    }

    #[test]
    fn the_side_is_read_from_the_decision_header() {
        assert_eq!(side("release=shop/checkout; side=canary; rule=bucket; bucket=42; k=100").as_deref(), Some("canary"));
        assert_eq!(side("release=none"), None);
    }
}
