//! A client's connection as hyper's HTTP/2 gets to see it: each byte, and an end to every wait for one.

use super::frames::Frames;
use super::streams::Streams;
use crate::counters::Shard;
use crate::io::{ClientStream, Deadline};
use crate::settings::Settings;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The stream of a connection, and what is known of its frames.
#[derive(Debug)]
pub(super) struct Http2Io<S> {
    stream: S,
    /// What was read of it before.
    begun: Bytes,
    frames: Frames,
    streams: Streams,
    shard: Arc<Shard>,
    header: Duration,
    write_idle: Duration,
    idle_frames: u64,
    head: Deadline,
    write: Deadline,
    /// How far the stream was when a write began to wait.
    moved: u64,
}

impl<S: ClientStream> Http2Io<S> {
    pub(super) fn new(stream: S, begun: Bytes, streams: &Streams, settings: &Settings, shard: &Arc<Shard>, since: Instant) -> Self {
        let (header, write_idle) = (settings.timeouts.header, settings.timeouts.write_idle);
        let mut head = Deadline::default();
        head.start_at(since, header);
        Self {
            stream,
            begun,
            frames: Frames::new(),
            streams: streams.clone(),
            shard: Arc::clone(shard),
            header,
            write_idle,
            idle_frames: settings.limits.http2.idle_frames,
            head,
            write: Deadline::default(),
            moved: 0,
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let piece = self.begun.len().min(buffer.remaining());
        buffer.put_slice(&self.begun[..piece]);
        self.begun.advance(piece);
        Poll::Ready(Ok(()))
    }

    fn ended(&self, label: &'static str, kind: io::ErrorKind) -> Poll<io::Result<()>> {
        self.shard.failure(label);
        Poll::Ready(Err(kind.into()))
    }

    fn poll_write_idle<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.stop();
            return written;
        }
        let moved = self.stream.written();
        if std::mem::replace(&mut self.moved, moved) != moved {
            self.write.stop();
        }
        self.write.keep(self.write_idle);
        self.write.poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: ClientStream> AsyncRead for Http2Io<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = this.poll_bytes(cx, buffer);
        this.frames.take(&buffer.filled()[before..]);
        if this.frames.is_flood(this.streams.written(), this.idle_frames) {
            return this.ended("http2-flood", io::ErrorKind::InvalidData);
        }
        if !this.frames.is_in_head() {
            this.head.stop();
            return read;
        }
        this.head.keep(this.header);
        if read.is_pending() && this.head.poll(cx).is_ready() {
            return this.ended("head-timeout", io::ErrorKind::TimedOut);
        }
        read
    }
}

impl<S: ClientStream> AsyncWrite for Http2Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = &written {
            self.streams.wrote(*length);
        }
        self.poll_write_idle(written, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Ok(length)) = &written {
            self.streams.wrote(*length);
        }
        self.poll_write_idle(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_write_idle(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_write_idle(shut, cx)
    }
}
