//! Connections to origins, one pool a worker. Only the numbers of open ones are shared, and touched when one opens or closes.

use crate::body::RequestBody;
use crate::failure::Failure;
use crate::io::{Exchange, OriginIo};
use crate::settings::{Limits, Timeouts};
use http::{Method, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// After this long a connection counts as idle, not as between two requests.
const UNUSED: Duration = Duration::from_secs(1);

/// How many connections to each endpoint are open, over all workers.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections(Mutex<HashMap<SocketAddr, usize>>);

/// A worker's connections to origins.
#[derive(Debug)]
pub(crate) struct Pool {
    timeouts: Timeouts,
    limits: Limits,
    open: Arc<OpenConnections>,
    idle: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
    made: Cell<u64>,
}

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    /// The request, whole, if nothing of it was sent.
    pub(crate) unsent: Option<Request<RequestBody>>,
}

/// A connection while its response is read. It goes back to the pool when that is done, and is closed when it is dropped before.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Rc<Pool>,
    line: Line,
}

#[derive(Debug)]
struct Line {
    endpoint: SocketAddr,
    sender: SendRequest<RequestBody>,
    exchange: Rc<Exchange>,
}

#[derive(Debug)]
struct Idle {
    line: Line,
    since: Instant,
    until: Instant,
}

/// One of the open connections to an endpoint.
#[derive(Debug)]
struct Permit {
    open: Arc<OpenConnections>,
    endpoint: SocketAddr,
}

impl OpenConnections {
    fn permit(self: &Arc<Self>, endpoint: SocketAddr, limit: usize) -> Option<Permit> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(endpoint).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Permit { open: Arc::clone(self), endpoint })
    }

    /// How many are open to all endpoints together.
    pub(crate) fn total(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.endpoint);
            }
        }
    }
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(timeouts: Timeouts, limits: Limits, open: Arc<OpenConnections>) -> Self {
        Self { timeouts, limits, open, idle: RefCell::default(), made: Cell::default() }
    }

    /// Sends a request to an endpoint and waits for the head of the response.
    ///
    /// An idle connection that the origin has closed meanwhile is passed over while nothing was sent on it.
    pub(crate) async fn send(
        self: &Rc<Self>,
        endpoint: SocketAddr,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Unanswered> {
        loop {
            let (mut line, reused) = match self.take(endpoint) {
                Some(line) => (line, true),
                None => match self.connect(endpoint).await {
                    Ok(line) => (line, false),
                    Err(failure) => return Err(Unanswered { failure, unsent: Some(request) }),
                },
            };
            let again = if reused { repeatable(&request) } else { None };
            line.exchange.begin(request.method() == Method::HEAD, request.body().upload());
            let mut error = match line.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease { pool: Rc::clone(self), line })),
                Err(error) => error,
            };
            // The origin may close a connection that it thinks idle while a request is on its way to it.
            let closed_idle = reused && !line.exchange.answered() && line.exchange.fault().is_none();
            match (error.take_message(), again) {
                (Some(unsent), _) if reused => request = unsent,
                (None, Some(again)) if closed_idle => request = again,
                (unsent, _) => {
                    let failure = line.exchange.fault().map_or(Failure::OriginReset, Failure::from);
                    return Err(Unanswered { failure, unsent });
                }
            }
        }
    }

    async fn connect(&self, endpoint: SocketAddr) -> Result<Line, Failure> {
        let permit = self.open.permit(endpoint, self.limits.connections_per_endpoint).ok_or(Failure::EndpointBusy)?;
        let connecting = timeout(self.timeouts.connect, TcpStream::connect(endpoint)).await;
        let stream = connecting.map_err(|_| Failure::ConnectTimeout)?.map_err(connect_failure)?;
        stream.set_nodelay(true).map_err(connect_failure)?;
        let exchange = Rc::new(Exchange::default());
        let io = OriginIo::new(stream, Rc::clone(&exchange), self.timeouts, self.limits.head);
        let (sender, connection) = handshake(TokioIo::new(io)).await.map_err(|_| Failure::Connect)?;
        tokio::task::spawn_local(async move {
            // Whoever waits for a response is told of a failure; here there is nobody to tell.
            let _ = connection.await;
            drop(permit);
        });
        Ok(Line { endpoint, sender, exchange })
    }

    fn take(&self, endpoint: SocketAddr) -> Option<Line> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint)?;
        while let Some(Idle { line, .. }) = connections.pop() {
            if line.is_usable() {
                return Some(line);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    fn keep(&self, line: Line) {
        let since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(line.endpoint).or_default();
        if line.is_usable() {
            connections.push(Idle { line, since, until: since + self.lifetime() });
        }
    }

    /// Up to an eighth less than asked for, so that connections that were made together are not closed together.
    fn lifetime(&self) -> Duration {
        let made = self.made.get().wrapping_add(1);
        self.made.set(made);
        let sixteenths = (made.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u32;
        self.timeouts.pool_idle - self.timeouts.pool_idle / 128 * sixteenths
    }

    /// Closes what was idle for too long, for as long as the pool lives. The limit of idle ones counts only those that were not used for
    /// a while: under load as many are idle for a moment as there are clients, and closing those would make them anew for each request.
    pub(crate) async fn close_idle(self: Rc<Self>) {
        let pool = Rc::downgrade(&self);
        drop(self);
        while let Some(pool) = pool.upgrade() {
            let now = Instant::now();
            pool.idle.borrow_mut().retain(|_, connections| {
                connections.retain(|idle| idle.until > now && idle.line.is_usable());
                let surplus = connections.len().saturating_sub(pool.limits.idle_per_endpoint);
                let unused = connections.iter().take(surplus).take_while(|idle| now.duration_since(idle.since) > UNUSED).count();
                connections.drain(..unused);
                !connections.is_empty()
            });
            let pause = (pool.timeouts.pool_idle / 16).clamp(Duration::from_millis(10), Duration::from_secs(1));
            drop(pool);
            tokio::time::sleep(pause).await;
        }
    }
}

impl Line {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.exchange.fault().is_none()
    }
}

impl Lease {
    /// What is wrong with the origin, after its body ended in an error.
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.line.exchange.fault().map(Failure::from)
    }

    /// The response was read to its end. Usually hyper is ready for the next request at once; while the request's body is still on its
    /// way, or when hyper has not come to it, that is waited for off the request's path.
    pub(crate) fn done(self) {
        let Self { pool, mut line } = self;
        if line.sender.is_ready() {
            pool.keep(line);
            return;
        }
        tokio::task::spawn_local(async move {
            if line.sender.ready().await.is_ok() {
                pool.keep(line);
            }
        });
    }
}

fn connect_failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut { Failure::ConnectTimeout } else { Failure::Connect }
}

/// A copy of a request that may be sent twice: its method is idempotent and it has no body (RFC 9110, section 9.2.2).
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(RequestBody::none());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    again.headers_mut().clone_from(request.headers());
    Some(again)
}
