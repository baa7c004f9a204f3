//! TLS towards clients: who is spoken for on a connection.

use crate::io::ClientStream;
use crate::worker::Worker;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::Acceptor;
use serin_routing::Certificate;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// A fatal alert `unrecognized_name` (RFC 6066, section 3), as a record of its own: rustls has no way to send it.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// The name of HTTP/2 (RFC 9113, section 3.2).
const H2: &[u8] = b"h2";

/// What is agreed on with each client, but for the certificate.
#[derive(Clone)]
pub(crate) struct ClientTls(Arc<ServerConfig>);

/// For whom a connection speaks.
#[derive(Debug)]
pub(crate) struct Session {
    /// The host that the client asked for, in lower case.
    name: Option<Box<str>>,
    certificate: Arc<Certificate>,
}

/// A socket that counts what goes out.
#[derive(Debug)]
pub(crate) struct Counted {
    socket: TcpStream,
    written: u64,
}

/// Why there is no TLS on a connection: the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSession(pub(crate) &'static str);

impl ClientTls {
    /// # Errors
    /// When there are no random numbers for the keys of tickets.
    pub(crate) fn new() -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
        // Each connection gets its certificate once it said which host it is for.
        let none = Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
        let mut config = versions.with_no_client_auth().with_cert_resolver(none);
        config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
        // The best that both know, and not what the client likes best.
        config.ignore_client_order = true;
        // The same for all workers: a client comes back to any of them.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
        config.send_tls13_tickets = 1;
        Ok(Self(Arc::new(config)))
    }

    fn with(&self, certificate: &Arc<Certificate>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.0);
        config.cert_resolver = Arc::<Certificate>::clone(certificate);
        Arc::new(config)
    }
}

/// Agrees on TLS with a client. The certificate is the one that is served at this moment for the host that it asks for.
pub(crate) async fn accept(
    worker: &Worker,
    tls: &ClientTls,
    socket: TcpStream,
    limit: Instant,
) -> Result<(TlsStream<Counted>, Session), NoSession> {
    let agreed = timeout_at(limit, async {
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), Counted { socket, written: 0 });
        let mut start = (&mut acceptor).await.map_err(|_| NoSession("client-tls"))?;
        let name = start.client_hello().server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase().into_boxed_str());
        let certificate = worker.view().table.certificate(name.as_deref()).cloned();
        let Some(certificate) = certificate else {
            // It goes the way of the connection: nobody waits for it.
            let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
            let _ = start.io.shutdown().await;
            return Err(NoSession("client-tls-name"));
        };
        let stream = start.into_stream(tls.with(&certificate)).await.map_err(|_| NoSession("client-tls"))?;
        Ok((stream, Session { name, certificate }))
    });
    agreed.await.unwrap_or(Err(NoSession("client-tls-timeout")))
}

/// Whether HTTP/2 was agreed on (RFC 7301).
pub(crate) fn is_http2(stream: &TlsStream<Counted>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}

impl Session {
    /// Whether a request for this host (lower case, without port and trailing dot) belongs here: it is the one that the client asked for, or
    /// the certificate is for it too (RFC 9110, section 7.4). Who names none, in HTTP/1.0, means the host that he asked for.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        host.is_empty() || self.name.as_deref() == Some(host) || self.certificate.covers(host)
    }
}

impl ClientStream for TlsStream<Counted> {
    fn written(&self) -> u64 {
        self.get_ref().0.written
    }

    fn has_arrived(&self) -> bool {
        self.get_ref().0.socket.has_arrived()
    }
}

impl Counted {
    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = &written {
            self.written += *length as u64;
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}
