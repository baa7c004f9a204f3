//! Connections to origins: HTTP/1.1 as serin speaks it, with every byte of an answer through the gate, and HTTP/2.
//!
//! A connection has no task of its own: whoever serves the request drives it, so that an answer takes no turn through a queue. Written
//! here and not taken from hyper's client, which passes heads and bodies between two tasks and wants each request as a value that it
//! consumes: that was a quarter of all that a worker did for a request, and a copy of each that may have to be sent again.

mod answer;
mod head;
mod http1;
mod http2;
mod rest;
mod stream;
#[cfg(test)]
mod tests;
mod upload;

use crate::failure::Failure;
use crate::gate;
use crate::gate::response::ResponseHead;
use crate::io::Deadline;
use crate::pool::{Endpoint, Permit};
use crate::settings::Timeouts;
pub(crate) use answer::Answer;
use bytes::BytesMut;
use head::Heads;
use http::response::Parts;
pub(crate) use http1::Http1Answer;
pub(crate) use http2::Http2;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
pub(crate) use stream::Stream;
use tokio::io::AsyncReadExt;
use upload::Sending;
pub(crate) use upload::Upload;

/// How much of a body is read at once.
const PIECE: usize = 16 * 1024;
/// How much is read at once where a head is expected.
const HEAD_PIECE: usize = 4 * 1024;

/// One connection, used by one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) endpoint: Endpoint,
    stream: Stream,
    timeouts: Timeouts,
    limits: gate::Limits,
    /// What came and nobody has yet.
    held: BytesMut,
    read: Deadline,
    write: Deadline,
    _permit: Permit,
}

impl Connection {
    /// A connection on which nothing was said yet.
    pub(crate) fn new(endpoint: Endpoint, stream: Stream, timeouts: Timeouts, limits: gate::Limits, permit: Permit) -> Self {
        let held = BytesMut::new();
        Self { endpoint, stream, timeouts, limits, held, read: Deadline::default(), write: Deadline::default(), _permit: permit }
    }

    /// What it is made of, once it is a tunnel; and what came of it already.
    pub(crate) fn parts(&mut self) -> (&mut Stream, &mut BytesMut) {
        (&mut self.stream, &mut self.held)
    }

    /// Whether it can carry another request: the origin has neither closed it nor sent what nobody asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.held.is_empty() && self.stream.is_quiet()
    }

    /// How long the next request waits for anything.
    pub(crate) fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// Sends a request, as much of it as the origin wants, until the head of its response is there.
    pub(crate) async fn ask(&mut self, upload: &mut Upload) -> Result<(Parts, ResponseHead), Failure> {
        self.read.stop();
        self.write.stop();
        let mut heads = Heads::new(upload.is_head(), upload.asks_for_websocket());
        poll_fn(|cx| self.poll_head(cx, upload, &mut heads)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, upload: &mut Upload, heads: &mut Heads) -> Poll<Result<(Parts, ResponseHead), Failure>> {
        if self.send(cx, upload)? {
            // The wait for the answer begins with the last byte that went out.
            self.read.start(self.timeouts.first_byte);
        }
        loop {
            if let Some(head) = heads.take(&mut self.held, &self.limits)? {
                self.read.stop();
                return Poll::Ready(Ok(head));
            }
            match self.fill(cx, HEAD_PIECE) {
                Poll::Ready(Ok(1..)) => upload.answered(),
                Poll::Ready(_) => return Poll::Ready(Err(Failure::OriginReset)),
                Poll::Pending => {
                    return self.poll_wait(cx, self.timeouts.first_byte, Some(upload)).map(|()| Err(Failure::FirstByteTimeout));
                }
            }
        }
    }

    /// Sends what can be sent; whether anything was.
    fn send(&mut self, cx: &mut Context<'_>, upload: &mut Upload) -> Result<bool, Failure> {
        let before = upload.written();
        match upload.advance(cx, &mut self.stream) {
            Sending::Origin => {
                if upload.written() > before {
                    self.write.stop();
                }
                self.write.keep(self.timeouts.origin_idle);
                if self.write.poll(cx).is_ready() {
                    return Err(Failure::OriginIdle);
                }
            }
            Sending::Broken => return Err(Failure::ClientLeft),
            Sending::Client | Sending::Over => self.write.stop(),
        }
        Ok(upload.written() > before)
    }

    /// Nothing came. Ready when that has been so for too long; while the client is still sending it is the client that is waited for.
    fn poll_wait(&mut self, cx: &mut Context<'_>, limit: Duration, upload: Option<&Upload>) -> Poll<()> {
        self.read.keep(limit);
        loop {
            ready!(self.read.poll(cx));
            if upload.is_none_or(Upload::is_over) {
                return Poll::Ready(());
            }
            self.read.start(limit);
        }
    }

    fn fill(&mut self, cx: &mut Context<'_>, piece: usize) -> Poll<io::Result<usize>> {
        self.held.reserve(piece);
        pin!(self.stream.read_buf(&mut self.held)).poll(cx)
    }
}
