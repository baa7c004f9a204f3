//! Between a client's socket and hyper: the gate, and its waits.

mod client;
mod deadline;
mod request_body;

pub(crate) use client::{ClientIo, Connection, Refusal};
pub(crate) use deadline::Deadline;
pub(crate) use request_body::RequestBody;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A head and a small body, as most messages are. To copy so few bytes costs less than to give the system a list.
const FEW: usize = 2048;

/// What a client's bytes come by: its socket, or TLS on it.
pub(crate) trait ClientStream: AsyncRead + AsyncWrite + Unpin {
    /// Grows when bytes that were taken go out. A stream that takes only what goes out need not count.
    fn written(&self) -> u64 {
        0
    }

    /// Whether bytes are there to be read, also where the runtime has not heard of them yet.
    fn has_arrived(&self) -> bool;
}

impl ClientStream for TcpStream {
    fn has_arrived(&self) -> bool {
        // The socket does not block; at its end there are none.
        SockRef::from(self).peek(&mut [MaybeUninit::uninit()]).is_ok_and(|length| length > 0)
    }
}

/// Writes what is there in pieces.
pub(crate) fn poll_write_pieces(
    stream: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    let length = pieces.iter().map(|piece| piece.len()).sum();
    if let Some(only) = pieces.iter().find(|piece| piece.len() == length) {
        return stream.poll_write(cx, only);
    }
    if length > FEW {
        return stream.poll_write_vectored(cx, pieces);
    }
    let mut whole = Vec::with_capacity(length);
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    stream.poll_write(cx, &whole)
}
