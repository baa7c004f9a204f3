//! The leader asks the other replicas, each second, what they serve and count ([`crate::update::Said`]); more often while a release waits
//! for them to serve what was just written.
//!
//! Who they are is what the EndpointSlices of serin's headless Service say is ready. A token goes with each question; it is for this audience
//! alone, so whoever overhears it can do nothing with it at the API server.

use super::lease::Leadership;
use super::publish::ServiceName;
use crate::client::AdminClient;
use crate::update::{Delta, Update};
use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

/// How often each is asked.
const EVERY: Duration = Duration::from_secs(1);
/// The same while something waits for their answers.
const HURRIED: Duration = Duration::from_millis(200);
/// How long an answer may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// The name of the port that is asked, where the Service has several.
const PORT: &str = "admin";

/// How replicas find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// serin's headless Service.
    pub service: ServiceName,
    /// The token that is sent, in a file that is read again for each question: it is renewed there.
    pub token: PathBuf,
}

/// Tells who is ready, and while this replica leads what each says. Ends when nobody takes it any more. `waited_for` says whether something
/// waits for their answers.
pub(super) async fn follow(
    client: Client,
    settings: PeerSettings,
    leadership: Leadership,
    waited_for: watch::Receiver<bool>,
    updates: mpsc::Sender<Update>,
) {
    let (found, mut slices) = mpsc::channel(64);
    let watching = super::watch::slices_of(client, settings.service.clone(), found);
    let asking = async {
        let (mut all, mut ready) = (BTreeMap::new(), BTreeSet::new());
        let (mut ticks, mut calls) = (interval(HURRIED), JoinSet::new());
        let mut last: Option<Instant> = None;
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = BTreeSet::new();
        let mut trouble = None;
        loop {
            tokio::select! {
                delta = slices.recv() => {
                    let Some(delta) = delta else { return };
                    take(&mut all, delta);
                    ready = all.values().flat_map(ready_in).collect();
                    if updates.send(Update::Peers(ready.clone(), Timestamp::now())).await.is_err() {
                        return;
                    }
                }
                _ = ticks.tick() => {
                    let is_due = *waited_for.borrow() || last.is_none_or(|last| last.elapsed() >= EVERY);
                    if !is_due || !leadership.is_leader() {
                        continue;
                    }
                    last = Some(Instant::now());
                    let token = match read(&settings.token) {
                        Ok(token) => Arc::new(token),
                        Err(error) => {
                            let error = format!("{error:#}");
                            if trouble.as_ref() != Some(&error) {
                                warn!(error, "the other replicas cannot be asked");
                                trouble = Some(error);
                            }
                            continue;
                        }
                    };
                    trouble = None;
                    // One that is slow is asked again when it has answered.
                    for address in ready.difference(&asked.clone()).copied() {
                        asked.insert(address);
                        let token = Arc::clone(&token);
                        calls.spawn(async move { (address, ask(address, &token).await) });
                    }
                }
                Some(answered) = calls.join_next() => {
                    let Ok((address, answer)) = answered else { continue };
                    asked.remove(&address);
                    match answer {
                        Ok(said) => {
                            if updates.send(Update::Said(address, said, Timestamp::now())).await.is_err() {
                                return;
                            }
                        }
                        // Status names it when it lasts.
                        Err(error) => debug!(%address, error = format!("{error:#}"), "a replica does not answer"),
                    }
                }
            }
        }
    };
    tokio::join!(watching, asking);
}

fn take(all: &mut BTreeMap<String, EndpointSlice>, delta: Delta<EndpointSlice>) {
    let name = |slice: &EndpointSlice| slice.metadata.name.clone().unwrap_or_default();
    match delta {
        Delta::Applied(slice) => drop(all.insert(name(&slice), *slice)),
        Delta::Deleted(of) => drop(all.remove(&of.name)),
        Delta::Listed(slices) => *all = slices.into_iter().map(|slice| (name(&slice), slice)).collect(),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--peers-token {}", path.display()))?;
    Ok(text.trim().to_owned())
}

async fn ask(address: SocketAddr, token: &str) -> anyhow::Result<crate::update::Said> {
    let client = AdminClient::new(&address.to_string());
    timeout(CALL_TIMEOUT, client.counters(token)).await.context("no answer in time")?
}

/// Where the ready replicas of a slice are asked.
fn ready_in(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let named = ports.iter().find(|port| port.name.as_deref() == Some(PORT)).or(ports.first());
    let Some(port) = named.and_then(|port| port.port).and_then(|port| u16::try_from(port).ok()) else { return Vec::new() };
    // A Service that publishes those that are not ready says of all that they are; `serving` is what their probe says.
    let is_ready = |endpoint: &&Endpoint| {
        let Some(is) = &endpoint.conditions else { return true };
        is.serving.or(is.ready).unwrap_or(true) && is.terminating != Some(true)
    };
    let addresses = slice
        .endpoints
        .iter()
        .filter(is_ready)
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|address| address.parse::<IpAddr>().ok());
    addresses.map(|ip| SocketAddr::new(ip, port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ready_endpoints_are_asked_at_the_port_named_admin() {
        let ends = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.3"]},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": true, "serving": false}},
            {"addresses": ["10.0.0.5"], "conditions": {"ready": true, "serving": true, "terminating": true}},
            {"addresses": ["no address"]}
        ]);
        let of = |ports: serde_json::Value| {
            let slice = json!({"metadata": {}, "addressType": "IPv4", "endpoints": ends, "ports": ports});
            ready_in(&serde_json::from_value(slice).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(json!([{"name": "http", "port": 8080}, {"name": "admin", "port": 9901}])), ["10.0.0.1:9901", "10.0.0.3:9901"]);
        assert_eq!(of(json!([{"name": "other", "port": 7}])), ["10.0.0.1:7", "10.0.0.3:7"]);
        assert!(of(json!([])).is_empty());
    }
}
