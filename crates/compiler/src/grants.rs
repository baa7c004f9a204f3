//! ReferenceGrants of Gateway API: which Ingresses may use which Secrets of another namespace. The owner of the Secrets says so, by an
//! object beside them; without one nothing is permitted, and what was permitted ends with its grant
//! (<https://gateway-api.sigs.k8s.io/api-types/referencegrant/>).

use crate::need::Need;
use crate::{Key, Objects, Options};
use serde_json::Value;
use serin_api::{Condition, Finding};
use std::collections::{BTreeMap, BTreeSet};

// As Gateway API names it. No condition of serin's kinds shows it.
const REF_NOT_PERMITTED: &str = "RefNotPermitted";

/// A ReferenceGrant of any shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyReferenceGrant(
    /// The whole object.
    pub Value,
);

/// What a grant says of Ingresses and Secrets. What of it is of another shape permits nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The namespaces of the Ingresses.
    from: BTreeSet<String>,
    to: Granted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Granted {
    /// All of the grant's namespace.
    All,
    /// Those of these names.
    Named(BTreeSet<String>),
}

/// The grants that are known, by the namespace of the Secrets and that of the Ingresses.
pub(crate) struct Grants<'o> {
    of: BTreeMap<(&'o str, &'o str), Vec<&'o Granted>>,
    /// Whether all were listed: before that nobody is told that one is missing.
    are_known: bool,
    may_be_forbidden: bool,
}

impl Grant {
    pub(crate) fn new(AnyReferenceGrant(object): &AnyReferenceGrant) -> Self {
        // One that is being deleted permits nothing, whatever finalizer keeps it.
        let is_deleting = !object["metadata"]["deletionTimestamp"].is_null();
        let entries = |field: &str| object["spec"][field].as_array().into_iter().flatten().filter(move |_| !is_deleting);
        let is = |entry: &Value, group: &str, kind: &str| entry["group"] == group && entry["kind"] == kind;
        let from = entries("from").filter(|entry| is(entry, "networking.k8s.io", "Ingress"));
        let to: Vec<_> = entries("to").filter(|entry| is(entry, "", "Secret")).map(|entry| &entry["name"]).collect();
        let named = || to.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect();
        Self {
            from: from.filter_map(|entry| entry["namespace"].as_str()).map(str::to_owned).collect(),
            to: if to.iter().any(|name| name.is_null()) { Granted::All } else { Granted::Named(named()) },
        }
    }
}

impl<'o> Grants<'o> {
    pub(crate) fn new(objects: &'o Objects, options: &Options) -> Self {
        let mut of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, grant) in &objects.grants {
            for from in &grant.from {
                of.entry((key.namespace.as_str(), from.as_str())).or_default().push(&grant.to);
            }
        }
        let are_known = options.standalone || objects.known.contains(&Need::reference_grants());
        Self { of, are_known, may_be_forbidden: !options.standalone }
    }

    /// Whether Ingresses of this namespace may use the Secret: one of their own always.
    pub(crate) fn permit(&self, namespace: &str, secret: &Key) -> bool {
        let granted = self.of.get(&(secret.namespace.as_str(), namespace)).into_iter().flatten();
        namespace == secret.namespace
            || self.are_known
                && granted.into_iter().any(|granted| match granted {
                    Granted::All => true,
                    Granted::Named(names) => names.contains(&secret.name),
                })
    }

    /// What the author of an Ingress is told who names a Secret that he may not use: the same whether there is such a Secret or not.
    pub(crate) fn missing(&self, namespace: &str, secret: &Key, field: String) -> Option<Finding> {
        let or = if self.may_be_forbidden { ", or serin may not read it" } else { "" };
        let message = format!(
            "No ReferenceGrant in namespace {} lets Ingresses of namespace {namespace} use Secret {}{or}. Its hosts are shown the default \
             certificate, or none.",
            secret.namespace, secret.name
        );
        let finding = || Finding { condition: Condition::ResolvedRefs, reason: REF_NOT_PERMITTED, field, message };
        self.are_known.then(finding)
    }
}
