//! A BackendPolicy.

use super::report::Report;
use super::{Metadata, quantity, section, structure};
use crate::auth::SecretKey;
use crate::backend::{ActiveCheck, Balance, HashOn, PassiveCheck, Policy, Retries, Timeouts, Tls};
use crate::finding::Finding;
use crate::release::HostName;
use crate::spec::{
    ActiveCheckSpec, ConnectionsSpec, HashBy, HashOnSpec, HealthCheckSpec, LoadBalancingSpec, LoadBalancingType, OriginTlsSpec,
    PassiveCheckSpec, RetriesSpec, RetryWhen, TimeoutsSpec,
};
use serde_json::Value;
use std::time::Duration;

/// Between two questions of an active check at least.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// What a BackendPolicy says.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedPolicy {
    /// Whose spec it is.
    pub metadata: Metadata,
    /// The policy, if its spec is accepted: then there are no findings.
    pub policy: Option<Policy>,
    /// The Service that is to be spoken to by TLS, also by a spec that is not accepted: it is not spoken to without.
    pub tls_for: Option<String>,
    /// What is not as it should be; each makes Accepted False.
    pub findings: Vec<Finding>,
}

/// Parses an object of any shape.
pub fn parse_backend_policy(object: &Value) -> ParsedPolicy {
    let mut report = Report::default();
    let mut spec = object["spec"].clone();
    structure::check("BackendPolicy", &mut spec, &mut report);
    let service: Option<String> = section(&spec, "service", &mut report);
    let path = section(&spec, "path", &mut report);
    let timeouts = section(&spec, "timeouts", &mut report).map(|raw| timeouts(raw, &mut report)).unwrap_or_default();
    let retries = section(&spec, "retries", &mut report).map(|raw| retries(&raw));
    let balance = section(&spec, "loadBalancing", &mut report).and_then(|raw| balance(raw, &mut report)).unwrap_or_default();
    let health = section::<HealthCheckSpec>(&spec, "healthCheck", &mut report);
    if health.as_ref().is_some_and(|health| health.active.is_none() && health.passive.is_none()) {
        report.invalid("spec.healthCheck", "healthCheck checks nothing. Give active, passive or both.");
    }
    let (active, passive) = health.map_or((None, None), |health| (health.active, health.passive));
    let active = active.and_then(|raw| active_check(raw, &mut report));
    let passive = passive.and_then(|raw| passive_check(&raw, &mut report));
    let max_connections = section::<ConnectionsSpec>(&spec, "connections", &mut report).and_then(|raw| raw.max);
    let max_connections = max_connections.and_then(|max| usize::try_from(max).ok());
    let tls = section(&spec, "tls", &mut report).and_then(|raw| tls(raw, &mut report));
    let tls_for = service.clone().filter(|_| !spec["tls"].is_null());
    let policy = service.filter(|_| report.0.is_empty()).map(|service| Policy {
        service,
        path,
        timeouts,
        retries,
        balance,
        active,
        passive,
        max_connections,
        tls,
    });
    ParsedPolicy { metadata: Metadata::read(&object["metadata"]), policy, tls_for, findings: report.0 }
}

fn timeouts(raw: TimeoutsSpec, report: &mut Report) -> Timeouts {
    let mut limit = |name: &str, text: Option<String>| wait(&format!("spec.timeouts.{name}"), text.as_deref()?, report);
    Timeouts {
        connect: limit("connect", raw.connect),
        response: limit("response", raw.response),
        idle: limit("idle", raw.idle),
        request: limit("request", raw.request),
    }
}

/// A span that something is waited for; one of nothing is refused.
fn wait(field: &str, text: &str, report: &mut Report) -> Option<Duration> {
    // The schema has spoken already, if it is none.
    let span = quantity::duration(text).and_then(|span| Duration::try_from(span).ok())?;
    if span.is_zero() {
        let name = super::report::last(field);
        report.invalid(field, format!("{name} is {text}, in which nothing can happen. Give it some time, or leave it out."));
        return None;
    }
    Some(span)
}

fn retries(raw: &RetriesSpec) -> Retries {
    let when = raw.when.as_deref().unwrap_or(&[RetryWhen::ConnectFailure, RetryWhen::Reset]);
    let (percent, min_per_second) = raw.budget.as_ref().map_or((None, None), |budget| (budget.percent, budget.min_per_second));
    Retries {
        attempts: number(raw.attempts, 2) as usize,
        on_connect_failure: when.contains(&RetryWhen::ConnectFailure),
        on_reset: when.contains(&RetryWhen::Reset),
        on_timeout: when.contains(&RetryWhen::Timeout),
        percent: number(percent, 20),
        min_per_second: number(min_per_second, 10),
    }
}

