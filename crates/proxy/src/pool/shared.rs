//! Connections that many requests share: those by HTTP/2.

use super::{Endpoint, Pool, Terms};
use crate::failure::Failure;
use crate::origin::{Connection, Http2, Stream};
use serin_routing::config::Protocol;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What came of a connection that several wait for.
type Outcome = Option<Result<(), Failure>>;

/// The connections to one endpoint.
#[derive(Debug, Default)]
pub(super) struct Shared {
    connections: Vec<Rc<Http2>>,
    /// One that is being made.
    connecting: Option<watch::Receiver<Outcome>>,
    /// The origin had the choice, and took HTTP/1.1.
    speaks_http1: bool,
}

/// A connection for a request.
#[derive(Debug)]
pub(super) enum Found {
    Http1(Box<Connection>),
    Http2(Rc<Http2>),
}

impl Shared {
    /// Closes what nobody has used for so long; whether anything is left.
    pub(super) fn close_idle(&mut self, now: Instant, limit: Duration) -> bool {
        self.connections.retain(|connection| !connection.is_over() && !connection.is_idle(now, limit));
        !self.connections.is_empty() || self.connecting.is_some()
    }
}

impl Pool {
    /// A connection to an endpoint, and whether it was there before.
    pub(super) async fn find(self: &Rc<Self>, endpoint: &Endpoint, terms: &Terms) -> Result<(Found, bool), Failure> {
        let mut reused = true;
        loop {
            if let Some(connection) = self.take(endpoint) {
                return Ok((Found::Http1(connection), reused));
            }
            if endpoint.protocol == Protocol::Http1 {
                return self.connect(endpoint, terms).await.map(|connection| (Found::Http1(connection), false));
            }
            let mut told = {
                let mut shared = self.shared.borrow_mut();
                let shared = shared.entry(endpoint.clone()).or_default();
                shared.connections.retain(|connection| !connection.is_over());
                if let Some(connection) = shared.connections.iter().find(|connection| connection.has_room()) {
                    return Ok((Found::Http2(Rc::clone(connection)), reused));
                }
                match &shared.connecting {
                    Some(told) => Some(told.clone()),
                    None if shared.speaks_http1 => None,
                    None => {
                        let (tell, told) = watch::channel(None);
                        shared.connecting = Some(told.clone());
                        // Others wait for it too, whatever becomes of this request.
                        tokio::task::spawn_local(Rc::clone(self).share(endpoint.clone(), *terms, tell));
                        Some(told)
                    }
                }
            };
            reused = false;
            match &mut told {
                Some(told) => match told.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome) {
                    Some(Ok(())) => {}
                    Some(Err(failure)) => return Err(failure),
                    None => return Err(Failure::Connect),
                },
                None => self.add(endpoint, terms).await?,
            }
        }
    }

    /// Makes a connection and tells those who wait for it.
    async fn share(self: Rc<Self>, endpoint: Endpoint, terms: Terms, tell: watch::Sender<Outcome>) {
        let outcome = self.add(&endpoint, &terms).await;
        if let Some(shared) = self.shared.borrow_mut().get_mut(&endpoint) {
            shared.connecting = None;
        }
        tell.send_replace(Some(outcome));
    }

    /// Makes a connection and puts it where it is found.
    async fn add(&self, endpoint: &Endpoint, terms: &Terms) -> Result<(), Failure> {
        let (stream, permit) = self.open(endpoint, terms).await?;
        let is_http2 = match (&stream, endpoint.protocol) {
            (_, Protocol::Http1) => false,
            (Stream::Plain(_), protocol) => protocol == Protocol::Http2,
            (Stream::Tls(_), protocol) => match (stream.agreed_on_http2(), protocol) {
                (false, Protocol::Http2) => return Err(Failure::Handshake),
                (agreed, _) => agreed,
            },
        };
        if is_http2 {
            let connection = Http2::new(stream, &terms.timeouts, self.limits.head, permit).await?;
            self.shared.borrow_mut().entry(endpoint.clone()).or_default().connections.push(connection);
        } else {
            self.shared.borrow_mut().entry(endpoint.clone()).or_default().speaks_http1 = true;
            self.keep(Box::new(Connection::new(endpoint.clone(), stream, terms.timeouts, self.limits.head, permit)));
        }
        Ok(())
    }
}
