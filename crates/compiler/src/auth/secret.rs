//! Secrets as the cache holds them, and what is found in them. Nothing here shows what one holds.

use crate::{Key, Objects, Options};
use k8s_openapi::api::core::v1::Secret;
use serin_api::{Condition, Finding, reason};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What a Secret holds, by key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretData(BTreeMap<String, Vec<u8>>);

impl SecretData {
    /// `stringData` goes over `data`, as at the API server; only files have it.
    pub(crate) fn of(secret: Secret) -> Self {
        let mut data: BTreeMap<_, _> = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        data.extend(secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())));
        Self(data)
    }

    /// The value of one key.
    pub(crate) fn value(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where Secrets are looked up, and why one is not found.
pub(crate) struct Secrets<'o> {
    secrets: &'o BTreeMap<Key, Arc<SecretData>>,
    known: &'o BTreeSet<Key>,
    /// A folder is read whole, so nothing in it is unknown.
    all_known: bool,
}

impl<'o> Secrets<'o> {
    pub(crate) fn new(objects: &'o Objects, options: &Options) -> Self {
        Self { secrets: &objects.secrets, known: &objects.known_secrets, all_known: options.standalone }
    }

    /// The value of one key.
    pub(crate) fn value(&self, namespace: &str, name: &str, key: &str, field: &str) -> Result<&'o [u8], Finding> {
        let of = Key::new(namespace, name);
        let Some(secret) = self.secrets.get(&of) else {
            let message = match (self.all_known, self.known.contains(&of)) {
                (true, _) => format!("Secret {of} does not exist. Create it, or name another."),
                (false, true) => format!("Secret {of} does not exist, or serin may not read it. Create it, or name another."),
                (false, false) => format!("Secret {of} is not read yet."),
            };
            return Err(unresolved(reason::SECRET_NOT_FOUND, field, message));
        };
        secret.0.get(key).map(Vec::as_slice).ok_or_else(|| {
            // Which keys it has is for those who may read it.
            let message = format!("Secret {of} has no key {key}. Add it, or name another.");
            unresolved(reason::SECRET_KEY_NOT_FOUND, field, message)
        })
    }
}

/// That a value is not what is asked for; `fault` says so without the value.
pub(crate) fn invalid(namespace: &str, name: &str, key: &str, field: &str, fault: impl fmt::Display) -> Finding {
    let message = format!("Key {key} of Secret {namespace}/{name} {fault}.");
    unresolved(reason::INVALID_SECRET, field, message)
}

fn unresolved(reason: &'static str, field: &str, message: String) -> Finding {
    Finding { condition: Condition::ResolvedRefs, reason, field: field.to_owned(), message }
}