/// A number that the schema let through, or its default.
fn number(raw: Option<i32>, default: u32) -> u32 {
    raw.map_or(default, i32::unsigned_abs)
}

fn balance(raw: LoadBalancingSpec, report: &mut Report) -> Option<Balance> {
    let kind = raw.kind.unwrap_or(LoadBalancingType::RoundRobin);
    if raw.hash_on.is_some() && kind != LoadBalancingType::ConsistentHash {
        report.invalid("spec.loadBalancing.hashOn", "hashOn is only for type ConsistentHash. Remove it, or change type.");
        return None;
    }
    Some(match kind {
        LoadBalancingType::RoundRobin => Balance::RoundRobin,
        LoadBalancingType::LeastRequest => Balance::LeastRequest,
        LoadBalancingType::Ewma => Balance::Ewma,
        LoadBalancingType::ConsistentHash => Balance::ConsistentHash(hash_on(raw.hash_on.unwrap_or_default(), report)?),
    })
}

fn hash_on(raw: HashOnSpec, report: &mut Report) -> Option<HashOn> {
    let field = "spec.loadBalancing.hashOn.name";
    let by = raw.by.unwrap_or(HashBy::Consumer);
    let named = !matches!(by, HashBy::Consumer | HashBy::ClientIp);
    match &raw.name {
        None if named => {
            report.invalid(field, "name is missing. With by Header, Cookie, QueryParam and Claim it says which one.");
            return None;
        }
        Some(_) if !named => {
            report.invalid(field, "name is only for by Header, Cookie, QueryParam and Claim. Remove it, or change by.");
            return None;
        }
        Some(name) if matches!(by, HashBy::Header | HashBy::Cookie) && !name.bytes().all(super::split::is_token) => {
            report.invalid(field, format!("name is {name:?}; the name of a header or cookie is letters, digits and !#$%&'*+.^_`|~-."));
            return None;
        }
        _ => {}
    }
    let name = raw.name.unwrap_or_default();
    Some(match by {
        HashBy::Consumer => HashOn::Consumer,
        HashBy::ClientIp => HashOn::ClientIp,
        HashBy::Header => HashOn::Header(name.to_ascii_lowercase()),
        HashBy::Cookie => HashOn::Cookie(name),
        HashBy::QueryParam => HashOn::QueryParam(name),
        HashBy::Claim => HashOn::Claim(name),
    })
}

fn active_check(raw: ActiveCheckSpec, report: &mut Report) -> Option<ActiveCheck> {
    let field = "spec.healthCheck.active";
    let interval = wait(&format!("{field}.interval"), raw.interval.as_deref().unwrap_or("10s"), report)?;
    if interval < LEAST_INTERVAL {
        report.invalid(&format!("{field}.interval"), "interval is too short for each replica to ask each endpoint. The least is 100ms.");
        return None;
    }
    Some(ActiveCheck {
        path: raw.path,
        interval,
        timeout: wait(&format!("{field}.timeout"), raw.timeout.as_deref().unwrap_or("1s"), report)?,
        healthy_threshold: number(raw.healthy_threshold, 2),
        unhealthy_threshold: number(raw.unhealthy_threshold, 3),
        expect_status: raw.expect_status.unwrap_or_default().into_iter().filter_map(|status| u16::try_from(status).ok()).collect(),
    })
}

fn passive_check(raw: &PassiveCheckSpec, report: &mut Report) -> Option<PassiveCheck> {
    let text = raw.base_ejection.as_deref().unwrap_or("30s");
    Some(PassiveCheck {
        consecutive_failures: number(raw.consecutive_failures, 5),
        base_ejection: wait("spec.healthCheck.passive.baseEjection", text, report)?,
        max_ejected_percent: number(raw.max_ejected_percent, 50),
    })
}

fn tls(raw: OriginTlsSpec, report: &mut Report) -> Option<Tls> {
    let Some(server_name) = HostName::parse(&raw.server_name) else {
        let message =
            format!("serverName is {:?}, which is neither a DNS name nor an address. Write it as the certificate has it.", raw.server_name);
        report.invalid("spec.tls.serverName", message);
        return None;
    };
    let secret_key = |ca: crate::spec::CaCertificateSpec| SecretKey { name: ca.secret_ref.name, key: ca.secret_ref.key };
    Some(Tls {
        server_name,
        ca_certificate: raw.ca_certificate.map(secret_key),
        client_certificate: raw.client_certificate.map(|client| client.secret_ref.name),
    })
}
