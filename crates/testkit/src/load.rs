//! Load at a steady rate, and what came of it.
//!
//! The rate does not wait for answers: a request is due when it is due, and what an answer takes counts from then. So a proxy that
//! stalls shows in the latencies instead of making the load smaller.

mod report;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::origin::LABEL;
use report::{Answer, side};
pub use report::{Exchange, Lost, Report};

/// The response header in which serin says what it decided.
const DECISION: &str = "serin-decision";

/// Whom to load, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Connected to.
    pub target: SocketAddr,
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
    /// Connections that are kept alive. Each has one request under way, so `connections / rate` must be longer than an answer takes.
    pub connections: u64,
    /// A request that takes longer has failed.
    pub limit: Duration,
}

impl Plan {
    /// 500 requests a second of 200 users for this long, over 50 connections.
    pub fn new(target: SocketAddr, duration: Duration) -> Self {
        Self {
            target,
            host: target.to_string(),
            path: "/".into(),
            rate: 500,
            duration,
            users: 200,
            user_header: HeaderName::from_static("x-user"),
            connections: 50,
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
    ensure!(plan.rate > 0 && plan.connections > 0, "a load needs a rate and a connection");
    let schedule = Arc::new(Schedule::new(plan, over)?);
    let workers: Vec<_> = (0..plan.connections).map(|_| tokio::spawn(work(Arc::clone(&schedule)))).collect();
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
    host: HeaderValue,
    start: Instant,
    next: Mutex<u64>,
    total: u64,
    over: Arc<AtomicBool>,
    report: Mutex<Report>,
}

impl Schedule {
    fn new(plan: &Plan, over: Arc<AtomicBool>) -> Result<Self> {
        let total = plan.duration.as_millis() * u128::from(plan.rate) / 1000;
        Ok(Self {
            uri: plan.path.parse().with_context(|| format!("{:?} is no path", plan.path))?,
            host: HeaderValue::from_str(&plan.host).with_context(|| format!("{:?} is no host", plan.host))?,
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
        request.headers_mut().insert(HOST, self.host.clone());
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

/// One connection, one request after the other.
async fn work(schedule: Arc<Schedule>) {
    let mut sender = None;
    while let Some((number, due)) = schedule.take() {
        sleep_until(due).await;
        let began = Instant::now();
        let exchange = exchange(&schedule, &mut sender, schedule.request(number));
        let outcome = timeout(schedule.plan.limit, exchange).await.unwrap_or_else(|_| Err("timeout".into()));
        if outcome.is_err() {
            sender = None;
        }
        schedule.report().record(schedule.user(number), began.into_std(), due.elapsed(), outcome);
    }
}

async fn exchange(
    schedule: &Schedule,
    sender: &mut Option<SendRequest<Empty<Bytes>>>,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, String> {
    // A connection whose end was announced, or seen before anything was sent, costs nothing. One that breaks under a request does.
    let open = match sender.as_mut() {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    if !open {
        *sender = Some(connect(schedule).await.map_err(|error| format!("connect: {error}"))?);
    }
    let Some(sender) = sender else { return Err("connect: no connection".into()) };
    let response = sender.send_request(request).await.map_err(|error| format!("send: {error}"))?;
    read(response).await.map_err(|error| format!("body: {error}"))
}

async fn connect(schedule: &Schedule) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(schedule.plan.target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    schedule.report().connections += 1;
    Ok(sender)
}

/// Reads the body to its end, so that the connection can be used again.
async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut body) = response.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let text = |name: &str| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Answer { status: head.status, label: text(LABEL), side: text(DECISION).as_deref().and_then(side) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Behaviour, Origin};
    use std::net::Ipv4Addr;

    fn plan(origin: &Origin) -> Plan {
        Plan { rate: 200, users: 10, connections: 5, ..Plan::new(origin.address(), Duration::from_secs(1)) }
    }

    #[test]
    fn every_request_that_falls_due_is_sent_and_counted() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        let report = run(&plan(&origin))?;
        assert_eq!((report.sent, report.failed, origin.requests()), (200, 0, 200));
        assert_eq!(report.statuses.get(&200), Some(&200));
        assert_eq!(report.labels.get("v1"), Some(&200));
        assert_eq!((report.connections, origin.connections()), (5, 5));
        Ok(())
    }

    #[test]
    fn failures_are_counted_by_status() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        origin.behave(Behaviour { fail: "10%".parse()?, ..Behaviour::default() });
        let report = run(&plan(&origin))?;
        assert_eq!((report.failed, report.statuses.get(&503)), (20, Some(&20)));
        Ok(())
    }

    #[test]
    fn nobody_listening_is_a_failure_of_each_request() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        let plan = plan(&origin);
        drop(origin);
        let report = run(&plan)?;
        assert_eq!((report.sent, report.failed), (200, 200));
        assert!(report.failures.keys().all(|failure| failure.starts_with("connect: ")), "{:?}", report.failures);
        assert!(report.lost.len() == 200 && report.lost.iter().all(|lost| lost.began <= lost.ended), "{:?}", report.lost);
        Ok(())
    }

    #[test]
    fn a_load_in_the_background_ends_when_it_is_told_and_keeps_each_exchange() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        let began = std::time::Instant::now();
        let load = start(&Plan { duration: Duration::from_secs(3600), ..plan(&origin) });
        crate::eventually("requests come", Duration::from_secs(10), || {
            ensure!(origin.requests() > 10, "only {}", origin.requests());
            Ok(())
        })?;
        let report = load.end()?;
        assert_eq!((report.failed, report.exchanges.len() as u64), (0, report.sent));
        assert!(report.exchanges.iter().all(|e| began < e.began && e.began < e.ended && e.label.as_deref() == Some("v1")));
        Ok(())
    }

    #[test]
    fn a_load_that_ended_by_itself_was_no_load() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        let load = start(&Plan { duration: Duration::from_millis(1), ..plan(&origin) });
        crate::eventually("it is over", Duration::from_secs(10), || {
            ensure!(load.thread.is_finished(), "it goes on");
            Ok(())
        })?;
        assert!(load.end().is_err());
        Ok(())
    }

    #[test]
    fn a_stalling_origin_shows_in_the_latencies() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        origin.behave(Behaviour { delay: Duration::from_millis(200), ..Behaviour::default() });
        let report = run(&Plan { rate: 20, ..plan(&origin) })?;
        assert_eq!(report.failed, 0);
        assert!(report.latency.p50 >= 200.0, "{:?}", report.latency);
        Ok(())
    }
}
