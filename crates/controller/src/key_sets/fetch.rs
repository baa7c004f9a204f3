//! One GET of a key set: bounded in time and size, to the addresses that the rule lets through, and to nowhere else that an answer names.

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serin_proxy::OriginTls;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// From the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// 64 keys of RSA fit in four times.
const MOST_BYTES: usize = 256 * 1024;

/// Where nothing is fetched, whatever a name stands for.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Without a cluster loopback is as good as any.
    pub standalone: bool,
    /// The addresses of the API server.
    pub api_server: BTreeSet<IpAddr>,
}

impl Rule {
    /// What an address is that nothing is fetched from.
    fn forbids(&self, ip: IpAddr) -> Option<&'static str> {
        let ip = ip.to_canonical();
        match ip {
            _ if ip.is_loopback() && !self.standalone => Some("on loopback"),
            _ if self.api_server.contains(&ip) => Some("the API server's"),
            _ => serin_compiler::special(ip),
        }
    }
}

/// The text, or why there is none; that says nothing of any text.
pub(super) async fn fetch(url: &str, rule: &Rule, tls: &OriginTls) -> Result<Vec<u8>, String> {
    let seconds = TIMEOUT.as_secs();
    timeout(TIMEOUT, exchange(url, rule, tls)).await.unwrap_or_else(|_| Err(format!("there is no whole answer within {seconds} s")))
}

async fn exchange(url: &str, rule: &Rule, tls: &OriginTls) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_tls = uri.scheme_str() == Some("https");
    let socket = connect(host, uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }), rule).await?;
    if is_tls {
        let stream = tls.connect(host, socket).await.map_err(|error| format!("{host} is not believed by TLS: {error}"))?;
        get(&uri, stream).await
    } else {
        get(&uri, socket).await
    }
}

/// To the first address that answers, of those that are allowed: exactly these are asked and used.
async fn connect(host: &str, port: u16, rule: &Rule) -> Result<TcpStream, String> {
    let found = lookup_host((host, port)).await.map_err(|_| format!("the name {host} cannot be looked up"))?;
    let mut failure = format!("the name {host} has no address");
    for address in found.map(|address| SocketAddr::new(address.ip().to_canonical(), port)) {
        if let Some(why) = rule.forbids(address.ip()) {
            failure = format!("{host} is at {}, which is {why}", address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = format!("{address} cannot be connected to: {}", error.kind()),
        }
    }
    Err(failure)
}

async fn get(uri: &Uri, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Vec<u8>, String> {
    let broken = |_| "the answer is no HTTP/1.1, or breaks off".to_owned();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the exchange.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "serin")
        .body(Empty::<Bytes>::new())
        .map_err(|_| "it is no URL".to_owned())?;
    let response = sender.send_request(request).await.map_err(broken)?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(format!("the answer is {}, and redirects are not followed", status.as_u16())),
        status => return Err(format!("the answer is {}", status.as_u16())),
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
        true => format!("the answer is longer than {MOST_BYTES} bytes"),
        false => "the answer breaks off".to_owned(),
    })?;
    Ok(body.to_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_from_loopback_link_local_addresses_and_the_api_server() {
        let api_server = BTreeSet::from(["10.96.0.1".parse().expect("an address")]);
        let cluster = Rule { standalone: false, api_server: api_server.clone() };
        let alone = Rule { standalone: true, api_server };
        for (ip, in_cluster, in_standalone) in [
            ("10.0.0.7", None, None),
            ("2001:db8::7", None, None),
            ("127.0.0.1", Some("on loopback"), None),
            ("::ffff:127.0.0.1", Some("on loopback"), None),
            ("::1", Some("on loopback"), None),
            ("169.254.169.254", Some("link-local"), Some("link-local")),
            ("::ffff:169.254.169.254", Some("link-local"), Some("link-local")),
            ("fe80::1", Some("link-local"), Some("link-local")),
            ("0.0.0.0", Some("of no one host"), Some("of no one host")),
            ("::", Some("of no one host"), Some("of no one host")),
            ("224.0.0.1", Some("of no one host"), Some("of no one host")),
            ("10.96.0.1", Some("the API server's"), Some("the API server's")),
            ("::ffff:10.96.0.1", Some("the API server's"), Some("the API server's")),
        ] {
            let ip: IpAddr = ip.parse().expect("an address");
            assert_eq!((cluster.forbids(ip), alone.forbids(ip)), (in_cluster, in_standalone), "{ip}");
        }
    }

    #[tokio::test]
    async fn the_rule_is_asked_of_the_address_that_is_connected_to() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let rule = |standalone| Rule { standalone, api_server: BTreeSet::new() };
        let refused = connect("localhost", port, &rule(false)).await.expect_err("it is on loopback");
        assert!(refused.contains("on loopback"), "{refused}");
        assert!(connect("localhost", port, &rule(true)).await.is_ok());
    }
}
