//! What the workers count. Each worker writes cells of its own with plain relaxed stores; the control side reads them and adds up.

mod histogram;
mod identities;

use crate::balance::{PolicyCounts, Registry as Balances};
use crate::grpc;
use crate::pool::OpenConnections;
use histogram::Cells;
pub use histogram::Histogram;
pub(crate) use identities::IdentityCells;
pub use identities::{FirstSeen, Identities};
use serin_routing::{Release, Table};
use serin_split::{Decision, Identity, Kind, Rule, Side};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Epochs of a release whose counts are kept, the latest.
const EPOCHS: usize = 16;
/// Sides of releases that a worker counts for; above that those that no table serves are forgotten.
const SERVED: usize = 512;

/// The counters of a proxy. A handle: clones count and read the same.
#[derive(Debug, Clone)]
pub struct Counters(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    boot: String,
    upstream: Arc<OpenConnections>,
    balances: Arc<Balances>,
    shards: Vec<Arc<Shard>>,
}

/// The version of HTTP that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http10,
    Http11,
    Http2,
}

/// What one worker counts, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    /// Connections of clients that are open.
    pub(crate) open: AtomicU64,
    /// WebSockets that are open.
    pub(crate) websockets: AtomicU64,
    /// Connections of clients that were accepted.
    pub(crate) accepted: AtomicU64,
    /// Connections that were refused because there were too many.
    pub(crate) refused: AtomicU64,
    /// Lines of the access log that were dropped because its writer could not follow.
    pub(crate) unlogged: AtomicU64,
    /// Requests that were sent again.
    pub(crate) retries: AtomicU64,
    /// Requests that were not sent again because that would have been too much.
    pub(crate) over_budget: AtomicU64,
    /// Requests by [`Protocol`].
    requests: [AtomicU64; 3],
    /// Answers to requests of gRPC by their status; the last one counts those that had none.
    grpc: [AtomicU64; grpc::Status::COUNT + 1],
    /// All responses, by the first digit of their status; 0 for those that nobody waited for.
    responses: [AtomicU64; 6],
    failures: Mutex<BTreeMap<&'static str, u64>>,
    sides: Mutex<HashMap<SideKey, Arc<SideCells>>>,
    /// By uid and id.
    identities: Mutex<HashMap<(String, String), Arc<IdentityCells>>>,
}

/// Of whom a worker counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SideKey {
    namespace: String,
    name: String,
    uid: String,
    id: String,
    epoch: u64,
    side: Side,
}

/// What a worker counts of one side of a release in one epoch.
#[derive(Debug)]
pub(crate) struct SideCells {
    requests: AtomicU64,
    failures: AtomicU64,
    by: [AtomicU64; 4],
    by_turn: AtomicU64,
    fallbacks: [AtomicU64; 3],
    unavailable: AtomicU64,
    responses: [AtomicU64; 6],
    latency: Cells,
}

/// What was counted of one side of a release in one epoch. Every number only grows while the proxy runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseCounts {
    /// The namespace of the release.
    pub namespace: String,
    /// The name of the release.
    pub name: String,
    /// The object's uid.
    pub uid: String,
    /// The id of the release.
    pub id: String,
    /// The epoch that was served.
    pub epoch: u64,
    /// The side that the requests went to.
    pub side: Side,
    /// The numbers.
    pub counts: Counts,
}

/// The numbers of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that were decided for the side, whether or not they were answered.
    pub requests: u64,
    /// Those with a 5xx, a failed connection, a timeout or a reset, also when another endpoint then answered. At most one a request.
    pub failures: u64,
    /// Decided by bucket.
    pub by_bucket: u64,
    /// Those of `by_bucket` that counted for themselves, each in its turn: they had no identity, or none was asked for.
    pub by_turn: u64,
    /// Decided by an override.
    pub by_override: u64,
    /// Decided by a group.
    pub by_group: u64,
    /// Decided because the release is rolled back.
    pub by_rollback: u64,
    /// Those of `by_bucket` whose identity was missing (S8), by what took its place.
    pub fallbacks: Fallbacks,
    /// Requests of the canary's that stable got because the canary has no ready endpoint; counted at stable.
    pub unavailable: u64,
    /// Answers by the first digit of their status; 0 for clients that did not wait.
    pub responses: [u64; 6],
    /// From the whole head of the request to the first byte of the origin's answer; for a client that left before, the time it waited.
    pub latency: Histogram,
}

