//! What status tells besides the state: found by the caller, told by this crate.

use crate::judge::CheckResult;
#[cfg(doc)]
use crate::state::{Evidence, State};
use crate::state::{Judgement, Route};
use jiff::Timestamp;
use serin_api::Finding;
use serin_api::status::FinalizeEdit;
use serin_split::Kind;
use std::collections::BTreeMap;

/// What is known about a release at the moment of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `metadata.uid` of the object that was looked at.
    pub uid: String,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// What parser, compiler and replicas found, each for the condition that it makes False.
    pub findings: Vec<Finding>,
    /// The scope in force, in words.
    pub scope: Option<String>,
    /// The canary's port in force.
    pub port: Option<String>,
    /// Side A, as `checkout:80`.
    pub stable: Option<String>,
    /// Side B, as `checkout-v2:8080`.
    pub canary: Option<String>,
    /// The canary has a ready endpoint.
    pub canary_ready: bool,
    /// Why step 1 must not start yet: the canary workload is not rolled out (a sentence).
    pub rolling: Option<String>,
    /// Those of [`State::routes`] that do without the release what the canary does.
    pub done: Vec<Route>,
    /// One edit for each object that is to be changed (S10), once there was a promotion.
    pub edits: Vec<FinalizeEdit>,
    /// At least one of [`State::routes`] still exists.
    pub any_route_left: bool,
    /// What must be done before the Service may be repointed (S12): routes without a release first.
    pub waits_for: Vec<String>,
    /// The epoch that every ready replica serves, as in [`Evidence::programmed`].
    pub programmed: Option<u64>,
    /// How many ready replicas serve that of the status.
    pub replicas_programmed: u32,
    /// How many replicas are ready.
    pub replicas_ready: u32,
    /// The leader asks no other replica: what is programmed and measured is its own.
    pub leader_only: bool,
    /// What was measured lately.
    pub measured: Option<Measured>,
    /// What buckets decided since the release began (S7).
    pub decided: Decided,
    /// The judgement of this moment, as in [`Evidence::judgement`]: one that ended the attempt has no running step to be read from.
    pub judgement: Option<Judgement>,
    /// What each check says.
    pub checks: Vec<CheckResult>,
    /// What is not as it should be, though the release goes on: a reason of [`serin_api`] and a sentence.
    pub degraded: Option<(&'static str, String)>,
}

/// What buckets decided in the last minute, or since the weight last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Requests of buckets that took side B.
    pub canary_requests: u64,
    /// Requests of buckets that took side A.
    pub stable_requests: u64,
    /// Who made them.
    pub identities: Identities,
    /// Since when.
    pub since: Timestamp,
    /// Requests that were not decided or served as asked, by what took its place (S8).
    pub fallbacks: BTreeMap<String, u64>,
}

/// The identities behind requests (S7). A request that counted for itself is one of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// How many were seen.
    pub seen: u64,
    /// Requests of the busiest one.
    pub largest: u64,
}

/// What buckets decided since the release began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// All requests.
    pub requests: u64,
    /// Identities that were seen, exact while they are few.
    pub identities: u64,
    /// What they are, if they are all of one kind.
    pub kind: Option<Kind>,
    /// The busiest one as text, unless it may be a secret.
    pub busiest: Option<String>,
}
