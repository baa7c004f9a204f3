//! Where a release stands in its life.

/// The phase of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not accepted, not resolved, or no route: no clock runs.
    Pending,
    /// Waits for its window.
    Scheduled,
    /// Under way.
    Progressing,
    /// Keeps its weight until someone or something lets it go on.
    Paused,
    /// A fixed order that is served.
    Steady,
    /// Everyone has the canary.
    Promoted,
    /// The route points at the canary by itself: decides nothing.
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

impl Pauses {
    /// Whether any cause holds.
    pub fn any(self) -> bool {
        self.command || self.analysis || self.step
    }
}