/// What took the place of a missing identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fallbacks {
    /// The consumer.
    pub to_consumer: u64,
    /// The originating address.
    pub to_client_ip: u64,
    /// The request's own turn.
    pub to_request: u64,
}

/// What does not belong to a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Connections of clients that are open.
    pub open_connections: u64,
    /// Those that are WebSockets.
    pub websockets: u64,
    /// Connections of clients that were accepted.
    pub accepted_connections: u64,
    /// Connections of clients that were refused because there were too many.
    pub refused_connections: u64,
    /// Connections to origins that are open.
    pub upstream_connections: u64,
    /// Requests that were sent to an origin once more.
    pub retries: u64,
    /// Requests that were not sent again since the budget of their policy was spent.
    pub retries_over_budget: u64,
    /// Lines of the access log that were dropped.
    pub unlogged: u64,
    /// Requests by the version of HTTP: 1.0, 1.1 and 2. Those are missing whose head could not be read.
    pub requests: [u64; 3],
    /// Answers to requests of gRPC by their status, 0 to 16, and those that had none.
    pub grpc: [u64; grpc::Status::COUNT + 1],
    /// All answers by the first digit of their status.
    pub responses: [u64; 6],
    /// Everything that went wrong, by label.
    pub failures: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(crate) fn new(workers: usize, upstream: Arc<OpenConnections>, balances: Arc<Balances>) -> Self {
        let boot = RandomState::new().hash_one(std::process::id());
        let shards = (0..workers).map(|_| Arc::default()).collect();
        Self(Arc::new(Registry { boot: format!("{boot:016x}"), upstream, balances, shards }))
    }

    /// Which run of the process counted: another one begins at 0.
    pub fn boot(&self) -> &str {
        &self.0.boot
    }

    /// What was counted of each release that was served, ordered by namespace, name, uid, id, epoch and side.
    pub fn snapshot(&self) -> Vec<ReleaseCounts> {
        let mut sums: HashMap<SideKey, Counts> = HashMap::new();
        for shard in &self.0.shards {
            for (key, cells) in lock(&shard.sides).iter() {
                cells.add_to(sums.entry(key.clone()).or_default());
            }
        }
        let mut rows: Vec<_> = sums.into_iter().map(|(key, counts)| key.with(counts)).collect();
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        rows
    }

    /// For whom buckets of a release decided; `None` while they decided for nobody. It reads thousands of cells a worker.
    pub fn identities(&self, uid: &str, id: &str) -> Option<Identities> {
        let key = (uid.to_owned(), id.to_owned());
        let cells = |shard: &Arc<Shard>| lock(&shard.identities).get(&key).map(Arc::clone);
        let mut sum = None;
        for cells in self.0.shards.iter().filter_map(cells) {
            sum.get_or_insert_with(Identities::default).add(&cells);
        }
        sum
    }

    /// What does not belong to a release.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { upstream_connections: self.0.upstream.total() as u64, ..Totals::default() };
        for shard in &self.0.shards {
            totals.open_connections += shard.open.load(Relaxed);
            totals.websockets += shard.websockets.load(Relaxed);
            totals.accepted_connections += shard.accepted.load(Relaxed);
            totals.refused_connections += shard.refused.load(Relaxed);
            totals.retries += shard.retries.load(Relaxed);
            totals.retries_over_budget += shard.over_budget.load(Relaxed);
            totals.unlogged += shard.unlogged.load(Relaxed);
            add_all(&mut totals.requests, &shard.requests);
            add_all(&mut totals.grpc, &shard.grpc);
            add_all(&mut totals.responses, &shard.responses);
            for (label, count) in lock(&shard.failures).iter() {
                *totals.failures.entry(label).or_default() += count;
            }
        }
        totals
    }

    /// Of each BackendPolicy that is served, by namespace and name.
    pub fn policies(&self) -> Vec<PolicyCounts> {
        self.0.balances.counts()
    }

    /// The open connections of clients of each worker.
    pub fn connections_by_worker(&self) -> Vec<u64> {
        self.0.shards.iter().map(|shard| shard.open.load(Relaxed)).collect()
    }

    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.0.shards
    }

    /// Gives back the memory of releases that ended. Counts are kept while there are few, so that the last ones can still be read.
    pub(crate) fn forget_all_but(&self, table: &Table) {
        let served: HashMap<&str, &str> = table.releases().iter().map(|release| (release.uid.as_str(), release.id.as_str())).collect();
        for shard in &self.0.shards {
            let mut identities = lock(&shard.identities);
            let many = identities.len() > SERVED;
            identities.retain(|(uid, id), _| served.get(uid.as_str()).map_or(!many, |now| *now == *id));
            let mut sides = lock(&shard.sides);
            if sides.len() > SERVED {
                sides.retain(|key, _| served.contains_key(key.uid.as_str()));
            }
        }
    }
}

