//! One connection of a client, from its first byte to its last.

use crate::http2;
use crate::io::{ClientIo, ClientStream, Connection, Refusal};
use crate::listener::Door;
use crate::proxy_protocol::{self, NoHeader};
use crate::service::{self, Client};
use crate::tls;
use crate::worker::Worker;
use bytes::BytesMut;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Serves the requests of a connection.
pub(crate) async fn serve(worker: &Rc<Worker>, mut stream: TcpStream, peer: IpAddr, door: Door) {
    // Without it only the latency suffers.
    let _ = stream.set_nodelay(true);
    let (since, socket, settings) = (Instant::now(), peer.to_canonical(), &worker.settings);
    let begins_with_header = settings.client_ip.awaits_proxy_header(socket);
    let begun =
        if begins_with_header { proxy_protocol::read(&mut stream, since + settings.timeouts.header).await } else { Ok(Some(socket)) };
    let (peer, refusal) = match begun {
        Ok(peer) => (peer, None),
        Err(NoHeader::Refused(refusal)) => (None, Some(refusal)),
        Err(NoHeader::Silent) => return,
    };
    // An origin that reads it must not take the balancer for a client.
    let peer_text = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    let Ok(peer_text) = HeaderValue::from_str(&peer_text) else { return };
    let trusted = peer.is_some_and(|peer| settings.client_ip.speaks_by_fields(peer));
    let mut client = Client {
        connection: Rc::new(Connection::default()),
        socket,
        peer,
        peer_text,
        trusted,
        early: RefCell::default(),
        tunnel: RefCell::default(),
        door,
        session: None,
        is_http2: false,
    };
    match (&worker.tls, door) {
        (Some(tls), Door::Https) => {
            if refusal.is_some() {
                // Nobody who speaks TLS reads an answer without it.
                return worker.shard.failure("proxy-header");
            }
            let (stream, session) = match tls::accept(worker, tls, stream, since + settings.timeouts.client_handshake).await {
                Ok(agreed) => agreed,
                Err(tls::NoSession(label)) => return worker.shard.failure(label),
            };
            client.session = Some(Rc::new(session));
            let (since, is_http2) = (Instant::now(), tls::is_http2(&stream));
            if is_http2 {
                http2::serve(worker, stream, BytesMut::new(), &Rc::new(client), since).await;
            } else {
                serve_http1(worker, stream, BytesMut::new(), client, refusal, since).await;
            }
        }
        _ if settings.http2_prior_knowledge && refusal.is_none() => {
            match timeout_at(since + settings.timeouts.header, beginning(&mut stream)).await {
                Ok((begun, true)) => http2::serve(worker, stream, begun, &Rc::new(client), since).await,
                Ok((begun, false)) => serve_http1(worker, stream, begun, client, refusal, since).await,
                // As for HTTP/1 that never comes.
                Err(_) => {}
            }
        }
        _ => serve_http1(worker, stream, BytesMut::new(), client, refusal, since).await,
    }
}

/// What comes first, and whether that is HTTP/2's preface: no byte of it is another one's beginning as a whole.
async fn beginning(stream: &mut TcpStream) -> (BytesMut, bool) {
    let mut begun = BytesMut::with_capacity(http2::PREFACE.len());
    while begun.len() < http2::PREFACE.len() && http2::PREFACE.starts_with(&begun) {
        // An end or an error is met again by whoever reads next.
        if !matches!(stream.read_buf(&mut begun).await, Ok(1..)) {
            return (begun, false);
        }
    }
    let is_http2 = begun.starts_with(http2::PREFACE);
    (begun, is_http2)
}

/// Serves the requests of a connection, one after the other, behind the gate.
async fn serve_http1<S: ClientStream>(
    worker: &Rc<Worker>,
    stream: S,
    begun: BytesMut,
    client: Client,
    refusal: Option<Refusal>,
    since: Instant,
) {
    let (settings, connection) = (&worker.settings, Rc::clone(&client.connection));
    let mut io = ClientIo::new(stream, begun, Rc::clone(&connection), settings.timeouts, settings.limits.head, since);
    if let Some(refusal) = refusal {
        io.refuse(refusal);
    }
    let client = Rc::new(client);
    let service = service_fn(|request| service::serve(Rc::clone(worker), Rc::clone(&client), request));
    let mut http = worker.http.serve_connection(TokioIo::new(io), service);
    let mut exchanges = poll_fn(|cx| {
        let over = Pin::new(&mut http).poll(cx);
        // What hyper leaves behind at its end may have lost its rest, and would pass for a whole request.
        if over.is_pending() {
            client.send_on(cx);
        }
        over
    });
    let mut draining = worker.drains();
    // How a connection ends was told where it was seen: by its gate, its request or its response.
    let over = tokio::select! {
        biased;
        over = &mut exchanges => Some(over),
        _ = draining.wait_for(|draining| *draining) => None,
    };
    let over = match over {
        Some(over) => over,
        None => {
            connection.close();
            exchanges.await
        }
    };
    if over.is_err() || !connection.asked_for_upgrade() {
        return;
    }
    // hyper leaves the end to its caller where another protocol was asked for, agreed to or not.
    let mut io = http.into_parts().io.into_inner();
    let tunnel = client.tunnel.take();
    let Some(tunnel) = tunnel else {
        let _ = io.shutdown().await;
        return;
    };
    match io.into_tunnel() {
        Ok((stream, held)) => tunnel.run(worker, stream, held).await,
        Err(fault) => tracing::debug!(%fault, "an upgrade that cannot be"),
    }
}
