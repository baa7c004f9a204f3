//! BackendPolicies: how Services are spoken to, and what the policies' authors are told.

use crate::backends::Backends;
use crate::key::Age;
use crate::unresolved::Unresolved;
use crate::{Key, Objects};
use serde_json::Value;
use serin_api::{Condition, Finding, ParsedPolicy, backend, parse_backend_policy, reason};
use serin_routing::path::canonical;
use serin_routing::upstream::{ActiveCheck, Balance, HashOn, PassiveCheck, Retries, Timeouts, Upstream};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A BackendPolicy as the cache holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredPolicy {
    age: Age,
    parsed: ParsedPolicy,
    /// It is being deleted, and only someone's finalizer keeps it: it is as if it were gone.
    deleting: bool,
    /// The path in the spelling that the proxy sends, without a slash at its end, or why it cannot be sent.
    path: Result<String, String>,
    /// What the proxy does for it beside that, or why it cannot.
    upstream: Result<Option<Arc<Upstream>>, String>,
}

impl DeclaredPolicy {
    /// Parses a policy: once, when it comes, not with each table.
    pub(crate) fn new(key: &Key, object: &Value) -> Self {
        let parsed = parse_backend_policy(object);
        let text = parsed.policy.as_ref().and_then(|policy| policy.path.as_deref()).unwrap_or("/");
        let path = canonical(text.as_bytes()).map(|path| path.trim_end_matches('/').to_owned()).map_err(|fault| fault.to_string());
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        let upstream = parsed.policy.as_ref().map_or(Ok(None), |policy| upstream(key, policy));
        Self { age: Age::new(parsed.metadata.created, key), parsed, deleting, path, upstream }
    }

    /// The Service that it is for, if it can be in force.
    fn service(&self) -> Option<&str> {
        let policy = self.parsed.policy.as_ref().filter(|_| !self.deleting && self.path.is_ok() && self.upstream.is_ok())?;
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

    /// How a Service is spoken to, if a policy says so.
    pub(crate) fn upstream(&self, service: &Key) -> Option<Arc<Upstream>> {
        let (_, policy) = self.policies.get(&(service.namespace.as_str(), service.name.as_str()))?;
        policy.upstream.clone().ok().flatten()
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
        if let Err(fault) = &policy.upstream {
            findings.push(accepted(reason::INVALID_SPEC, "spec.healthCheck.active.path", format!("The path cannot be sent: {fault}.")));
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

/// What the proxy is told; nothing when the policy is about the path alone.
fn upstream(key: &Key, policy: &backend::Policy) -> Result<Option<Arc<Upstream>>, String> {
    let backend::Timeouts { connect, response, idle, request } = policy.timeouts;
    let says_nothing = Upstream { namespace: key.namespace.clone(), name: key.name.clone(), ..Upstream::default() };
    let upstream = Upstream {
        timeouts: Timeouts { connect, response, idle, request },
        retries: policy.retries.map(retries),
        balance: balance(&policy.balance),
        active: policy.active.as_ref().map(active_check).transpose()?,
        passive: policy.passive.map(passive_check),
        max_connections: policy.max_connections,
        ..says_nothing.clone()
    };
    Ok(Some(upstream).filter(|upstream| *upstream != says_nothing).map(Arc::new))
}

fn retries(retries: backend::Retries) -> Retries {
    let backend::Retries { attempts, on_connect_failure, on_reset, on_timeout, percent, min_per_second } = retries;
    Retries { attempts, on_connect_failure, on_reset, on_timeout, percent, min_per_second }
}

fn balance(balance: &backend::Balance) -> Balance {
    match balance {
        backend::Balance::RoundRobin => Balance::RoundRobin,
        backend::Balance::LeastRequest => Balance::LeastRequest,
        backend::Balance::Ewma => Balance::Ewma,
        backend::Balance::ConsistentHash(on) => Balance::ConsistentHash(match on.clone() {
            backend::HashOn::Consumer => HashOn::Consumer,
            backend::HashOn::ClientIp => HashOn::ClientIp,
            backend::HashOn::Header(name) => HashOn::Header(name),
            backend::HashOn::Cookie(name) => HashOn::Cookie(name),
            backend::HashOn::QueryParam(name) => HashOn::QueryParam(name),
            backend::HashOn::Claim(name) => HashOn::Claim(name),
        }),
    }
}

fn active_check(check: &backend::ActiveCheck) -> Result<ActiveCheck, String> {
    Ok(ActiveCheck {
        path: canonical(check.path.as_bytes()).map_err(|fault| fault.to_string())?.into_owned(),
        interval: check.interval,
        timeout: check.timeout,
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
        expect_status: check.expect_status.clone(),
    })
}

fn passive_check(check: backend::PassiveCheck) -> PassiveCheck {
    let backend::PassiveCheck { consecutive_failures, base_ejection, max_ejected_percent } = check;
    PassiveCheck { consecutive_failures, base_ejection, max_ejected_percent }
}

fn accepted(reason: &'static str, field: &str, message: String) -> Finding {
    Finding { condition: Condition::Accepted, reason, field: field.into(), message }
}