impl Protocol {
    /// All of them, in the order of [`Totals::requests`].
    pub(crate) const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl Counts {
    /// Adds what was counted elsewhere of the same side.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.by_bucket += other.by_bucket;
        self.by_turn += other.by_turn;
        self.by_override += other.by_override;
        self.by_group += other.by_group;
        self.by_rollback += other.by_rollback;
        self.fallbacks.to_consumer += other.fallbacks.to_consumer;
        self.fallbacks.to_client_ip += other.fallbacks.to_client_ip;
        self.fallbacks.to_request += other.fallbacks.to_request;
        self.unavailable += other.unavailable;
        for (sum, more) in self.responses.iter_mut().zip(other.responses) {
            *sum += more;
        }
        self.latency.add(&other.latency);
    }
}

impl Shard {
    /// The cells of a release's side, made when the first request needs them.
    pub(crate) fn side(&self, release: &Release, side: Side) -> Arc<SideCells> {
        let mut sides = lock(&self.sides);
        let key = SideKey {
            namespace: release.namespace.clone(),
            name: release.name.clone(),
            uid: release.uid.clone(),
            id: release.id.clone(),
            epoch: release.epoch(),
            side,
        };
        if let Some(cells) = sides.get(&key) {
            return Arc::clone(cells);
        }
        fold_oldest(&mut sides, &key);
        Arc::clone(sides.entry(key).or_default())
    }

    /// The identities of a release, made when the first request needs them.
    pub(crate) fn identities(&self, release: &Release) -> Arc<IdentityCells> {
        Arc::clone(lock(&self.identities).entry((release.uid.clone(), release.id.clone())).or_default())
    }

    pub(crate) fn request(&self, protocol: Protocol) {
        add(&self.requests[protocol as usize], 1);
    }

    pub(crate) fn grpc_status(&self, status: Option<grpc::Status>) {
        add(&self.grpc[status.map_or(grpc::Status::COUNT, |status| usize::from(status.code()))], 1);
    }

    pub(crate) fn response(&self, status: u16) {
        add(class(&self.responses, status), 1);
    }

    /// Something went wrong. Locked, since it is rare, and the lock is this worker's but for the moment of a snapshot.
    pub(crate) fn failure(&self, label: &'static str) {
        *lock(&self.failures).entry(label).or_default() += 1;
    }
}

impl SideCells {
    /// A request goes to this side.
    pub(crate) fn request(&self, decision: &Decision, unavailable: bool) {
        add(&self.requests, 1);
        let by = match decision.rule {
            Rule::Bucket => 0,
            Rule::Override(_) => 1,
            Rule::Group => 2,
            Rule::Rollback => 3,
        };
        add(&self.by[by], 1);
        if decision.identity == Some(Identity::Request) {
            add(&self.by_turn, 1);
        }
        if unavailable {
            add(&self.unavailable, 1);
        }
        if decision.fallback {
            add(&self.fallbacks[fallback(decision)], 1);
        }
    }

