//! Connections to origins, one pool a worker. Only the numbers of open ones are shared, and touched when one opens or closes.

mod shared;

use crate::failure::Failure;
use crate::listener;
use crate::origin::{Answer, Connection, Http1Answer, Stream, Upload};
use crate::origin_tls::Trust;
use crate::settings::{Limits, Settings, Timeouts};
use foldhash::fast::RandomState;
use http::Response;
use serin_routing::config::Protocol;
use serin_routing::upstream::Upstream;
use shared::{Found, Shared};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// So often a request is sent again to an origin that did nothing for it, before another endpoint gets it.
const REFUSALS: usize = 2;
/// After this long a connection counts as idle, not as between two requests. Twice the longest time between two looks at the clock.
const UNUSED: Duration = Duration::from_secs(2);

/// How many connections to each endpoint are open, over all workers.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections(Mutex<HashMap<SocketAddr, usize>>);

/// A worker's connections to origins.
#[derive(Debug)]
pub(crate) struct Pool {
    timeouts: Timeouts,
    limits: Limits,
    open: Arc<OpenConnections>,
    idle: RefCell<HashMap<Endpoint, Vec<Idle>, RandomState>>,
    shared: RefCell<HashMap<Endpoint, Shared, RandomState>>,
    made: Cell<u64>,
    /// When idle connections were looked through last. That is near enough to tell how long one is idle, and costs no look at the clock.
    now: Cell<Instant>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
    until: Instant,
}

/// Where a connection goes. One that was verified for a name is nobody's who asks for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    /// Who it must be; none without TLS.
    pub(crate) tls: Option<Rc<Trust>>,
}

/// How a backend is spoken to: by the policy of its Service, else as the operator has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    timeouts: Timeouts,
    /// Open connections to an endpoint, over all workers.
    connections: usize,
}

