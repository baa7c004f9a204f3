//! What is still to come of a response behind its head, taken from the bytes that came.

use super::head;
use crate::forward;
use crate::gate::chunked::{Chunked, Piece};
use crate::gate::response::Extent;
use crate::gate::{Fault, Framing};
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Frame;

/// What is still to come of a body.
#[derive(Debug)]
pub(super) enum Rest {
    Nothing,
    Length(u64),
    /// With the trailers as far as they came.
    Chunked(Chunked, BytesMut),
    UntilClose,
}

/// What was taken.
#[derive(Debug)]
pub(super) enum Taken {
    Frame(Frame<Bytes>),
    End,
    Nothing,
}

impl Rest {
    /// All of a body that goes so far.
    pub(super) fn of(extent: Extent) -> Self {
        match extent {
            Extent::UntilClose => Self::UntilClose,
            Extent::Framed(Framing::None | Framing::Length(0)) => Self::Nothing,
            Extent::Framed(Framing::Length(length)) => Self::Length(length),
            Extent::Framed(Framing::Chunked) => Self::Chunked(Chunked::default(), BytesMut::new()),
        }
    }

    /// Takes the next piece from what is held.
    pub(super) fn take(&mut self, held: &mut BytesMut) -> Result<Taken, Fault> {
        match self {
            Self::Nothing => return Ok(Taken::End),
            _ if held.is_empty() => {}
            Self::Length(left) => {
                let piece = usize::try_from(*left).map_or(held.len(), |left| left.min(held.len()));
                *left -= piece as u64;
                if *left == 0 {
                    *self = Self::Nothing;
                }
                return Ok(Taken::Frame(Frame::data(held.split_to(piece).freeze())));
            }
            Self::UntilClose => return Ok(Taken::Frame(Frame::data(held.split().freeze()))),
            Self::Chunked(chunked, trailers) => match chunked.piece(held, trailers)? {
                Piece::More => held.clear(),
                Piece::Data { skip, length } => {
                    held.advance(skip);
                    return Ok(Taken::Frame(Frame::data(held.split_to(length).freeze())));
                }
                Piece::End { skip } => {
                    held.advance(skip);
                    let mut fields = head::trailers(&trailers.split().freeze()).ok_or(Fault::Trailer)?;
                    forward::trailers(&mut fields);
                    *self = Self::Nothing;
                    return Ok(if fields.is_empty() { Taken::End } else { Taken::Frame(Frame::trailers(fields)) });
                }
            },
        }
        Ok(Taken::Nothing)
    }
}
