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
use crate::update::{Delta, Event, Named, StatusWrite, Update};
use jiff::SignedDuration;
use serin_compiler::{Need, SecretNeeds};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tracing::{Instrument, info_span};

/// What the loop needs of a cluster.
pub(super) struct Cluster {
    updates: mpsc::Receiver<Update>,
    needed: NeededWatches,
    secrets: SecretWatches,
    reach: Reach,
    /// The namespaces that are watched; none: all.
    namespaces: Vec<String>,
    /// The Secrets that are named and not asked for.
    beyond: SecretNeeds,
    answers: mpsc::UnboundedReceiver<Input>,
    answer: mpsc::UnboundedSender<Input>,
    writer: StatusWriter,
    events: Events,
    leadership: Leadership,
    /// Whether something waits for what the other replicas say.
    hurry: watch::Sender<bool>,
    clock: ServerClock,
}

/// Which Secrets may be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Only these, by namespace and name; `None`: each that is named by an object.
    pub only: Option<BTreeSet<(String, String)>>,
}

impl Reach {
    /// Whether each Secret is asked for by its name, and never all of a namespace.
    pub(super) fn is_by_name(&self) -> bool {
        self.only.is_some()
    }

    /// The needs that may be asked for, and the others.
    fn split(&self, namespaces: &[String], needs: &SecretNeeds) -> (SecretNeeds, SecretNeeds) {
        let (mut within, mut beyond) = (SecretNeeds::new(), SecretNeeds::new());
        for (namespace, names) in needs {
            for name in names {
                let is_watched = namespaces.is_empty() || namespaces.contains(namespace);
                let is_named = self.only.as_ref().is_none_or(|only| only.contains(&(namespace.clone(), name.clone())));
                let side = if is_watched && is_named { &mut within } else { &mut beyond };
                side.entry(namespace.clone()).or_default().insert(name.clone());
            }
        }
        (within, beyond)
    }
}

impl Cluster {
    pub(super) fn new(
        updates: mpsc::Receiver<Update>,
        needed: NeededWatches,
        (secrets, (reach, namespaces)): (SecretWatches, (Reach, Vec<String>)),
        writer: StatusWriter,
        events: Events,
        (leadership, hurry): (Leadership, watch::Sender<bool>),
        clock: ServerClock,
    ) -> Self {
        // One message at most for each write, and one write at most for each release is on its way.
        let (answer, answers) = mpsc::unbounded_channel();
        let beyond = SecretNeeds::new();
        Self { updates, needed, secrets, reach, namespaces, beyond, answers, answer, writer, events, leadership, hurry, clock }
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
        let (within, beyond) = self.reach.split(&self.namespaces, needs);
        self.secrets.are(&within);
        if beyond == self.beyond {
            return;
        }
        for (namespace, names) in &beyond {
            tracing::warn!(
                namespace,
                ?names,
                "Secrets that an object names count as absent: they are not among --secret-names, or their namespace is not among --watch-namespaces"
            );
            let named = Arc::new(Named { namespace: namespace.clone(), names: names.clone() });
            // The loop ends before its world does only when the process ends.
            let _ = self.answer.send(Input::Update(Update::Secret(named, Delta::Listed(Vec::new()))));
        }
        self.beyond = beyond;
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

    fn waits_for_peers(&mut self, waits: bool) {
        self.hurry.send_if_modified(|before| std::mem::replace(before, waits) != waits);
    }

    fn clock_skew(&self) -> Option<SignedDuration> {
        self.clock.skew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_beyond_what_the_operator_named_are_not_asked_for() {
        let needs = |all: &[(&str, &str)]| {
            let mut needs = SecretNeeds::new();
            for (namespace, name) in all {
                needs.entry((*namespace).to_owned()).or_default().insert((*name).to_owned());
            }
            needs
        };
        let all = needs(&[("shop", "a"), ("shop", "b"), ("other", "a")]);
        let only = Reach { only: Some([("shop".to_owned(), "a".to_owned())].into()) };
        assert_eq!(Reach::default().split(&[], &all), (all.clone(), needs(&[])));
        assert_eq!(only.split(&[], &all), (needs(&[("shop", "a")]), needs(&[("shop", "b"), ("other", "a")])));
        let watched = ["shop".to_owned()];
        assert_eq!(Reach::default().split(&watched, &all), (needs(&[("shop", "a"), ("shop", "b")]), needs(&[("other", "a")])));
    }
}
