//! A connection to an origin, as hyper gets to see it: only what the gate let through.

use super::deadline::Deadline;
use crate::gate::chunked::Chunked;
use crate::gate::response::{Extent, ResponseReader};
use crate::gate::{self, Fault, Framing};
use crate::settings::Timeouts;
use bytes::{Buf, BytesMut};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much is read at once.
const PIECE: usize = 16 * 1024;
/// Interim responses to one request; more are no origin's way of working.
const INTERIM: u8 = 16;

/// What the gate of a connection and the exchange that uses it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// A request was given to hyper whose response was not begun; whether its method is HEAD.
    asked: Cell<Option<bool>>,
    upload: RefCell<Option<Rc<Upload>>>,
    fault: Cell<Option<OriginFault>>,
    answered: Cell<bool>,
}

/// A request's body on its way.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// All of it was given to hyper.
    pub(crate) done: Cell<bool>,
    /// It ended early, by the client.
    pub(crate) broken: Cell<bool>,
}

/// What is wrong with an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OriginFault {
    /// Its bytes are bad.
    Bytes(Fault),
    /// It said something that nobody asked for.
    Unasked,
    /// Its head took too long.
    FirstByteTimeout,
    /// Its body took too long.
    BodyTimeout,
    /// It took nothing of the request for too long.
    WriteTimeout,
}

/// The gate about a socket to an origin.
#[derive(Debug)]
pub(crate) struct OriginIo {
    stream: TcpStream,
    exchange: Rc<Exchange>,
    timeouts: Timeouts,
    limits: gate::Limits,
    state: State,
    interim: u8,
    held: BytesMut,
    released: usize,
    read: Deadline,
    write: Deadline,
}

#[derive(Debug)]
enum State {
    Idle,
    Head { to_head: bool, reader: ResponseReader },
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Faulty,
}

impl Exchange {
    /// A request follows.
    pub(crate) fn begin(&self, to_head: bool, upload: Option<Rc<Upload>>) {
        self.asked.set(Some(to_head));
        self.answered.set(false);
        *self.upload.borrow_mut() = upload;
    }

    /// What is wrong with the origin; once anything is, the connection is of no more use.
    pub(crate) fn fault(&self) -> Option<OriginFault> {
        self.fault.get()
    }

    /// Whether any byte of a response came.
    pub(crate) fn answered(&self) -> bool {
        self.answered.get()
    }

    fn uploads(&self) -> bool {
        self.upload.borrow().as_ref().is_some_and(|upload| !upload.done.get())
    }
}

impl OriginIo {
    pub(crate) fn new(stream: TcpStream, exchange: Rc<Exchange>, timeouts: Timeouts, limits: gate::Limits) -> Self {
        Self {
            stream,
            exchange,
            timeouts,
            limits,
            state: State::Idle,
            interim: 0,
            held: BytesMut::new(),
            released: 0,
            read: Deadline::default(),
            write: Deadline::default(),
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Err(fault) = self.judge() {
                let error = self.condemn(fault);
                if self.released == 0 {
                    return Poll::Ready(Err(error));
                }
            }
            if self.released > 0 {
                self.read.stop();
                return Poll::Ready(Ok(()));
            }
            match self.fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => self.exchange.answered.set(true),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_wait(cx),
            }
        }
    }

    /// Takes from what is held as much as is good.
    fn judge(&mut self) -> Result<(), OriginFault> {
        loop {
            let fresh = &self.held[self.released..];
            match &mut self.state {
                State::Idle => match self.exchange.asked.take() {
                    Some(_) if !fresh.is_empty() => return Err(OriginFault::Unasked),
                    Some(to_head) => {
                        self.interim = 0;
                        self.state = State::Head { to_head, reader: ResponseReader::new(to_head) };
                        return Ok(());
                    }
                    None if fresh.is_empty() => return Ok(()),
                    None => return Err(OriginFault::Unasked),
                },
                State::Head { to_head, reader } => {
                    let Some(head) = reader.read(fresh, &self.limits).map_err(OriginFault::Bytes)? else { return Ok(()) };
                    if head.status == 101 {
                        return Err(OriginFault::Bytes(Fault::EarlyTunnel));
                    }
                    self.released += head.length;
                    let again = State::Head { to_head: *to_head, reader: ResponseReader::new(*to_head) };
                    self.state = match head.extent {
                        _ if head.is_interim() => {
                            self.interim += 1;
                            again
                        }
                        Extent::UntilClose => State::UntilClose,
                        Extent::Framed(Framing::None | Framing::Length(0)) => State::Idle,
                        Extent::Framed(Framing::Length(length)) => State::Length(length),
                        Extent::Framed(Framing::Chunked) => State::Chunked(Chunked::default()),
                    };
                    if self.interim > INTERIM {
                        return Err(OriginFault::Unasked);
                    }
                }
                State::Length(left) => {
                    let piece = usize::try_from(*left).map_or(fresh.len(), |left| left.min(fresh.len()));
                    *left = left.saturating_sub(piece as u64);
                    self.released += piece;
                    if *left > 0 {
                        return Ok(());
                    }
                    self.state = State::Idle;
                }
                State::Chunked(chunked) => {
                    let progress = chunked.read(fresh);
                    self.released += progress.good;
                    if !progress.outcome.map_err(OriginFault::Bytes)? {
                        return Ok(());
                    }
                    self.state = State::Idle;
                }
                State::UntilClose => {
                    self.released = self.held.len();
                    return Ok(());
                }
                State::Faulty => return Err(self.exchange.fault.get().unwrap_or(OriginFault::Unasked)),
            }
        }
    }

    fn condemn(&mut self, fault: OriginFault) -> io::Error {
        self.exchange.fault.set(Some(fault));
        self.state = State::Faulty;
        io::ErrorKind::InvalidData.into()
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.held.reserve(PIECE);
        pin!(self.stream.read_buf(&mut self.held)).poll(cx)
    }

    /// Nothing came. While the client is still sending it is the client that is waited for.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (limit, fault) = match self.state {
            State::Idle | State::Faulty => return Poll::Pending,
            State::Head { .. } => (self.timeouts.first_byte, OriginFault::FirstByteTimeout),
            State::Length(_) | State::Chunked(_) | State::UntilClose => (self.timeouts.origin_idle, OriginFault::BodyTimeout),
        };
        self.read.keep(limit);
        loop {
            ready!(self.read.poll(cx));
            if !self.exchange.uploads() {
                return Poll::Ready(Err(self.condemn(fault)));
            }
            self.read.start(limit);
        }
    }

    /// What was written moves the wait for the answer. It is not ended: hyper does not ask again before something comes. An origin that
    /// takes nothing is waited for as long as one that sends nothing, also behind its response.
    fn wrote<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.write.keep(self.timeouts.origin_idle);
            ready!(self.write.poll(cx));
            return Poll::Ready(Err(self.condemn(OriginFault::WriteTimeout)));
        }
        self.write.stop();
        if matches!(self.state, State::Head { .. }) {
            self.read.start(self.timeouts.first_byte);
        }
        written
    }
}

impl AsyncRead for OriginIo {
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

impl AsyncWrite for OriginIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = super::poll_write_pieces(&mut self.stream, cx, bytes);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
