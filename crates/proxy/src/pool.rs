//! Connections to origins, one pool a worker: nothing here is shared between threads.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// A body on its way to an origin.
pub type RequestBody = BoxBody<Bytes, hyper::Error>;

/// The limits of a worker's connections to origins.
#[derive(Debug, Clone)]
pub struct PoolLimits {
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// How many idle connections are kept for each endpoint.
    pub idle_per_endpoint: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), idle: Duration::from_secs(30), idle_per_endpoint: 2 }
    }
}

/// Why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: nothing was sent, so another endpoint may be tried with the request as it was.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where to.
        endpoint: SocketAddr,
        /// What the operating system said.
        source: io::Error,
        /// The request, whole.
        request: Box<Request<RequestBody>>,
    },
    /// The connection failed after something may have been sent.
    #[error("{endpoint} gave no response: {source}")]
    Exchange {
        /// Where to.
        endpoint: SocketAddr,
        /// What hyper said.
        source: hyper::Error,
    },
}

/// A worker's connections to origins.
#[derive(Debug, Default)]
pub struct Pool {
    limits: PoolLimits,
    idle: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self { limits, idle: RefCell::default() }
    }

    /// Sends a request to an endpoint and waits for the head of the response. The connection comes back to the pool when both bodies are done.
    ///
    /// An idle connection that the origin has closed meanwhile is passed over while nothing was sent on it.
    ///
    /// # Errors
    /// [`UpstreamError::Connect`] returns the request for another endpoint; after [`UpstreamError::Exchange`] the origin may have seen it.
    pub async fn send(
        self: &Rc<Self>,
        endpoint: SocketAddr,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        while let Some(mut sender) = self.take(endpoint) {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.give_back(endpoint, sender);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(UpstreamError::Exchange { endpoint, source: error.into_error() }),
                },
            }
        }
        let mut sender = match self.connect(endpoint).await {
            Ok(sender) => sender,
            Err(source) => return Err(UpstreamError::Connect { endpoint, source, request: Box::new(request) }),
        };
        let response = sender.send_request(request).await.map_err(|source| UpstreamError::Exchange { endpoint, source })?;
        self.give_back(endpoint, sender);
        Ok(response)
    }

    async fn connect(&self, endpoint: SocketAddr) -> io::Result<SendRequest<RequestBody>> {
        let connecting = async {
            let stream = TcpStream::connect(endpoint).await?;
            stream.set_nodelay(true)?;
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)
        };
        let (sender, connection) = timeout(self.limits.connect, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
        tokio::task::spawn_local(async move {
            // Whoever waits for a response is told of a failure; here there is nobody to tell.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn take(&self, endpoint: SocketAddr) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint)?;
        while let Some(Idle { sender, since }) = connections.pop() {
            if !sender.is_closed() && since.elapsed() < self.limits.idle {
                return Some(sender);
            }
        }
        idle.remove(&endpoint);
        None
    }

    /// Waits off the request's path until the exchange is over: a sender is ready again only after the response's body.
    fn give_back(self: &Rc<Self>, endpoint: SocketAddr, mut sender: SendRequest<RequestBody>) {
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            if sender.ready().await.is_err() {
                return;
            }
            let Some(pool) = pool.upgrade() else { return };
            let mut idle = pool.idle.borrow_mut();
            let connections = idle.entry(endpoint).or_default();
            if connections.len() < pool.limits.idle_per_endpoint {
                connections.push(Idle { sender, since: Instant::now() });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Empty};
    use std::cell::Cell;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::{LocalSet, spawn_local};

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    fn request() -> Request<RequestBody> {
        Request::post("/").header("host", "origin").body(Empty::new().map_err(|never| match never {}).boxed()).expect("a request")
    }

    /// An origin that answers `answers` requests on each connection and then closes it; counts its connections.
    async fn origin(answers: usize) -> (SocketAddr, Rc<Cell<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Rc::new(Cell::new(0));
        let count = connections.clone();
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.set(count.get() + 1);
                spawn_local(async move {
                    let mut head = [0; 4096];
                    for _ in 0..answers {
                        if stream.read(&mut head).await.unwrap_or(0) == 0 || stream.write_all(RESPONSE).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (address, connections)
    }

    async fn exchange(pool: &Rc<Pool>, endpoint: SocketAddr) {
        let response = pool.send(endpoint, request()).await.expect("a response");
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "ok");
        // The connection comes back in a task of this thread once the body is read, or is dropped because the origin closed it.
        let back = async {
            while Rc::weak_count(pool) > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), back).await.expect("the exchange ends");
    }

    fn on_a_worker(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_connection_is_used_again() {
        on_a_worker(async {
            let (endpoint, connections) = origin(usize::MAX).await;
            let pool = Rc::new(Pool::default());
            for _ in 0..5 {
                exchange(&pool, endpoint).await;
            }
            assert_eq!(connections.get(), 1);
        });
    }

    #[test]
    fn a_connection_that_the_origin_closed_is_passed_over() {
        on_a_worker(async {
            let (endpoint, connections) = origin(1).await;
            let pool = Rc::new(Pool::default());
            for _ in 0..5 {
                exchange(&pool, endpoint).await;
                let closed = async {
                    while pool.idle.borrow().values().flatten().any(|idle| !idle.sender.is_closed()) {
                        tokio::task::yield_now().await;
                    }
                };
                timeout(Duration::from_secs(10), closed).await.expect("the connection sees the origin's end");
            }
            assert_eq!(connections.get(), 5);
        });
    }

    #[test]
    fn a_request_that_found_no_connection_comes_back_whole() {
        on_a_worker(async {
            let unused = TcpListener::bind("127.0.0.1:0").await.and_then(|l| l.local_addr()).expect("a free port");
            match Rc::new(Pool::default()).send(unused, request()).await {
                Err(UpstreamError::Connect { endpoint, request, .. }) => {
                    assert_eq!((endpoint, request.method()), (unused, &http::Method::POST))
                }
                other => panic!("expected a connect error, got {other:?}"),
            }
        });
    }
}
