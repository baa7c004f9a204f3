//! Certificates that Secrets hold, and the last good one of each.

use crate::auth::SecretData;
use crate::{Key, Objects, Options};
use serin_api::reason;
use serin_routing::{Certificate, CertificateFault};
use std::fmt;
use std::sync::Arc;

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
/// What a Secret of type kubernetes.io/tls has.
pub(crate) const KEYS: [&str; 2] = [CHAIN, KEY];

/// A certificate that was read of a Secret, and the last one that could be.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    source: Option<Arc<SecretData>>,
    read: Result<Arc<Certificate>, Fault>,
    good: Option<Arc<Certificate>>,
}

/// Why a Secret gives no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is none of this name.
    Gone,
    /// It does not have this key.
    Without(&'static str),
    /// This key of it is bad.
    Bad(&'static str, CertificateFault),
}

/// What is wrong with a Secret, in a sentence without anything that it holds.
pub(crate) struct Told<'f> {
    pub(crate) secret: &'f Key,
    pub(crate) fault: Fault,
    pub(crate) may_be_forbidden: bool,
}

impl Objects {
    /// Reads what is new of the certificates that are asked for, and keeps of each the last one that could be read: while its Secret is
    /// gone or broken that serves on to clients. To be called before [`crate::compile()`].
    pub fn keep_certificates(&mut self, options: &Options) {
        let of_policies = self.policies.iter().filter_map(|(key, policy)| Some(Key::new(&*key.namespace, policy.client_certificate()?)));
        let mut asked = self.certificate_secrets(options);
        asked.extend(of_policies);
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

    /// The certificate of a Secret, or the last good one and what is wrong now.
    pub(crate) fn certificate(&self, key: &Key) -> (Option<Arc<Certificate>>, Option<Fault>) {
        match self.current_certificate(key) {
            Ok(certificate) => (Some(certificate), None),
            Err(fault) => (self.certificates.get(key).and_then(|kept| kept.good.clone()), Some(fault)),
        }
    }

    /// The certificate of a Secret as it is now.
    pub(crate) fn current_certificate(&self, key: &Key) -> Result<Arc<Certificate>, Fault> {
        let (kept, source) = (self.certificates.get(key), self.secrets.get(key));
        kept.filter(|kept| kept.is_of(source)).map_or_else(|| read(source), |kept| kept.read.clone())
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

impl Fault {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Gone => reason::SECRET_NOT_FOUND,
            Self::Without(_) => reason::SECRET_KEY_NOT_FOUND,
            Self::Bad(..) => reason::INVALID_SECRET,
        }
    }
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