    /// It failed.
    pub(crate) fn failure(&self) {
        add(&self.failures, 1);
    }

    /// It was answered after this time, or given up, which has status 0.
    pub(crate) fn response(&self, status: u16, latency: Duration) {
        add(class(&self.responses, status), 1);
        self.latency.count(latency);
    }

    fn add(&self, other: &Self) {
        let pairs = [
            (&self.requests, &other.requests),
            (&self.failures, &other.failures),
            (&self.by_turn, &other.by_turn),
            (&self.unavailable, &other.unavailable),
        ];
        let lists = [(&self.by[..], &other.by[..]), (&self.fallbacks, &other.fallbacks), (&self.responses, &other.responses)];
        for (cell, more) in pairs.into_iter().chain(lists.into_iter().flat_map(|(cells, more)| cells.iter().zip(more))) {
            add(cell, more.load(Relaxed));
        }
        self.latency.add(&other.latency);
    }

    fn add_to(&self, counts: &mut Counts) {
        let get = |cell: &AtomicU64| cell.load(Relaxed);
        counts.requests += get(&self.requests);
        counts.failures += get(&self.failures);
        counts.by_bucket += get(&self.by[0]);
        counts.by_turn += get(&self.by_turn);
        counts.by_override += get(&self.by[1]);
        counts.by_group += get(&self.by[2]);
        counts.by_rollback += get(&self.by[3]);
        counts.fallbacks.to_consumer += get(&self.fallbacks[0]);
        counts.fallbacks.to_client_ip += get(&self.fallbacks[1]);
        counts.fallbacks.to_request += get(&self.fallbacks[2]);
        counts.unavailable += get(&self.unavailable);
        add_all(&mut counts.responses, &self.responses);
        counts.latency.add_cells(&self.latency);
    }
}

impl Default for SideCells {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            by: Default::default(),
            by_turn: AtomicU64::default(),
            fallbacks: Default::default(),
            unavailable: AtomicU64::default(),
            responses: Default::default(),
            latency: Cells::new(),
        }
    }
}

impl SideKey {
    fn with(self, counts: Counts) -> ReleaseCounts {
        let Self { namespace, name, uid, id, epoch, side } = self;
        ReleaseCounts { namespace, name, uid, id, epoch, side, counts }
    }
}

impl ReleaseCounts {
    fn order(&self) -> (&str, &str, &str, &str, u64, bool) {
        (&self.namespace, &self.name, &self.uid, &self.id, self.epoch, self.side == Side::Canary)
    }
}

/// Makes room for another epoch: the oldest of too many is added to the one after it, so that no sum over epochs ever falls.
fn fold_oldest(sides: &mut HashMap<SideKey, Arc<SideCells>>, new: &SideKey) {
    let same = |key: &SideKey| key.uid == new.uid && key.id == new.id && key.side == new.side;
    let mut epochs: Vec<u64> = sides.keys().filter(|key| same(key)).map(|key| key.epoch).collect();
    if epochs.len() < EPOCHS {
        return;
    }
    epochs.sort_unstable();
    let of = |epoch: u64| SideKey { epoch, ..new.clone() };
    if let (Some(oldest), Some(next)) = (sides.remove(&of(epochs[0])), sides.get(&of(epochs[1]))) {
        next.add(&oldest);
    }
}

/// Adds to a cell that only this thread writes.
pub(crate) fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
}

fn class(responses: &[AtomicU64; 6], status: u16) -> &AtomicU64 {
    &responses[usize::from(status / 100).min(5)]
}

fn add_all<const N: usize>(sums: &mut [u64; N], cells: &[AtomicU64; N]) {
    for (sum, cell) in sums.iter_mut().zip(cells) {
        *sum += cell.load(Relaxed);
    }
}

fn fallback(decision: &Decision) -> usize {
    match decision.identity {
        Some(Identity::Value { kind: Kind::Consumer, .. }) => 0,
        Some(Identity::Value { .. }) => 1,
        Some(Identity::Request | Identity::Issued) | None => 2,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
