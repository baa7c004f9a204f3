//! Certificates for serin to show, and clients that believe their issuer.

use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;

use crate::manifests::document;

/// Who issues certificates for names.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    client: Arc<ClientConfig>,
    /// Its own certificate, in PEM.
    pub root: String,
}

/// A certificate and its key.
pub struct Certificate {
    /// As a client is shown it.
    pub der: CertificateDer<'static>,
    /// In PEM.
    pub chain: String,
    /// In PEM.
    pub key: String,
}

impl Authority {
    /// One that nobody else knows.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key)?;
        Ok(Self { client: client(root.der())?, root: root.pem(), issuer: Issuer::new(params, key) })
    }

    /// A new certificate for these names; one may begin with `*.`.
    ///
    /// # Errors
    /// When one is no DNS name.
    pub fn certificate(&self, names: &[&str]) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        Ok(Certificate { der: certificate.der().clone(), chain: certificate.pem(), key: key.serialize_pem() })
    }

    /// A client that believes nobody else, and is shown a certificate on each connection: it takes up no session again.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

impl Certificate {
    /// The Secret that holds both.
    pub fn secret(&self, namespace: &str, name: &str) -> String {
        document(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name},
            "type": "kubernetes.io/tls", "stringData": {"tls.crt": self.chain, "tls.key": self.key}}))
    }
}

/// A client that believes this issuer.
fn client(root: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut client = versions.with_root_certificates(roots).with_no_client_auth();
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}
