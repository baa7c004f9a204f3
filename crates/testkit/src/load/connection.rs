//! A connection of a load, and what goes over it.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::future::Either;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::report::{Answer, side};
use super::{Protocol, Schedule};
use crate::origin::LABEL;

/// The response header in which serin says what it decided.
const DECISION: &str = "serin-decision";
/// How often a request is sent that nobody processes.
const ATTEMPTS: u32 = 5;

type Outgoing = Request<Empty<Bytes>>;

/// Opened when it is needed, and again when it has ended.
#[derive(Default)]
pub(super) struct Connection(Mutex<Option<Sender>>);

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// Sends a request and reads the whole answer.
    ///
    /// A connection whose end was announced, or seen before anything was sent, costs nothing, and neither does a stream of HTTP/2 that the
    /// server says it did not process (RFC 9113, 6.8 and 8.7): it is sent again, and counted. One that breaks under a request costs that.
    pub(super) async fn exchange(&self, schedule: &Schedule, number: u64) -> Result<Answer, String> {
        let mut unprocessed = String::new();
        for _ in 0..ATTEMPTS {
            let sending = {
                let mut open = self.0.lock().await;
                let is_open = match open.as_mut() {
                    Some(sender) => sender.is_open().await,
                    None => false,
                };
                if !is_open {
                    *open = None;
                    *open = Some(connect(schedule).await.map_err(|error| format!("connect: {error:#}"))?);
                }
                open.as_mut().ok_or("connect: no connection")?.send(schedule.request(number))
            };
            match sending.await {
                Ok(response) => match read(response).await {
                    Ok(answer) => {
                        if schedule.plan.fresh {
                            self.abandon().await;
                        }
                        return Ok(answer);
                    }
                    Err(error) => return Err(self.broke(schedule, "body", error).await),
                },
                Err(error) => match why_unprocessed(&error) {
                    Some(why) => {
                        *schedule.report().again.entry(why.clone()).or_default() += 1;
                        unprocessed = why;
                    }
                    None => return Err(self.broke(schedule, "send", error.into_error()).await),
                },
            }
        }
        Err(format!("send: {ATTEMPTS} times not processed, at last by {unprocessed}"))
    }

    /// The next request gets a new one; what is under way on this one goes on.
    pub(super) async fn abandon(&self) {
        self.0.lock().await.take();
    }

    async fn broke(&self, schedule: &Schedule, at: &str, error: hyper::Error) -> String {
        // That a stream of HTTP/2 was reset does not end its connection.
        if schedule.plan.protocol == Protocol::Http1 {
            self.abandon().await;
        }
        format!("{at}: {:#}", anyhow::Error::new(error))
    }
}

impl Sender {
    async fn is_open(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    fn send(&mut self, request: Outgoing) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Outgoing>>> + use<> {
        match self {
            Self::Http1(sender) => Either::Left(sender.try_send_request(request)),
            Self::Http2(sender) => Either::Right(sender.try_send_request(request)),
        }
    }
}

/// How it is known that nobody has processed the request; absent when somebody may have.
fn why_unprocessed(error: &TrySendError<Outgoing>) -> Option<String> {
    if error.message().is_some() {
        return Some("closed before it was sent".into());
    }
    let error = error.error().source()?.downcast_ref::<h2::Error>().filter(|error| error.is_remote())?;
    let reason = error.reason().unwrap_or(h2::Reason::NO_ERROR);
    // A stream that GOAWAY counts among those that are processed ends by another error.
    let is_refused = error.is_reset() && reason == h2::Reason::REFUSED_STREAM;
    (error.is_go_away() || is_refused).then(|| if is_refused { "REFUSED_STREAM".into() } else { format!("GOAWAY {reason:?}") })
}

async fn connect(schedule: &Schedule) -> Result<Sender> {
    let plan = &schedule.plan;
    let stream = TcpStream::connect(plan.target).await?;
    stream.set_nodelay(true)?;
    let sender = match &schedule.tls {
        None => handshake(plan.protocol, stream).await?,
        Some(client) => {
            let name = plan.host.rsplit_once(':').map_or(plan.host.as_str(), |(name, _)| name).to_owned();
            let connector = TlsConnector::from(Arc::clone(client));
            let stream = connector.connect(ServerName::try_from(name)?, stream).await.context("TLS")?;
            let agreed = stream.get_ref().1.alpn_protocol();
            ensure!(agreed == Some(alpn(plan.protocol)), "TLS agreed on the protocol {agreed:?}");
            handshake(plan.protocol, stream).await?
        }
    };
    schedule.report().connections += 1;
    Ok(sender)
}

async fn handshake(protocol: Protocol, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Sender> {
    Ok(match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Sender::Http1(sender)
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Sender::Http2(sender)
        }
    })
}

fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http1 => b"http/1.1",
        Protocol::Http2 => b"h2",
    }
}

/// The client of all connections of a load: it offers one protocol.
pub(super) fn client(client: &ClientConfig, protocol: Protocol) -> Arc<ClientConfig> {
    let mut client = client.clone();
    client.alpn_protocols = vec![alpn(protocol).to_vec()];
    client.resumption = Resumption::in_memory_sessions(64);
    Arc::new(client)
}

/// Reads the body to its end, so that the connection can be used again.
async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut body) = response.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let text = |name: &str| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Answer { status: head.status, label: text(LABEL), side: text(DECISION).as_deref().and_then(side) })
}
