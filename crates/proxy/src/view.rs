//! The table as one worker sees it. What a request keeps for longer than its first wait is the worker's own, so that it neither pins the
//! table nor counts references that other workers count too.

use crate::RequestFacts;
use crate::counters::{IdentityCells, Shard, SideCells};
use crate::drain::End;
use crate::origin_tls::{OriginTls, Trust};
use crate::pool::Endpoint;
use http::HeaderValue;
use serin_routing::config::Protocol;
use serin_routing::{Backend, Release, Table};
use serin_split::{Decision, Identity, Side};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;

/// A table, and what this worker made of it so far.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) table: Arc<Table>,
    backends: Vec<OnceCell<Rc<Endpoints>>>,
    releases: Vec<OnceCell<Rc<Served>>>,
}

/// The endpoints of a backend.
#[derive(Debug)]
pub(crate) struct Endpoints {
    ready: Vec<SocketAddr>,
    draining: Vec<SocketAddr>,
    /// What goes as `Host` in place of the client's.
    pub(crate) host: Option<HeaderValue>,
    protocol: Protocol,
    /// Who they must be; none without TLS.
    tls: Option<Rc<Trust>>,
    turn: Cell<usize>,
}

/// A release, for its counters, the decision header and the access log.
#[derive(Debug)]
pub(crate) struct Served {
    /// `namespace/name`.
    pub(crate) name: Arc<str>,
    stable: Arc<SideCells>,
    canary: Arc<SideCells>,
    /// None for a release that asks for no identity.
    identities: OnceCell<Arc<IdentityCells>>,
    /// When its streams to the canary end. It is handed on from table to table.
    pub(crate) end: End,
}

impl View {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        let backends = table.backends().iter().map(|_| OnceCell::new()).collect();
        let releases = table.releases().iter().map(|_| OnceCell::new()).collect();
        Self { table, backends, releases }
    }

    /// The next table. Whatever still streams from the canary of a release hears of an abort; one that is gone tells it nothing.
    pub(crate) fn succeed(&self, table: Arc<Table>, shard: &Shard, now: Instant) -> Self {
        let next = Self::new(table);
        let known = self.table.releases().iter().filter_map(|release| Some((release, self.releases.get(release.index)?.get()?)));
        let known: HashMap<_, _> = known.map(|(release, served)| ((&release.uid, &release.id), served)).collect();
        if known.is_empty() {
            return next;
        }
        for release in next.table.releases() {
            let Some(served) = known.get(&(&release.uid, &release.id)) else { continue };
            if release.is_rolled_back() && served.end.borrow().is_none() {
                served.end.send_replace(now.checked_add(release.drain_on_abort));
            }
            // Tried again, it begins with streams of its own.
            let end = if release.is_rolled_back() || served.end.borrow().is_none() { served.end.clone() } else { End::default() };
            next.releases[release.index].get_or_init(|| Rc::new(Served::new(release, shard, end)));
        }
        next
    }

    /// The endpoints of a backend of this table. Workers begin at different ones.
    pub(crate) fn endpoints(&self, backend: &Backend, worker: usize, origin_tls: &OriginTls) -> Rc<Endpoints> {
        let make = || {
            let (ready, draining) = (backend.ready.clone(), backend.draining.clone());
            // A host's name, which a field may hold.
            let host = backend.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
            let tls = backend.tls.as_ref().and_then(|tls| origin_tls.trust(tls, backend.protocol)).map(Rc::new);
            // Never without TLS what was asked for with it.
            let (ready, draining) = if backend.tls.is_some() && tls.is_none() { Default::default() } else { (ready, draining) };
            Rc::new(Endpoints { ready, draining, host, protocol: backend.protocol, tls, turn: Cell::new(worker) })
        };
        self.backends.get(backend.index).map_or_else(make, |cell| Rc::clone(cell.get_or_init(make)))
    }

    /// A release of this table.
    pub(crate) fn release(&self, release: &Release, shard: &Shard) -> Rc<Served> {
        let make = || Rc::new(Served::new(release, shard, End::default()));
        self.releases.get(release.index).map_or_else(make, |cell| Rc::clone(cell.get_or_init(make)))
    }
}

impl Endpoints {
    /// Those that serve: the ready ones; while there are none, for stable those that are on their way out (KEP-1669).
    pub(crate) fn serving(&self, side: Side) -> &[SocketAddr] {
        if self.ready.is_empty() && side == Side::Stable { &self.draining } else { &self.ready }
    }

    /// One of them, for a connection; for one that may become a WebSocket by HTTP/1.1, whatever else it speaks.
    pub(crate) fn endpoint(&self, address: SocketAddr, websocket: bool) -> Endpoint {
        if websocket && self.protocol != Protocol::Http1 {
            return Endpoint { address, protocol: Protocol::Http1, tls: self.tls.as_ref().map(|trust| Rc::new(trust.by_http1())) };
        }
        Endpoint { address, protocol: self.protocol, tls: self.tls.clone() }
    }

    /// Whether a request needs a head for HTTP/2, and whether that goes by TLS.
    pub(crate) fn speaks_http2(&self) -> Option<bool> {
        (self.protocol != Protocol::Http1).then_some(self.tls.is_some())
    }

    /// Where the next request begins, in turn.
    pub(crate) fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }
}

impl Served {
    fn new(release: &Release, shard: &Shard, end: End) -> Self {
        Self {
            name: format!("{}/{}", release.namespace, release.name).into(),
            stable: shard.side(release, Side::Stable),
            canary: shard.side(release, Side::Canary),
            identities: OnceCell::new(),
            end,
        }
    }

    /// Counts for whom a bucket decided.
    pub(crate) fn count_identity(&self, release: &Release, decision: &Decision, facts: &RequestFacts<'_>, shard: &Shard) {
        if let Some(Identity::Value { .. }) = decision.identity {
            self.identities.get_or_init(|| shard.identities(release)).count(decision, facts);
        }
    }

    pub(crate) fn cells(&self, side: Side) -> &SideCells {
        match side {
            Side::Stable => &self.stable,
            Side::Canary => &self.canary,
        }
    }
}
