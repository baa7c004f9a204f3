//! BackendPolicies: how Services are spoken to, and what the policies' authors are told.

use crate::auth::invalid_secret;
use crate::backends::Backends;
use crate::certificates::{self, Told};
use crate::key::Age;
use crate::unresolved::Unresolved;
use crate::{Key, Objects};
use serde_json::Value;
use serin_api::{Condition, Finding, ParsedPolicy, backend, parse_backend_policy, reason};
use serin_routing::Certificate;
use serin_routing::config::Tls;
use serin_routing::path::canonical;
use serin_routing::upstream::{self, ActiveCheck, Balance, HashOn, PassiveCheck, Retries, Timeouts, Upstream};
use std::collections::{BTreeMap, BTreeSet};
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

    /// The Secret of what is shown to the Service's endpoints.
    pub(crate) fn client_certificate(&self) -> Option<&str> {
        self.tls().filter(|_| !self.deleting)?.client_certificate.as_deref()
    }

    /// The Secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let tls = self.tls().filter(|_| !self.deleting);
        tls.into_iter().flat_map(|tls| tls.ca_certificate.iter().map(|ca| ca.name.as_str()).chain(tls.client_certificate.as_deref()))
    }

    fn tls(&self) -> Option<&backend::Tls> {
        self.parsed.policy.as_ref()?.tls.as_ref()
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

/// The Services that are to be spoken to by TLS by a policy that cannot be in force, and for which no other is: they are not spoken to.
pub(crate) fn closed<'o>(objects: &'o Objects, in_force: &BTreeMap<(&str, &str), (&Key, &DeclaredPolicy)>) -> BTreeSet<(&'o str, &'o str)> {
    let without_force = objects.policies.iter().filter(|(_, policy)| !policy.deleting && policy.service().is_none());
    let services = without_force.filter_map(|(key, policy)| Some((key.namespace.as_str(), policy.parsed.tls_for.as_deref()?)));
    services.filter(|service| !in_force.contains_key(service)).collect()
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

    /// How TLS is spoken to a Service by its policy: `None`, it says nothing of it; an error, it is not spoken to.
    pub(crate) fn tls_by_policy(&self, service: &Key) -> Option<Result<Tls, Option<Finding>>> {
        let of = (service.namespace.as_str(), service.name.as_str());
        if self.closed.contains(&of) {
            return Some(Err(None));
        }
        let tls = self.policies.get(&of)?.1.tls()?;
        Some(self.resolve_tls(&service.namespace, tls).map_err(Some))
    }

    fn resolve_tls(&self, namespace: &str, tls: &backend::Tls) -> Result<Tls, Finding> {
        let issuers = tls.ca_certificate.as_ref().map(|ca| {
            let field = "spec.tls.caCertificate.secretRef";
            let pem = self.secrets.value(namespace, &ca.name, &ca.key, field)?;
            upstream::issuers(pem).map_err(|fault| invalid_secret(namespace, &ca.name, &ca.key, field, fault))
        });
        let client = tls.client_certificate.as_ref().map(|name| self.client_certificate(namespace, name));
        Ok(Tls { name: tls.server_name.to_string(), issuers: issuers.transpose()?, client: client.transpose()? })
    }

    fn client_certificate(&self, namespace: &str, name: &str) -> Result<Arc<Certificate>, Finding> {
        let field = "spec.tls.clientCertificate.secretRef";
        for key in certificates::KEYS {
            self.secrets.value(namespace, name, key, field)?;
        }
        let secret = Key::new(namespace, name);
        self.objects.current_certificate(&secret).map_err(|fault| {
            let message = Told { secret: &secret, fault, may_be_forbidden: !self.standalone }.to_string();
            Finding { condition: Condition::ResolvedRefs, reason: fault.reason(), field: field.into(), message }
        })
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
        findings.extend(policy.tls().and_then(|tls| self.resolve_tls(&key.namespace, tls).err()));
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
