//! What stands before replicas in a cluster: new connections go to a replica that says it is ready, open ones stay where they are.

use crate::replica::Seen;
use anyhow::{Context, Result};
use std::io::copy;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;
use std::time::Duration;

/// How often readiness is looked at. A node hears of it about so late.
const PROBE: Duration = Duration::from_millis(500);

/// Listens at this address for as long as the test process lives; with nobody ready it keeps whom it had.
pub(crate) fn start(address: Ipv4Addr, replicas: Vec<Seen>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((address, 0)).context("cannot listen")?;
    let local = listener.local_addr()?;
    let ready: Arc<Mutex<Vec<SocketAddr>>> = Arc::new(Mutex::new(replicas.iter().map(Seen::http).collect()));
    let known = Arc::clone(&ready);
    spawn(move || {
        loop {
            let now: Vec<_> = replicas.iter().filter(|seen| seen.readiness().is_ok_and(|status| status == 200)).map(Seen::http).collect();
            if !now.is_empty() {
                *known.lock().unwrap_or_else(PoisonError::into_inner) = now;
            }
            std::thread::sleep(PROBE);
        }
    });
    spawn(move || {
        for (nth, client) in listener.incoming().flatten().enumerate() {
            let ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
            let to = ready[nth % ready.len()];
            // A connection that is refused is one that the client sees break.
            if let Ok(server) = TcpStream::connect(to) {
                forward(client, server);
            }
        }
    });
    Ok(local)
}

/// Both ways, each until its end.
fn forward(client: TcpStream, server: TcpStream) {
    let pipe = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        spawn(move || {
            // An end by error and an end by the peer are the same to the other side.
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        std::io::Result::Ok(())
    };
    // A stream that cannot be cloned is dropped, and closes.
    let _ = pipe(&client, &server).and_then(|()| pipe(&server, &client));
}
