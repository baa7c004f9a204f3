//! `serin controller`.

use crate::standalone::{OutsideOptions, ProxyOptions, TlsOptions, until_told_to_stop};
use clap::Args;
use serin_controller::cluster::peers::PeerSettings;
use serin_controller::cluster::publish::{Address, Publish, ServiceName};
use serin_controller::cluster::{self, Reach, Settings, lease};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// The options of `serin controller`; each is an environment variable too.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the proxy listens.
    #[arg(long, env = "SERIN_HTTP", value_name = "ADDR", default_value = "0.0.0.0:8080")]
    http: SocketAddr,
    /// Where health, metrics and releases are.
    #[arg(long, alias = "admin-listen", env = "SERIN_ADMIN", value_name = "ADDR", default_value = "0.0.0.0:9901")]
    admin: SocketAddr,
    /// serin's own namespace, which holds its Lease.
    #[arg(long, env = "SERIN_OWN_NAMESPACE", default_value = "serin-system")]
    own_namespace: String,
    /// The namespaces that are watched. Default: all.
    #[arg(long, env = "SERIN_WATCH_NAMESPACES", value_name = "NAMESPACE,...", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// The IngressClasses that are served. Default: all whose controller is `serin.dev/ingress-controller`. One that is named is served also
    /// where its IngressClass may not be read.
    #[arg(long, env = "SERIN_INGRESS_CLASS", value_name = "NAME,...", value_delimiter = ',')]
    ingress_class: Vec<String>,
    /// The Service whose addresses the status of Ingresses shows.
    #[arg(long, env = "SERIN_PUBLISH_SERVICE", value_name = "NAMESPACE/NAME", conflicts_with = "publish_address")]
    publish_service: Option<ServiceName>,
    /// The addresses or names that the status of Ingresses shows, in place of a Service's.
    #[arg(long, env = "SERIN_PUBLISH_ADDRESS", value_name = "ADDRESS,...", value_delimiter = ',')]
    publish_address: Vec<Address>,
    /// The only Secrets that are read, of those that objects name. Default: each that is named.
    #[arg(long, env = "SERIN_SECRET_NAMES", value_name = "NAMESPACE/NAME,...", value_delimiter = ',')]
    secret_names: Vec<SecretName>,
    /// serin's headless Service, by which replicas find each other: then a release is judged by what all of them count, and nothing rises
    /// before all serve it. Default: status speaks for the leader alone.
    #[arg(long, env = "SERIN_PEERS_SERVICE", value_name = "NAMESPACE/NAME")]
    peers_service: Option<ServiceName>,
    /// The token that replicas show each other, for audience `serin.dev/peers`.
    #[arg(long, env = "SERIN_PEERS_TOKEN", value_name = "FILE", default_value = "/var/run/secrets/serin.dev/peers/token")]
    peers_token: PathBuf,
    /// Users who may read `/v1/counters`, by a token for that audience, beside serin's own account. Default: none.
    #[arg(long, env = "SERIN_COUNTERS_ALLOW", value_name = "USER,...", value_delimiter = ',')]
    counters_allow: Vec<String>,
    /// Seconds for which it goes on accepting after SIGTERM, until every load balancer knows.
    #[arg(long, env = "SERIN_PROPAGATION_SECONDS", default_value_t = 5)]
    propagation_seconds: u64,
    /// Seconds that requests under way may take after that.
    #[arg(long, env = "SERIN_GRACE_SECONDS", default_value_t = 20)]
    grace_seconds: u64,
    /// Say in each response how it was decided, in `Serin-Decision`.
    #[arg(long, env = "SERIN_DECISION_HEADER")]
    decision_header: bool,
    /// Where the proxy listens for TLS, with the certificates that Ingresses name. Default: nowhere.
    #[arg(long, env = "SERIN_HTTPS", value_name = "ADDR")]
    https: Option<SocketAddr>,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    outside: OutsideOptions,
    #[command(flatten)]
    pub(crate) proxy: ProxyOptions,
}

/// A Secret, as an operator names it.
#[derive(Debug, Clone)]
struct SecretName(String, String);

impl FromStr for SecretName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self(namespace.to_owned(), name.to_owned()))
            }
            _ => Err("use NAMESPACE/NAME of a Secret, such as shop/alice-key".to_owned()),
        }
    }
}

impl Options {
    fn named_secrets(&self) -> Option<BTreeSet<(String, String)>> {
        let names = self.secret_names.iter().map(|SecretName(namespace, name)| (namespace.clone(), name.clone()));
        (!self.secret_names.is_empty()).then(|| names.collect())
    }

    fn publish(&self) -> Publish {
        match &self.publish_service {
            Some(name) => Publish::Service(name.clone()),
            None if self.publish_address.is_empty() => Publish::Nothing,
            None => Publish::Addresses(self.publish_address.clone()),
        }
    }
}

/// Serves until SIGTERM or SIGINT, or until something vital ends.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut proxy = serin_proxy::Settings { decision_header: options.decision_header, ..serin_proxy::Settings::new(options.http) };
    options.proxy.apply(&mut proxy)?;
    options.tls.apply(options.https, Some(443), &mut proxy);
    let settings = Settings {
        proxy,
        admin: options.admin,
        namespace: options.own_namespace.clone(),
        watch_namespaces: options.watch_namespaces.clone(),
        classes: options.ingress_class.iter().cloned().collect(),
        publish: options.publish(),
        peers: options.peers_service.clone().map(|service| PeerSettings { service, token: options.peers_token.clone() }),
        counters_allow: options.counters_allow.clone(),
        secrets: Reach { only: options.named_secrets() },
        outside: options.outside.read(),
        default_tls_secret: options.tls.default_secret(),
        times: lease::Times::default(),
    };
    let mut replica = cluster::start(settings).await?;
    tracing::info!(http = %replica.http(), https = ?replica.https(), admin = %replica.admin(), "serving");
    tokio::select! {
        told = until_told_to_stop() => told?,
        error = replica.failed() => return Err(error),
    }
    tracing::info!("stopping: requests under way are finished");
    replica.stop(Duration::from_secs(options.propagation_seconds), Duration::from_secs(options.grace_seconds)).await;
    Ok(ExitCode::SUCCESS)
}
