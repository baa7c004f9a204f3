//! TLS to origins: whom serin believes to be who they say they are.

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serin_routing::Certificate;
use serin_routing::config::{Protocol, Tls};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{Connect, TlsConnector};

/// So many sessions with a backend that is shown a certificate are kept to be resumed: they are all for one name.
const SESSIONS: usize = 32;

/// How TLS is spoken to origins: 1.2 and 1.3, and a certificate is verified against the name that it is asked for, always.
#[derive(Clone)]
pub struct OriginTls {
    /// Offers HTTP/1.1.
    http1: Arc<ClientConfig>,
}

/// Whom a backend must show itself to be, and what is shown and offered to it. Two are one when they ask for the same.
pub(crate) struct Trust {
    name: ServerName<'static>,
    protocol: Protocol,
    issuers: Option<Arc<str>>,
    client: Option<Arc<Certificate>>,
    connector: TlsConnector,
}

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
        config.alpn_protocols = offered(Protocol::Http1);
        Ok(Self { http1: Arc::new(config) })
    }

    /// A session with this host, a name or an address.
    ///
    /// # Errors
    /// When the host is neither, or is not who it should be.
    pub async fn connect(&self, host: &str, socket: TcpStream) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::clone(&self.http1)).connect(name, socket).await
    }

    /// Whom a backend must show itself to be. `None` when its name is none, or its issuers cannot be read: then it is spoken to by nobody.
    pub(crate) fn trust(&self, tls: &Tls, protocol: Protocol) -> Option<Trust> {
        let name = ServerName::try_from(tls.name.clone()).ok()?;
        let own = match &tls.issuers {
            None => self.clone(),
            Some(pem) => {
                let issuers = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
                Self::with_roots(issuers).ok()?
            }
        };
        let mut config = own.http1;
        if protocol != Protocol::Http1 {
            Arc::make_mut(&mut config).alpn_protocols = offered(protocol);
        }
        if let Some(client) = &tls.client {
            let config = Arc::make_mut(&mut config);
            config.client_auth_cert_resolver = Arc::<Certificate>::clone(client);
            // The origin takes a session that is resumed for that of the certificate by which it began: nobody else may resume it.
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
        }
        Some(Trust { name, protocol, issuers: tls.issuers.clone(), client: tls.client.clone(), connector: config.into() })
    }
}

impl Trust {
    /// The same by HTTP/1.1.
    pub(crate) fn by_http1(&self) -> Self {
        let mut config = Arc::clone(self.connector.config());
        Arc::make_mut(&mut config).alpn_protocols = offered(Protocol::Http1);
        let (name, issuers, client) = (self.name.clone(), self.issuers.clone(), self.client.clone());
        Self { name, protocol: Protocol::Http1, issuers, client, connector: config.into() }
    }

    pub(crate) fn connect(&self, socket: TcpStream) -> Connect<TcpStream> {
        self.connector.connect(self.name.clone(), socket)
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.protocol, &self.issuers, &self.client) == (&other.name, other.protocol, &other.issuers, &other.client)
    }
}

impl Eq for Trust {}

impl Hash for Trust {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two that differ only by issuers and certificates are rare, and the text of those is long.
        self.name.hash(state);
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("name", &self.name).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// What is offered by ALPN (RFC 7301).
fn offered(protocol: Protocol) -> Vec<Vec<u8>> {
    let names: &[&[u8]] = match protocol {
        Protocol::Http1 => &[b"http/1.1"],
        Protocol::Http2 => &[b"h2"],
        Protocol::Negotiated => &[b"h2", b"http/1.1"],
    };
    names.iter().map(|name| name.to_vec()).collect()
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
