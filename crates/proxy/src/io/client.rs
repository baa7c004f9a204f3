//! A client's connection, as hyper gets to see it: only what the gate let through.

use super::ClientStream;
use super::deadline::Deadline;
use crate::gate::stream::{Event, Requests};
use crate::gate::{self, Fault};
use crate::settings::Timeouts;
use bytes::{Buf, BytesMut};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What hyper gets in place of a bad head. The verdict beside it makes the service answer, and the connection closes behind that.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";
/// How much of a body is read at once.
const PIECE: usize = 16 * 1024;
/// How much is read at once where a head is expected: what an idle connection holds.
const HEAD_PIECE: usize = 4 * 1024;
/// For so long a connection of a proxy that drains waits for its first request: whoever connected just before is about to send it.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// How much is read ahead of a response to notice that the client left.
const READ_AHEAD: usize = 16 * 1024;

/// What the gate and the service of one connection tell each other.
#[derive(Default)]
pub(crate) struct Connection {
    /// The verdict on the head that hyper was given last.
    verdict: Cell<Option<Refusal>>,
    /// What ended a body early.
    broken: Cell<Option<Refusal>>,
    /// When the head of the request under way was whole.
    begun: Cell<Option<Instant>>,
    /// When the response under way was done.
    answered: Cell<Option<Instant>>,
    /// No request is begun any more.
    closing: Cell<bool>,
    /// Something came behind the request under way.
    ahead: Cell<bool>,
    /// A request of this connection asked for another protocol.
    upgrade: Cell<bool>,
    /// The head of the response was given to hyper, and its body waits for a client that takes nothing. Only of a stream of HTTP/2.
    offered: Cell<bool>,
    /// How often that was said.
    offers: Cell<u32>,
    /// Whoever reads, while the next request is there and waits for the end of the response.
    reader: Cell<Option<Waker>>,
}

/// Why a client's request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its bytes are bad.
    Fault(Fault),
    /// Its head took too long.
    HeadTimeout,
    /// Its body took too long.
    BodyTimeout,
}

/// The gate about a client's socket. hyper reads and writes through it.
#[derive(Debug)]
pub(crate) struct ClientIo<S> {
    stream: S,
    connection: Rc<Connection>,
    timeouts: Timeouts,
    gate: Requests,
    phase: Phase,
    /// When it was opened, until its first request has come.
    opened: Option<Instant>,
    /// What was read and hyper does not have yet.
    held: BytesMut,
    /// So much of it may go on.
    released: usize,
    read: Deadline,
    write: Deadline,
    /// How far the stream was when a write began to wait.
    written: u64,
    /// Bytes may have come that nobody will read.
    unread: bool,
    /// The writing half is closed.
    shut: bool,
}

/// What a reader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// The end of the response, so that the next request may begin.
    Response,
    /// Nothing: the answer to a bad head is the last one.
    Refused,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("broken", &self.broken).field("closing", &self.closing).finish_non_exhaustive()
    }
}

impl Connection {
    /// The verdict on the request that hyper just gave to the service.
    pub(crate) fn verdict(&self) -> Option<Refusal> {
        self.verdict.take()
    }

    /// When the head of the request that hyper just gave to the service was whole.
    pub(crate) fn begun(&self) -> Instant {
        self.begun.get().unwrap_or_else(Instant::now)
    }

    /// What ended the request's body early, if anything did.
    pub(crate) fn broken(&self) -> Option<Refusal> {
        self.broken.get()
    }

    /// Whether something came behind the request under way.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.get()
    }

    /// Whether a request asked for another protocol: then hyper leaves the end of the connection to its caller.
    pub(crate) fn asked_for_upgrade(&self) -> bool {
        self.upgrade.get()
    }

    /// A stream's head is refused; the answer says so.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.verdict.set(Some(refusal));
    }

    /// A stream's body is broken off.
    pub(crate) fn break_off(&self, refusal: Refusal) {
        self.broken.set(Some(refusal));
    }

    /// The response is there for the client to take, or not: then it is the origin that is waited for.
    pub(crate) fn offer(&self, is_there: bool) {
        self.offered.set(is_there);
        self.offers.set(self.offers.get().wrapping_add(1));
    }

    /// Whether a response waits for the client to take it.
    pub(crate) fn is_offered(&self) -> bool {
        self.offered.get()
    }

    /// Another number whenever that was looked at anew.
    pub(crate) fn offers(&self) -> u32 {
        self.offers.get()
    }

    /// The whole response was given to hyper.
    pub(crate) fn answered(&self) {
        self.answered.set(Some(Instant::now()));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// No further request is begun.
    pub(crate) fn close(&self) {
        self.closing.set(true);
    }

    /// Whether no further request is begun.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }
}

impl<S: ClientStream> ClientIo<S> {
    /// Of a connection on which these bytes came since `since`.
    pub(crate) fn new(
        stream: S,
        held: BytesMut,
        connection: Rc<Connection>,
        timeouts: Timeouts,
        limits: gate::Limits,
        since: Instant,
    ) -> Self {
        let mut read = Deadline::default();
        read.start_at(since, timeouts.header);
        Self {
            stream,
            connection,
            timeouts,
            gate: Requests::new(limits),
            phase: Phase::Idle,
            opened: Some(since),
            held,
            released: 0,
            read,
            write: Deadline::default(),
            written: 0,
            unread: false,
            shut: false,
        }
    }

