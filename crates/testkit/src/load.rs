//! Load at a steady rate, and what came of it.
//!
//! The rate does not wait for answers: a request is due when it is due, and what an answer takes counts from then. So a proxy that
//! stalls shows in the latencies instead of making the load smaller.

mod connection;
mod report;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use http_body_util::Empty;
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until, timeout};

use connection::Connection;
pub use report::{Exchange, Lost, Report};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: agreed on by TLS, begun with without it.
    Http2,
}

/// Whom to load, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Connected to.
    pub target: SocketAddr,
    /// The protocol of each connection.
    pub protocol: Protocol,
    /// By TLS, and whom a client believes; it asks for the plan's host, and takes up its sessions again.
    pub tls: Option<Arc<ClientConfig>>,
    /// The `Host` of each request.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Requests a second.
    pub rate: u32,
    /// For how long requests fall due.
    pub duration: Duration,
    /// Identities that take turns, named `user-0` and so on; 0 for none.
    pub users: u64,
    /// The request header that carries the identity.
    pub user_header: HeaderName,
    /// Connections that are kept alive.
    pub connections: u64,
    /// Requests that may be under way on each; one by HTTP/1.1. `connections * streams / rate` must be longer than an answer takes.
    pub streams: u64,
    /// A connection is closed after each answer, so each request has a handshake of its own.
    pub fresh: bool,
    /// A request that takes longer has failed.
    pub limit: Duration,
}

impl Plan {
    /// 500 requests a second of 200 users for this long, over 50 connections by HTTP/1.1 without TLS.
    pub fn new(target: SocketAddr, duration: Duration) -> Self {
        Self {
            target,
            protocol: Protocol::Http1,
            tls: None,
            host: target.to_string(),
            path: "/".into(),
            rate: 500,
            duration,
            users: 200,
            user_header: HeaderName::from_static("x-user"),
            connections: 50,
            streams: 1,
            fresh: false,
            limit: Duration::from_secs(10),
        }
    }
}

/// Sends the load from a runtime of its own and waits for the last answer.
///
/// # Errors
/// When the plan cannot be sent at all; failed requests are in the report.
pub fn run(plan: &Plan) -> Result<Report> {
    run_until(plan, Arc::default())
}

/// A load in the background, for as long as a test needs it.
pub struct Load {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Report>>,
}

/// Begins the load; no request falls due after [`Load::end`], and none after the plan's duration.
pub fn start(plan: &Plan) -> Load {
    let (plan, over) = (plan.clone(), Arc::<AtomicBool>::default());
    let ends = Arc::clone(&over);
    Load { over, thread: std::thread::spawn(move || run_until(&plan, ends)) }
}

impl Load {
    /// Waits for the last answer.
    ///
    /// # Errors
    /// Those of [`run`], and when the load was over before.
    pub fn end(self) -> Result<Report> {
        ensure!(!self.thread.is_finished(), "the load was over before what it was to go beside");
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    }
}

fn run_until(plan: &Plan, over: Arc<AtomicBool>) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(drive_until(plan, over))
}

/// [`run`] on the caller's runtime.
///
/// # Errors
/// Those of [`run`].
pub async fn drive(plan: &Plan) -> Result<Report> {
    drive_until(plan, Arc::default()).await
}

async fn drive_until(plan: &Plan, over: Arc<AtomicBool>) -> Result<Report> {
    ensure!(plan.rate > 0 && plan.connections > 0 && plan.streams > 0, "a load needs a rate, a connection and a stream");
    ensure!(plan.streams == 1 || plan.protocol == Protocol::Http2, "by HTTP/1.1 a connection has one request under way");
    let schedule = Arc::new(Schedule::new(plan, over)?);
    let connections = (0..plan.connections).flat_map(|_| std::iter::repeat_n(Arc::<Connection>::default(), plan.streams as usize));
    let workers: Vec<_> = connections.map(|connection| tokio::spawn(work(Arc::clone(&schedule), connection))).collect();
    for worker in workers {
        worker.await.context("a connection's task panicked")?;
    }
    let seconds = schedule.start.elapsed().as_secs_f64();
    let report = std::mem::take(&mut *schedule.report());
    Ok(report.closed(seconds))
}

/// Who sends what, and when.
struct Schedule {
    plan: Plan,
    uri: Uri,
    /// By HTTP/1.1; by HTTP/2 the URI has it.
    host: Option<HeaderValue>,
    tls: Option<Arc<ClientConfig>>,
    start: Instant,
    next: Mutex<u64>,
    total: u64,
    over: Arc<AtomicBool>,
    report: Mutex<Report>,
}

impl Schedule {
    fn new(plan: &Plan, over: Arc<AtomicBool>) -> Result<Self> {
        let total = plan.duration.as_millis() * u128::from(plan.rate) / 1000;
        let host = HeaderValue::from_str(&plan.host).with_context(|| format!("{:?} is no host", plan.host))?;
        let (origin, host) = match plan.protocol {
            Protocol::Http1 => (String::new(), Some(host)),
            Protocol::Http2 => (format!("{}://{}", if plan.tls.is_some() { "https" } else { "http" }, plan.host), None),
        };
        Ok(Self {
            uri: format!("{origin}{}", plan.path).parse().with_context(|| format!("{:?} is no path", plan.path))?,
            host,
            tls: plan.tls.as_ref().map(|tls| connection::client(tls, plan.protocol)),
            start: Instant::now(),
            next: Mutex::new(0),
            total: u64::try_from(total).context("the load is too long")?,
            over,
            report: Mutex::default(),
            plan: plan.clone(),
        })
    }

    /// The next request's number and when it is due.
    fn take(&self) -> Option<(u64, Instant)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        (number < self.total && !self.over.load(Ordering::Relaxed)).then(|| {
            *next += 1;
            (number, self.start + Duration::from_nanos(number * 1_000_000_000 / u64::from(self.plan.rate)))
        })
    }

    fn user(&self, number: u64) -> Option<u64> {
        (self.plan.users > 0).then(|| number % self.plan.users)
    }

    fn request(&self, number: u64) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.uri.clone();
        match &self.host {
            Some(host) => drop(request.headers_mut().insert(HOST, host.clone())),
            None => *request.version_mut() = Version::HTTP_2,
        }
        if let Some(user) = self.user(number) {
            let name = HeaderValue::from_str(&format!("user-{user}")).expect("letters and digits can stand in a header");
            request.headers_mut().insert(self.plan.user_header.clone(), name);
        }
        request
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request after the other, beside the connection's other streams.
async fn work(schedule: Arc<Schedule>, connection: Arc<Connection>) {
    while let Some((number, due)) = schedule.take() {
        sleep_until(due).await;
        let began = Instant::now();
        let exchange = connection.exchange(&schedule, number);
        let outcome = match timeout(schedule.plan.limit, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => {
                connection.abandon().await;
                Err("timeout".into())
            }
        };
        schedule.report().record(schedule.user(number), began.into_std(), due.elapsed(), outcome);
    }
}
