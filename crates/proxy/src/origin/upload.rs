//! A request on its way to an origin: its head, and its body piece by piece, each taken from the client when the last one has gone out.

use super::{Stream, head};
use crate::forward::{self, Arrival};
use crate::io::{self, RequestBody};
use bytes::{Buf, Bytes};
use h2::{Reason, SendStream};
use http::{HeaderName, Method, Request, header, request::Parts};
use hyper::body::{Body, Frame};
use std::io::{IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// A request on its way. Apart from any connection, so that what was not begun can go to another one.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    is_head: bool,
    /// It may be sent twice: its method is idempotent and it has no body (RFC 9110, section 9.2.2).
    is_repeatable: bool,
    /// The head, and behind it the framing and what is small of the body.
    text: Vec<u8>,
    /// How much of `text` has gone out.
    gone: usize,
    /// A large piece of the body, which follows `text`.
    piece: Bytes,
    /// What ends that piece.
    end: &'static [u8],
    body: Option<RequestBody>,
    chunked: bool,
    written: u64,
    /// A byte of a response came.
    is_answered: bool,
    /// TLS holds what was written, until it is told to send all.
    is_held: bool,
    /// The origin takes no more.
    is_cut: bool,
    /// Fields that are not taken from the trailers.
    withheld: Vec<HeaderName>,
    /// It asks for a WebSocket.
    websocket: bool,
    /// The head for an origin that speaks HTTP/2.
    fields: Option<Box<Request<()>>>,
    /// Some of the body was taken, which no other connection can get.
    is_begun: bool,
}

/// What an upload waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// The client's next piece.
    Client,
    /// The origin, to take more.
    Origin,
    /// Nothing: all was sent, or the origin takes no more.
    Over,
    /// Nothing: the client's body ended early.
    Broken,
}

impl Upload {
    /// A request whose head is the one that the origin gets. Of its trailers those `withheld` stay behind.
    pub(crate) fn new(parts: &Parts, arrival: &Arrival<'_>, body: RequestBody, withheld: Vec<HeaderName>) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        let chunked = body.is_some() && !parts.headers.contains_key(header::CONTENT_LENGTH);
        Self {
            is_head: parts.method == Method::HEAD,
            is_repeatable: body.is_none() && parts.method.is_idempotent(),
            text: head::request(parts, arrival, chunked),
            gone: 0,
            piece: Bytes::new(),
            end: b"",
            body,
            chunked,
            written: 0,
            is_answered: false,
            is_held: false,
            is_cut: false,
            withheld,
            websocket: forward::asks_for_websocket(parts),
            fields: None,
            is_begun: false,
        }
    }

    /// The same, also for an origin that speaks HTTP/2.
    pub(crate) fn or_http2(self, parts: &Parts, arrival: &Arrival<'_>, tls: bool) -> Self {
        Self { fields: forward::http2_request(parts, arrival, tls).map(Box::new), ..self }
    }

    /// Whether it asks for a WebSocket.
    pub(super) fn asks_for_websocket(&self) -> bool {
        self.websocket
    }

    /// The head for an origin that speaks HTTP/2.
    pub(super) fn fields(&self) -> Option<Request<()>> {
        self.fields.as_deref().cloned()
    }

    /// Whether the head is all there is.
    pub(super) fn has_no_body(&self) -> bool {
        self.body.is_none()
    }

    /// The head went out by HTTP/2.
    pub(super) fn head_is_sent(&mut self) {
        (self.gone, self.written) = (self.text.len(), 1);
    }

    /// The origin did nothing for it.
    pub(super) fn was_not_seen(&mut self) {
        if !self.is_begun {
            self.written = 0;
        }
    }

    /// A GET without a body; these are its heads by HTTP/1.1 and by HTTP/2.
    pub(crate) fn without_body(head: Vec<u8>, fields: Request<()>) -> Self {
        Self { text: head, fields: Some(Box::new(fields)), ..Self::default() }
    }

    /// Whether the method is HEAD.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    /// Bytes that went to an origin.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether nothing more is to be sent.
    pub(crate) fn is_over(&self) -> bool {
        self.is_cut || self.body.is_none() && self.is_flushed()
    }

    /// Whether the origin takes no more of it.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// A byte of a response came: nothing of this is sent again.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }

    /// Whether it may be sent again: nothing of it was sent, or it does nothing twice and no byte of a response came.
    pub(crate) fn may_begin_anew(&self) -> bool {
        self.written == 0 || self.is_repeatable && !self.is_answered
    }

    /// Begins anew, where it may.
    pub(crate) fn begin_anew(&mut self) {
        (self.gone, self.written, self.is_cut, self.is_held) = (0, 0, false, false);
    }

