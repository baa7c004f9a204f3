//! A WebSocket between a client and an origin: bytes both ways, each taken when the other end has taken the last ones.
//!
//! It has what it needs of its own, so that it keeps no table, and goes on when its endpoint leaves the table. It ends when both ends have, when
//! nothing came either way for too long, when its release is aborted (S20), or with the process.

use crate::drain::Drain;
use crate::failure::Failure;
use crate::io::Deadline;
use crate::origin::{Connection, Stream};
use crate::record::Record;
use crate::settings::Timeouts;
use crate::worker::Worker;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// How much is held of either way.
const PIECE: usize = 16 * 1024;

/// What an origin agreed to, until the client's connection is free for it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    origin: Box<Connection>,
    record: Record,
}

/// One of the two ways.
#[derive(Debug)]
struct Way {
    held: BytesMut,
    /// Nothing more comes.
    ended: bool,
    /// That was passed on.
    shut: bool,
    /// TLS may hold what was written.
    unflushed: bool,
    moved: u64,
    write: Deadline,
    limit: Duration,
}

/// Which end broke.
enum Broken {
    From,
    To,
    /// It takes nothing for too long.
    Stuck,
}

impl Tunnel {
    pub(crate) fn new(origin: Box<Connection>, record: Record) -> Self {
        Self { origin, record }
    }

    /// Until it is over. `held` came from the client behind its request.
    pub(crate) async fn run(self, worker: &Rc<Worker>, mut client: impl AsyncRead + AsyncWrite + Unpin, held: BytesMut) {
        let Self { mut origin, mut record } = self;
        worker.shard.websockets.fetch_add(1, Relaxed);
        let timeouts = worker.settings.timeouts;
        let (stream, of_origin) = origin.parts();
        let mut up = Way::new(held, timeouts.origin_idle);
        let mut down = Way::new(of_origin.split(), timeouts.write_idle);
        let mut drain = record.drain();
        let mut idle = Deadline::default();
        let over = poll_fn(|cx| poll(cx, &mut client, stream, (&mut up, &mut down), &mut drain, (&mut idle, &timeouts))).await;
        worker.shard.websockets.fetch_sub(1, Relaxed);
        record.bytes(usize::try_from(down.moved).unwrap_or(usize::MAX));
        match over {
            Ok(()) => record.complete(),
            Err(failure) => record.fail(failure),
        }
    }
}

fn poll(
    cx: &mut Context<'_>,
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    origin: &mut Stream,
    (up, down): (&mut Way, &mut Way),
    drain: &mut Drain,
    (idle, timeouts): (&mut Deadline, &Timeouts),
) -> Poll<Result<(), Failure>> {
    let before = up.moved + down.moved;
    let upwards = up.poll(cx, client, origin).map_err(|broken| match broken {
        Broken::From => Failure::ClientLeft,
        Broken::To => Failure::OriginReset,
        Broken::Stuck => Failure::OriginIdle,
    })?;
    let downwards = down.poll(cx, origin, client).map_err(|broken| match broken {
        Broken::From => Failure::OriginReset,
        Broken::To | Broken::Stuck => Failure::ClientLeft,
    })?;
    if upwards.is_ready() && downwards.is_ready() {
        return Poll::Ready(Ok(()));
    }
    if drain.poll(cx).is_ready() {
        return Poll::Ready(Err(Failure::Drained));
    }
    // Whoever has closed waits for the other's goodbye, and not for what it may still think of.
    let limit = if upwards.is_ready() || downwards.is_ready() { timeouts.origin_idle } else { timeouts.websocket_idle };
    if up.moved + down.moved > before {
        idle.start(limit);
    }
    idle.keep(limit);
    idle.poll(cx).map(|()| Err(Failure::WebSocketIdle))
}

impl Way {
    fn new(held: BytesMut, limit: Duration) -> Self {
        Self { held, ended: false, shut: false, unflushed: false, moved: 0, write: Deadline::default(), limit }
    }

    /// Ready when all has gone on, and the end of it too.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broken>> {
        loop {
            if !self.held.is_empty() {
                let Poll::Ready(written) = Pin::new(&mut *to).poll_write(cx, &self.held) else {
                    self.write.keep(self.limit);
                    return self.write.poll(cx).map(|()| Err(Broken::Stuck));
                };
                self.write.stop();
                match written {
                    Ok(length @ 1..) => {
                        self.held.advance(length);
                        self.moved += length as u64;
                        self.unflushed = true;
                    }
                    _ => return Poll::Ready(Err(Broken::To)),
                }
                continue;
            }
            if self.ended {
                if !self.shut {
                    // The other end may be gone already.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.shut = true;
                }
                return Poll::Ready(Ok(()));
            }
            self.held.reserve(PIECE);
            match pin!(from.read_buf(&mut self.held)).poll(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::From)),
                Poll::Pending => {
                    // Most WebSockets are quiet most of the time.
                    self.held = BytesMut::new();
                    if self.unflushed {
                        let flushed = ready!(Pin::new(&mut *to).poll_flush(cx));
                        self.unflushed = false;
                        if flushed.is_err() {
                            return Poll::Ready(Err(Broken::To));
                        }
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}
