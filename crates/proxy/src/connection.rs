//! One connection of a client, from its first byte to its last.

use crate::io::{ClientIo, Connection};
use crate::service::{self, Client};
use crate::worker::Worker;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use tokio::net::TcpStream;

/// Serves the requests of a connection, one after the other.
pub(crate) async fn serve(worker: &Rc<Worker>, stream: TcpStream, peer: IpAddr) {
    // Without it only the latency suffers.
    let _ = stream.set_nodelay(true);
    let peer = peer.to_canonical();
    let Ok(peer_text) = HeaderValue::from_str(&peer.to_string()) else { return };
    let connection = Rc::new(Connection::default());
    let io = ClientIo::new(stream, Rc::clone(&connection), worker.settings.timeouts, worker.settings.limits.head);
    let trusted = worker.settings.client_ip.trusts(peer);
    let client = Rc::new(Client { connection: Rc::clone(&connection), peer, peer_text, trusted, early: RefCell::default() });
    let service = service_fn(|request| service::serve(Rc::clone(worker), Rc::clone(&client), request));
    let mut exchanges = pin!(worker.http.serve_connection(TokioIo::new(io), service));
    let mut exchanges = poll_fn(|cx| {
        let over = exchanges.as_mut().poll(cx);
        // What hyper leaves behind at its end may have lost its rest, and would pass for a whole request.
        if over.is_pending() {
            client.send_on(cx);
        }
        over
    });
    let mut draining = worker.drains();
    // How a connection ends was told where it was seen: by its gate, its request or its response.
    tokio::select! {
        biased;
        _ = &mut exchanges => return,
        _ = draining.wait_for(|draining| *draining) => connection.close(),
    }
    let _ = exchanges.await;
}
