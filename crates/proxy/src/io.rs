//! Between a client's socket and hyper: the gate, and its waits.

mod client;
mod deadline;

pub(crate) use client::{ClientIo, Connection, Refusal};
pub(crate) use deadline::Deadline;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// A head and a small body, as most messages are. To copy so few bytes costs less than to give the system a list.
const FEW: usize = 2048;

/// Writes what is there in pieces.
pub(crate) fn poll_write_pieces(stream: &mut TcpStream, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    let mut whole = [0; FEW];
    let mut length = 0;
    for piece in pieces {
        match whole.get_mut(length..length + piece.len()) {
            Some(room) => room.copy_from_slice(piece),
            None => return stream.poll_write_vectored(cx, pieces),
        }
        length += piece.len();
    }
    stream.poll_write(cx, &whole[..length])
}
