//! Where a release stands in its life.

use std::fmt;

/// The phase of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not accepted, not resolved, or no route: no clock runs.
    Pending,
    /// Waits for its start.
    Scheduled,
    /// Under way.
    Progressing,
    /// Keeps its weight until someone lets it go on.
    Paused,
    /// A fixed order that is served.
    Steady,
    /// Everyone has the canary.
    Promoted,
    /// The routes point at the canary by themselves: decides nothing.
    Completed,
    /// Weight 0 until a new identity or `retry`.
    Aborted,
    /// `enabled: false`: decides nothing.
    Disabled,
}

/// What keeps a release paused; each cause ends on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// The `pause` command, until `resume`.
    pub command: bool,
    /// The analysis or the deadline, until `resume`.
    pub analysis: bool,
    /// A `pause: true` step, until `resume`.
    pub step: bool,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Scheduled,
        Self::Progressing,
        Self::Paused,
        Self::Steady,
        Self::Promoted,
        Self::Completed,
        Self::Aborted,
        Self::Disabled,
    ];

    /// The word that stands in status.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Scheduled => "Scheduled",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Steady => "Steady",
            Self::Promoted => "Promoted",
            Self::Completed => "Completed",
            Self::Aborted => "Aborted",
            Self::Disabled => "Disabled",
        }
    }

    /// Reads the word of status.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }

    /// Whether the release has an end that `kubectl wait` may see.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Promoted | Self::Completed | Self::Aborted)
    }

    /// Whether the canary can be reached.
    pub fn serves(self) -> bool {
        matches!(self, Self::Progressing | Self::Paused | Self::Steady | Self::Promoted)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Pauses {
    /// Whether any cause holds.
    pub fn any(self) -> bool {
        self.command || self.analysis || self.step
    }
}
