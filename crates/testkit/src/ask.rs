//! One request on a connection of its own, as a probe sends it: nothing is kept alive, so each may meet another worker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Whoever is asked may be frozen or gone: a test must not wait for it.
const LIMIT: Duration = Duration::from_secs(5);
/// By TLS: what is asked of it is more, and a machine may be busy.
const TLS_LIMIT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// All that followed.
    pub body: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// GET with these headers; `Host` is one of them.
///
/// # Errors
/// When there is no whole answer, or one that is not HTTP.
pub fn get(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    get_after("", to, path, headers)
}

/// The same on a connection that begins with this, such as a PROXY header.
///
/// # Errors
/// When there is no whole answer, or one that is not HTTP.
pub fn get_after(before: &str, to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    exchange(to, &format!("{before}GET"), path, headers, "")
}

/// POST with these headers and this body; `Host` is one of them.
///
/// # Errors
/// When there is no whole answer, or one that is not HTTP.
pub fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
    let length = body.len().to_string();
    exchange(to, "POST", path, &[headers, &[("Content-Length", &length)]].concat(), body)
}

/// GET by TLS. The client asks for the certificate of `name`, which may be another than `Host`; it comes back too.
///
/// # Errors
/// When the certificate is not believed or none is shown, and those of [`get`].
pub fn get_tls(
    client: &Arc<ClientConfig>,
    name: &str,
    to: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(CertificateDer<'static>, Answer)> {
    let mut socket = connect(to)?;
    socket.set_read_timeout(Some(TLS_LIMIT))?;
    let mut session = ClientConnection::new(Arc::clone(client), ServerName::try_from(name.to_owned())?)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket).with_context(|| format!("no TLS with {to} for {name}"))?;
    }
    let mut stream = StreamOwned::new(session, socket);
    let answer = exchange_on(&mut stream, to, "GET", path, headers, "")?;
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?;
    Ok((shown.clone(), answer))
}

fn exchange(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
    exchange_on(&mut connect(to)?, to, method, path, headers, body)
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, LIMIT).with_context(|| format!("cannot connect to {to}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn exchange_on(
    stream: &mut (impl Read + Write),
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n{body}")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("{to} did not answer {path} to its end"))?;
    let text = String::from_utf8(bytes).context("an answer that is not UTF-8")?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no head in {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.with_context(|| format!("no status in {head:?}"))?, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;
    use std::net::Ipv4Addr;

    #[test]
    fn an_answer_has_status_headers_and_body() -> Result<()> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
        let host = [("Host", "shop.example")];
        for answer in [get(origin.address(), "/", &host)?, post(origin.address(), "/", &host, "{}")?] {
            assert_eq!((answer.status, answer.header("X-Origin"), answer.body.as_str()), (200, Some("v1"), "v1\n"));
        }
        Ok(())
    }
}
