//! One worker: a thread with a runtime, a listener, a pool and counters of its own.

use crate::access_log::Log;
use crate::balance::Groups;
use crate::connection;
use crate::counters::{self, Shard};
use crate::listener::{self, Door};
use crate::passwords::Passwords;
use crate::pool::{OpenConnections, Pool};
use crate::settings::Settings;
use crate::tls::ClientTls;
use crate::view::View;
use http::HeaderValue;
use hyper::server::conn::http1;
use serin_routing::Table;
use std::cell::{Cell, Ref, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// After an accept that failed, which it does at once again while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// So many tasks run before the sockets are looked at again: usually all that one look found, so that the next finds as many.
const TURN: u32 = 512;
/// By how much a worker's open connections may exceed those of the least loaded one.
const IMBALANCE: u64 = 2;

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Serve this table from now on, and say when.
    Table(Arc<Table>, Groups, oneshot::Sender<()>),
    /// A connection that another worker accepted.
    Connection(StdStream, SocketAddr, Door),
    /// Go on accepting for so long, then give those that are open so long to end.
    Drain { propagation: Duration, grace: Duration },
}

/// What a worker is made of.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) listener: StdListener,
    /// Where TLS is spoken, and how.
    pub(crate) https: Option<(StdListener, ClientTls)>,
    pub(crate) messages: UnboundedReceiver<Message>,
    pub(crate) siblings: Arc<[Sibling]>,
    pub(crate) open: Arc<OpenConnections>,
    pub(crate) table: Arc<Table>,
    pub(crate) groups: Groups,
    pub(crate) log: Option<Log>,
    pub(crate) passwords: Arc<Passwords>,
}

/// How one worker sees another, or itself.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) mailbox: UnboundedSender<Message>,
    pub(crate) shard: Arc<Shard>,
}

/// A worker, for its connections and their requests.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) shard: Arc<Shard>,
    pub(crate) log: Option<Log>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) http: http1::Builder,
    pub(crate) tls: Option<ClientTls>,
    http_door: Doorway,
    https_door: Doorway,
    view: RefCell<View>,
    siblings: Arc<[Sibling]>,
    draining: watch::Sender<bool>,
    /// It accepts still, and keeps no connection for another request.
    leaving: Cell<bool>,
    connections: Cell<usize>,
    /// Told when the last connection closes.
    quiet: Notify,
}

/// What clients know of where they came in.
#[derive(Debug)]
pub(crate) struct Doorway {
    /// The host of a request that names none.
    pub(crate) own_host: HeaderValue,
    /// The port that they connect to.
    pub(crate) port: HeaderValue,
    port_number: u16,
}

/// The listeners of a worker.
struct Listeners {
    http: TcpListener,
    https: Option<TcpListener>,
}

/// An open connection, however it ends.
struct Open(Rc<Worker>);

/// What a worker does with its listener.
enum Accepting {
    /// It accepts.
    On,
    /// It accepts until then, and on while any are waiting.
    Until(Instant),
    /// It is over.
    Off,
}

/// The life of a worker, on its thread.
pub(crate) fn run(start: Start) -> io::Result<()> {
    let runtime = Builder::new_current_thread().event_interval(TURN).enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(serve(start))
}

