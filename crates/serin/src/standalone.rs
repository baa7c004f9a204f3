//! `serin standalone`.

use crate::log::LogFormat;
use anyhow::Context;
use clap::Args;
use serin_compiler::{AllowedHosts, Key};
use serin_controller::outside::Outside;
use serin_controller::standalone::{self, Settings};
use serin_proxy::{AccessLog, ClientIp, ClientIpFrom, OriginTls};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// For how long it goes on accepting after SIGTERM: a connection that is closed while nobody uses it may meet the client's next request on
/// the way, so clients are told first, in the answers of this time.
const PROPAGATION: Duration = Duration::from_secs(1);
/// How long requests under way may take after that.
const GRACE: Duration = Duration::from_secs(25);

/// The options of `serin standalone`; each is an environment variable too.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of manifests: *.yaml, *.yml and *.json. It is watched.
    #[arg(long, env = "SERIN_MANIFESTS", value_name = "DIR")]
    manifests: PathBuf,
    /// Where the proxy listens.
    #[arg(long, env = "SERIN_HTTP", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where health, metrics, releases and commands are; on loopback.
    #[arg(long, alias = "admin-listen", env = "SERIN_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// Keeps uid, creation, commands and status of releases over a restart.
    #[arg(long, env = "SERIN_STATE", value_name = "FILE")]
    state: Option<PathBuf>,
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

/// What an operator says of TLS towards clients.
#[derive(Debug, Args)]
pub(crate) struct TlsOptions {
    /// The Secret whose certificate is shown to clients that ask for a host without one, or for none. Without it they are refused, by the alert
    /// unrecognized_name. Default: none.
    #[arg(long, env = "SERIN_DEFAULT_TLS_SECRET", value_name = "NAMESPACE/NAME", value_parser = secret)]
    default_tls_secret: Option<Key>,
    /// Sends requests that come without TLS to the same place with it, for hosts that have a certificate. An Ingress says otherwise by its
    /// annotation serin.dev/https-redirect. Challenges of ACME are always served.
    #[arg(long, env = "SERIN_HTTPS_REDIRECT")]
    https_redirect: bool,
    /// The port of TLS as clients know it. Default: 443 in a cluster, else that of --https.
    #[arg(long, env = "SERIN_HTTPS_PORT", value_name = "PORT")]
    https_port: Option<u16>,
    /// For how many seconds browsers that came by TLS ask for the host by nothing else (Strict-Transport-Security). Default: not said.
    #[arg(long, env = "SERIN_HSTS", value_name = "SECONDS")]
    hsts: Option<u32>,
    /// Speaks HTTP/2 without TLS too, with clients that begin with it (prior knowledge).
    #[arg(long, env = "SERIN_HTTP2_PRIOR_KNOWLEDGE")]
    http2_prior_knowledge: bool,
}

impl TlsOptions {
    /// `port`: that of TLS where none is said; `None`: the one that is listened on.
    pub(crate) fn apply(&self, https: Option<SocketAddr>, port: Option<u16>, settings: &mut serin_proxy::Settings) {
        settings.https = https;
        settings.https_redirect = self.https_redirect;
        // Somebody else speaks TLS, where clients look for it first.
        let port = if https.is_none() { Some(443) } else { port };
        settings.https_port = self.https_port.or(port);
        settings.hsts = self.hsts;
        settings.http2_prior_knowledge = self.http2_prior_knowledge;
    }

    pub(crate) fn default_secret(&self) -> Option<Key> {
        self.default_tls_secret.clone()
    }
}

fn secret(text: &str) -> Result<Key, String> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'));
    parts.map(|(namespace, name)| Key::new(namespace, name)).ok_or_else(|| "use NAMESPACE/NAME".to_owned())
}

/// What an operator says of hosts outside the cluster.
#[derive(Debug, Args)]
pub(crate) struct OutsideOptions {
    /// Hosts outside the cluster that a canary or an ExternalName Service may be: a DNS name, `*.` and what names must end in, an address,
    /// a network, or `*` for all. In a cluster never loopback, link-local and the API server, whatever a name stands for; without a cluster
    /// loopback always. Default: none.
    #[arg(long, env = "SERIN_ALLOW_EXTERNAL_HOSTS", value_name = "PATTERN,...", value_delimiter = ',')]
    allow_external_hosts: Vec<AllowedHosts>,
    /// Hosts that serin itself may call for the author of an object, beside the Services of his namespace: key sets by `jwks.url`. Patterns as
    /// those of --allow-external-hosts; never loopback (but without a cluster), link-local and the API server. Default: none.
    #[arg(long, env = "SERIN_OUTBOUND_ALLOW", value_name = "PATTERN,...", value_delimiter = ',')]
    outbound_allow: Vec<AllowedHosts>,
    /// DNS servers that are asked for those names, as ADDRESS:PORT. Default: those of /etc/resolv.conf.
    #[arg(long, env = "SERIN_DNS_SERVERS", value_name = "ADDR,...", value_delimiter = ',')]
    dns_servers: Vec<SocketAddr>,
}

