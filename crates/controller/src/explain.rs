//! What would be done with a request: asked on the admin port of what is served, or of files.

use crate::standalone::OWN_NAMESPACE;
use crate::standalone::manifests::{Folder, Manifest};
use http::request::Parts;
use http::{Method, Request};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_compiler::{AnyAuthPolicy, AnyBackendPolicy, AnyConsumer, AnyRelease, Objects, Options, compile};
use serin_proxy::{Case, Explanation, explain};
use serin_routing::{Policies, Table};
use std::net::IpAddr;
use std::path::Path;

/// A request that is only asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// The value of `Host`.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Further fields, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The originating address (S5), as serin would have found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
    /// The other end of its connection, which matters where headers of a trusted proxy name the consumer; absent the originating address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
}

impl Question {
    /// The answer of this table, which takes as long as a password takes to check. An error names what no request can have.
    pub fn answer(&self, table: &Table, now: Timestamp) -> Result<Explanation, String> {
        self.asked(table, now, true)
    }

    /// The same for somebody who is to learn of no key and no password whether it is right.
    pub(crate) fn answer_without_secrets(&self, table: &Table, now: Timestamp) -> Result<Explanation, String> {
        self.asked(table, now, false)
    }

    fn asked(&self, table: &Table, now: Timestamp, checks_secrets: bool) -> Result<Explanation, String> {
        let peer = self.peer.or(self.client_ip);
        Ok(explain(table, &Case { parts: &self.parts()?, client_ip: self.client_ip, peer, now, checks_secrets }))
    }

    fn parts(&self) -> Result<Parts, String> {
        let mut request = Request::builder().method(Method::GET).uri(&self.target).header(http::header::HOST, &self.host);
        for (name, value) in &self.headers {
            let valid = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
            if !valid {
                return Err(format!("header {name:?}: no field has this name and value"));
            }
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).map_err(|error| format!("{}{}: {error}", self.host, self.target))?.into_parts();
        Ok(parts)
    }
}

/// The table of a folder of manifests, among them releases with their status, as `kubectl get -o yaml` prints them.
pub fn table_of(folder: &Path) -> anyhow::Result<Table> {
    let reading = Folder::default().read(folder)?;
    if let Some(error) = reading.errors.into_iter().next() {
        return Err(error.into());
    }
    let objects = objects_of(reading.manifests.values().map(AsRef::as_ref))?;
    let options = Options { standalone: true, own_namespace: OWN_NAMESPACE.to_owned(), ..Options::default() };
    Ok(Table::new(&compile(&objects, &options).config, &mut Policies::default()))
}

/// The cache of these manifests; kinds that nothing is compiled from are left out.
pub fn objects_of<'m>(manifests: impl IntoIterator<Item = &'m Manifest>) -> anyhow::Result<Objects> {
    let mut objects = Objects::default();
    for manifest in manifests {
        let (key, object) = (&manifest.key, manifest.object.clone());
        let read = match key.kind.as_str() {
            "Service" => read::<Service>(object).map(|object| objects.apply(object)),
            "EndpointSlice" => read::<EndpointSlice>(object).map(|object| objects.apply(object)),
            "Ingress" => read::<Ingress>(object).map(|object| objects.apply(object)),
            "IngressClass" => read::<IngressClass>(object).map(|object| objects.apply(object)),
            "Deployment" => read::<Deployment>(object).map(|object| objects.apply(object)),
            "StatefulSet" => read::<StatefulSet>(object).map(|object| objects.apply(object)),
            "Pod" => read::<Pod>(object).map(|object| objects.apply(object)),
            "Secret" => read::<Secret>(object).map(|object| objects.apply(object)),
            "AuthPolicy" => Ok(objects.apply(AnyAuthPolicy(object))),
            "BackendPolicy" => Ok(objects.apply(AnyBackendPolicy(object))),
            "CanaryRelease" => Ok(objects.apply(AnyRelease(object))),
            "Consumer" => Ok(objects.apply(AnyConsumer(object))),
            _ => continue,
        };
        // What is wrong with a Secret is not told in words that have its value.
        let told = |error: serde_json::Error| if key.kind == "Secret" { "it is none".to_owned() } else { error.to_string() };
        read.map_err(|error| anyhow::anyhow!("{}: {key}: {}", manifest.path.display(), told(error)))?;
    }
    Ok(objects)
}

fn read<K: DeserializeOwned>(object: Value) -> serde_json::Result<K> {
    serde_json::from_value(object)
}
