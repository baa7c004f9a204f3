//! The body of a response on its way from an origin, whichever HTTP that speaks.

use super::Connection;
use super::http1::Http1Answer;
use super::http2::Http2Answer;
use crate::failure::Failure;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::task::{Context, Poll};

/// A body, and what it comes by.
#[derive(Debug)]
pub(crate) enum Answer {
    Http1(Http1Answer),
    Http2(Box<Http2Answer>),
    /// What follows is a WebSocket's.
    Upgraded(Box<Connection>),
}

impl Answer {
    /// Whether all of it was given.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Http1(answer) => answer.is_over(),
            Self::Http2(answer) => answer.is_over(),
            Self::Upgraded(_) => true,
        }
    }

    /// Whether its request is still on its way.
    pub(crate) fn is_early(&self) -> bool {
        match self {
            Self::Http1(answer) => answer.is_early(),
            Self::Http2(answer) => answer.is_early(),
            Self::Upgraded(_) => false,
        }
    }

    /// Sends more of the request.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Http1(answer) => answer.send(cx),
            Self::Http2(answer) => answer.send(cx),
            Self::Upgraded(_) => Ok(()),
        }
    }

    /// How much is still to come, where that was said.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(answer) => answer.size_hint(),
            Self::Http2(answer) => answer.size_hint(),
            Self::Upgraded(_) => SizeHint::with_exact(0),
        }
    }

    /// The next piece.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self {
            Self::Http1(answer) => answer.poll_frame(cx),
            Self::Http2(answer) => answer.poll_frame(cx),
            Self::Upgraded(_) => Poll::Ready(None),
        }
    }
}
