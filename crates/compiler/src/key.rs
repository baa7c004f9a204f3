//! Names of objects, and which of two is older.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use std::fmt;

/// An object of a kind. The namespace of a cluster's object is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// Orders the oldest first; an object without a creation time is the youngest, and names break ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    unknown: bool,
    created: Option<Timestamp>,
    key: Key,
}

impl Key {
    /// The key of an object by its namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a namespaced object. One without a namespace is in `default`, as kubectl has it.
    pub(crate) fn namespaced(meta: &ObjectMeta) -> Self {
        let namespace = meta.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or("default");
        Self::new(namespace, meta.name.as_deref().unwrap_or_default())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl Age {
    pub(crate) fn new(created: Option<Timestamp>, key: &Key) -> Self {
        Self { unknown: created.is_none(), created, key: key.clone() }
    }
}
