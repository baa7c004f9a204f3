//! How the command line reads releases and gives commands: in a cluster through the API server, on a standalone by its admin port.

mod admin;
mod cluster;

use crate::admin::Name;
use serde_json::{Value, json};

pub use admin::AdminClient;
pub use cluster::ClusterClient;

/// The annotation that holds a command.
pub const COMMAND: &str = "serin.dev/command";
/// The annotation that holds an abort.
pub const ABORT: &str = "serin.dev/abort";

/// Where releases are.
#[derive(Debug, Clone)]
pub enum Client {
    /// On a standalone.
    Admin(AdminClient),
    /// In a cluster.
    Cluster(ClusterClient),
}

impl Client {
    /// The releases of one namespace, or of all, by namespace and name.
    pub async fn list(&self, namespace: Option<&str>) -> anyhow::Result<Vec<Value>> {
        match self {
            Self::Cluster(client) => client.list(namespace).await,
            Self::Admin(client) => {
                let mut items = client.list().await?;
                items.retain(|item| namespace.is_none_or(|n| item["metadata"]["namespace"] == n));
                Ok(items)
            }
        }
    }

    /// One release with its status.
    pub async fn release(&self, name: &Name) -> anyhow::Result<Value> {
        match self {
            Self::Admin(client) => client.release(name).await,
            Self::Cluster(client) => client.release(name).await,
        }
    }

    /// Sets one annotation, and touches nothing else; answers the release after it.
    pub async fn annotate(&self, name: &Name, annotation: &str, value: &str) -> anyhow::Result<Value> {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        match self {
            Self::Admin(client) => client.patch(name, &patch).await,
            Self::Cluster(client) => client.patch(name, &patch).await,
        }
    }
}

/// The token of the next command: `<release id>-<n>`, n one more than the greatest in lastCommand, lastAbort and the annotations.
pub fn next_token(release: &Value) -> String {
    let id = release.pointer("/status/release/id").and_then(Value::as_str).unwrap_or("0000000000");
    let status = |pointer| release.pointer(pointer).and_then(Value::as_str);
    let annotation = |name: &str| release["metadata"]["annotations"][name].as_str();
    let command = annotation(COMMAND).and_then(|text| text.split_once('@')).map(|(_, token)| token);
    let tokens = [status("/status/lastCommand/token"), status("/status/lastAbort/token"), annotation(ABORT), command];
    let number = |token: &str| token.rsplit_once('-')?.1.parse::<u64>().ok();
    let greatest = tokens.into_iter().flatten().filter_map(number).max().unwrap_or(0);
    format!("{id}-{}", greatest.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_is_greater_than_every_one_seen() {
        assert_eq!(next_token(&json!({})), "0000000000-1");
        let release = json!({
            "metadata": {"annotations": {COMMAND: "pause@a1b2c3d4e5-7", ABORT: "a1b2c3d4e5-9"}},
            "status": {"release": {"id": "ffffffffff"}, "lastCommand": {"token": "a1b2c3d4e5-6"}, "lastAbort": {"token": "x"}},
        });
        assert_eq!(next_token(&release), "ffffffffff-10");
    }
}
