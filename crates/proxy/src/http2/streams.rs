//! The streams of a connection: hyper gives each to be run, and here each gets an end to its wait for the client.

use crate::io::Deadline;
use crate::service::Client;
use crate::settings::Timeouts;
use hyper::rt::Executor;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::spawn_local;

/// As long as a connection takes so much in the time of a wait, its streams wait for each other and not for the client.
const ENOUGH: u64 = 16 * 1024;

/// The streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(Rc<Shared>);

struct Shared {
    write_idle: Duration,
    /// The one that hyper is about to give.
    begun: RefCell<Option<Rc<Client>>>,
    open: Cell<usize>,
    /// Whoever wants to know when none is open.
    waker: Cell<Option<Waker>>,
    /// Bytes that went out.
    written: Cell<u64>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("open", &self.0.open).finish_non_exhaustive()
    }
}

impl Streams {
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self(Rc::new(Shared {
            write_idle: timeouts.write_idle,
            begun: RefCell::default(),
            open: Cell::new(0),
            waker: Cell::default(),
            written: Cell::new(0),
        }))
    }

    /// The next one that hyper gives to be run is this one's.
    pub(super) fn begin(&self, client: &Rc<Client>) {
        self.0.begun.replace(Some(Rc::clone(client)));
    }

    /// Whether none is open. If one is, the task is woken when none is any more.
    pub(super) fn are_none(&self, cx: &Context<'_>) -> bool {
        let none = self.0.open.get() == 0;
        self.0.waker.set((!none).then(|| cx.waker().clone()));
        none
    }

    pub(super) fn wrote(&self, length: usize) {
        self.0.written.set(self.0.written.get() + length as u64);
    }

    pub(super) fn written(&self) -> u64 {
        self.0.written.get()
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, exchange: F) {
        let open = Open::new(self);
        let client = self.0.begun.take();
        spawn_local(Stream { exchange: Box::pin(exchange), client, open, wait: Deadline::default(), from: 0 });
    }
}

/// One that is open.
struct Open(Streams);

impl Open {
    fn new(streams: &Streams) -> Self {
        streams.0.open.set(streams.0.open.get() + 1);
        Self(streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let shared = &self.0.0;
        shared.open.set(shared.open.get() - 1);
        if shared.open.get() == 0
            && let Some(waker) = shared.waker.take()
        {
            waker.wake();
        }
    }
}

/// One exchange. A body that waits for the client's window is not asked for anything, so the wait is ended from here.
struct Stream<F> {
    exchange: Pin<Box<F>>,
    /// None of what is no request.
    client: Option<Rc<Client>>,
    open: Open,
    wait: Deadline,
    /// How much had gone out when the wait began.
    from: u64,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(client) = &this.client else { return this.exchange.as_mut().poll(cx) };
        let before = client.connection.offers();
        if this.exchange.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        client.send_on(cx);
        let shared = &this.open.0.0;
        if !client.connection.is_offered() || client.connection.offers() != before {
            this.wait.stop();
        }
        if !client.connection.is_offered() {
            return Poll::Pending;
        }
        if !this.wait.is_begun() {
            this.from = shared.written.get();
        }
        this.wait.keep(shared.write_idle);
        while this.wait.poll(cx).is_ready() {
            if shared.written.get() - this.from < ENOUGH {
                return Poll::Ready(());
            }
            this.from = shared.written.get();
            this.wait.start(shared.write_idle);
        }
        Poll::Pending
    }
}
