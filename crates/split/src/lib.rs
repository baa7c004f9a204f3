//! Which side does this request take, and why.
//!
//! The crate holds the published bucket function, the order in which buckets are walked when every request counts for itself,
//! and the precedence inside one release: overrides, then groups, then buckets. It knows plain types only: no Kubernetes object,
//! no clock, no random source and no socket.
//!
//! Rules are named by their S-number, as in ARCHITECTURE.md.

mod bucket;
mod decide;
mod facts;
mod groups;
mod overrides;
mod segment;
mod tally;
mod turns;

pub use bucket::{Placement, Share, place};
pub use decide::{Decision, Identity, Policy, Rule, Served, SplitBy, decide, decide_issuing, foresee};
pub use facts::Facts;
pub use groups::Groups;
pub use overrides::{Override, Source, ValueMatch};
pub use segment::Segment;
pub use tally::{Tally, Users};
pub use turns::{Turns, stride};

/// The two destinations of a release (S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Side A: what the route does without the release.
    Stable,
    /// Side B: the release's own backend.
    Canary,
}

/// What a hashed value is. The name is part of the published key, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An authenticated consumer's username.
    Consumer,
    /// The originating address.
    Ip,
    /// A request header.
    Header,
    /// A cookie.
    Cookie,
    /// A query parameter.
    Query,
    /// A claim of a verified token.
    Claim,
}

impl Kind {
    /// The word that stands in the key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Ip => "ip",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Claim => "claim",
        }
    }
}
