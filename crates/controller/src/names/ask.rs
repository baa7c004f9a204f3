//! One question to the DNS.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::collections::BTreeSet;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long one server is waited for, and how often all are asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// So many addresses of a name are used; a name with more is somebody's mistake or worse.
const MOST: usize = 64;

/// What a name stands for, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// None: the name does not exist, or has none.
    pub addresses: BTreeSet<IpAddr>,
    /// How long that may be taken for true.
    pub lives: Duration,
}

/// Whoever knows what names stand for.
pub trait Lookup: Clone + Send + 'static {
    /// The addresses of a whole name. An error says that nobody answered.
    fn addresses(&self, name: &str) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// The DNS; or why it cannot be asked, which only whoever asks for a name is told.
#[derive(Clone)]
pub struct Resolver(Result<TokioResolver, String>);

impl Resolver {
    /// Asks these servers; without any, those of /etc/resolv.conf. /etc/hosts comes first.
    pub fn new(servers: &[SocketAddr]) -> Self {
        let named = || {
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let builder = if servers.is_empty() { TokioResolver::builder_tokio() } else { named() };
        let resolver = builder.and_then(|mut builder| {
            options(builder.options_mut());
            builder.build()
        });
        Self(resolver.map_err(|error| format!("the DNS cannot be asked: {error}")))
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())])
}

/// Nothing is kept here: what an answer says of its life is obeyed by whoever asks.
fn options(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
}

impl Lookup for Resolver {
    async fn addresses(&self, name: &str) -> Result<Answer, String> {
        let resolver = self.0.as_ref().map_err(Clone::clone)?;
        // Whole, so that no search list of this host's is tried.
        match resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => {
                let lives = found.valid_until().saturating_duration_since(Instant::now());
                Ok(Answer { addresses: found.iter().map(|ip| ip.to_canonical()).take(MOST).collect(), lives })
            }
            Err(error) if error.is_no_records_found() => Ok(Answer { addresses: BTreeSet::new(), lives: Duration::ZERO }),
            Err(error) => Err(format!("no DNS server answers: {error}")),
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
