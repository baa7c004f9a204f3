//! Bodies on their way through: streamed piece by piece, each pulled by whoever takes it, so that back-pressure reaches the other end.

use crate::forward;
use crate::io::{Connection, Upload};
use crate::pool::Lease;
use crate::record::Record;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;

/// A request's body on its way to an origin.
#[derive(Debug)]
pub(crate) struct RequestBody(Option<(Incoming, Rc<Upload>)>);

/// A response's body on its way to a client.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    record: Record,
    connection: Rc<Connection>,
    /// When the whole request has taken too long.
    limit: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Content {
    /// An answer of serin's own.
    Text(Option<Bytes>),
    Origin {
        body: Incoming,
        lease: Option<Lease>,
    },
}

/// A body that ended early. Whoever sends it on breaks off, so that nobody takes what came for the whole.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body ended early")]
pub(crate) struct Incomplete;

impl RequestBody {
    /// No body.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// What a client sends.
    pub(crate) fn new(body: Incoming) -> Self {
        if body.is_end_stream() { Self::none() } else { Self(Some((body, Rc::default()))) }
    }

    /// Where the body says how far it is.
    pub(crate) fn upload(&self) -> Option<Rc<Upload>> {
        self.0.as_ref().map(|(_, upload)| Rc::clone(upload))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let Some((body, upload)) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                upload.done.set(body.is_end_stream());
                Some(Ok(without_forbidden_trailers(frame)))
            }
            Some(Err(_)) => {
                upload.broken.set(true);
                Some(Err(Incomplete))
            }
            None => {
                upload.done.set(true);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((_, upload)) = &self.0 {
            upload.done.set(true);
        }
    }
}

impl ResponseBody {
    /// An answer of serin's own.
    pub(crate) fn text(text: Bytes, record: Record, connection: Rc<Connection>) -> Self {
        Self { content: Content::Text(Some(text).filter(|text| !text.is_empty())), record, connection, limit: None }
    }

    /// What an origin sends.
    pub(crate) fn origin(body: Incoming, lease: Lease, record: Record, connection: Rc<Connection>, limit: Option<Pin<Box<Sleep>>>) -> Self {
        Self { content: Content::Origin { body, lease: Some(lease) }, record, connection, limit }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let (body, lease) = match &mut self.content {
            Content::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Origin { body, lease } => (body, lease),
        };
        if let Some(limit) = &mut self.limit
            && limit.as_mut().poll(cx).is_ready()
        {
            self.record.fail(crate::Failure::RequestTimeout);
            return Poll::Ready(Some(Err(Incomplete)));
        }
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if matches!(frame, Some(Err(_))) {
            let fault = lease.as_ref().and_then(Lease::fault);
            self.record.fail(fault.unwrap_or(crate::Failure::OriginReset));
        }
        Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers).map_err(|_| Incomplete)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let frame = ready!(self.poll_content(cx));
        match &frame {
            Some(Ok(frame)) => self.record.bytes(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => {}
            None => self.record.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.is_none(),
            Content::Origin { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Content::Origin { body, .. } => body.size_hint(),
        }
    }
}

/// hyper drops a body when the last of it is in its buffer, often without asking for the end.
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.record.complete();
            if let Content::Origin { lease, .. } = &mut self.content
                && let Some(lease) = lease.take()
            {
                lease.done();
            }
        }
        self.connection.answered();
    }
}

/// Trailers are no way around what is taken from a head (RFC 9110, section 6.5.1).
fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            forward::trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
