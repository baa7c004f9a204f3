//! What Ingresses say of TLS: which certificate clients are shown for which host.

use crate::certificates::{Fault, Told};
use crate::class::{self, Class};
use crate::grants::Grants;
use crate::ingress::{self, Lowered};
use crate::key::Age;
use crate::{Key, Objects, Options};
use k8s_openapi::api::networking::v1::{Ingress, IngressTLS};
use serin_api::{Condition, Finding, reason};
use serin_routing::Certificate;
use serin_routing::config::HostMatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the Secrets are that the `tls` of an Ingress names, if not beside it. A ReferenceGrant there must permit it.
pub(crate) const SECRET_NAMESPACE: &str = "serin.dev/tls-secret-namespace";

/// What an Ingress asks for.
struct Claim<'o> {
    host: HostMatch,
    /// Whether the certificate names the host, and the Ingress does not.
    is_implicit: bool,
    age: Age,
    ingress: &'o Key,
    field: String,
    certificate: Option<Arc<Certificate>>,
}

impl Objects {
    /// The Secrets that hold certificates: of the Ingresses of ours, and the operator's.
    pub(crate) fn certificate_secrets(&self, options: &Options) -> BTreeSet<Key> {
        let asking = self.ingresses.iter().filter(|(_, ingress)| entries(ingress).next().is_some());
        let ours = asking.filter(|(_, ingress)| class::class(self, options, ingress) == Class::Ours);
        let grants = Grants::new(self, options);
        let named = ours.flat_map(|(key, ingress)| secrets(key, ingress).filter(|secret| grants.permit(&key.namespace, secret)));
        named.chain(options.default_tls_secret.clone()).collect()
    }
}

fn entries(ingress: &Ingress) -> impl Iterator<Item = (usize, &IngressTLS)> {
    ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten()).enumerate()
}

/// The namespace of the Secrets that an Ingress names: its own, if it names no other. An error: what it names is none.
fn namespace<'i>(key: &'i Key, ingress: &'i Ingress) -> Result<&'i str, &'i str> {
    let Some(named) = ingress.metadata.annotations.as_ref().and_then(|all| all.get(SECRET_NAMESPACE)) else { return Ok(&key.namespace) };
    let may_stand = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&named.len()) && named.bytes().all(may_stand) && !named.starts_with('-') && !named.ends_with('-');
    if is_label { Ok(named) } else { Err(named) }
}

/// The Secret that an entry names; without one it is the operator's.
fn secret_of(namespace: &str, tls: &IngressTLS) -> Option<Key> {
    let name = tls.secret_name.as_deref().filter(|name| !name.is_empty())?;
    Some(Key::new(namespace, name))
}

/// The Secrets that an Ingress names, whether it may use them or not.
fn secrets<'i>(key: &'i Key, ingress: &'i Ingress) -> impl Iterator<Item = Key> + 'i {
    let namespace = namespace(key, ingress).ok();
    namespace.into_iter().flat_map(|namespace| entries(ingress).filter_map(move |(_, tls)| secret_of(namespace, tls)))
}

/// Whether any Ingress of ours names a Secret of another namespace.
pub(crate) fn asks_for_grants(objects: &Objects, options: &Options) -> bool {
    let mut others = objects.ingresses.iter().filter(|(key, ingress)| namespace(key, ingress).is_ok_and(|named| named != key.namespace));
    others.any(|(key, ingress)| class::class(objects, options, ingress) == Class::Ours && secrets(key, ingress).next().is_some())
}

