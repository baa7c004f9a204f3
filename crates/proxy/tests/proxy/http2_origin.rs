//! Origins that speak HTTP/2, honest ones by the `h2` crate and hostile ones by hand.

use crate::support::{Origin, PATIENCE, backend, everything_to};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use serin_routing::config::{Backend, Config, Protocol};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// What an origin by HTTP/2 heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// An origin, and what it heard.
pub(crate) struct Http2Origin {
    pub(crate) origin: Origin,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Http2Origin {
    /// Hands each request to this, in a task of its own.
    pub(crate) fn serving<F>(answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let origin = Origin::talking(move |stream| {
            let answer = answer.clone();
            run(async move {
                stream.set_nonblocking(true).expect("a socket");
                let Ok(mut connection) = h2::server::handshake(tokio::net::TcpStream::from_std(stream).expect("a socket")).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::task::spawn_local(answer(request, respond));
                }
            });
        });
        Self { origin, heard: Arc::default() }
    }

    /// Reads each request whole, notes it, and answers with this body and these trailers.
    pub(crate) fn answering(head: fn() -> Response<()>, body: &'static [u8], trailers: &'static [(&'static str, &'static str)]) -> Self {
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let all = Arc::clone(&heard);
        let mut origin = Self::serving(move |request, mut respond| {
            let all = Arc::clone(&all);
            async move {
                let Some(request) = whole(request).await else { return };
                all.lock().expect("no panic").push(request);
                let is_last = body.is_empty() && trailers.is_empty();
                let Ok(mut stream) = respond.send_response(head(), is_last) else { return };
                if !body.is_empty() {
                    stream.send_data(Bytes::from_static(body), trailers.is_empty()).expect("a stream that is open");
                }
                if !trailers.is_empty() {
                    let fields = trailers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
                    stream.send_trailers(fields.collect()).expect("a stream that is open");
                }
            }
        });
        origin.heard = heard;
        origin
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic").clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.origin.address
    }
}

/// The whole of a request.
pub(crate) async fn whole(request: Request<RecvStream>) -> Option<Heard> {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.ok()?;
        stream.flow_control().release_capacity(data.len()).ok()?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.ok()?;
    Some(Heard { method: parts.method.to_string(), uri: parts.uri.to_string(), headers: parts.headers, body, trailers })
}

/// Runs on this thread.
pub(crate) fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default());
    runtime.expect("a runtime").block_on(future);
}

/// Everything goes to these, by HTTP/2 without TLS.
pub(crate) fn h2c(endpoints: &[SocketAddr]) -> Config {
    let backend = Backend { protocol: Protocol::Http2, ..backend("shop/checkout:80", endpoints) };
    Config { backends: vec![backend], ..everything_to(&[]) }
}

/// An origin that reads what comes, and says to each stream what this makes of its number.
pub(crate) fn hostile(say: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Origin {
    Origin::talking(move |mut stream| {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut preface = [0; 24];
        if stream.read_exact(&mut preface).is_err() || stream.write_all(&frame(4, 0, 0, b"")).is_err() {
            return;
        }
        while let Some((kind, flags, id)) = next(&mut stream) {
            let said = match kind {
                1 => say(id),
                4 if flags & 1 == 0 => frame(4, 1, 0, b""),
                _ => Vec::new(),
            };
            if stream.write_all(&said).is_err() {
                return;
            }
        }
    })
}

fn next(stream: &mut TcpStream) -> Option<(u8, u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

/// A frame (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

/// HEADERS with these fields, none of them compressed (RFC 7541, section 6.2.2).
pub(crate) fn headers(id: u32, ends: bool, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let text = |text: &[u8]| [&[u8::try_from(text.len()).expect("a short text")], text].concat();
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
    frame(1, 4 | u8::from(ends), id, &block)
}

/// GOAWAY for what is above `last`.
pub(crate) fn go_away(last: u32, reason: Reason) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat())
}

/// RST_STREAM.
pub(crate) fn reset(id: u32, reason: Reason) -> Vec<u8> {
    frame(3, 0, id, &u32::from(reason).to_be_bytes())
}
