//! The identity of a release: a hash of a versioned canonical text.

use crate::parse::BUCKETS;
use crate::release::{Canary, PathRewrite, People, PodSelector, Port, Release, Scope, Split, SplitBy};
use xxhash_rust::xxh3::xxh3_64;

/// The version of the canonical form. It never changes for a released schema: a new field joins as absent.
const FORM: &str = "serin-release-v1";

/// The canonical text: the form, then each field that has a value, in the given order.
///
/// The caller leaves out what is absent or at its default. Lengths are written, so that no value can pass for another field.
pub fn canonical(fields: &[(&str, &str)]) -> String {
    let mut text = String::from(FORM);
    for (field, value) in fields {
        text.push_str(&format!("\n{}:{field}={}:{value}", field.len(), value.len()));
    }
    text
}

/// `release.id`: the first 10 hex digits of XXH3-64 over the canonical text.
pub fn release_id(fields: &[(&str, &str)]) -> String {
    format!("{:010x}", xxh3_64(canonical(fields).as_bytes()) >> 24)
}

/// The revision in what is observed of a workload, without the uid: `7` of `UID/7`.
pub fn revision_of(observed: &str) -> &str {
    observed.rsplit_once('/').map_or(observed, |(_, revision)| revision)
}

/// What makes a release this release: scope, canary without whenUnavailable, split's by, name, salt and buckets, and the revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    key: String,
    fields: Vec<(&'static str, String)>,
    salt: String,
    names_salt: bool,
    revision: Option<String>,
}

/// The salt of a split that names none: `namespace/name`, with `@revision` when there is one.
pub fn default_salt(key: &str, revision: Option<&str>) -> String {
    match revision {
        Some(revision) => format!("{key}@{revision}"),
        None => key.to_owned(),
    }
}

impl Identity {
    /// Of the parts of a spec; `key` is `namespace/name`.
    pub(crate) fn of(key: &str, scope: &Scope, canary: &Canary, split: &Split, revision: Option<&str>) -> Self {
        let mut fields = Vec::new();
        let mut add = |field, value: Option<String>| fields.extend(value.map(|value| (field, value)));
        add("scope.service", scope.service.clone());
        if let Some(route) = &scope.route {
            add("scope.route.kind", Some("Ingress".to_owned()));
            add("scope.route.name", Some(route.name.clone()));
            add("scope.route.host", route.host.clone());
            add("scope.route.path", route.path.clone());
        }
        match &scope.people {
            People::Anyone => {}
            People::Consumer(username) => add("scope.consumer", Some(username.clone())),
            People::Group(group) => add("scope.consumerGroup", Some(group.clone())),
        }
        add("scope.all", scope.all.then(|| "true".to_owned()));
        add("scope.allNamespaces", scope.all_namespaces.then(|| "true".to_owned()));
        add("canary.service", canary.service.clone());
        add("canary.podSelector", canary.pods.as_ref().map(PodSelector::canonical));
        if let Some(host) = &canary.host {
            add("canary.host", Some(host.name.to_string()));
            let by_port = canary.port == Some(Port::Number(443));
            add("canary.scheme", (host.tls != by_port).then(|| if host.tls { "https" } else { "http" }.to_owned()));
            add("canary.preserveHost", host.preserve.then(|| "true".to_owned()));
        }
        add("canary.port", canary.port.as_ref().map(ToString::to_string));
        match &canary.path {
            Some(PathRewrite::Prefix(path)) => add("canary.path.replacePrefixMatch", Some(path.clone())),
            Some(PathRewrite::Full(path)) => add("canary.path.replaceFullPath", Some(path.clone())),
            None => {}
        }
        let (by, name) = match &split.by {
            SplitBy::Consumer => (None, None),
            SplitBy::ClientIp => (Some("ClientIP"), None),
            SplitBy::Header(name) => (Some("Header"), Some(name)),
            SplitBy::Cookie(name) => (Some("Cookie"), Some(name)),
            SplitBy::QueryParam(name) => (Some("QueryParam"), Some(name)),
            SplitBy::Claim(name) => (Some("Claim"), Some(name)),
            SplitBy::Request => (Some("Request"), None),
        };
        add("split.by", by.map(str::to_owned));
        add("split.name", name.cloned());
        // Whatever the strategy says: an edit of it is no new release, so what is left out must not depend on it.
        let named = split.names_buckets && split.buckets != BUCKETS;
        add("split.buckets", named.then(|| split.buckets.to_string()));
        let (salt, names_salt) = (split.salt.clone(), split.names_salt);
        Self { key: key.to_owned(), fields, salt, names_salt, revision: revision.map(str::to_owned) }
    }

    /// `release.id`. `observed` is `UID/REVISION` of the canary workload: a workload of the same name that was made anew is another one.
    /// It is absent without a workload, and before one was ever seen.
    pub fn id(&self, observed: Option<&str>) -> String {
        let mut fields: Vec<_> = self.fields.iter().map(|(field, value)| (*field, value.as_str())).collect();
        let revision = self.revision.as_deref().or(observed.map(revision_of));
        if self.names_salt && self.salt != default_salt(&self.key, revision) {
            fields.push(("split.salt", &self.salt));
        }
        fields.extend(self.revision.as_deref().map(|revision| ("revision", revision)));
        fields.extend(observed.map(|revision| ("workloads.canary", revision)));
        release_id(&fields)
    }

    /// The salt that an observed revision gives: none beside one that the author named, or a revision of the spec.
    pub fn observed_salt(&self, observed: Option<&str>) -> Option<String> {
        let revision = observed.filter(|_| !self.names_salt && self.revision.is_none()).map(revision_of)?;
        Some(default_salt(&self.key, Some(revision)))
    }
}

impl Release {
    /// `release.id`: every replica computes the same. `observed` is as in [`Identity::id`].
    pub fn id(&self, observed: Option<&str>) -> String {
        Identity::of(&self.key(), &self.scope, &self.canary, &self.split, self.revision.as_deref()).id(observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_published_ones() {
        for (fields, id) in [
            (&[][..], "08a0a8d12a"),
            (&[("scope.service", "checkout"), ("canary.service", "checkout-v2")][..], "fd8780e4c0"),
            (&[("scope.service", "checkout"), ("canary.service", "checkout-v2"), ("revision", "v2")][..], "059c3514f5"),
            (&[("split.salt", "sälz")][..], "78775be6dd"),
        ] {
            assert_eq!(release_id(fields), id, "{}", canonical(fields));
        }
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        assert_ne!(release_id(&[("a", "1\n1:b=1:2")]), release_id(&[("a", "1"), ("b", "2")]));
        assert_ne!(release_id(&[("a", "")]), release_id(&[]));
    }
}
