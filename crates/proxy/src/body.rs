//! Bodies on their way through: streamed piece by piece, each pulled by whoever takes it, so that back-pressure reaches the other end.

use crate::drain::Drain;
use crate::failure::Failure;
use crate::io::Connection;
use crate::origin::Answer;
use crate::record::Record;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;

/// A response's body on its way to a client.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    /// None of a 101: a WebSocket has it.
    record: Option<Record>,
    connection: Rc<Connection>,
    /// When the whole request has taken too long.
    limit: Option<Pin<Box<Sleep>>>,
    /// When the release that sent it to the canary was aborted.
    drain: Drain,
}

#[derive(Debug)]
enum Content {
    /// An answer of serin's own.
    Text(Option<Bytes>),
    Origin(Answer),
    /// What an origin sends before it has all of the request.
    Early(Rc<RefCell<Answer>>),
}

/// A body that ended early. Whoever sends it on breaks off, so that nobody takes what came for the whole.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body ended early")]
pub(crate) struct Incomplete;

impl ResponseBody {
    /// An answer of serin's own.
    pub(crate) fn text(text: Bytes, record: Record, connection: Rc<Connection>) -> Self {
        Self {
            content: Content::Text(Some(text).filter(|text| !text.is_empty())),
            record: Some(record),
            connection,
            limit: None,
            drain: Drain::default(),
        }
    }

    /// Nothing: a WebSocket follows.
    pub(crate) fn upgraded(connection: Rc<Connection>) -> Self {
        Self { content: Content::Text(None), record: None, connection, limit: None, drain: Drain::default() }
    }

    /// What an origin sends.
    pub(crate) fn origin(answer: Answer, record: Record, connection: Rc<Connection>, limit: Option<Pin<Box<Sleep>>>) -> Self {
        let drain = record.drain();
        Self { content: Content::Origin(answer), record: Some(record), connection, limit, drain }
    }

    /// What an origin sends before it has all of the request: whoever drives the client's connection sends that on, also while the client
    /// takes nothing of the answer and so nobody asks for more of it.
    pub(crate) fn early(answer: Rc<RefCell<Answer>>, record: Record, connection: Rc<Connection>, limit: Option<Pin<Box<Sleep>>>) -> Self {
        let drain = record.drain();
        Self { content: Content::Early(answer), record: Some(record), connection, limit, drain }
    }

    fn fail(&mut self, failure: Failure) {
        if let Some(record) = &mut self.record {
            record.fail(failure);
        }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        if let Some(limit) = &mut self.limit
            && limit.as_mut().poll(cx).is_ready()
        {
            self.fail(Failure::RequestTimeout);
            return Poll::Ready(Some(Err(Incomplete)));
        }
        let frame = match &mut self.content {
            Content::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Origin(answer) => answer.poll_frame(cx),
            Content::Early(answer) => answer.borrow_mut().poll_frame(cx),
        };
        let Poll::Ready(frame) = frame else {
            ready!(self.drain.poll(cx));
            self.fail(Failure::Drained);
            return Poll::Ready(Some(Err(Incomplete)));
        };
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|failure| {
                self.fail(match failure {
                    Failure::ClientLeft => self.connection.broken().map_or(failure, Failure::from),
                    _ => failure,
                });
                Incomplete
            })
        }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let polled = self.poll_content(cx);
        self.connection.offer(polled.is_ready());
        let frame = ready!(polled);
        if let Some(record) = &mut self.record {
            match &frame {
                Some(Ok(frame)) => {
                    record.bytes(frame.data_ref().map_or(0, Bytes::len));
                    if let Some(trailers) = frame.trailers_ref() {
                        record.answer_fields(trailers);
                    }
                }
                Some(Err(_)) => {}
                None => record.complete(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.is_none(),
            Content::Origin(answer) => answer.is_over(),
            Content::Early(answer) => answer.borrow().is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Content::Origin(answer) => answer.size_hint(),
            Content::Early(answer) => answer.borrow().size_hint(),
        }
    }
}

/// hyper drops a body when the last of it is in its buffer, often without asking for the end.
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.is_end_stream()
            && let Some(record) = &mut self.record
        {
            record.complete();
        }
        self.connection.answered();
    }
}
