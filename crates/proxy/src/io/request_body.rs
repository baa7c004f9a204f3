//! A request's body on its way from a client.

use super::{Connection, Deadline, Refusal};
use crate::body::Incomplete;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A body. On HTTP/1 the gate sees to its waits; a stream of HTTP/2 does that here.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    idle: Option<Box<Idle>>,
}

/// The wait of a stream for its client.
#[derive(Debug)]
struct Idle {
    limit: Duration,
    deadline: Deadline,
    stream: Rc<Connection>,
}

impl RequestBody {
    /// Of a connection behind the gate.
    pub(crate) fn gated(incoming: Incoming) -> Self {
        Self { incoming, idle: None }
    }

    /// Of a stream that may be silent for so long.
    pub(crate) fn of_stream(incoming: Incoming, limit: Duration, stream: Rc<Connection>) -> Self {
        let idle = (!incoming.is_end_stream()).then(|| Box::new(Idle { limit, deadline: Deadline::default(), stream }));
        Self { incoming, idle }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let Self { incoming, idle } = &mut *self;
        let polled = Pin::new(incoming).poll_frame(cx).map_err(|_| Incomplete);
        let Some(idle) = idle else { return polled };
        if polled.is_ready() {
            idle.deadline.stop();
            return polled;
        }
        idle.deadline.keep(idle.limit);
        ready!(idle.deadline.poll(cx));
        idle.stream.break_off(Refusal::BodyTimeout);
        Poll::Ready(Some(Err(Incomplete)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
