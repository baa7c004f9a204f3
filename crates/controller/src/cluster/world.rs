//! The cluster as a [`World`]: watches in, guarded status writes out.

use super::clock::ServerClock;
use super::events::Events;
use super::lease::Leadership;
use super::watch::{NeededWatches, SecretWatches};
use super::writer::{Outcome, StatusWriter};
use crate::admin::{Name, Refusal};
use crate::events::refused;
use crate::kind::Kind;
use crate::run::{Input, World};
use crate::update::{Event, StatusWrite, Update};
use jiff::SignedDuration;
use serin_compiler::{Need, SecretNeeds};
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use tracing::{Instrument, info_span};

/// What the loop needs of a cluster.
pub(super) struct Cluster {
    updates: mpsc::Receiver<Update>,
    needed: NeededWatches,
    secrets: SecretWatches,
    answers: mpsc::UnboundedReceiver<Input>,
    answer: mpsc::UnboundedSender<Input>,
    writer: StatusWriter,
    events: Events,
    leadership: Leadership,
    clock: ServerClock,
}

impl Cluster {
    pub(super) fn new(
        updates: mpsc::Receiver<Update>,
        needed: NeededWatches,
        secrets: SecretWatches,
        writer: StatusWriter,
        events: Events,
        leadership: Leadership,
        clock: ServerClock,
    ) -> Self {
        // One message at most for each write, and one write at most for each release is on its way.
        let (answer, answers) = mpsc::unbounded_channel();
        Self { updates, needed, secrets, answers, answer, writer, events, leadership, clock }
    }

    fn send(&self, write: StatusWrite) {
        let (writer, events, answer) = (self.writer.clone(), self.events.clone(), self.answer.clone());
        let span = info_span!("status", kind = write.kind.name(), namespace = write.name.namespace, name = write.name.name);
        let task = async move {
            let report = writer.write(&write).await;
            let input = match report.outcome {
                Outcome::Written(_) | Outcome::Unchanged => {
                    events.tell(write.kind, &write.name, &write.uid, &write.events);
                    Input::Written { kind: write.kind, name: write.name, cut: report.cut }
                }
                outcome => {
                    match outcome {
                        Outcome::Refused(why) if write.kind == Kind::Ingress => {
                            tracing::warn!("status is not written: {why}: serin needs the right to patch ingresses/status");
                        }
                        Outcome::Refused(why) => {
                            tracing::warn!("status is not written: {why}");
                            events.tell(write.kind, &write.name, &write.uid, &[refused(&write.status, &why)]);
                        }
                        Outcome::Unanswered(why) => tracing::warn!("status is not written: {why}"),
                        outcome => tracing::debug!(?outcome, "status is not written"),
                    }
                    Input::NotWritten { kind: write.kind, name: write.name, from: write.resource_version }
                }
            };
            // The loop ends before its world does only when the process ends.
            let _ = answer.send(input);
        };
        tokio::spawn(task.instrument(span));
    }
}

impl World for Cluster {
    async fn next(&mut self) -> Option<Input> {
        tokio::select! {
            update = self.updates.recv() => update.map(Input::Update),
            answer = self.answers.recv() => answer,
        }
    }

    fn need(&mut self, needs: &BTreeSet<Need>) {
        self.needed.are(needs);
    }

    fn need_secrets(&mut self, needs: &SecretNeeds) {
        self.secrets.are(needs);
    }

    fn write(&mut self, writes: Vec<StatusWrite>) {
        writes.into_iter().for_each(|write| self.send(write));
    }

    fn tell(&mut self, name: &Name, uid: &str, events: &[Event]) {
        self.events.tell(Kind::Ingress, name, uid, events);
    }

    fn annotate(&mut self, _: &Name, _: &[(String, Option<String>)]) -> Result<(), Refusal> {
        Err(Refusal::ReadOnly)
    }

    fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    fn clock_skew(&self) -> Option<SignedDuration> {
        self.clock.skew()
    }
}
