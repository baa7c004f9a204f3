//! What Ingresses say of TLS: which certificate clients are shown for which host.

use crate::auth::SecretData;
use crate::class::{self, Class};
use crate::ingress::{self, Lowered};
use crate::key::Age;
use crate::{Key, Objects, Options};
use k8s_openapi::api::networking::v1::{Ingress, IngressTLS};
use serin_api::{Condition, Finding, reason};
use serin_routing::config::HostMatch;
use serin_routing::{Certificate, CertificateFault};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// A certificate that was read of a Secret, and the last one that could be.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    source: Option<Arc<SecretData>>,
    read: Result<Arc<Certificate>, Fault>,
    good: Option<Arc<Certificate>>,
}

/// Why a Secret gives no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// There is none of this name.
    Gone,
    /// It does not have this key.
    Without(&'static str),
    /// This key of it is bad.
    Bad(&'static str, CertificateFault),
}

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
        let ours = self.ingresses.iter().filter(|(_, ingress)| class::class(self, options, ingress) == Class::Ours);
        let named = ours.flat_map(|(key, ingress)| entries(ingress).filter_map(|(_, tls)| secret_of(key, tls)));
        named.chain(options.default_tls_secret.clone()).collect()
    }

    /// Reads what is new of the certificates that are asked for, and keeps of each the last one that could be read: while its Secret is
    /// gone or broken that serves on. To be called before [`crate::compile()`].
    pub fn keep_certificates(&mut self, options: &Options) {
        let asked = self.certificate_secrets(options);
        self.certificates.retain(|key, _| asked.contains(key));
        for key in asked {
            let source = self.secrets.get(&key);
            let kept = self.certificates.get(&key);
            if kept.is_some_and(|kept| kept.is_of(source)) {
                continue;
            }
            let read = read(source);
            let good = read.as_ref().ok().or_else(|| kept?.good.as_ref()).cloned();
            let kept = Kept { source: source.cloned(), read, good };
            self.certificates.insert(key, kept);
        }
    }

    fn certificate(&self, key: &Key) -> (Option<Arc<Certificate>>, Option<Fault>) {
        let (kept, source) = (self.certificates.get(key), self.secrets.get(key));
        let read = kept.filter(|kept| kept.is_of(source)).map_or_else(|| read(source), |kept| kept.read.clone());
        match read {
            Ok(certificate) => (Some(certificate), None),
            Err(fault) => (kept.and_then(|kept| kept.good.clone()), Some(fault)),
        }
    }
}

impl Kept {
    fn is_of(&self, source: Option<&Arc<SecretData>>) -> bool {
        match (&self.source, source) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        }
    }
}

fn read(source: Option<&Arc<SecretData>>) -> Result<Arc<Certificate>, Fault> {
    let secret = source.ok_or(Fault::Gone)?;
    let value = |key| secret.value(key).ok_or(Fault::Without(key));
    let (chain, key) = (value(CHAIN)?, value(KEY)?);
    let bad = |fault: CertificateFault| Fault::Bad(if fault.is_of_chain() { CHAIN } else { KEY }, fault);
    Certificate::from_pem(chain, key).map(Arc::new).map_err(bad)
}

fn entries(ingress: &Ingress) -> impl Iterator<Item = (usize, &IngressTLS)> {
    ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten()).enumerate()
}

/// The Secret that an entry names; without one it is the operator's.
fn secret_of(ingress: &Key, tls: &IngressTLS) -> Option<Key> {
    let name = tls.secret_name.as_deref().filter(|name| !name.is_empty())?;
    Some(Key::new(&*ingress.namespace, name))
}

/// The certificate of each host, in order. Of several Ingresses that name a host the oldest holds it, and each goes before those whose
/// certificate alone names it. One without a certificate holds its hosts all the same: nobody takes them over while it is being repaired.
pub(crate) fn certificates(objects: &Objects, options: &Options, lowered: &mut Lowered) -> Vec<(HostMatch, Arc<Certificate>)> {
    let mut claims = Vec::new();
    let ours: Vec<_> = objects.ingresses.iter().filter(|(key, _)| lowered.findings.contains_key(key)).collect();
    for (key, ingress) in ours {
        for (nth, tls) in entries(ingress) {
            let findings = lowered.findings.entry(key.clone()).or_default();
            claim(objects, options, (key, ingress), (nth, tls), &mut claims, findings);
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

fn claim<'o>(
    objects: &Objects,
    options: &Options,
    (key, ingress): (&'o Key, &Ingress),
    (nth, tls): (usize, &IngressTLS),
    claims: &mut Vec<Claim<'o>>,
    findings: &mut Vec<Finding>,
) {
    let Some(secret) = secret_of(key, tls) else { return };
    let (certificate, fault) = objects.certificate(&secret);
    let field = format!("spec.tls[{nth}]");
    findings
        .extend(fault.and_then(|fault| finding(objects, options, &secret, fault, format!("{field}.secretName"), certificate.is_some())));
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
    let reason = match fault {
        Fault::Gone => reason::SECRET_NOT_FOUND,
        Fault::Without(_) => reason::SECRET_KEY_NOT_FOUND,
        Fault::Bad(..) => reason::INVALID_SECRET,
    };
    let what = Told { secret, fault, may_be_forbidden: !options.standalone };
    let meanwhile = if has_good { "The last good certificate serves on." } else { "Its hosts are shown the default certificate, or none." };
    Some(Finding { condition: Condition::ResolvedRefs, reason, field, message: format!("{what} {meanwhile}") })
}

struct Told<'f> {
    secret: &'f Key,
    fault: Fault,
    may_be_forbidden: bool,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, fault, may_be_forbidden } = self;
        match fault {
            Fault::Gone if *may_be_forbidden => write!(f, "Secret {secret} does not exist, or serin may not read it."),
            Fault::Gone => write!(f, "Secret {secret} does not exist."),
            Fault::Without(key) => write!(f, "Secret {secret} has no key {key}."),
            Fault::Bad(key, fault) => write!(f, "Key {key} of Secret {secret} {fault}."),
        }
    }
}

fn conflicted(claim: &Claim<'_>, holder: &Claim<'_>) -> Finding {
    let host = match &claim.host {
        HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
        HostMatch::Exact(host) => host.clone(),
        HostMatch::Any | HostMatch::Default => "*".to_owned(),
    };
    let message = if claim.ingress == holder.ingress {
        format!("TLS of host {host} is there twice, with two certificates. The first one holds.")
    } else {
        format!("TLS of host {host} is held by the older Ingress {}, with another certificate.", holder.ingress)
    };
    Finding { condition: Condition::Accepted, reason: reason::CONFLICTED, field: claim.field.clone(), message }
}
