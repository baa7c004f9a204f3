//! The two versions of the demo's service.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// A small HTTP server on a free port, which answers its own name.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    broken: Arc<AtomicBool>,
}

impl Origin {
    pub(crate) async fn start(version: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let broken = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&broken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fails = Arc::clone(&fails);
                let service = service_fn(move |_| {
                    let answer = answer(version, fails.load(Ordering::Relaxed));
                    async move { Ok::<_, Infallible>(answer) }
                });
                // A connection that ends early is the proxy's to notice.
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, broken })
    }

    /// From now on every answer is a 500.
    pub(crate) fn fail(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

fn answer(version: &'static str, broken: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(version.as_bytes())));
    if broken {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}
