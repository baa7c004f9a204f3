//! TLS to origins: whom serin believes to be who they say they are.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How TLS is spoken to origins: 1.2 and 1.3, and a certificate is verified against the name that it is asked for, always.
#[derive(Clone)]
pub struct OriginTls(TlsConnector);

impl OriginTls {
    /// Believes those whose certificates these issued. With none it believes nobody.
    ///
    /// # Errors
    /// When one is no certificate of an issuer.
    pub fn with_roots(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> io::Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Self::of(store)
    }

    /// Believes those that this system believes, as SSL_CERT_FILE and SSL_CERT_DIR say or where it keeps them, and beside them the issuers in
    /// this PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds none.
    pub fn of_system(beside: Option<&Path>) -> io::Result<Self> {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificates of the system cannot be read");
        }
        // A system may keep some that nobody can use.
        store.add_parsable_certificates(found.certs);
        if let Some(path) = beside {
            let bad = |error: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
            let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
            let roots = read.collect::<Result<Vec<_>, _>>().map_err(|error| bad(error.to_string()))?;
            if roots.is_empty() {
                return Err(bad("it holds no certificate in PEM".to_owned()));
            }
            for root in roots {
                store.add(root).map_err(|error| bad(error.to_string()))?;
            }
        }
        Self::of(store)
    }

    fn of(roots: RootCertStore) -> io::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// A session with this host, a name or an address.
    ///
    /// # Errors
    /// When the host is neither, or is not who it should be.
    pub async fn connect(&self, host: &str, socket: TcpStream) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, socket).await
    }

    pub(crate) fn connector(&self) -> &TlsConnector {
        &self.0
    }
}

impl Default for OriginTls {
    /// Believes nobody.
    fn default() -> Self {
        Self::of(RootCertStore::empty()).expect("aws-lc-rs has what TLS 1.2 and 1.3 ask for")
    }
}

impl std::fmt::Debug for OriginTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OriginTls").finish_non_exhaustive()
    }
}
