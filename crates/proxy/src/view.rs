//! The table as one worker sees it. What a request keeps for longer than its first wait is the worker's own, so that it neither pins the
//! table nor counts references that other workers count too.

use crate::RequestFacts;
use crate::balance::{self, Chance, Group, Groups};
use crate::counters::{IdentityCells, Shard, SideCells};
use crate::drain::End;
use crate::origin_tls::Trust;
use crate::pool::{Endpoint, Terms};
use crate::settings::Settings;
use http::HeaderValue;
use serin_routing::config::Protocol;
use serin_routing::upstream::{Balance, HashOn, Retries};
use serin_routing::{Backend, Release, Table};
use serin_split::{Decision, Identity, Side};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A table, and what this worker made of it so far.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) table: Arc<Table>,
    groups: Groups,
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
    chance: Chance,
    /// What all workers know of them, where their Service has a policy.
    pub(crate) group: Option<Arc<Group>>,
    /// How they are spoken to.
    pub(crate) terms: Terms,
    /// How long the whole of a request may take, by the policy.
    pub(crate) request: Option<Duration>,
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
    pub(crate) fn new(table: Arc<Table>, groups: Groups) -> Self {
        let backends = table.backends().iter().map(|_| OnceCell::new()).collect();
        let releases = table.releases().iter().map(|_| OnceCell::new()).collect();
        Self { table, groups, backends, releases }
    }

    /// The next table. Whatever still streams from the canary of a release hears of an abort; one that is gone tells it nothing.
    pub(crate) fn succeed(&self, table: Arc<Table>, groups: Groups, shard: &Shard, now: Instant) -> Self {
        let next = Self::new(table, groups);
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
    pub(crate) fn endpoints(&self, backend: &Backend, worker: usize, settings: &Settings) -> Rc<Endpoints> {
        let make = || {
            let (ready, draining) = (backend.ready.clone(), backend.draining.clone());
            // A host's name, which a field may hold.
            let host = backend.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
            let tls = backend.tls.as_ref().and_then(|tls| settings.origin_tls.trust(tls, backend.protocol)).map(Rc::new);
            // Never without TLS what was asked for with it.
            let (ready, draining) = if backend.tls.is_some() && tls.is_none() { Default::default() } else { (ready, draining) };
            let group = self.groups.get(backend.index).cloned().flatten();
            let upstream = group.as_ref().map(|group| &*group.upstream);
            let (terms, request) = (Terms::new(settings, upstream), upstream.and_then(|upstream| upstream.timeouts.request));
            let (turn, chance) = (Cell::new(worker), Chance::new());
            Rc::new(Endpoints { ready, draining, host, protocol: backend.protocol, tls, turn, chance, group, terms, request })
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

    /// Whether the side has an endpoint to serve it. For stable a bad one is better than none.
    pub(crate) fn is_up(&self, side: Side) -> bool {
        let count = self.serving(side).len();
        count > 0 && (side == Side::Stable || self.group.as_ref().is_none_or(|group| group.is_up(count)))
    }

    /// One of those that serve, by its place, other than those that were tried: a healthy one, if there is one.
    pub(crate) fn choose(&self, side: Side, turn: usize, key: Option<u64>, tried: &[usize]) -> Option<usize> {
        let count = self.serving(side).len();
        let untried = |index: usize| !tried.contains(&index);
        let Some(group) = &self.group else { return balance::next(count, turn, untried) };
        let now = if group.upstream.passive.is_some() { group.now() } else { 0 };
        let healthy = |index: usize| untried(index) && group.is_healthy(index, now);
        group.choose(count, key, turn, &self.chance, healthy).or_else(|| group.choose(count, key, turn, &self.chance, untried))
    }

    /// What of a request decides between them; nothing where none has a place of its own.
    pub(crate) fn hash_on(&self) -> Option<&HashOn> {
        match &self.group.as_ref()?.upstream.balance {
            Balance::ConsistentHash(on) => Some(on),
            Balance::RoundRobin | Balance::LeastRequest | Balance::Ewma => None,
        }
    }

    /// When a request is sent again, if the policy says so.
    pub(crate) fn retries(&self) -> Option<&Retries> {
        self.group.as_ref()?.upstream.retries.as_ref()
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
