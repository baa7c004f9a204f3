//! The demo's users: who they are, how fast they ask, and what they saw.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// How many users there are, beside the heavy hitter.
pub(crate) const USERS: usize = 200;
/// Connections that the users share.
const CONNECTIONS: usize = 8;
/// Between two requests of one connection.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two requests of the heavy hitter.
const HEAVY_PAUSE: Duration = Duration::from_millis(8);
/// The header that says who a user is.
pub(crate) const USER_HEADER: &str = "X-User";

/// What all users saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Answers of stable and of the canary.
    pub(crate) stable: u64,
    /// Answers of the canary.
    pub(crate) canary: u64,
    /// Answers over 499.
    pub(crate) errors: u64,
    /// No answer at all.
    pub(crate) lost: u64,
    /// Users that were on the canary and were answered by stable after it.
    pub(crate) moved_back: usize,
    /// Who the canary answered last.
    sides: HashMap<String, bool>,
}

/// The load, until it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Seen {
    /// How many users the canary has.
    pub(crate) fn users_on_canary(&self) -> usize {
        self.sides.values().filter(|on_canary| **on_canary).count()
    }

    fn note(&mut self, user: &str, status: u16, body: &[u8]) {
        if status > 499 {
            self.errors += 1;
        }
        let on_canary = match body {
            b"v1" => false,
            b"v2" => true,
            _ => return,
        };
        *(if on_canary { &mut self.canary } else { &mut self.stable }) += 1;
        match self.sides.get_mut(user) {
            Some(before) => {
                self.moved_back += usize::from(*before && !on_canary);
                *before = on_canary;
            }
            None => drop(self.sides.insert(user.to_owned(), on_canary)),
        }
    }
}

impl Load {
    /// Begins to ask the proxy at `address`.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let users = (0..USERS).map(|n| format!("user-{n:03}")).collect::<Vec<_>>();
        let shares = users.chunks(USERS / CONNECTIONS).map(|users| (users.to_vec(), PAUSE));
        let heavy = (vec!["heavy-hitter".to_owned()], HEAVY_PAUSE);
        let tasks = shares.chain([heavy]).map(|(users, pause)| tokio::spawn(ask(address, users, pause, Arc::clone(&seen)))).collect();
        Self { seen, tasks }
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn ask(address: SocketAddr, users: Vec<String>, pause: Duration, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    for user in users.iter().cycle() {
        ticks.tick().await;
        match exchange(&mut connection, address, user).await {
            Ok((status, body)) => lock(&seen).note(user, status, &body),
            Err(_) => {
                connection = None;
                lock(&seen).lost += 1;
            }
        }
    }
}

async fn exchange(connection: &mut Option<SendRequest<Empty<Bytes>>>, address: SocketAddr, user: &str) -> anyhow::Result<(u16, Bytes)> {
    let kept = match connection.take() {
        Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
        None => None,
    };
    let sender = connection.insert(match kept {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) = handshake(TokioIo::new(stream)).await?;
            // What ends the connection is seen by the next request.
            tokio::spawn(driver);
            sender
        }
    });
    let request = Request::get("/checkout").header(header::HOST, super::HOST).header(USER_HEADER, user).body(Empty::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// What was counted before a panic elsewhere is still true.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_way_from_the_canary_to_stable_is_a_move_back() {
        let mut seen = Seen::default();
        for (user, body) in [("a", "v1"), ("a", "v2"), ("b", "v1"), ("a", "v2")] {
            seen.note(user, 200, body.as_bytes());
        }
        assert_eq!((seen.moved_back, seen.users_on_canary(), seen.stable, seen.canary), (0, 1, 2, 2));
        seen.note("a", 500, b"v1");
        assert_eq!((seen.moved_back, seen.users_on_canary(), seen.errors), (1, 0, 1));
        seen.note("a", 503, b"no endpoint");
        assert_eq!((seen.stable, seen.errors), (3, 2), "an answer of the proxy's own is on no side");
    }
}