/// One of the open connections to an endpoint.
#[derive(Debug)]
pub(crate) struct Permit {
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
        Self {
            timeouts,
            limits,
            open,
            idle: RefCell::default(),
            shared: RefCell::default(),
            made: Cell::default(),
            now: Cell::new(Instant::now()),
        }
    }

    /// Sends a request to an endpoint and waits for the head of the response.
    ///
    /// An idle connection that the origin has closed meanwhile is passed over: while nothing was sent on it, and for a request that may be
    /// sent twice while nothing was answered, since an origin may close what it thinks idle with a request on its way to it.
    ///
    /// `may_repeat` is asked before something is sent a second time that an origin may have got.
    pub(crate) async fn send(
        self: &Rc<Self>,
        endpoint: &Endpoint,
        terms: &Terms,
        upload: &mut Upload,
        may_repeat: impl Fn() -> bool,
    ) -> Result<Response<Answer>, Failure> {
        let may_begin_anew = |upload: &Upload| upload.may_begin_anew() && (upload.written() == 0 || may_repeat());
        let mut refusals = 0;
        loop {
            let (mut connection, reused) = match self.find(endpoint, terms).await? {
                (Found::Http1(connection), reused) => (connection, reused),
                (Found::Http2(connection), reused) => match connection.ask(upload, &terms.timeouts).await {
                    Ok((parts, answer)) => return Ok(Response::from_parts(parts, Answer::Http2(Box::new(answer)))),
                    Err(Failure::OriginReset) if reused && refusals < REFUSALS && may_begin_anew(upload) => {
                        upload.begin_anew();
                        refusals += 1;
                        continue;
                    }
                    Err(failure) => return Err(failure),
                },
            };
            connection.set_timeouts(terms.timeouts);
            match connection.ask(upload).await {
                Ok((parts, head)) if head.upgrade => return Ok(Response::from_parts(parts, Answer::Upgraded(connection))),
                Ok((parts, head)) => {
                    let answer = Http1Answer::new(Rc::clone(self), connection, upload, &head);
                    return Ok(Response::from_parts(parts, Answer::Http1(answer)));
                }
                Err(Failure::OriginReset) if reused && may_begin_anew(upload) => upload.begin_anew(),
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn connect(&self, endpoint: &Endpoint, terms: &Terms) -> Result<Box<Connection>, Failure> {
        let (stream, permit) = self.open(endpoint, terms).await?;
        Ok(Box::new(Connection::new(endpoint.clone(), stream, terms.timeouts, self.limits.head, permit)))
    }

    async fn open(&self, endpoint: &Endpoint, terms: &Terms) -> Result<(Stream, Permit), Failure> {
        let permit = self.open.permit(endpoint.address, terms.connections).ok_or(Failure::EndpointBusy)?;
        let connecting = timeout(terms.timeouts.connect, TcpStream::connect(endpoint.address)).await;
        let socket = connecting.map_err(|_| Failure::ConnectTimeout)?.map_err(connect_failure)?;
        socket.set_nodelay(true).map_err(connect_failure)?;
        listener::keep_asking(&socket);
        let stream = match &endpoint.tls {
            None => Stream::Plain(socket),
            Some(trust) => {
                let shaking = timeout(terms.timeouts.handshake, trust.connect(socket)).await;
                let shaken = shaking.map_err(|_| Failure::HandshakeTimeout)?;
                Stream::Tls(Box::new(shaken.map_err(|error| handshake_failure(endpoint, &error))?))
            }
        };
        Ok((stream, permit))
    }

    fn take(&self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(endpoint)?;
        while let Some(Idle { connection, .. }) = connections.pop() {
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, connection: Box<Connection>) {
        let since = self.now.get();
        let idle = Idle { since, until: since + self.lifetime(), connection };
        self.idle.borrow_mut().entry(idle.connection.endpoint.clone()).or_default().push(idle);
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
            pool.now.set(now);
            pool.idle.borrow_mut().retain(|_, connections| {
                connections.retain(|idle| idle.until > now && idle.connection.is_quiet());
                let surplus = connections.len().saturating_sub(pool.limits.idle_per_endpoint);
                let unused = connections.iter().take(surplus).take_while(|idle| now.duration_since(idle.since) > UNUSED).count();
                connections.drain(..unused);
                !connections.is_empty()
            });
            pool.shared.borrow_mut().retain(|_, shared| shared.close_idle(now, pool.timeouts.pool_idle));
            let pause = (pool.timeouts.pool_idle / 16).clamp(Duration::from_millis(10), Duration::from_secs(1));
            drop(pool);
            tokio::time::sleep(pause).await;
        }
    }
}

impl Terms {
    pub(crate) fn new(settings: &Settings, upstream: Option<&Upstream>) -> Self {
        let mut timeouts = settings.timeouts;
        let Some(upstream) = upstream else { return Self { timeouts, connections: settings.limits.connections_per_endpoint } };
        let own = upstream.timeouts;
        timeouts.connect = own.connect.unwrap_or(timeouts.connect);
        timeouts.handshake = own.connect.unwrap_or(timeouts.handshake);
        timeouts.first_byte = own.response.unwrap_or(timeouts.first_byte);
        timeouts.origin_idle = own.idle.unwrap_or(timeouts.origin_idle);
        Self { timeouts, connections: upstream.max_connections.unwrap_or(settings.limits.connections_per_endpoint) }
    }

    /// For a question of serin's own that takes no longer than this.
    pub(crate) fn within(limit: Duration, settings: &Settings) -> Self {
        let timeouts = Timeouts { connect: limit, handshake: limit, first_byte: limit, origin_idle: limit, ..settings.timeouts };
        Self { timeouts, connections: usize::MAX }
    }
}

fn connect_failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut { Failure::ConnectTimeout } else { Failure::Connect }
}

/// A certificate that is not the host's is told apart: it is the operator's to cure, or somebody sits between.
fn handshake_failure(endpoint: &Endpoint, error: &io::Error) -> Failure {
    tracing::debug!(address = %endpoint.address, to = ?endpoint.tls, %error, "the TLS handshake with the backend failed");
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    if matches!(cause, Some(rustls::Error::InvalidCertificate(_))) { Failure::Certificate } else { Failure::Handshake }
}
