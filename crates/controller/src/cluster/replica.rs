//! One replica in a cluster: `serin controller`.

use super::peers::{self, PeerSettings};
use super::publish::{Address, Publish};
use super::review::Reviewer;
use super::world::{Cluster, Reach};
use super::{ServerClock, client, events::Events, lease, watch, writer::StatusWriter};
use crate::engine::Engine;
use crate::key_sets::KeySets;
use crate::outside::Outside;
use crate::standalone::listening;
use crate::update::Update;
use crate::{admin, run};
use anyhow::Context;
use serin_compiler::{Key, Options};
use serin_proxy::Proxy;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument, info_span};

/// The name of the one Lease.
const LEASE: &str = "serin";
/// How long giving the Lease back may take.
const RELEASE: Duration = Duration::from_secs(3);

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The proxy.
    pub proxy: serin_proxy::Settings,
    /// Where the admin port listens; read-only in a cluster.
    pub admin: SocketAddr,
    /// serin's own namespace, which holds the Lease.
    pub namespace: String,
    /// The namespaces that are watched; none: all.
    pub watch_namespaces: Vec<String>,
    /// The IngressClasses that are served; none: all of serin's controller.
    pub classes: BTreeSet<String>,
    /// What the status of Ingresses shows.
    pub publish: Publish,
    /// How the other replicas are found; none: status speaks for the leader alone.
    pub peers: Option<PeerSettings>,
    /// Users who may read the counters, beside serin's own account.
    pub counters_allow: Vec<String>,
    /// The Secrets that are read, where not all are.
    pub secrets: Reach,
    /// Hosts outside the cluster.
    pub outside: Outside,
    /// The Secret of the certificate that is shown for hosts without one.
    pub default_tls_secret: Option<Key>,
    /// The durations of the election.
    pub times: lease::Times,
}

