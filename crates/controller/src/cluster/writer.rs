//! What the leader writes: the whole status of one object, onto the one that it was decided from.

mod reduce;
mod served;

use super::FIELD_MANAGER;
use super::lease::Leadership;
use crate::kind::Kind;
use crate::update::StatusWrite;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reduce::reduce;
use serde_json::{Value, json};
use served::Served;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How long after its decision a status may still be on its way. A line runs from the moment of its decision, so one that is heard
/// later jumps by as much; given up, it is decided again from that later moment.
const LATEST: Duration = Duration::from_secs(5);

/// Writes statuses while this replica leads. When to write, and whether again, is the caller's affair.
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
    leadership: Leadership,
    served: Served,
    limit: Duration,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether it was taken.
    pub outcome: Outcome,
    /// The fields that the CRD of this cluster does not have, as `status.measured.identities`; they were left out. The CRD is older
    /// than serin, and the release's status should say so.
    pub cut: Vec<String>,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The object has this `resourceVersion` now.
    Written(String),
    /// The object had this status already.
    Unchanged,
    /// The object is another one than the decision was made from: read it and decide again.
    Conflict,
    /// There is no such object.
    Gone,
    /// This replica does not lead any more. Nothing was sent, or nobody waited for the answer.
    NotLeader,
    /// The API server answered no, in its own words.
    Refused(String),
    /// There was no answer; it may be written or not. The next one is a `Conflict` if it was.
    Unanswered(String),
}

impl StatusWriter {
    /// A writer for whoever has this leadership; `client` comes from [`super::client`], which sends nothing twice.
    pub fn new(client: Client, leadership: Leadership) -> Self {
        Self { served: Served::new(client.clone()), client, leadership, limit: LATEST }
    }

    /// Writes one status, reduced to what the served schema has: an older CRD answers 500 to each field that it does not know.
    pub async fn write(&self, write: &StatusWrite) -> Report {
        if write.resource_version.is_empty() || write.uid.is_empty() {
            // The API server would take it as "whatever is there", which is the one thing that a write must not mean.
            let why = "the object that was decided from has no resourceVersion or uid";
            return Report { outcome: Outcome::Refused(why.to_owned()), cut: Vec::new() };
        }
        match tokio::time::timeout(self.limit, self.write_reduced(write)).await {
            Ok(report) => report,
            Err(_) => Report { outcome: Outcome::Unanswered(format!("no answer within {:?}", self.limit)), cut: Vec::new() },
        }
    }

    async fn write_reduced(&self, write: &StatusWrite) -> Report {
        // What Kubernetes serves itself has the fields that it has had for years.
        let schema = if write.kind == Kind::Ingress { None } else { self.served.status_schema(write.kind).await };
        let (status, cut) = reduce(&write.status, schema.as_deref());
        let outcome = self.send(write, &status).await;
        if matches!(outcome, Outcome::Refused(_)) {
            // The CRD may have lost fields since its schema was read.
            self.served.doubt().await;
        }
        Report { outcome, cut }
    }

    async fn send(&self, write: &StatusWrite, status: &Value) -> Outcome {
        let kind = write.kind.resource();
        let body = json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "namespace": write.name.namespace,
                "name": write.name.name,
                "uid": write.uid,
                "resourceVersion": write.resource_version,
            },
            "status": status,
        });
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &write.name.namespace, &kind);
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&body));
        let call = while_leading(&self.leadership, api.patch_status(&write.name.name, &params, &patch));
        call.await.map_or(Outcome::NotLeader, |answer| outcome(answer, &write.resource_version))
    }
}

impl std::fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter").field("leadership", &self.leadership).finish_non_exhaustive()
    }
}

/// Lets a call go on only as long as this replica leads, asked each time that it could: a process that was frozen between two steps
/// of a call, or that waited for a connection, drops it unsent. What the socket has already is the `resourceVersion`'s to stop.
async fn while_leading<F: Future>(leadership: &Leadership, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    poll_fn(|context| if leadership.is_leader() { call.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }).await
}

fn outcome(answer: kube::Result<DynamicObject>, before: &str) -> Outcome {
    match answer {
        Ok(object) => match object.metadata.resource_version {
            Some(version) if version == before => Outcome::Unchanged,
            Some(version) => Outcome::Written(version),
            None => Outcome::Unanswered("the answer has no resourceVersion".to_owned()),
        },
        Err(kube::Error::Api(status)) => match status.code {
            404 => Outcome::Gone,
            409 => Outcome::Conflict,
            _ => Outcome::Refused(status.message),
        },
        Err(kube::Error::BuildRequest(error)) => Outcome::Refused(error.to_string()),
        Err(error) => Outcome::Unanswered(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Name;
    use std::cell::Cell;
    use std::time::Instant;

    fn answered(code: u16) -> Outcome {
        let status = json!({"status": "Failure", "code": code, "message": "why", "reason": ""});
        outcome(Err(kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))), "7")
    }

    #[tokio::test]
    async fn a_call_under_way_goes_no_further_when_leadership_ends_and_never_by_itself() {
        let (lead, leadership) = Leadership::told();
        let sent = Cell::new(false);
        // Waits for a connection first, and then sends.
        let (connect, connected) = tokio::sync::oneshot::channel::<()>();
        let mut call = pin!(while_leading(&leadership, async {
            connected.await.ok();
            sent.set(true);
        }));
        lead.send_replace(Some(Instant::now() + Duration::from_secs(3600)));
        assert!(futures::poll!(&mut call).is_pending());
        // The connection is there, and the time is over: no timer and no message has told the call.
        connect.send(()).unwrap();
        lead.send_replace(Some(Instant::now()));
        assert_eq!(futures::poll!(&mut call), Poll::Ready(None));
        assert!(!sent.get());
        // Who leads goes on.
        lead.send_replace(Some(Instant::now() + Duration::from_secs(3600)));
        assert_eq!(while_leading(&leadership, async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn a_status_that_no_api_server_takes_is_given_up_with_all_that_it_waits_for() {
        // It takes connections, and says nothing: neither what the schema is, nor whether the status is written.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = kube::Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        let (lead, leadership) = Leadership::told();
        lead.send_replace(Some(Instant::now() + Duration::from_secs(3600)));
        let mut writer = StatusWriter::new(crate::cluster::client(config).unwrap(), leadership);
        writer.limit = Duration::from_millis(10);
        let name = Name { namespace: "shop".to_owned(), name: "checkout".to_owned() };
        let (uid, resource_version) = ("u".to_owned(), "7".to_owned());
        let report = writer
            .write(&StatusWrite { kind: Kind::CanaryRelease, name, uid, resource_version, status: json!({}), events: Vec::new() })
            .await;
        assert_eq!(report.outcome, Outcome::Unanswered("no answer within 10ms".to_owned()));
    }

    #[test]
    fn each_answer_has_its_outcome() {
        let object = |version| serde_json::from_value(json!({"metadata": {"name": "a", "resourceVersion": version}})).unwrap();
        assert_eq!(outcome(Ok(object("7")), "7"), Outcome::Unchanged);
        assert_eq!(outcome(Ok(object("8")), "7"), Outcome::Written("8".to_owned()));
        assert_eq!(answered(404), Outcome::Gone);
        assert_eq!(answered(409), Outcome::Conflict);
        for code in [400, 403, 422, 429, 500, 503] {
            assert_eq!(answered(code), Outcome::Refused("why".to_owned()), "{code}");
        }
        assert!(matches!(outcome(Err(kube::Error::TlsRequired), "7"), Outcome::Unanswered(_)));
    }
}
