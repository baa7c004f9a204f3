//! The pods behind endpoints: known by name, uid and labels, and only where a release asks for them (S1).

use crate::Key;
use crate::backends::Backends;
use crate::need::{Need, Needed};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::Endpoint;
use std::collections::BTreeMap;

/// What is kept of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLabels {
    pub(crate) uid: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl<'o> Backends<'o> {
    /// Whether the Pods of a namespace were listed. Files are all there from the start.
    pub(crate) fn knows_pods(&self, namespace: &str) -> bool {
        self.standalone || self.objects.known.contains(&Need { kind: Needed::Pods, namespace: namespace.to_owned() })
    }

    /// The labels of the pod behind an endpoint of a Service of this namespace; `None` while that pod is not known, or is another one of
    /// the same name. A file's pod has no uid that an EndpointSlice could name.
    pub(crate) fn pod_labels(&self, namespace: &str, endpoint: &Endpoint) -> Option<&'o BTreeMap<String, String>> {
        let named = pod(endpoint)?;
        let pod = self.objects.pods.get(&Key::new(namespace, named.name.as_deref()?))?;
        let same = self.standalone || named.uid.is_none() || named.uid == pod.uid;
        same.then_some(&pod.labels)
    }

    /// What tells the pod behind an endpoint from every other one.
    pub(crate) fn pod_id(&self, endpoint: &'o Endpoint) -> Option<&'o str> {
        let named = pod(endpoint)?;
        named.uid.as_deref().or(named.name.as_deref().filter(|_| self.standalone))
    }
}

fn pod(endpoint: &Endpoint) -> Option<&ObjectReference> {
    endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))
}
