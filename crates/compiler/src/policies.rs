//! BackendPolicies: how Services are spoken to, and what the policies' authors are told.

use crate::backends::Backends;
use crate::key::Age;
use crate::unresolved::Unresolved;
use crate::{Key, Objects};
use serde_json::Value;
use serin_api::{Condition, Finding, ParsedPolicy, parse_backend_policy, reason};
use serin_routing::path::canonical;
use std::collections::BTreeMap;

/// A BackendPolicy as the cache holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredPolicy {
    age: Age,
    parsed: ParsedPolicy,
    /// It is being deleted, and only someone's finalizer keeps it: it is as if it were gone.
    deleting: bool,
    /// The path in the spelling that the proxy sends, without a slash at its end, or why it cannot be sent.
    path: Result<String, String>,
}

impl DeclaredPolicy {
    /// Parses a policy: once, when it comes, not with each table.
    pub(crate) fn new(key: &Key, object: &Value) -> Self {
        let parsed = parse_backend_policy(object);
        let text = parsed.policy.as_ref().and_then(|policy| policy.path.as_deref()).unwrap_or("/");
        let path = canonical(text.as_bytes()).map(|path| path.trim_end_matches('/').to_owned()).map_err(|fault| fault.to_string());
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        Self { age: Age::new(parsed.metadata.created, key), parsed, deleting, path }
    }

    /// The Service that it is for, if it can be in force.
    fn service(&self) -> Option<&str> {
        let policy = self.parsed.policy.as_ref().filter(|_| !self.deleting && self.path.is_ok())?;
        Some(&policy.service)
    }
}

/// The policy that holds for each Service, by namespace and name: the oldest one that is accepted.
pub(crate) fn in_force(objects: &Objects) -> BTreeMap<(&str, &str), (&Key, &DeclaredPolicy)> {
    let mut holders: BTreeMap<_, (&Key, &DeclaredPolicy)> = BTreeMap::new();
    for (key, policy) in &objects.policies {
        let Some(service) = policy.service() else { continue };
        let holder = holders.entry((key.namespace.as_str(), service)).or_insert((key, policy));
        if policy.age < holder.1.age {
            *holder = (key, policy);
        }
    }
    holders
}

impl Backends<'_> {
    /// What is put before the paths that go to a Service, if anything is.
    pub(crate) fn path(&self, service: &Key) -> Option<String> {
        let (_, policy) = self.policies.get(&(service.namespace.as_str(), service.name.as_str()))?;
        policy.path.clone().ok().filter(|path| !path.is_empty())
    }

    /// What the author of each policy is told.
    pub(crate) fn findings_of_policies(&self) -> BTreeMap<Key, Vec<Finding>> {
        self.objects.policies.iter().map(|(key, policy)| (key.clone(), self.findings(key, policy))).collect()
    }

    fn findings(&self, key: &Key, policy: &DeclaredPolicy) -> Vec<Finding> {
        let mut findings = policy.parsed.findings.clone();
        if let Err(fault) = &policy.path {
            findings.push(accepted(reason::INVALID_SPEC, "spec.path", format!("The path cannot be sent: {fault}.")));
        }
        let Some(service) = policy.service() else { return findings };
        if let Some((holder, _)) = self.policies.get(&(key.namespace.as_str(), service)).filter(|(holder, _)| *holder != key) {
            let message = format!("The older BackendPolicy {holder} is for the same Service. Delete one of the two.");
            findings.push(accepted(reason::CONFLICTED, "spec.service", message));
        }
        let service = Key::new(&*key.namespace, service);
        if !self.objects.services.contains_key(&service) {
            let similar = self.similar(&service, None);
            findings.push(Unresolved::NoService { service, similar }.finding("spec.service"));
        }
        findings
    }
}

fn accepted(reason: &'static str, field: &str, message: String) -> Finding {
    Finding { condition: Condition::Accepted, reason, field: field.into(), message }
}