    /// Sends as much as the client has given and the origin takes, by HTTP/2.
    pub(super) fn advance_http2(&mut self, cx: &mut Context<'_>, to: &mut SendStream<Bytes>) -> Sending {
        while !self.is_cut {
            if !self.piece.is_empty() {
                to.reserve_capacity(self.piece.len());
                let room = match to.capacity() {
                    0 => match to.poll_capacity(cx) {
                        Poll::Ready(Some(Ok(room))) => room,
                        Poll::Ready(_) => {
                            self.is_cut = true;
                            break;
                        }
                        Poll::Pending => return Sending::Origin,
                    },
                    room => room,
                };
                let part = self.piece.split_to(room.min(self.piece.len()));
                self.written += part.len() as u64;
                self.is_cut = to.send_data(part, false).is_err();
                continue;
            }
            let Some(body) = &mut self.body else { return Sending::Over };
            let ended = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        (self.piece, self.is_begun) = (data, true);
                        continue;
                    }
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        forward::trailers(&mut trailers);
                        self.withheld.iter().for_each(|name| drop(trailers.remove(name)));
                        to.send_trailers(trailers)
                    }
                },
                Poll::Ready(Some(Err(_))) => {
                    to.send_reset(Reason::CANCEL);
                    return Sending::Broken;
                }
                Poll::Ready(None) => to.send_data(Bytes::new(), true),
                Poll::Pending => {
                    // The origin may want no more of it.
                    self.is_cut = to.poll_reset(cx).is_ready();
                    return if self.is_cut { Sending::Over } else { Sending::Client };
                }
            };
            (self.body, self.is_begun, self.is_cut) = (None, true, ended.is_err());
        }
        Sending::Over
    }

    /// Sends as much as the client has given and the origin takes.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Sending {
        while !self.is_cut {
            let starved = match &mut self.body {
                Some(body) if self.piece.is_empty() && self.end.is_empty() => match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.load(frame);
                        continue;
                    }
                    Poll::Ready(Some(Err(_))) => return Sending::Broken,
                    Poll::Ready(None) => {
                        self.body = None;
                        if self.chunked {
                            self.text.extend_from_slice(b"0\r\n\r\n");
                        }
                        false
                    }
                    Poll::Pending => true,
                },
                _ => false,
            };
            if self.is_taken() {
                return match self.flush(cx, stream) {
                    Some(sending) => sending,
                    None if self.body.is_none() => Sending::Over,
                    None => Sending::Client,
                };
            }
            let pieces = [IoSlice::new(&self.text[self.gone..]), IoSlice::new(&self.piece), IoSlice::new(self.end)];
            match io::poll_write_pieces(stream, cx, &pieces) {
                Poll::Ready(Ok(length)) => {
                    self.is_held = matches!(stream, Stream::Tls(_));
                    self.went_out(length);
                }
                // What the origin has to say may still be of use.
                Poll::Ready(Err(_)) => self.is_cut = true,
                Poll::Pending => return Sending::Origin,
            }
            if starved && self.is_taken() {
                return self.flush(cx, stream).unwrap_or(Sending::Client);
            }
        }
        Sending::Over
    }

    /// Sends what TLS holds; what is waited for then, if that is not the client.
    fn flush(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Option<Sending> {
        if !self.is_held {
            return None;
        }
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => self.is_held = false,
            Poll::Ready(Err(_)) => {
                self.is_cut = true;
                return Some(Sending::Over);
            }
            Poll::Pending => return Some(Sending::Origin),
        }
        None
    }

    /// Takes a frame of the client's, behind what is there.
    fn load(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if self.chunked {
                    // Writing into a Vec does not fail.
                    let _ = write!(self.text, "{:x}\r\n", data.len());
                    self.end = b"\r\n";
                }
                self.piece = data;
            }
            Err(frame) => self.load_trailers(frame),
        }
    }

    fn load_trailers(&mut self, frame: Frame<Bytes>) {
        let Ok(mut trailers) = frame.into_trailers() else { return };
        if !self.chunked {
            return;
        }
        forward::trailers(&mut trailers);
        self.withheld.iter().for_each(|name| drop(trailers.remove(name)));
        self.text.extend_from_slice(b"0\r\n");
        for (name, value) in &trailers {
            forward::write_field(&mut self.text, name, value.as_bytes());
        }
        self.text.extend_from_slice(b"\r\n");
        self.body = None;
    }

    fn is_flushed(&self) -> bool {
        self.is_taken() && !self.is_held
    }

    fn is_taken(&self) -> bool {
        self.gone == self.text.len() && self.piece.is_empty() && self.end.is_empty()
    }

    fn went_out(&mut self, length: usize) {
        self.written += length as u64;
        let of_text = length.min(self.text.len() - self.gone);
        self.gone += of_text;
        let of_piece = (length - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        self.end = &self.end[length - of_text - of_piece..];
        // The head of a request that may be sent again is kept.
        if self.gone == self.text.len() && !self.is_repeatable {
            self.text.clear();
            self.gone = 0;
        }
    }
}
