//! What the demo shows: drawn over in a terminal, else one line a second.

use super::load::{Seen, USERS};
use serde_json::Value;
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// How wide the bar of a weight is.
const BAR: usize = 40;

/// One moment of the story.
pub(crate) struct Frame<'a> {
    pub(crate) release: &'a Value,
    pub(crate) seen: &'a Seen,
    pub(crate) elapsed: Duration,
    pub(crate) broken: bool,
}

/// Where frames go.
pub(crate) struct Screen {
    terminal: bool,
    /// Lines of the last frame, which the next one is drawn over.
    drawn: usize,
    last: Option<(Instant, String)>,
}

impl Frame<'_> {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        super::text(self.release, pointer)
    }

    fn line(&self) -> String {
        let (seconds, seen) = (self.elapsed.as_secs(), self.seen);
        let [phase, step, weight, measured] =
            ["/status/phase", "/status/step/label", "/status/weight", "/status/measured/weight"].map(|pointer| self.text(pointer));
        let verdict = self.text("/status/analysis/verdict");
        format!(
            "{seconds:>3} s  {phase:<11} step {step:<4} asked {weight:>5} %  measured {measured:>5} %  verdict {verdict:<8} \
             users on canary {:>3}/{}  moved back {}  5xx {}",
            seen.users_on_canary(),
            USERS + 1,
            seen.moved_back,
            seen.errors
        )
    }

    fn drawing(&self) -> Vec<String> {
        let weight = self.text("/status/weight").parse::<f64>().unwrap_or(0.0);
        let users = 100.0 * self.seen.users_on_canary() as f64 / (USERS + 1) as f64;
        vec![
            format!("{:>3} s  {}, step {}", self.elapsed.as_secs(), self.text("/status/phase"), self.text("/status/step/label")),
            format!("asked     {} {:>5} %", bar(weight), self.text("/status/weight")),
            format!("users     {} {users:>5.1} %  ({} of {})", bar(users), self.seen.users_on_canary(), USERS + 1),
            format!(
                "measured  {} {:>5} %",
                bar(self.text("/status/measured/weight").parse().unwrap_or(0.0)),
                self.text("/status/measured/weight")
            ),
            format!("verdict   {}{}", self.text("/status/analysis/verdict"), if self.broken { "  (the canary answers 500)" } else { "" }),
            format!(
                "requests  {} stable, {} canary, {} 5xx, {} lost; users moved back: {}",
                self.seen.stable, self.seen.canary, self.seen.errors, self.seen.lost, self.seen.moved_back
            ),
            self.text("/status/message").to_owned(),
        ]
    }
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0, last: None }
    }

    /// Draws a frame; without a terminal a line each second, and at each change of phase.
    pub(crate) fn show(&mut self, frame: &Frame<'_>) -> std::io::Result<()> {
        let mut out = stdout().lock();
        if self.terminal {
            if self.drawn > 0 {
                write!(out, "\x1b[{}A", self.drawn)?;
            }
            let lines = frame.drawing();
            self.drawn = lines.len();
            // A line that wrapped would be two when the next frame is drawn over: without wrapping it is cut at the edge.
            for line in lines {
                writeln!(out, "\x1b[2K\x1b[?7l{line}\x1b[?7h")?;
            }
            return out.flush();
        }
        let phase = frame.text("/status/phase").to_owned();
        let due = self.last.as_ref().is_none_or(|(at, last)| at.elapsed() >= Duration::from_secs(1) || *last != phase);
        if due {
            self.last = Some((Instant::now(), phase));
            writeln!(out, "{}", frame.line())?;
        }
        out.flush()
    }

    /// Says something between the frames.
    pub(crate) fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.drawn = 0;
        writeln!(stdout(), "{}{text}", if self.terminal { "\n" } else { "       " })
    }
}

fn bar(percent: f64) -> String {
    let filled = (percent.clamp(0.0, 100.0) / 100.0 * BAR as f64) as usize;
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR - filled))
}
