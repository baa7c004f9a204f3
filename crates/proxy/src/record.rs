//! What is told of one request: to the counters, to the access log, and in `Serin-Decision`.

use crate::access_log::Entry;
use crate::balance::UnderWay;
use crate::drain::Drain;
use crate::failure::{Blame, Failure};
use crate::grpc;
use crate::view::Served;
use crate::worker::Worker;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serin_split::{Decision, Rule, Side};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// One request from its head to the end of its response, however it ends: what is missing is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Instant,
    decided: Option<Decided>,
    status: u16,
    failure: Option<Failure>,
    /// Its side counts it as failed.
    failed: bool,
    bytes: u64,
    complete: bool,
    /// Of a request of gRPC: the status, once it is there.
    grpc: Option<Option<grpc::Status>>,
    entry: Option<Box<Entry>>,
    /// It is under way at an endpoint until this is dropped.
    under_way: Option<UnderWay>,
}

/// How a release decided the request.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) release: Rc<Served>,
    pub(crate) decision: Decision,
    /// Where it goes: not where the decision says while the canary has no ready endpoint.
    pub(crate) side: Side,
}

impl Record {
    pub(crate) fn new(worker: Rc<Worker>, started: Instant, entry: Option<Box<Entry>>) -> Self {
        Self {
            worker,
            started,
            decided: None,
            status: 0,
            failure: None,
            failed: false,
            bytes: 0,
            complete: false,
            grpc: None,
            entry,
            under_way: None,
        }
    }

    /// When the request's head was whole.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What the access log will say, if it is on.
    pub(crate) fn entry(&mut self) -> Option<&mut Entry> {
        self.entry.as_deref_mut()
    }

    /// The request is one of gRPC, so that its answer has a status of its own.
    pub(crate) fn is_of_grpc(&mut self) {
        self.grpc = Some(None);
    }

    /// Whether it is.
    pub(crate) fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    /// The head or the trailers of an origin's answer.
    pub(crate) fn answer_fields(&mut self, fields: &HeaderMap) {
        if let (Some(known), Some(status)) = (&mut self.grpc, grpc::Status::of(fields)) {
            *known = Some(status);
            if status.is_failure() {
                self.count_failure();
            }
        }
    }

    /// What serin itself told a client of gRPC.
    pub(crate) fn told(&mut self, status: grpc::Status) {
        self.grpc = Some(Some(status));
    }

    /// A release decided.
    pub(crate) fn decided(&mut self, decided: Decided) {
        decided.release.cells(decided.side).request(&decided.decision, decided.is_unavailable());
        self.decided = Some(decided);
    }

    /// It goes to an endpoint, and no more to the one before.
    pub(crate) fn attempt(&mut self, under_way: Option<UnderWay>) {
        self.under_way = under_way;
    }

    /// What waits for an answer.
    pub(crate) fn under_way(&mut self) -> Option<&mut UnderWay> {
        self.under_way.as_mut()
    }

    /// How it was decided, for the client to see.
    pub(crate) fn decision_header(&self) -> Option<HeaderValue> {
        self.decided.as_ref().and_then(Decided::header)
    }

    /// What ends the answer when its release is aborted, if the canary gives it.
    pub(crate) fn drain(&self) -> Drain {
        let canary = self.decided.as_ref().filter(|decided| decided.side == Side::Canary);
        canary.map_or_else(Drain::default, |decided| Drain::new(decided.release.end.clone()))
    }

    /// Something went wrong; an attempt counts, even when another one then succeeds.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.worker.shard.failure(failure.label());
        // An aborted release is judged no more, and its streams ended as it asked.
        if failure.blame() != Blame::Client && failure != Failure::Drained {
            self.count_failure();
        }
    }

    /// The head of the response is there.
    pub(crate) fn head(&mut self, status: u16) {
        self.status = status;
        self.worker.shard.response(status);
        self.count_response(self.started.elapsed());
        if status >= 500 {
            self.count_failure();
        }
    }

    /// So many more bytes of the body went on.
    pub(crate) fn bytes(&mut self, more: usize) {
        self.bytes += more as u64;
    }

    /// The response went out whole.
    pub(crate) fn complete(&mut self) {
        // A client of gRPC makes UNKNOWN of what has no status; one of HTTP's own is counted as such.
        if !std::mem::replace(&mut self.complete, true) && self.grpc == Some(None) && self.status == 200 && self.failure.is_none() {
            self.count_failure();
        }
    }

    fn count_response(&self, latency: Duration) {
        if let Some(decided) = &self.decided {
            decided.release.cells(decided.side).response(self.status, latency);
        }
    }

    fn count_failure(&mut self) {
        if let Some(decided) = &self.decided
            && !std::mem::replace(&mut self.failed, true)
        {
            decided.release.cells(decided.side).failure();
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.status == 0 {
            self.worker.shard.response(0);
            self.count_response(self.started.elapsed());
        }
        if !self.complete && self.failure.is_none() {
            self.fail(Failure::ClientLeft);
        }
        if let Some(status) = self.grpc {
            self.worker.shard.grpc_status(status);
        }
        if let (Some(mut entry), Some(log)) = (self.entry.take(), self.worker.log.as_ref()) {
            entry.status = self.status;
            entry.grpc_status = self.grpc.flatten();
            entry.bytes = self.bytes;
            entry.duration = self.started.elapsed();
            entry.failure = self.failure;
            entry.decision = self.decided.as_ref().map(|d| (d.release.name.clone(), d.decision, d.side));
            log.write(entry, &self.worker.shard);
        }
    }
}

impl Decided {
    fn is_unavailable(&self) -> bool {
        self.side != self.decision.side
    }

    fn header(&self) -> Option<HeaderValue> {
        let Self { release, decision, side } = self;
        let rule = if self.is_unavailable() { "unavailable" } else { rule_name(decision.rule) };
        let (mut of_bucket, mut of_k) = (itoa::Buffer::new(), itoa::Buffer::new());
        let [bucket, number] = decision.bucket.map_or(["", ""], |bucket| ["; bucket=", of_bucket.format(bucket)]);
        let (side, k) = (side_name(*side), of_k.format(decision.k));
        // Not by `write!`, which takes as long as all the rest of serin's part in the response's head.
        let text = ["release=", &release.name, "; side=", side, "; rule=", rule, bucket, number, "; k=", k].concat();
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

/// The word for a side.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Stable => "stable",
        Side::Canary => "canary",
    }
}

/// The word for a rule.
pub(crate) fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Rollback => "rollback",
        Rule::Override(_) => "override",
        Rule::Group => "group",
        Rule::Bucket => "bucket",
    }
}