impl OutsideOptions {
    pub(crate) fn read(&self) -> Outside {
        Outside { allowed: self.allow_external_hosts.clone(), called: self.outbound_allow.clone(), dns_servers: self.dns_servers.clone() }
    }
}

/// What every proxy of serin can be told.
#[derive(Debug, Args)]
pub(crate) struct ProxyOptions {
    /// Networks, or addresses, whose word on the client's address is believed. Default: none.
    #[arg(long, env = "SERIN_TRUSTED_PROXIES", value_name = "CIDR,...", value_delimiter = ',', value_parser = network)]
    trusted_proxies: Vec<ipnet::IpNet>,
    /// Where they say it: xff (X-Forwarded-For), forwarded, x-real-ip, header:NAME, or proxy-protocol, with which every connection of theirs
    /// begins.
    #[arg(long, env = "SERIN_CLIENT_IP_FROM", value_name = "SOURCE", default_value = "xff")]
    client_ip_from: ClientIpFrom,
    /// Threads that serve. Default: the cores available, at most 8.
    #[arg(long, env = "SERIN_WORKERS")]
    workers: Option<usize>,
    /// Issuers of certificates that are believed beside those of this system, of origins that are spoken to by TLS; a PEM file.
    #[arg(long, env = "SERIN_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// The form of the log, on standard error; SERIN_LOG says what is logged.
    #[arg(long, env = "SERIN_LOG_FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// The access log, on standard output; `on`: in the form of --log-format; in standalone mode two lines with the addresses come before it.
    #[arg(long, env = "SERIN_ACCESS_LOG", default_value = "off", value_parser = ["off", "on", "text", "json"])]
    access_log: String,
}

impl ProxyOptions {
    /// # Errors
    /// When one option makes no sense without another, or a file cannot be read.
    pub(crate) fn apply(&self, settings: &mut serin_proxy::Settings) -> anyhow::Result<()> {
        let believes_nobody = self.trusted_proxies.is_empty() && self.client_ip_from != ClientIpFrom::default();
        anyhow::ensure!(!believes_nobody, "--client-ip-from is for --trusted-proxies: say with it whose word is believed");
        settings.client_ip = ClientIp { trusted: self.trusted_proxies.clone(), from: self.client_ip_from.clone() };
        settings.origin_tls = OriginTls::of_system(self.upstream_ca.as_deref()).context("--upstream-ca")?;
        settings.workers = self.workers.unwrap_or(settings.workers).max(1);
        settings.access_log = match (self.access_log.as_str(), self.log_format) {
            ("text", _) | ("on", LogFormat::Text) => AccessLog::Text,
            ("json", _) | ("on", LogFormat::Json) => AccessLog::Json,
            _ => AccessLog::Off,
        };
        Ok(())
    }
}

/// A network, or an address alone.
fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(ipnet::IpNet::from);
    text.parse().ok().or_else(address).ok_or_else(|| "use a network, such as 10.0.0.0/8, or an address".to_owned())
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (admin, state, outside) = (options.admin, options.state.clone(), options.outside.read());
    let default_tls_secret = options.tls.default_secret();
    let mut settings = Settings { admin, state, outside, default_tls_secret, ..Settings::new(&options.manifests, options.http) };
    options.proxy.apply(&mut settings.proxy)?;
    options.tls.apply(options.https, None, &mut settings.proxy);
    let standalone = standalone::start(settings).await?;
    let (http, admin) = (standalone.http(), standalone.admin());
    // For whoever asked for port 0, and for the eye. Nobody may be reading.
    let https = standalone.https().map(|https| format!("https  https://{https}\n")).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "http   http://{http}\n{https}admin  http://{admin}  (serin watch --admin {admin})");
    tracing::info!(%http, %admin, "serving {}", options.manifests.display());
    until_told_to_stop().await?;
    tracing::info!("stopping: requests under way are finished");
    standalone.stop(PROPAGATION, GRACE).await;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM or SIGINT.
pub(crate) async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
