//! Standalone mode: manifests in a folder, and an in-process store that plays the API server's part.

pub mod admission;
mod edit;
pub mod manifests;
mod state_file;
pub mod store;
mod world;

use crate::engine::Engine;
use crate::key_sets::KeySets;
use crate::outside::Outside;
use crate::{admin, run};
use anyhow::Context;
use serin_compiler::{Key, Options};
use serin_proxy::Proxy;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The namespace that is serin's own, where no cluster says which.
pub(crate) const OWN_NAMESPACE: &str = "serin-system";

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of manifests.
    pub manifests: PathBuf,
    /// The proxy.
    pub proxy: serin_proxy::Settings,
    /// Where the admin port listens: on loopback, since commands are taken without a token.
    pub admin: SocketAddr,
    /// Where uid, creation, commands and status of releases are kept over a restart.
    pub state: Option<PathBuf>,
    /// Hosts that are no Service.
    pub outside: Outside,
    /// The Secret of the certificate that is shown for hosts without one.
    pub default_tls_secret: Option<Key>,
}

/// A standalone that runs.
#[derive(Debug)]
pub struct Standalone {
    proxy: Arc<Proxy>,
    http: SocketAddr,
    admin: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Settings {
    /// The defaults, for a folder and the proxy's address.
    pub fn new(manifests: &Path, http: SocketAddr) -> Self {
        let proxy = serin_proxy::Settings { decision_header: true, ..serin_proxy::Settings::new(http) };
        Self {
            manifests: manifests.to_owned(),
            proxy,
            admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
            state: None,
            outside: Outside::default(),
            default_tls_secret: None,
        }
    }
}

/// Reads the folder, and serves what it says.
///
/// # Errors
/// When the folder or the state cannot be read, or an address cannot be listened on; each names the file or address.
pub async fn start(settings: Settings) -> anyhow::Result<Standalone> {
    anyhow::ensure!(
        settings.admin.ip().is_loopback(),
        "--admin {} is not on loopback: commands are taken there without a token, so use 127.0.0.1",
        settings.admin
    );
    let files = world::Files::open(settings.manifests, settings.state)?;
    let listen = listening(&settings.proxy);
    let key_sets = KeySets::new(true, settings.proxy.origin_tls.clone());
    let proxy = Proxy::start(settings.proxy).context(listen)?;
    let listener = TcpListener::bind(settings.admin).await.with_context(|| format!("--admin {}", settings.admin))?;
    let (http, admin) = (proxy.local_addr(), listener.local_addr()?);
    let proxy = Arc::new(proxy);
    let (asks, asked) = mpsc::channel(64);
    let serves = Arc::clone(&proxy);
    let names = settings.outside.names();
    let (external_hosts, outbound) = (settings.outside.allowed, settings.outside.called);
    let engine = Engine::new(Options {
        classes: BTreeSet::new(),
        own_namespace: OWN_NAMESPACE.to_owned(),
        standalone: true,
        external_hosts,
        outbound,
        default_tls_secret: settings.default_tls_secret,
        api_server: Vec::new(),
    });
    let controller = tokio::spawn(async move { run::run(files, (names, key_sets), engine, &serves, asked, Engine::is_settled).await });
    Ok(Standalone { proxy, http, admin, tasks: [controller, tokio::spawn(admin::serve(listener, asks, None))] })
}

/// The options that say where a proxy listens, for an error.
pub(crate) fn listening(proxy: &serin_proxy::Settings) -> String {
    let https = proxy.https.map(|address| format!(", --https {address}")).unwrap_or_default();
    format!("--http {}{https}", proxy.listen)
}

impl Standalone {
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

    /// Goes on serving for `propagation`, in which clients hear that their connections end, and ends without failing a request that ends
    /// within `grace`. Until then the files are obeyed.
    pub async fn stop(self, propagation: Duration, grace: Duration) {
        let [controller, admin] = self.tasks;
        admin.abort();
        self.proxy.drain(propagation, grace).await;
        controller.abort();
        // The controller's share of the proxy is free when its task is.
        let _ = controller.await;
    }
}