/// The certificate of each host, in order. Of several Ingresses that name a host the oldest holds it, and each goes before those whose
/// certificate alone names it. One without a certificate holds its hosts all the same: nobody takes them over while it is being repaired.
pub(crate) fn certificates(objects: &Objects, options: &Options, lowered: &mut Lowered) -> Vec<(HostMatch, Arc<Certificate>)> {
    let mut claims = Vec::new();
    let grants = Grants::new(objects, options);
    for (key, ingress) in &objects.ingresses {
        let namespace = namespace(key, ingress);
        if namespace.is_ok() && entries(ingress).next().is_none() {
            continue;
        }
        let Some(findings) = lowered.findings.get_mut(key) else { continue };
        if let Err(text) = namespace {
            let message = format!(
                "Annotation {SECRET_NAMESPACE} is {text:?}, which is no name of a namespace. Its hosts are shown the default certificate, or none."
            );
            findings.push(Finding {
                condition: Condition::Accepted,
                reason: reason::INVALID_SPEC,
                field: "metadata.annotations".into(),
                message,
            });
        }
        for (nth, tls) in entries(ingress) {
            let Some(secret) = secret_of(namespace.unwrap_or_default(), tls) else { continue };
            let field = format!("spec.tls[{nth}]");
            let (certificate, finding) = match namespace {
                Ok(_) if grants.permit(&key.namespace, &secret) => served(objects, options, &secret, &field),
                Ok(_) => (None, grants.missing(&key.namespace, &secret, format!("{field}.secretName"))),
                Err(_) => (None, None),
            };
            findings.extend(finding);
            claim((key, ingress), (field, tls), certificate, &mut claims, findings);
        }
    }
    // A stable sort: within one Ingress the order is the author's.
    claims.sort_by(|a, b| (&a.host, a.is_implicit, &a.age).cmp(&(&b.host, b.is_implicit, &b.age)));
    let mut held: BTreeMap<&HostMatch, &Claim<'_>> = BTreeMap::new();
    for claim in &claims {
        let holder = held.entry(&claim.host).or_insert(claim);
        if !claim.is_implicit && holder.certificate != claim.certificate {
            lowered.findings.entry(claim.ingress.clone()).or_default().push(conflicted(claim, holder));
        }
    }
    let served = held.into_iter().filter_map(|(host, claim)| Some((host.clone(), claim.certificate.clone()?)));
    let default = options.default_tls_secret.as_ref().and_then(|key| objects.certificate(key).0);
    served.chain(default.map(|certificate| (HostMatch::Any, certificate))).collect()
}

/// What is served of a Secret that may be used, and what is wrong with it.
fn served(objects: &Objects, options: &Options, secret: &Key, field: &str) -> (Option<Arc<Certificate>>, Option<Finding>) {
    let (certificate, fault) = objects.certificate(secret);
    let finding = fault.and_then(|fault| finding(objects, options, secret, fault, format!("{field}.secretName"), certificate.is_some()));
    (certificate, finding)
}

fn claim<'o>(
    (key, ingress): (&'o Key, &Ingress),
    (field, tls): (String, &IngressTLS),
    certificate: Option<Arc<Certificate>>,
    claims: &mut Vec<Claim<'o>>,
    findings: &mut Vec<Finding>,
) {
    let mut take = |host, is_implicit, field| {
        let (age, certificate) = (ingress::age(key, ingress), certificate.clone());
        claims.push(Claim { host, is_implicit, age, ingress: key, field, certificate });
    };
    let hosts = tls.hosts.as_deref().unwrap_or_default();
    for (h, text) in hosts.iter().enumerate() {
        let field = format!("{field}.hosts[{h}]");
        match ingress::host(text).filter(|host| *host != HostMatch::Any) {
            Some(host) => take(host, false, field),
            None => {
                let message = format!("Host {text:?} is neither a DNS name nor one behind `*.`, so it is not served by TLS.");
                findings.push(Finding { condition: Condition::Accepted, reason: reason::INVALID_SPEC, field, message });
            }
        }
    }
    if hosts.is_empty() {
        let names = certificate.iter().flat_map(|certificate| &certificate.names);
        names.filter_map(|name| ingress::host(name)).for_each(|host| take(host, true, field.clone()));
    }
}

/// What is wrong with the operator's certificate.
pub(crate) fn default_findings(objects: &Objects, options: &Options) -> Vec<Finding> {
    let Some(secret) = &options.default_tls_secret else { return Vec::new() };
    let (certificate, fault) = objects.certificate(secret);
    fault.and_then(|fault| finding(objects, options, secret, fault, String::new(), certificate.is_some())).into_iter().collect()
}

/// What the author is told; nothing of a Secret that was not looked for yet.
fn finding(objects: &Objects, options: &Options, secret: &Key, fault: Fault, field: String, has_good: bool) -> Option<Finding> {
    if fault == Fault::Gone && !options.standalone && !objects.known_secrets.contains(secret) {
        return None;
    }
    let what = Told { secret, fault, may_be_forbidden: !options.standalone };
    let meanwhile = if has_good { "The last good certificate serves on." } else { "Its hosts are shown the default certificate, or none." };
    Some(Finding { condition: Condition::ResolvedRefs, reason: fault.reason(), field, message: format!("{what} {meanwhile}") })
}

fn conflicted(claim: &Claim<'_>, holder: &Claim<'_>) -> Finding {
    let host = match &claim.host {
        HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
        HostMatch::Exact(host) => host.to_string(),
        HostMatch::Any | HostMatch::Default => "*".to_owned(),
    };
    let message = if claim.ingress == holder.ingress {
        format!("TLS of host {host} is there twice, with two certificates. The first one holds.")
    } else {
        format!("TLS of host {host} is held by the older Ingress {}, with another certificate.", holder.ingress)
    };
    Finding { condition: Condition::Accepted, reason: reason::CONFLICTED, field: claim.field.clone(), message }
}
