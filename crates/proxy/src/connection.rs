//! One connection of a client, from its first byte to its last.

use crate::io::{ClientIo, Connection};
use crate::proxy_protocol::{self, NoHeader};
use crate::service::{self, Client};
use crate::worker::Worker;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Serves the requests of a connection, one after the other.
pub(crate) async fn serve(worker: &Rc<Worker>, mut stream: TcpStream, peer: IpAddr) {
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
    let connection = Rc::new(Connection::default());
    let mut io = ClientIo::new(stream, Rc::clone(&connection), settings.timeouts, settings.limits.head, since);
    if let Some(refusal) = refusal {
        io.refuse(refusal);
    }
    let trusted = peer.is_some_and(|peer| settings.client_ip.speaks_by_fields(peer));
    let client = Rc::new(Client {
        connection: Rc::clone(&connection),
        socket,
        peer,
        peer_text,
        trusted,
        early: RefCell::default(),
        tunnel: RefCell::default(),
    });
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
