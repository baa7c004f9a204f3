//! Active health checks: each replica asks each endpoint, whichever worker serves it. On a thread of its own, so that a worker never waits for
//! them and a busy one never makes them late.

use crate::balance::{Group, Groups, PolicyState, State};
use crate::origin::Upload;
use crate::pool::{Endpoint, OpenConnections, Pool, Terms};
use crate::settings::Settings;
use http::{Request, Version, header};
use serin_routing::config::{Protocol, Tls};
use serin_routing::upstream::ActiveCheck;
use serin_routing::{Backend, Table};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle as Task;
use tokio::time::{sleep, timeout};

/// By whom endpoints are asked.
const AGENT: &str = "serin-health";

/// Whoever asks endpoints whether they are healthy.
#[derive(Debug)]
pub(crate) struct Prober {
    /// Told of every table, for as long as it lives.
    mailbox: Option<UnboundedSender<Vec<Probe>>>,
    thread: Option<JoinHandle<()>>,
    /// Whether there is anybody to ask.
    is_busy: AtomicBool,
}

/// One endpoint that is asked.
#[derive(Debug, Clone)]
struct Probe {
    /// The policy, `namespace/name`.
    policy: String,
    address: SocketAddr,
    host: String,
    protocol: Protocol,
    tls: Option<Tls>,
    check: ActiveCheck,
    state: Arc<State>,
    counts: Arc<PolicyState>,
}

/// An endpoint that is being asked, until this is dropped.
struct Running {
    probe: Probe,
    task: Task<()>,
}

impl Prober {
    /// Starts its thread.
    ///
    /// # Errors
    /// When that cannot be started.
    pub(crate) fn start(settings: Arc<Settings>) -> io::Result<Self> {
        let (mailbox, messages) = unbounded_channel();
        let thread = Builder::new().name("serin-health".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(probe_all(settings, messages)),
                Err(error) => tracing::error!(%error, "active health checks cannot be made"),
            }
        })?;
        Ok(Self { mailbox: Some(mailbox), thread: Some(thread), is_busy: AtomicBool::default() })
    }

    /// Asks the ready endpoints of this table from now on, and no others.
    pub(crate) fn watch(&self, table: &Table, groups: &Groups) {
        let groups = groups.iter().zip(table.backends());
        let probes: Vec<_> = groups.flat_map(|(group, backend)| group.iter().flat_map(|group| probes(backend, group))).collect();
        let is_busy = !probes.is_empty();
        if (self.is_busy.swap(is_busy, Relaxed) || is_busy)
            && let Some(mailbox) = &self.mailbox
        {
            // A thread that has ended has said why.
            let _ = mailbox.send(probes);
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.mailbox.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of active health checks panicked");
        }
    }
}

fn probes(backend: &Backend, group: &Group) -> Vec<Probe> {
    let Some(check) = &group.upstream.active else { return Vec::new() };
    let probe = |(address, state): (&SocketAddr, &Arc<State>)| Probe {
        policy: format!("{}/{}", group.upstream.namespace, group.upstream.name),
        address: *address,
        // As a kubelet asks.
        host: backend.host.clone().unwrap_or_else(|| address.to_string()),
        protocol: backend.protocol,
        tls: backend.tls.clone(),
        check: check.clone(),
        state: Arc::clone(state),
        counts: Arc::clone(&group.policy),
    };
    backend.ready.iter().zip(&group.states).map(probe).collect()
}

/// Holds a task for each endpoint of the last table.
async fn probe_all(settings: Arc<Settings>, mut messages: UnboundedReceiver<Vec<Probe>>) {
    // Its connections are none of those that requests may have.
    let open = Arc::<OpenConnections>::default();
    let pool = Rc::new(Pool::new(settings.timeouts, settings.limits, open));
    tokio::task::spawn_local(Rc::clone(&pool).close_idle());
    let mut running: HashMap<(String, SocketAddr), Running> = HashMap::new();
    while let Some(probes) = messages.recv().await {
        let mut next = HashMap::new();
        for probe in probes {
            let key = (probe.policy.clone(), probe.address);
            if next.contains_key(&key) {
                continue;
            }
            let kept = running.remove(&key).filter(|running| running.probe == probe);
            let begin = || {
                let task = tokio::task::spawn_local(ask_on(Rc::clone(&pool), Arc::clone(&settings), probe.clone()));
                Running { probe: probe.clone(), task }
            };
            next.insert(key, kept.unwrap_or_else(begin));
        }
        running = next;
    }
}

/// Asks one endpoint for as long as it is in the table.
async fn ask_on(pool: Rc<Pool>, settings: Arc<Settings>, probe: Probe) {
    let Some(asked) = Asked::new(&probe, &settings) else { return };
    // Not all at once.
    let sixteenths = u32::try_from(probe.state.hash >> 60).unwrap_or(0);
    sleep(probe.check.interval / 16 * sixteenths).await;
    // What is against what is known, in a row.
    let mut against = 0;
    loop {
        let is_good = ask(&pool, &asked, &probe.check).await;
        let count = if is_good { &probe.counts.passed } else { &probe.counts.failed };
        count.fetch_add(1, Relaxed);
        let is_down = probe.state.is_down();
        against = if is_good == is_down { against + 1 } else { 0 };
        if against >= if is_down { probe.check.healthy_threshold } else { probe.check.unhealthy_threshold } {
            against = 0;
            probe.state.set_down(!is_down);
            let health = if is_down { "healthy again" } else { "unhealthy" };
            tracing::info!(policy = probe.policy, address = %probe.address, "the endpoint is {health} by its active checks");
        }
        sleep(probe.check.interval).await;
    }
}

/// Where a question goes, and what it is.
struct Asked {
    endpoint: Endpoint,
    terms: Terms,
    head: Vec<u8>,
    /// The same for an endpoint that speaks HTTP/2.
    fields: Request<()>,
}

impl Asked {
    fn new(probe: &Probe, settings: &Settings) -> Option<Self> {
        let Probe { address, host, check, protocol, tls, .. } = probe;
        let tls = match tls {
            None => None,
            Some(tls) => Some(Rc::new(settings.origin_tls.trust(tls, *protocol)?)),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let fields = Request::get(format!("{scheme}://{host}{}", check.path)).version(Version::HTTP_2).header(header::USER_AGENT, AGENT);
        let head = format!("GET {} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {AGENT}\r\nconnection: close\r\n\r\n", check.path);
        let endpoint = Endpoint { address: *address, protocol: *protocol, tls };
        Some(Self { endpoint, terms: Terms::within(check.timeout, settings), head: head.into_bytes(), fields: fields.body(()).ok()? })
    }
}

async fn ask(pool: &Rc<Pool>, asked: &Asked, check: &ActiveCheck) -> bool {
    let mut upload = Upload::without_body(asked.head.clone(), asked.fields.clone());
    let answer = timeout(check.timeout, pool.send(&asked.endpoint, &asked.terms, &mut upload, || false)).await;
    matches!(answer, Ok(Ok(response)) if check.expects(response.status().as_u16()))
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PartialEq for Probe {
    /// What is counted where goes by identity.
    fn eq(&self, other: &Self) -> bool {
        let same = (&self.policy, self.address, &self.host, self.protocol, &self.tls, &self.check)
            == (&other.policy, other.address, &other.host, other.protocol, &other.tls, &other.check);
        same && Arc::ptr_eq(&self.state, &other.state) && Arc::ptr_eq(&self.counts, &other.counts)
    }
}