    /// Reads and judges until something may go on; nothing goes on at the end.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.phase {
                Phase::Refused if self.released > 0 => return Poll::Ready(Ok(())),
                Phase::Refused => return Poll::Pending,
                Phase::Response => match self.connection.answered.get() {
                    Some(answered) if self.gate.next_request() => {
                        self.connection.answered.set(None);
                        self.phase = Phase::Idle;
                        self.read.start_at(answered, self.timeouts.keep_alive);
                    }
                    _ => return self.watch(cx),
                },
                Phase::Idle | Phase::Head | Phase::Body => {}
            }
            let step = self.gate.step(&self.held[self.released..]);
            self.released += step.release;
            match step.event {
                Event::Head(head) => {
                    (self.phase, self.opened) = (Phase::Body, None);
                    self.connection.ahead.set(false);
                    self.connection.upgrade.set(self.connection.upgrade.get() || head.upgrade);
                    self.connection.begun.set(Some(Instant::now()));
                }
                Event::End => self.phase = Phase::Response,
                Event::Fault(fault) if self.phase != Phase::Body => self.refuse(Refusal::Fault(fault)),
                Event::Fault(fault) if self.released == 0 => return Poll::Ready(Err(self.break_off(Refusal::Fault(fault)))),
                Event::More | Event::Fault(_) => {}
            }
            if matches!(step.event, Event::Head(_)) {
                continue;
            }
            if self.released > 0 {
                self.read.stop();
                return Poll::Ready(Ok(()));
            }
            if self.phase == Phase::Response {
                continue;
            }
            if ready!(self.wait(cx))? == 0 {
                if self.phase == Phase::Body {
                    self.connection.broken.set(Some(Refusal::Fault(Fault::Truncated)));
                }
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// More bytes of a request; none when there are no more, or when they took too long and nobody is owed an answer.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.phase {
            Phase::Idle if !self.held.is_empty() => {
                self.phase = Phase::Head;
                self.read.start(self.timeouts.header);
            }
            Phase::Body => self.read.keep(self.timeouts.body_idle),
            _ => {}
        }
        if let Poll::Ready(read) = self.fill(cx) {
            if self.phase == Phase::Body {
                self.read.stop();
            }
            return Poll::Ready(read);
        }
        if self.phase == Phase::Idle && self.connection.closing.get() {
            match self.opened {
                Some(opened) => self.read.start_at(opened, FIRST_REQUEST.min(self.timeouts.header)),
                // What came since the runtime last looked is a request, which would be lost.
                None if self.stream.has_arrived() => return Poll::Pending,
                None => return Poll::Ready(Ok(0)),
            }
        }
        match (self.read.poll(cx), self.phase) {
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(()), Phase::Head) => {
                self.refuse(Refusal::HeadTimeout);
                Poll::Ready(Ok(self.released))
            }
            (Poll::Ready(()), Phase::Body) => Poll::Ready(Err(self.break_off(Refusal::BodyTimeout))),
            (Poll::Ready(()), _) => Poll::Ready(Ok(0)),
        }
    }

    /// While a response is under way only the client's end is of interest; what else comes is held back, and at last not read.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held.len() < READ_AHEAD {
            match self.fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if !self.held.is_empty() {
            self.connection.ahead.set(true);
        }
        // One that closes does so behind its response, whether or not the client says anything more.
        if !self.held.is_empty() || self.connection.closing.get() {
            self.connection.reader.set(Some(cx.waker().clone()));
        }
        // hyper does not ask again when the response is done, but when something comes: so this is looked at again by time, at the latest
        // when a connection without another request is to be closed.
        self.read.keep_at(self.connection.begun(), self.timeouts.keep_alive);
        while self.read.poll(cx).is_ready() {
            self.read.start(self.timeouts.keep_alive);
        }
        Poll::Pending
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.held.reserve(if self.phase == Phase::Body { PIECE } else { HEAD_PIECE });
        pin!(self.stream.read_buf(&mut self.held)).poll(cx)
    }

    /// Answers this in place of whatever else comes.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.connection.verdict.set(Some(refusal));
        self.connection.begun.set(None);
        (self.phase, self.unread) = (Phase::Refused, true);
        self.held.clear();
        self.held.extend_from_slice(REFUSED);
        self.released = REFUSED.len();
    }

    /// The socket behind it, and what came behind the request that asked for a tunnel.
    ///
    /// # Errors
    /// When that request did not, or is not over.
    pub(crate) fn into_tunnel(mut self) -> Result<(S, BytesMut), Fault> {
        // What came before the origin agreed was looked for at that moment.
        self.gate.tunnel(&[])?;
        Ok((self.stream, self.held))
    }

    fn break_off(&mut self, refusal: Refusal) -> io::Error {
        self.connection.broken.set(Some(refusal));
        self.unread = true;
        io::ErrorKind::InvalidData.into()
    }

    /// Closing a socket with unread bytes makes the system send a reset, which can overtake the answer: so they are read and thrown away.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.held.clear();
            match self.fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return self.read.poll(cx),
            }
        }
    }

    fn poll_write_idle<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.stop();
            return written;
        }
        // By TLS a piece is taken before it goes out, so what is left of it may wait while the client takes some.
        let moved = self.stream.written();
        if std::mem::replace(&mut self.written, moved) != moved {
            self.write.stop();
        }
        self.write.keep(self.timeouts.write_idle);
        self.write.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: ClientStream> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.released == 0 {
            ready!(self.advance(cx))?;
        }
        let piece = self.released.min(buffer.remaining());
        buffer.put_slice(&self.held[..piece]);
        self.held.advance(piece);
        self.released -= piece;
        Poll::Ready(Ok(()))
    }
}

impl<S: ClientStream> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_write_idle(written, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = super::poll_write_pieces(&mut self.stream, cx, bytes);
        self.poll_write_idle(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_write_idle(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut = true;
            let linger = self.timeouts.linger;
            self.read.start(linger);
        }
        if self.unread || self.phase == Phase::Body || !self.held.is_empty() {
            self.unread = true;
            return self.poll_linger(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }
}
