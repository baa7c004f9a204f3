//! A CanaryRelease as the cache holds it: its spec parsed, and of metadata and status what decides what is served.

use crate::key::Age;
use crate::{Key, Objects};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serin_api::release::{Canary, Scope, Workloads};
use serin_api::status::TrafficStatus;
use serin_api::{Parsed, parse_value};
use serin_split::{Groups, Segment};
use std::sync::Arc;

/// The annotation that sends all to stable while its value is not `status.lastAbort.token`.
const ABORT: &str = "serin.dev/abort";

/// What of a CanaryRelease decides what is served and what its author is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    pub(crate) key: Key,
    pub(crate) age: Age,
    pub(crate) parsed: Parsed,
    /// The id that spec and observed revision give; empty when that cannot be told, and no traffic is of an empty one.
    pub(crate) id: String,
    /// The id that the spec alone gives.
    pub(crate) unobserved: String,
    /// `UID/REVISION` of the canary workload: as it is seen, else as status remembers it.
    pub(crate) observed: Option<String>,
    /// It is being deleted, and only someone's finalizer keeps it: it decides nothing, as if it were gone.
    pub(crate) deleting: bool,
    /// The value of the abort annotation.
    pub(crate) abort: Option<String>,
    pub(crate) status: Status,
}

/// What is read of `.status`, which only the leader writes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Status {
    /// `phase`; empty before the first write.
    pub(crate) phase: String,
    /// `lastAbort.token`.
    pub(crate) last_abort: Option<String>,
    /// `resolved.scope`, the scope in which it is under way.
    pub(crate) scope: Option<String>,
    /// `resolved.salt`, the salt by which it is under way.
    pub(crate) salt: Option<String>,
    /// `progress.observedRevision`.
    pub(crate) observed: Option<String>,
    /// `traffic`; `None` when it is absent or says nothing that can be served.
    pub(crate) traffic: Option<Segment>,
}

/// The two sides of a release, as far as its spec can be read: a bad edit elsewhere leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'d> {
    pub(crate) namespace: &'d str,
    pub(crate) scope: &'d Scope,
    /// `None`: it cannot be read, so nothing may be sent to it.
    pub(crate) canary: Option<&'d Canary>,
    /// `None`: they cannot be read.
    pub(crate) workloads: Option<&'d Workloads>,
}

impl Declared {
    /// Parses a release: once, when it comes, not with each table.
    pub(crate) fn new(key: Key, mut object: Value) -> Self {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.insert("namespace".into(), key.namespace.as_str().into());
        }
        let parsed = parse_value(&object);
        let id = parsed.id(None).unwrap_or_default();
        Self {
            age: Age::new(parsed.metadata.created, &key),
            unobserved: id.clone(),
            id,
            observed: None,
            parsed,
            deleting: !object["metadata"]["deletionTimestamp"].is_null(),
            abort: text(&object["metadata"]["annotations"][ABORT]),
            status: Status::of(&object["status"], object["metadata"]["uid"].as_str()),
            key,
        }
    }

    /// The release with the revision of its canary workload, which is in identity and salt. One that is gone, unread or not seen yet keeps
    /// the last revision.
    pub(crate) fn with_workloads(self: &Arc<Self>, objects: &Objects) -> Arc<Self> {
        let named = self.parsed.workloads.as_ref().map(|workloads| workloads.canary.as_ref());
        let seen = named.flatten().and_then(|named| objects.workload(&self.key.namespace, named)?.observed());
        let observed = match named {
            Some(None) => None,
            Some(Some(_)) | None => seen.or_else(|| self.status.observed.clone()),
        };
        let Some(observed) = observed else { return Arc::clone(self) };
        let mut with = Self { id: self.parsed.id(Some(&observed)).unwrap_or_default(), observed: Some(observed), ..Self::clone(self) };
        let fixed = with.status.traffic.as_ref().filter(|traffic| with.is_under_way_by(traffic)).and(with.status.salt.as_deref());
        with.parsed = with.parsed.clone().with_observed(with.observed.as_deref(), fixed);
        Arc::new(with)
    }

    /// Whether a line is this release's. One that began before its workload was ever seen is completed by the first revision, and is no
    /// other release.
    pub(crate) fn is_of(&self, traffic: &Segment) -> bool {
        traffic.release == self.id || (self.completes_identity() && traffic.release == self.unobserved)
    }

    /// Whether its buckets are in use, so that its salt must not change any more.
    fn is_under_way_by(&self, traffic: &Segment) -> bool {
        traffic.release == self.id || (self.is_of(traffic) && traffic.to > 0)
    }

    /// Whether a revision is seen for the first time.
    fn completes_identity(&self) -> bool {
        self.status.observed.is_none() && self.observed.is_some()
    }

    /// `None`: the scope cannot be read, so the release takes part in nothing.
    pub(crate) fn sides(&self) -> Option<Sides<'_>> {
        let scope = self.parsed.scope.as_ref()?;
        let (canary, workloads) = (self.parsed.canary.as_ref(), self.parsed.workloads.as_ref());
        Some(Sides { namespace: &self.key.namespace, scope, canary, workloads })
    }
}

impl Sides<'_> {
    /// Whether the canary rewrites the path.
    pub(crate) fn rewrites(&self) -> bool {
        self.canary.is_some_and(|canary| canary.path.is_some())
    }
}

impl Status {
    fn of(status: &Value, uid: Option<&str>) -> Self {
        let progress = &status["progress"];
        // What was written for another object is no memory of this one.
        let is_own = progress["uid"].as_str().is_none_or(|written_for| Some(written_for) == uid);
        Self {
            phase: text(&status["phase"]).unwrap_or_default(),
            last_abort: text(&status["lastAbort"]["token"]),
            scope: text(&status["resolved"]["scope"]),
            salt: text(&status["resolved"]["salt"]),
            observed: text(&progress["observedRevision"]).filter(|_| is_own),
            traffic: TrafficStatus::deserialize(&status["traffic"]).ok().as_ref().and_then(segment),
        }
    }
}

/// The line that status asks replicas to serve. What is out of range is no line: stable serves.
fn segment(traffic: &TrafficStatus) -> Option<Segment> {
    let buckets = u32::try_from(traffic.buckets).ok()?;
    let within = |k: i32| u32::try_from(k).ok().filter(|k| *k <= buckets);
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let release = Some(&traffic.release).filter(|release| !release.is_empty())?;
    Some(Segment {
        buckets,
        from: within(traffic.from)?,
        to: within(traffic.to)?,
        starts_at: time(&traffic.starts_at)?,
        ends_at: time(&traffic.ends_at)?,
        until: time(&traffic.until)?,
        floor: within(traffic.floor)?,
        groups: groups(traffic),
        epoch: u64::try_from(traffic.epoch).ok()?,
        release: release.clone(),
    })
}

/// Denied groups stand alone; without them the admitted ones are beside the buckets.
fn groups(traffic: &TrafficStatus) -> Option<Groups> {
    match (&traffic.denied_groups[..], &traffic.groups[..]) {
        ([], []) => None,
        ([], admitted) => Some(Groups::Admitted(admitted.to_vec())),
        (denied, _) => Some(Groups::Deny(denied.to_vec())),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
