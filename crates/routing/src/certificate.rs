//! A certificate with its key, as it is shown to clients, or to an origin that asks for one.

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A chain of certificates and the key of its first one. What it holds is shown nowhere but to TLS.
#[derive(Clone, Serialize)]
pub struct Certificate {
    /// The DNS names that it is for, in lower case; `*.` may stand before one.
    pub names: Vec<String>,
    #[serde(skip)]
    key: Arc<CertifiedKey>,
}

/// Why there is no certificate to serve: the end of a sentence that names the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// Not a chain of certificates.
    Chain,
    /// Not a private key.
    Key,
    /// A key that TLS does not sign with.
    Unsupported,
    /// The key of another certificate.
    Mismatch,
}

impl Certificate {
    /// Reads a chain, the certificate of the key first, and that key: PKCS #8, PKCS #1 or SEC1, all in PEM.
    ///
    /// # Errors
    /// When one cannot be read, or they do not belong together. That the certificate has expired is no error: clients say so.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateFault> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(|_| CertificateFault::Chain)?;
        let own = chain.first().ok_or(CertificateFault::Chain)?;
        let names = names(own)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateFault::Key)?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| CertificateFault::Unsupported)?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self { names, key: Arc::new(key) }),
            Err(_) => Err(CertificateFault::Mismatch),
        }
    }

    /// Whether this is the first certificate of its chain, that of the key.
    pub fn is(&self, own: &[u8]) -> bool {
        self.key.cert.first().is_some_and(|first| first.as_ref() == own)
    }

    /// Whether it is for this host, a name or an address, as [`crate::Table::lookup`] takes it (RFC 9110, section 4.3.4).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (Ok(name), Ok(own)) = (ServerName::try_from(host), self.key.end_entity_cert()) else { return false };
        webpki::EndEntityCert::try_from(own).is_ok_and(|own| own.verify_is_valid_for_subject_name(&name).is_ok())
    }
}

fn names(own: &CertificateDer<'_>) -> Result<Vec<String>, CertificateFault> {
    let own = webpki::EndEntityCert::try_from(own).map_err(|_| CertificateFault::Chain)?;
    let mut names: Vec<_> = own.valid_dns_names().map(str::to_ascii_lowercase).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whatever name is asked for: who asked for which was decided before.
impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }
}

/// Whomever the origin believes: if it is another issuer, the origin says so.
impl ResolvesClientCert for Certificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The key belongs to the chain, so one tells both.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.key, &other.key) || self.key.cert == other.key.cert
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl CertificateFault {
    /// Whether the chain is at fault, and not the key.
    pub fn is_of_chain(self) -> bool {
        self == Self::Chain
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "is no chain of certificates in PEM, that of the key first",
            Self::Key => "is no private key in PEM",
            Self::Unsupported => "is a private key of a kind that TLS does not sign with: use RSA, ECDSA or Ed25519",
            Self::Mismatch => "is not the key of the certificate",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    fn pair(names: &[&str]) -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("a certificate");
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn certificate_covers_its_names_and_no_others() {
        let (chain, key) = pair(&["shop.example", "*.shop.example", "192.0.2.1"]);
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a certificate");
        assert_eq!(certificate.names, ["*.shop.example", "shop.example"]);
        for covered in ["shop.example", "a.shop.example", "192.0.2.1"] {
            assert!(certificate.covers(covered), "{covered}");
        }
        for other in ["other.example", "a.b.shop.example", "example", "192.0.2.2", "[2001:db8::1]", "", "*"] {
            assert!(!certificate.covers(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_certificate_with_its_key_is_refused_and_shown_nowhere() {
        let (chain, key) = pair(&["shop.example"]);
        let (_, other) = pair(&["shop.example"]);
        let fault = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes()).err();
        assert_eq!(fault("", &key), Some(CertificateFault::Chain));
        assert_eq!(fault("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key), Some(CertificateFault::Chain));
        assert_eq!(fault(&chain, ""), Some(CertificateFault::Key));
        assert_eq!(fault(&chain, &chain), Some(CertificateFault::Key));
        assert_eq!(fault(&chain, &other), Some(CertificateFault::Mismatch));
        assert_eq!(fault(&chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Some(CertificateFault::Unsupported));
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a certificate");
        assert_eq!(format!("{certificate:?}"), "Certificate { names: [\"shop.example\"], .. }");
    }
}
