//! The loop of one replica: changes in, tables out to the proxy, decisions out to whoever stores them.

use crate::admin::{Ask, Name, Refusal};
use crate::engine::Engine;
use crate::key_sets::KeySets;
use crate::kind::Kind;
use crate::names::{Lookup, Names};
use crate::update::{Event, StatusWrite, Update};
use jiff::{SignedDuration, Timestamp};
use serin_api::Finding;
use serin_compiler::{Need, SecretNeeds};
use serin_proxy::Proxy;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How often releases are decided when nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// How long changes are collected before a table is built of them: an apply of many files is few tables. The first change after a calm of as
/// long is served at once.
const HOLD_OFF: Duration = Duration::from_millis(10);

/// Where objects come from and where decisions go: a cluster, or the store of standalone mode.
pub trait World {
    /// The next thing that happened; `None` when nothing can happen any more. Nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = Option<Input>>;
    /// From now on these are watched too, and no others.
    fn need(&mut self, needs: &BTreeSet<Need>);
    /// From now on these Secrets are watched, and no others.
    fn need_secrets(&mut self, needs: &SecretNeeds);
    /// Writes what was decided at one moment; how each write went comes as an input.
    fn write(&mut self, writes: Vec<StatusWrite>);
    /// Tells what is wrong with an Ingress, by its uid.
    fn tell(&mut self, name: &Name, uid: &str, events: &[Event]);
    /// A merge patch of annotations, where commands are taken at all.
    fn annotate(&mut self, name: &Name, patch: &[(String, Option<String>)]) -> Result<(), Refusal>;
    /// Whether this replica decides at this moment.
    fn leads(&self) -> bool;
    /// Whether a release waits until the other replicas have said that they serve it: then they are asked more often.
    fn waits_for_peers(&mut self, waits: bool);
    /// The own wall clock minus the API server's, when both are known.
    fn clock_skew(&self) -> Option<SignedDuration>;
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// Objects changed.
    Update(Update),
    /// The file of an object of serin's has content that is refused, or no longer has.
    Refused(Kind, Name, Vec<Finding>),
    /// A status was written; the CRD of the cluster does not have the fields that were cut.
    Written {
        /// Of which kind.
        kind: Kind,
        /// Of which object.
        name: Name,
        /// Paths of fields.
        cut: Vec<String>,
    },
    /// A status was not written: the object is to be decided on again.
    NotWritten {
        /// Of which kind.
        kind: Kind,
        /// Of which object.
        name: Name,
        /// The `resourceVersion` that it was decided from.
        from: String,
    },
}

/// Runs until the world ends.
///
/// `ready` says what readiness means beyond a served table.
pub async fn run(
    mut world: impl World,
    (mut names, mut key_sets): (Names<impl Lookup>, KeySets),
    mut engine: Engine,
    proxy: &Proxy,
    mut asks: mpsc::Receiver<Ask>,
    ready: fn(&Engine) -> bool,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = BTreeSet::new();
    let mut calm_from = Instant::now();
    loop {
        tokio::select! {
            input = world.next() => match input {
                Some(input) => {
                    take(&mut engine, input);
                    // What has come already is taken in any case.
                    let now = Instant::now();
                    let end = if now < calm_from { now + HOLD_OFF } else { now };
                    while let Ok(Some(input)) = timeout_at(end, world.next()).await {
                        take(&mut engine, input);
                    }
                }
                None => return,
            },
            update = names.next() => engine.apply(update),
            update = key_sets.next() => engine.apply(update),
            Some(ask) = asks.recv() => answer(ask, &mut world, &engine, proxy, ready),
            _ = ticks.tick() => {}
        }
        if let Some(needs) = engine.changed_needs() {
            world.need(needs);
        }
        if let Some(needs) = engine.changed_secret_needs() {
            world.need_secrets(needs);
        }
        if let Some(needs) = engine.changed_key_sets() {
            key_sets.are(needs);
        }
        engine.missed_key_sets().for_each(|url| key_sets.hurry(url));
        let begun = Instant::now();
        let next = engine.rebuild();
        if let Some(changed) = engine.changed_names() {
            names.are(changed);
        }
        if let Some(next) = next {
            proxy.publish(next.table.clone()).await;
            engine.served(next.table, begun.elapsed());
            calm_from = Instant::now() + HOLD_OFF;
            tracing::debug!(version = next.version, "table served");
        }
        // A Secret that breaks changes no table.
        if engine.complaints_differ() {
            complain(&engine, &mut told);
        }
        if world.leads() {
            let now = Timestamp::now();
            world.write(engine.decide(&proxy.counters(), world.clock_skew(), now));
            world.waits_for_peers(engine.waits_for_peers());
            if engine.has_undecided() {
                ticks.reset_immediately();
            }
            for (name, uid, events) in engine.faults(now) {
                world.tell(&name, &uid, &events);
            }
        } else {
            engine.follow();
        }
    }
}

fn take(engine: &mut Engine, input: Input) {
    match input {
        Input::Update(update) => engine.apply(update),
        Input::Refused(kind, name, findings) => engine.refused(kind, &name, findings),
        Input::Written { kind, name, cut } => engine.written(kind, &name, cut),
        Input::NotWritten { kind, name, from } => engine.write_failed(kind, &name, &from, Timestamp::now()),
    }
}

/// Objects that have no status of ours are told of in the log, each thing once while it is so.
fn complain(engine: &Engine, told: &mut BTreeSet<String>) {
    let now: BTreeSet<String> = engine.complaints().map(|(object, finding)| format!("{object}: {finding}")).collect();
    for complaint in now.difference(told) {
        tracing::warn!("{complaint}");
    }
    *told = now;
}

/// An asker that left needs no answer.
fn answer(ask: Ask, world: &mut impl World, engine: &Engine, proxy: &Proxy, ready: fn(&Engine) -> bool) {
    match ask {
        Ask::Ready(reply) => drop(reply.send(engine.has_table() && ready(engine))),
        Ask::Metrics(reply) => drop(reply.send(metrics(engine, proxy))),
        Ask::Counters(reply) => drop(reply.send(engine.said(&proxy.counters(), Timestamp::now()))),
        Ask::Table(reply) => drop(reply.send(engine.table().cloned())),
        Ask::List(reply) => drop(reply.send(engine.releases())),
        Ask::One(name, reply) => drop(reply.send(engine.release(&name))),
        Ask::Annotate(name, patch, reply) => {
            let annotated = world.annotate(&name, &patch);
            drop(reply.send(annotated.and_then(|()| engine.release(&name).ok_or(Refusal::NotFound))));
        }
    }
}

fn metrics(engine: &Engine, proxy: &Proxy) -> String {
    proxy.counters().text() + &engine.metrics()
}