async fn serve(start: Start) -> io::Result<()> {
    let Start { index, settings, listener, https, mut messages, siblings, open, table, groups, log, passwords } = start;
    let (https, tls) = https.unzip();
    let listeners = Listeners { http: TcpListener::from_std(listener)?, https: https.map(TcpListener::from_std).transpose()? };
    let http_door = Doorway::of(&listeners.http)?;
    let https_door = Doorway::of(listeners.https.as_ref().unwrap_or(&listeners.http))?;
    let mut listeners = Some(listeners);
    let pool = Rc::new(Pool::new(settings.timeouts, settings.limits, open));
    tokio::task::spawn_local(Rc::clone(&pool).close_idle());
    let worker = Rc::new(Worker {
        index,
        pool,
        shard: Arc::clone(&siblings[index].shard),
        log,
        passwords,
        http: http(&settings),
        tls,
        http_door,
        https_door,
        settings,
        view: RefCell::new(View::new(table, groups)),
        siblings,
        draining: watch::Sender::new(false),
        leaving: Cell::new(false),
        connections: Cell::new(0),
        quiet: Notify::new(),
    });
    let (mut accepting, mut grace, mut end) = (Accepting::On, Duration::ZERO, None);
    loop {
        if let (Accepting::Off, Some(end)) = (&accepting, end)
            && (worker.connections.get() == 0 || Instant::now() >= end)
        {
            return Ok(());
        }
        let pause = async {
            match (&accepting, end) {
                (Accepting::Until(until), _) => sleep_until(*until).await,
                (Accepting::Off, Some(end)) => drop(timeout_at(end, worker.quiet.notified()).await),
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = messages.recv() => match message {
                Some(Message::Table(table, groups, served)) => {
                    let next = worker.view().succeed(table, groups, &worker.shard, Instant::now());
                    worker.view.replace(next);
                    // Whoever asked may have stopped waiting.
                    let _ = served.send(());
                }
                Some(Message::Connection(stream, peer, door)) => match TcpStream::from_std(stream) {
                    Ok(stream) => worker.open(stream, peer, door),
                    Err(error) => {
                        worker.shard.open.fetch_sub(1, Relaxed);
                        tracing::warn!(%error, "connection lost between workers");
                    }
                },
                Some(Message::Drain { propagation, grace: for_those_open }) => {
                    grace = for_those_open;
                    worker.leaving.set(true);
                    accepting = Accepting::Until(Instant::now() + propagation);
                }
                None => return Ok(()),
            },
            () = pause => if let Accepting::Until(_) = accepting {
                worker.empty_backlogs(listeners.take());
                worker.draining.send_replace(true);
                (accepting, end) = (Accepting::Off, Some(Instant::now() + grace));
            },
            (accepted, door) = accept(listeners.as_ref()) => match accepted {
                Ok((stream, peer)) => worker.place(stream, peer, door, matches!(accepting, Accepting::On)),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn accept(listeners: Option<&Listeners>) -> (io::Result<(TcpStream, SocketAddr)>, Door) {
    match listeners {
        Some(Listeners { http, https: None }) => (http.accept().await, Door::Http),
        // In turn, so that neither keeps the other waiting.
        Some(Listeners { http, https: Some(https) }) => tokio::select! {
            accepted = http.accept() => (accepted, Door::Http),
            accepted = https.accept() => (accepted, Door::Https),
        },
        None => std::future::pending().await,
    }
}

/// hyper, as it is told to be behind the gate: the limits and waits are the gate's.
fn http(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.half_close(false).keep_alive(true);
    if settings.limits.head.fields > 100 {
        http.max_headers(settings.limits.head.fields);
    }
    http
}

impl Worker {
    /// The table. Never kept over a wait.
    pub(crate) fn view(&self) -> Ref<'_, View> {
        self.view.borrow()
    }

    /// Ends when the worker drains.
    pub(crate) fn drains(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Where a client came in.
    pub(crate) fn doorway(&self, door: Door) -> &Doorway {
        match door {
            Door::Http => &self.http_door,
            Door::Https => &self.https_door,
        }
    }

    /// The port of TLS as clients know it.
    pub(crate) fn https_port(&self) -> u16 {
        self.settings.https_port.unwrap_or(self.https_door.port_number)
    }

    /// Whether a connection ends behind its response. Closed while it is idle, it might lose a request that is on its way.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Serves an accepted connection, or hands it to the least loaded worker.
    fn place(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, door: Door, may_move: bool) {
        counters::add(&self.shard.accepted, 1);
        let loads = || self.siblings.iter().map(|sibling| sibling.shard.open.load(Relaxed));
        if loads().sum::<u64>() >= self.settings.limits.connections as u64 {
            counters::add(&self.shard.refused, 1);
            return;
        }
        let Some((least, load)) = loads().enumerate().min_by_key(|(_, load)| *load) else { return };
        let moves = may_move && self.shard.open.load(Relaxed) > load + IMBALANCE;
        // Counted here and not where it arrives, so that others see it at once.
        let least = if moves { least } else { self.index };
        self.siblings[least].shard.open.fetch_add(1, Relaxed);
        if !moves {
            return self.open(stream, peer, door);
        }
        let sent = stream.into_std().map(|stream| self.siblings[least].mailbox.send(Message::Connection(stream, peer, door)));
        match sent {
            Ok(Ok(())) => {}
            // That worker has ended: the connection is served here.
            Ok(Err(unsent)) => {
                self.siblings[least].shard.open.fetch_sub(1, Relaxed);
                self.shard.open.fetch_add(1, Relaxed);
                if let Message::Connection(stream, peer, door) = unsent.0
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    self.open(stream, peer, door);
                }
            }
            Err(error) => {
                self.siblings[least].shard.open.fetch_sub(1, Relaxed);
                tracing::warn!(%error, "connection lost between workers");
            }
        }
    }

    /// Serves a connection, which is counted already.
    fn open(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, door: Door) {
        self.connections.set(self.connections.get() + 1);
        let open = Open(Rc::clone(self));
        tokio::task::spawn_local(async move { connection::serve(&open.0, stream, peer.ip(), door).await });
    }

    /// Closing a listener resets what waits in its backlog, so that is accepted first; no more than a backlog holds, or a stream of new
    /// connections would keep this worker from the old ones.
    fn empty_backlogs(self: &Rc<Self>, listeners: Option<Listeners>) {
        let Some(Listeners { http, https }) = listeners else { return };
        self.empty_backlog(http, Door::Http);
        if let Some(https) = https {
            self.empty_backlog(https, Door::Https);
        }
    }

    fn empty_backlog(self: &Rc<Self>, listener: TcpListener, door: Door) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..listener::BACKLOG {
            let accepted = listener.accept().and_then(|(stream, peer)| {
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream)?, peer))
            });
            match accepted {
                Ok((stream, peer)) => self.place(stream, peer, door, false),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => tracing::warn!(%error, "accept failed"),
            }
        }
    }
}

impl Doorway {
    fn of(listener: &TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let own_host = HeaderValue::from_str(&address.to_string()).unwrap_or(HeaderValue::from_static("localhost"));
        Ok(Self { own_host, port: HeaderValue::from(address.port()), port_number: address.port() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Self(worker) = self;
        worker.shard.open.fetch_sub(1, Relaxed);
        worker.connections.set(worker.connections.get() - 1);
        if worker.connections.get() == 0 {
            worker.quiet.notify_one();
        }
    }
}
