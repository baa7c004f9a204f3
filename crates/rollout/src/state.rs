//! What a release remembers between decisions, and what each decision is made from.

use crate::Segment;
use crate::command::{AbortRecord, Annotation, Record};
use crate::history::Entry;
use crate::phase::{Pauses, Phase};
use jiff::Timestamp;
use std::fmt;

/// Everything a release remembers; it lives in `.status`, so its times have milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where the release stands.
    pub phase: Phase,
    /// The weight that is served.
    pub segment: Segment,
    /// Revision of the release, given or observed.
    pub revision: Option<String>,
    /// `UID/REVISION` of the canary workload as it was last seen: one that is gone keeps it.
    pub observed: Option<String>,
    /// Counts every beginning of this object.
    pub attempt: u32,
    /// When this attempt began.
    pub started_at: Timestamp,
    /// When it was promoted, completed or aborted.
    pub ended_at: Option<Timestamp>,
    /// The strategy that the position belongs to, in short; another one is an edit.
    pub strategy: Option<String>,
    /// The step to enter when none runs: 0 at the beginning, else where an edit left the release.
    pub position: usize,
    /// The running step.
    pub running: Option<Running>,
    /// The start of a linear release: its author's, else when it was first Programmed. While its line is served, the line starts there
    /// and as much later as it was held (S9).
    pub start: Option<Timestamp>,
    /// What keeps it paused.
    pub pauses: Pauses,
    /// Failed judgements in a row.
    pub fails_in_row: u32,
    /// Failed judgements of this attempt.
    pub fails: u32,
    /// The routes that take part: recorded when the release begins, and again at promotion.
    pub routes: Vec<Route>,
    /// The last command.
    pub last_command: Option<Record>,
    /// The last abort; cleared when its annotation is gone.
    pub last_abort: Option<AbortRecord>,
    /// Attempts that ended, newest first.
    pub history: Vec<Entry>,
}

/// The step that runs; for a fixed order, the time in which it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its place in the plan, from 0; the number of steps when all are over.
    pub index: usize,
    /// The epoch that replicas must serve before its clock starts.
    pub epoch: u64,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// When its clock started.
    pub clock: Option<Timestamp>,
    /// When its time is planned to be over; pauses move it, waiting does not.
    pub planned_end: Timestamp,
    /// About when it was last decided, to the half minute.
    pub seen_at: Timestamp,
    /// Since when it is paused.
    pub stopped_at: Option<Timestamp>,
    /// Its last judgement.
    pub judged: Option<Judgement>,
    /// When the next judgement is due.
    pub due: Option<Timestamp>,
}

/// A route, or a part of it, that sends requests to a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Its kind, such as `Ingress`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Host of the rule.
    pub host: Option<String>,
    /// Path of the rule.
    pub path: Option<String>,
}

/// What the analysis says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Pass,
    /// Bad.
    Fail,
    /// The numbers do not tell.
    Inconclusive,
    /// Too few numbers; never good.
    NoData,
}

impl Verdict {
    /// The word that stands in status.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::Inconclusive => "Inconclusive",
            Self::NoData => "NoData",
        }
    }

    /// Reads the word of status.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Inconclusive, Self::NoData].into_iter().find(|verdict| verdict.word() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One judgement; it counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What it says.
    pub verdict: Verdict,
    /// When it was made.
    pub at: Timestamp,
}

/// What is known at the moment of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Accepted, resolved, and a route of ours sends to the service.
    pub ready: bool,
    /// The epoch that every ready replica serves; `None` while one does not answer or a clock is off.
    pub programmed: Option<u64>,
    /// The canary has a ready endpoint.
    pub canary_ready: bool,
    /// The canary workload is not rolled out, or was not seen yet: nobody may be the first to have the canary.
    pub rolling: bool,
    /// The routes that take part now.
    pub routes: Vec<Route>,
    /// At least one of the recorded routes still exists, and each that does sends to the canary without the release.
    pub completed: bool,
    /// The newest judgement, of counts since the running step's clock started.
    pub judgement: Option<Judgement>,
    /// The sentence of the check that failed in it ([`crate::judge::failure`]).
    pub failure: Option<String>,
    /// The command annotation.
    pub command: Option<Annotation>,
    /// The abort annotation.
    pub abort: Option<Annotation>,
}

/// Something to tell the users of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new attempt began, at weight 0.
    Began,
    /// The phase is another one.
    Phase(Phase),
    /// A step was entered: its place from 0, of how many.
    Step(usize, usize),
    /// A verdict is another one.
    Verdict(Verdict),
    /// A command was done.
    Done(String),
    /// A command was refused, with the reason.
    Refused(String, String),
    /// The release was aborted, with the reason.
    Aborted(String),
}

/// What is so from now on, and what to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The new state; equal to the old one when nothing changed.
    pub state: State,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl State {
    /// The state of an object whose status is empty.
    pub fn empty() -> Self {
        let never = Timestamp::UNIX_EPOCH;
        Self {
            phase: Phase::Pending,
            segment: Segment::flat("", 1, 0, 0, never),
            revision: None,
            observed: None,
            attempt: 0,
            started_at: never,
            ended_at: None,
            strategy: None,
            position: 0,
            running: None,
            start: None,
            pauses: Pauses::default(),
            fails_in_row: 0,
            fails: 0,
            routes: Vec::new(),
            last_command: None,
            last_abort: None,
            history: Vec::new(),
        }
    }
}