/// A replica that runs.
#[derive(Debug)]
pub struct Replica {
    proxy: Arc<Proxy>,
    http: SocketAddr,
    admin: SocketAddr,
    controller: JoinHandle<()>,
    admin_task: JoinHandle<()>,
    lease: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// Serves what the cluster says, and takes part in the election.
///
/// # Errors
/// When no cluster is configured, or an address cannot be listened on.
pub async fn start(settings: Settings) -> anyhow::Result<Replica> {
    let config = kube::Config::infer().await.context("no cluster: run in a pod with a service account, or set KUBECONFIG")?;
    let api_server = addresses_of(&config.cluster_url).await;
    let names = settings.outside.names();
    let client = client(config)?;
    let listen = listening(&settings.proxy);
    let key_sets = KeySets::new(false, settings.proxy.origin_tls.clone());
    let proxy = Arc::new(Proxy::start(settings.proxy).context(listen)?);
    let listener = TcpListener::bind(settings.admin).await.with_context(|| format!("--admin {}", settings.admin))?;
    let (http, admin) = (proxy.local_addr(), listener.local_addr()?);

    let (update, updates) = mpsc::channel(1024);
    let mut watches = watch::spawn(&client, &settings.watch_namespaces, !settings.classes.is_empty(), &update);
    match settings.publish {
        Publish::Nothing => {}
        Publish::Service(name) => {
            let span = info_span!("watch", kind = "Service", published = %name);
            drop(watches.spawn(watch::published(client.clone(), name, update.clone()).instrument(span)));
        }
        Publish::Addresses(addresses) => {
            let known = Update::Addresses(Some(addresses.iter().map(Address::shown).collect()));
            update.send(known).await.context("nobody takes updates")?;
        }
    }
    let secrets = watch::SecretWatches::new(client.clone(), update.clone(), settings.secrets.is_by_name());
    let needed = watch::NeededWatches::new(client.clone(), &settings.watch_namespaces, update.clone());
    let identity = uuid::Uuid::new_v4().to_string();
    let (stop, stopped) = oneshot::channel();
    let own_namespace = settings.namespace.clone();
    let options =
        lease::Options { namespace: settings.namespace, name: LEASE.to_owned(), identity: identity.clone(), times: settings.times };
    let (leadership, lease) = lease::spawn(client.clone(), options, async {
        // A sender that is gone says stop too.
        let _ = stopped.await;
    });
    let boot = settings.peers.as_ref().map(|_| proxy.counters().boot().to_owned());
    let (hurry, waited_for) = tokio::sync::watch::channel(false);
    if let Some(found_by) = settings.peers {
        let task = peers::follow(client.clone(), found_by, leadership.clone(), waited_for, update.clone());
        drop(watches.spawn(task.instrument(info_span!("peers"))));
    }
    drop(update);
    let reviewer = Reviewer::new(client.clone(), settings.counters_allow);
    let events = Events::spawn(client.clone(), &identity);
    let clock = ServerClock::spawn(client.clone());
    let reach = (settings.secrets, settings.watch_namespaces);
    let writer = StatusWriter::new(client, leadership.clone());
    let world = Cluster::new(updates, needed, (secrets, reach), writer, events, (leadership, hurry), clock);

    let (asks, asked) = mpsc::channel(64);
    let serves = Arc::clone(&proxy);
    let controller = tokio::spawn(async move {
        let (external_hosts, outbound) = (settings.outside.allowed, settings.outside.called);
        let (classes, default_tls_secret) = (settings.classes, settings.default_tls_secret);
        let mut engine =
            Engine::new(Options { own_namespace, standalone: false, classes, external_hosts, outbound, default_tls_secret, api_server });
        if let Some(boot) = boot {
            engine.has_peers(&boot);
        }
        tokio::select! {
            () = run::run(world, (names, key_sets), engine, &serves, asked, Engine::has_table) => {}
            // A watch ends only when nobody takes its updates any more, or by a panic: without it the table would grow old unseen.
            _ = watches.join_next() => {}
        }
    });
    let admin_task = tokio::spawn(admin::serve(listener, asks, Some(reviewer)));
    Ok(Replica { proxy, http, admin, controller, admin_task, lease, stop })
}

/// Where the API server is: in a pod by its address, else perhaps by a name, as this host knows it.
async fn addresses_of(url: &http::Uri) -> Vec<IpAddr> {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    // One that cannot be looked up is reached by nobody here either.
    let found = tokio::net::lookup_host((host, 443)).await;
    found.into_iter().flatten().map(|address| address.ip().to_canonical()).collect()
}

impl Replica {
    /// Where the proxy listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the proxy listens for TLS, if it does.
    pub fn https(&self) -> Option<SocketAddr> {
        self.proxy.https_addr()
    }

    /// Where the admin port listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Ends when something vital ended by itself: without the election nobody might ever lead again, without the admin port nobody would know.
    pub async fn failed(&mut self) -> anyhow::Error {
        let (what, result) = tokio::select! {
            result = &mut self.controller => ("the controller", result),
            result = &mut self.lease => ("the election", result),
            result = &mut self.admin_task => ("the admin port", result),
        };
        match result {
            Ok(()) => anyhow::anyhow!("{what} ended"),
            Err(error) => anyhow::anyhow!("{what} ended: {error}"),
        }
    }

    /// Is not ready any more, gives the Lease back, goes on serving for `propagation`, and ends without failing a request that ends
    /// within `grace`. Until then it obeys as every replica does: an abort reaches those whom it still serves.
    pub async fn stop(mut self, propagation: Duration, grace: Duration) {
        self.admin_task.abort();
        drop(self.stop);
        // Who leads next does not wait for it longer than the lease lasts.
        let given_back = tokio::time::timeout(RELEASE, &mut self.lease);
        let _ = tokio::join!(given_back, self.proxy.drain(propagation, grace));
        self.controller.abort();
        // The controller's share of the proxy is free when its task is.
        let _ = self.controller.await;
    }
}
