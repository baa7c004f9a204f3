//! Events of our objects, for `kubectl describe` and `kubectl get events`.
//!
//! They are a courtesy: nobody waits for one, and what cannot be sent is lost and logged. kube's own recorder adds up by reason and
//! keeps the first message, so "The release is Promoted now." would be shown as "The release is Progressing now."; here what is added
//! up is the same in every word.

mod filter;

use super::FIELD_MANAGER;
use crate::admin::Name;
use crate::kind::Kind;
use crate::update::Event;
use filter::{Filter, Told};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as Stored, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{Instrument, debug, info_span, warn};

/// How many wait to be sent.
const QUEUE: usize = 256;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// What the API server takes of a reason, of an instance's name and of a message.
const SHORT: usize = 128;
const LONG: usize = 1024;

/// Takes Events and sends them in the background.
#[derive(Debug, Clone)]
pub struct Events {
    queue: mpsc::Sender<Told>,
}

impl Events {
    /// Sends under this replica's identity until the last clone is gone.
    pub fn spawn(client: Client, identity: &str) -> Self {
        let (queue, told) = mpsc::channel(QUEUE);
        tokio::spawn(send_all(client, clipped(identity, SHORT), told).instrument(info_span!("events")));
        Self { queue }
    }

    /// Tells what happened to the object with this name and uid. Returns at once.
    pub fn tell(&self, kind: Kind, name: &Name, uid: &str, events: &[Event]) {
        for event in events {
            let told = Told { kind, name: name.clone(), uid: uid.to_owned(), event: event.clone() };
            if self.queue.try_send(told).is_err() {
                warn!(namespace = name.namespace, name = name.name, reason = event.reason, "an Event is lost: too many wait");
            }
        }
    }
}

async fn send_all(client: Client, instance: String, mut queue: mpsc::Receiver<Told>) {
    let mut filter = Filter::default();
    while let Some(told) = queue.recv().await {
        let Some(count) = filter.count(&told, Instant::now()) else {
            debug!(reason = told.event.reason, "an Event is held back");
            continue;
        };
        let api = Api::<Stored>::namespaced(client.clone(), &told.name.namespace);
        let stored = stored(&told, count, &instance, Timestamp::now());
        let (namespace, name, reason) = (&told.name.namespace, &told.name.name, &told.event.reason);
        match tokio::time::timeout(CALL_TIMEOUT, api.create(&PostParams::default(), &stored)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(namespace, name, reason, %error, "an Event is lost"),
            Err(_) => warn!(namespace, name, reason, "an Event is lost: no answer"),
        }
    }
}

fn stored(told: &Told, count: u32, instance: &str, now: Timestamp) -> Stored {
    let Told { kind, name, uid, event } = told;
    let kind = kind.resource();
    Stored {
        action: Some(clipped(&event.reason, SHORT)),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            namespace: Some(name.namespace.clone()),
            // Of Events the API server does not take a prefix that ends with a dot, as kubelet's names do.
            generate_name: Some(format!("{}-", name.name)),
            ..ObjectMeta::default()
        },
        note: Some(clipped(&event.message, LONG)),
        reason: Some(clipped(&event.reason, SHORT)),
        regarding: Some(ObjectReference {
            api_version: Some(kind.api_version),
            kind: Some(kind.kind),
            namespace: Some(name.namespace.clone()),
            name: Some(name.name.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        series: (count > 1).then(|| EventSeries { count: i32::try_from(count).unwrap_or(i32::MAX), last_observed_time: MicroTime(now) }),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Stored::default()
    }
}

/// At most so many bytes, and no half letter.
fn clipped(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_at_a_whole_letter() {
        assert_eq!(clipped("abc", 128), "abc");
        assert_eq!(clipped("aµb", 2), "a");
        assert_eq!(clipped("aµb", 3), "aµ");
    }

    #[test]
    fn only_what_happened_again_is_a_series() {
        let event = Event { warning: true, reason: "Aborted".to_owned(), message: "All traffic is on stable.".to_owned() };
        let told = Told {
            kind: Kind::CanaryRelease,
            name: Name { namespace: "shop".to_owned(), name: "checkout".to_owned() },
            uid: "u".to_owned(),
            event,
        };
        assert_eq!(stored(&told, 1, "me", Timestamp::UNIX_EPOCH).series, None);
        assert_eq!(stored(&told, 3, "me", Timestamp::UNIX_EPOCH).series.map(|series| series.count), Some(3));
    }
}
