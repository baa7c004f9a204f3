//! The proxy as its owner sees it: started, told what to serve, read, and drained.

use crate::access_log;
use crate::balance::Registry;
use crate::counters::Counters;
use crate::health::Prober;
use crate::listener;
use crate::passwords::Passwords;
use crate::pool::OpenConnections;
use crate::settings::Settings;
use crate::tls::ClientTls;
use crate::worker::{self, Message, Sibling, Start};
use serin_routing::{Config, Policies, Table};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

/// A running proxy. Dropped, it closes everything at once; [`Proxy::drain`] ends it without a failed request.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    https: Option<SocketAddr>,
    counters: Counters,
    workers: Vec<Handle>,
    log: Option<JoinHandle<()>>,
    registry: Arc<Registry>,
    prober: Prober,
    /// Tables that workers serve or may still hold. They are freed here, never by a worker.
    tables: Arc<Mutex<Vec<Arc<Table>>>>,
}

#[derive(Debug)]
struct Handle {
    mailbox: UnboundedSender<Message>,
    ended: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens and serves; until a table is published every request gets 404. The access log goes to standard output.
    ///
    /// # Errors
    /// When an address cannot be listened on, or a thread cannot be started.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_logging_to(settings, Box::new(io::stdout()))
    }

    /// As [`Proxy::start`], with the access log going elsewhere.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub fn start_logging_to(settings: Settings, log: Box<dyn Write + Send>) -> io::Result<Self> {
        let workers = settings.workers.max(1);
        let listeners = listener::bind(settings.listen, workers)?;
        let address = listeners[0].local_addr()?;
        let secure = settings.https.map(|address| listener::bind(address, workers)).transpose()?;
        let https = secure.as_ref().map(|listeners| listeners[0].local_addr()).transpose()?;
        let tls = ClientTls::new()?;
        let mut secure = secure.into_iter().flatten();
        let (log, log_thread) = access_log::start(settings.access_log, log)?.unzip();
        let passwords = Arc::new(Passwords::new(settings.limits.passwords)?);
        let (settings, open) = (Arc::new(settings), Arc::<OpenConnections>::default());
        let registry = Arc::new(Registry::new(workers));
        let counters = Counters::new(workers, Arc::clone(&open), Arc::clone(&registry));
        let prober = Prober::start(Arc::clone(&settings))?;
        let table = Arc::new(Table::new(&Config::default(), &mut Policies::default()));
        let groups = registry.succeed(&table);
        let (mailboxes, messages): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
        let sibling =
            |(mailbox, shard): (&UnboundedSender<Message>, &Arc<_>)| Sibling { mailbox: mailbox.clone(), shard: Arc::clone(shard) };
        let siblings: Arc<[Sibling]> = mailboxes.iter().zip(counters.shards()).map(sibling).collect();
        let mut proxy = Self { address, https, counters, workers: Vec::new(), log: log_thread, registry, prober, tables: Arc::default() };
        for (index, ((listener, messages), mailbox)) in listeners.into_iter().zip(messages).zip(mailboxes).enumerate() {
            let start = Start {
                index,
                settings: Arc::clone(&settings),
                listener,
                https: secure.next().map(|listener| (listener, tls.clone())),
                messages,
                siblings: Arc::clone(&siblings),
                open: Arc::clone(&open),
                table: Arc::clone(&table),
                groups: Arc::clone(&groups),
                log: log.clone(),
                passwords: Arc::clone(&passwords),
            };
            proxy.workers.push(Handle::start(start, mailbox)?);
        }
        proxy.retire_into(table);
        Ok(proxy)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS, if it does.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.https
    }

    /// Serves another table. It is on its way when this returns; the future ends when every worker serves it.
    ///
    /// A request takes what it needs from the table before its first wait, so no request sees two, and none keeps an old one.
    pub fn publish(&self, table: Arc<Table>) -> impl Future<Output = ()> + Send + use<> {
        self.counters.forget_all_but(&table);
        self.retire_into(Arc::clone(&table));
        let groups = self.registry.succeed(&table);
        self.prober.watch(&table, &groups);
        let told = self.workers.iter().filter_map(|worker| {
            let (served, serves) = oneshot::channel();
            worker.mailbox.send(Message::Table(Arc::clone(&table), Arc::clone(&groups), served)).ok().map(|()| serves)
        });
        let (told, tables): (Vec<_>, _) = (told.collect(), Arc::clone(&self.tables));
        async move {
            drop(table);
            for serves in told {
                // A worker that has ended serves nothing any more.
                let _ = serves.await;
            }
            free_unserved(&tables);
        }
    }

    /// What is counted.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Ends without failing a request: goes on accepting for `propagation`, until everyone knows that this replica leaves, and on while
    /// any connection waits. From its start each connection ends behind its next response; those that are idle all the time are closed
    /// after that, and the others cut off after `grace`.
    /// Until its end tables are taken as ever.
    pub async fn drain(&self, propagation: Duration, grace: Duration) {
        for worker in &self.workers {
            // A worker that has ended has drained.
            let _ = worker.mailbox.send(Message::Drain { propagation, grace });
        }
        for worker in &self.workers {
            let _ = worker.ended.clone().wait_for(|ended| *ended).await;
        }
    }

    fn retire_into(&self, table: Arc<Table>) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push(table);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for worker in &self.workers {
            let _ = worker.mailbox.send(Message::Drain { propagation: Duration::ZERO, grace: Duration::ZERO });
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()).chain(self.log.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the proxy panicked");
            }
        }
    }
}

impl Handle {
    fn start(start: Start, mailbox: UnboundedSender<Message>) -> io::Result<Self> {
        let (end, ended) = watch::channel(false);
        let thread = Builder::new().name(format!("serin-worker-{}", start.index)).spawn(move || {
            if let Err(error) = worker::run(start) {
                tracing::error!(%error, "worker ended");
            }
            end.send_replace(true);
        })?;
        Ok(Self { mailbox, ended, thread: Some(thread) })
    }
}

/// Frees the tables that no worker holds. What is published is always held.
fn free_unserved(tables: &Mutex<Vec<Arc<Table>>>) {
    let mut held = tables.lock().unwrap_or_else(PoisonError::into_inner);
    let free: Vec<_> = held.extract_if(.., |table| Arc::strong_count(table) == 1).collect();
    drop(held);
    drop(free);
}
