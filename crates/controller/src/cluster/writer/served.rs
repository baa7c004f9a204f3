//! The schemas that the API server serves for our kinds.
//!
//! It is read from `/openapi/v3`, which every authenticated user may read; reading the CRD itself would be one more right.

use crate::kind::Kind;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::ApiResource;
use kube::client::Body;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tracing::warn;

/// How long what was read is taken as true. Asking again is answered by 304 as long as it is.
const FRESH: Duration = Duration::from_secs(10);
/// How long a call may take; it leaves the write that waits for it some of its time.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// The served schemas of `status`, shared by all who write.
#[derive(Clone)]
pub(super) struct Served {
    client: Client,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    etag: Option<HeaderValue>,
    status: BTreeMap<Kind, Arc<Value>>,
}

impl Served {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Arc::default() }
    }

    /// The schema of a kind's `status`; none while it cannot be read: then a status is sent as it is, and the API server answers.
    pub(super) async fn status_schema(&self, kind: Kind) -> Option<Arc<Value>> {
        let mut known = self.known.lock().await;
        if known.at.is_none_or(|at| at.elapsed() >= FRESH) {
            known.read(&self.client).await;
        }
        known.status.get(&kind).cloned()
    }

    /// The next write asks again.
    pub(super) async fn doubt(&self) {
        self.known.lock().await.at = None;
    }
}

impl Known {
    async fn read(&mut self, client: &Client) {
        match tokio::time::timeout(CALL_TIMEOUT, self.ask(client)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the schema of the CRD could not be read"),
            Err(_) => warn!("the schema of the CRD could not be read: no answer"),
        }
        // Also when it failed: one attempt a while, not one a write.
        self.at = Some(Instant::now());
    }

    async fn ask(&mut self, client: &Client) -> anyhow::Result<()> {
        let mut request = Request::get(format!("/openapi/v3/apis/{}", Kind::CanaryRelease.resource().api_version)).body(Body::empty())?;
        if let Some(etag) = &self.etag {
            request.headers_mut().insert(IF_NONE_MATCH, etag.clone());
        }
        let answer = client.send(request).await?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => {}
            // No CRD is installed; when one is, it may be another one.
            StatusCode::NOT_FOUND => (self.etag, self.status) = (None, BTreeMap::new()),
            StatusCode::OK => {
                let etag = answer.headers().get(ETAG).cloned();
                let document: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
                let served = |kind: Kind| Some((kind, Arc::new(status_of(&document, &kind.resource())?)));
                (self.etag, self.status) = (etag, Kind::ALL.into_iter().filter_map(served).collect());
            }
            other => anyhow::bail!("the API server answered {other}"),
        }
        Ok(())
    }
}

/// The schema of `status` of this kind, wherever the document has it.
fn status_of(document: &Value, kind: &ApiResource) -> Option<Value> {
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice).unwrap_or_default();
        kinds.iter().any(|it| it["group"] == kind.group && it["version"] == kind.version && it["kind"] == kind.kind)
    };
    let schema = document.pointer("/components/schemas")?.as_object()?.values().find(is_it)?;
    schema.pointer("/properties/status").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_schema_is_found_by_its_kind() {
        let schema = |kind: &str, status: &str| {
            let kinds = [json!({"group": "serin.dev", "version": "v1alpha1", "kind": kind})];
            json!({"properties": {"status": {"title": status}}, "x-kubernetes-group-version-kind": kinds})
        };
        let list = json!({"x-kubernetes-group-version-kind": [{"group": "serin.dev", "version": "v1alpha1", "kind": "CanaryReleaseList"}]});
        let schemas = json!({"a": list, "b": schema("CanaryRelease", "ours"), "c": schema("Consumer", "other"), "d": {}});
        assert_eq!(
            status_of(&json!({"components": {"schemas": schemas}}), &Kind::CanaryRelease.resource()),
            Some(json!({"title": "ours"}))
        );
        assert_eq!(status_of(&json!({}), &Kind::CanaryRelease.resource()), None);
    }
}
