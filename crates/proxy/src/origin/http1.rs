//! The body of a response by HTTP/1.1 on its way from an origin.

use super::rest::{Rest, Taken};
use super::{Connection, PIECE, Upload};
use crate::failure::Failure;
use crate::gate::response::ResponseHead;
use crate::pool::Pool;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A body, and the connection that it comes by. That goes back to the pool with the last byte, and is closed when this is dropped before.
#[derive(Debug)]
pub(crate) struct Http1Answer {
    pool: Rc<Pool>,
    connection: Option<Box<Connection>>,
    /// A request that is still on its way: an origin may answer before it has all of it.
    upload: Option<Box<Upload>>,
    /// What ended that request.
    failure: Option<Failure>,
    /// A write failed. That took the error with it which reading would have met, so what looks like an end may be a reset.
    is_cut: bool,
    keep_alive: bool,
    rest: Rest,
}

impl Http1Answer {
    /// The body behind this head.
    pub(crate) fn new(pool: Rc<Pool>, connection: Box<Connection>, upload: &mut Upload, head: &ResponseHead) -> Self {
        let is_cut = upload.is_cut();
        let upload = (!upload.is_over()).then(|| Box::new(std::mem::take(upload)));
        let mut answer = Self {
            pool,
            connection: Some(connection),
            upload,
            failure: None,
            is_cut,
            keep_alive: head.keep_alive,
            rest: Rest::of(head.extent),
        };
        if answer.is_over() {
            answer.end();
        }
        answer
    }

    /// Whether all of it was given.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Whether its request is still on its way.
    pub(super) fn is_early(&self) -> bool {
        self.connection.is_some() && self.upload.is_some()
    }

    /// Sends more of the request.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if let (Some(connection), Some(upload), None) = (&mut self.connection, &mut self.upload, self.failure) {
            self.failure = connection.send(cx, upload).err();
            self.is_cut = upload.is_cut();
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// How much is still to come, where that was said.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Nothing => SizeHint::with_exact(0),
            Rest::Length(left) => SizeHint::with_exact(left),
            Rest::Chunked(..) | Rest::UntilClose => SizeHint::default(),
        }
    }

    /// The next piece.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            match self.rest.take(&mut connection.held).map_err(Failure::Response)? {
                Taken::Frame(frame) => {
                    if self.is_over() {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Taken::End => {
                    self.end();
                    return Poll::Ready(None);
                }
                Taken::Nothing => {}
            }
            self.send(cx)?;
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            let limit = connection.timeouts.origin_idle;
            match connection.fill(cx, PIECE) {
                Poll::Ready(Ok(1..)) => connection.read.stop(),
                Poll::Ready(Ok(0)) if matches!(self.rest, Rest::UntilClose) && !self.is_cut => self.rest = Rest::Nothing,
                Poll::Ready(_) => return Poll::Ready(Some(Err(Failure::OriginReset))),
                Poll::Pending => {
                    ready!(connection.poll_wait(cx, limit, self.upload.as_deref()));
                    return Poll::Ready(Some(Err(Failure::OriginIdle)));
                }
            }
        }
    }

    /// The response is over. What stands behind it nobody asked for.
    fn end(&mut self) {
        self.rest = Rest::Nothing;
        if let Some(connection) = self.connection.take()
            && self.keep_alive
            && !self.is_cut
            && self.upload.as_ref().is_none_or(|upload| upload.is_over())
            && connection.held.is_empty()
        {
            self.pool.keep(connection);
        }
    }
}
