//! HTTP/2 to an origin: one connection for many requests at once, each driven by whoever serves it.
//!
//! The frames are the `h2` crate's, which also refuses what RFC 9113 calls malformed: fields of a connection, lengths that are not the body's,
//! bytes that are of no name or value. Such an answer is 502, and its connection takes no further request.

use super::{Sending, Stream, Upload};
use crate::failure::Failure;
use crate::forward;
use crate::gate::{self, Fault};
use crate::io::Deadline;
use crate::pool::Permit;
use crate::settings::Timeouts;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::response::Parts;
use http::{HeaderMap, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// Requests at once on one connection; fewer when the origin says so. For more there is another one.
const STREAMS: usize = 100;
/// What an origin may send before it is taken: of one answer, and of all of a connection.
const WINDOWS: (u32, u32) = (64 * 1024, 1024 * 1024);
/// What is held of one request's body.
const SEND_BUFFER: usize = 16 * 1024;

/// A connection. It is closed when nobody has it and its last answer is over.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    limits: gate::Limits,
    streams: Cell<usize>,
    /// When its last answer was over.
    since: Cell<Instant>,
    /// It takes no further request.
    is_over: Rc<Cell<bool>>,
    /// Dropped with this.
    _owned: oneshot::Sender<()>,
}

/// One of the requests of a connection.
#[derive(Debug)]
struct Slot(Rc<Http2>);

/// A body that comes by a connection with others.
pub(crate) struct Http2Answer {
    slot: Slot,
    body: RecvStream,
    /// How much is still to come, where that was said.
    left: Option<u64>,
    is_over: bool,
    request: SendStream<Bytes>,
    upload: Option<Box<Upload>>,
    failure: Option<Failure>,
    idle: Duration,
    read: Deadline,
    write: Deadline,
}

impl Http2 {
    /// A connection on which nothing was said yet.
    pub(crate) async fn new(stream: Stream, timeouts: &Timeouts, limits: gate::Limits, permit: Permit) -> Result<Rc<Self>, Failure> {
        let list = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_header_list_size(list)
            .max_send_buffer_size(SEND_BUFFER);
        let (requests, mut connection) = builder.handshake(stream).await.map_err(|_| Failure::OriginReset)?;
        let (owned, gone) = oneshot::channel();
        let (is_over, closing) = (Rc::new(Cell::new(false)), timeouts.linger);
        let told = Rc::clone(&is_over);
        tokio::task::spawn_local(async move {
            let ended = tokio::select! {
                ended = &mut connection => Some(ended),
                _ = gone => None,
            };
            told.set(true);
            match ended {
                Some(Err(error)) => tracing::debug!(%error, "a connection to a backend ended"),
                Some(Ok(())) => {}
                // The goodbye may find nobody who reads it.
                None => drop(timeout(closing, connection).await),
            }
            drop(permit);
        });
        let since = Cell::new(Instant::now());
        Ok(Rc::new(Self { requests, limits, streams: Cell::new(0), since, is_over, _owned: owned }))
    }

    /// Whether it takes another request now.
    pub(crate) fn has_room(&self) -> bool {
        let limit = self.requests.current_max_send_streams().clamp(1, STREAMS);
        !self.is_over.get() && self.streams.get() < limit
    }

    /// Whether it will take no request any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Whether it has had no request for so long.
    pub(crate) fn is_idle(&self, now: Instant, limit: Duration) -> bool {
        self.streams.get() == 0 && now.saturating_duration_since(self.since.get()) > limit
    }

    /// Sends a request, as much of it as the origin wants, until the head of its response is there.
    ///
    /// When the origin says that it did nothing for the request, `upload` counts as not sent, unless some of its body is gone.
    pub(crate) async fn ask(self: &Rc<Self>, upload: &mut Upload, timeouts: &Timeouts) -> Result<(Parts, Http2Answer), Failure> {
        let slot = Slot::new(self);
        let fields = upload.fields().ok_or(Failure::Request(Fault::HostInvalid))?;
        let mut requests = self.requests.clone();
        let sent = poll_fn(|cx| requests.poll_ready(cx)).await.and_then(|()| requests.send_request(fields, upload.has_no_body()));
        let Ok((response, request)) = sent else {
            // It ended, or the origin said goodbye: nothing was sent.
            self.is_over.set(true);
            return Err(Failure::OriginReset);
        };
        upload.head_is_sent();
        let mut asking = Asking { response, request, upload, read: Deadline::default(), write: Deadline::default() };
        match poll_fn(|cx| asking.poll(cx, timeouts)).await {
            Ok(response) => {
                let request = asking.request;
                self.answer(slot, response, request, upload, timeouts)
            }
            Err(Stopped::Failure(failure)) => {
                // It may be that nobody is there any more: others need not find that out by waiting too.
                if matches!(failure, Failure::FirstByteTimeout | Failure::OriginIdle) {
                    self.is_over.set(true);
                }
                Err(failure)
            }
            Err(Stopped::Stream(error)) => {
                if is_undone(&error) {
                    upload.was_not_seen();
                }
                Err(self.failed(&error))
            }
        }
    }

    fn answer(
        &self,
        slot: Slot,
        response: http::Response<RecvStream>,
        request: SendStream<Bytes>,
        upload: &mut Upload,
        timeouts: &Timeouts,
    ) -> Result<(Parts, Http2Answer), Failure> {
        let (parts, body) = response.into_parts();
        let length = length(&parts.headers);
        if parts.headers.len() > self.limits.fields || length.is_err() || parts.status.is_informational() {
            self.is_over.set(true);
            return Err(Failure::Malformed);
        }
        let bodiless = upload.is_head() || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut answer = Http2Answer {
            slot,
            is_over: bodiless || body.is_end_stream(),
            body,
            left: length.unwrap_or_default().filter(|_| !bodiless),
            request,
            upload: (!upload.is_over()).then(|| Box::new(std::mem::take(upload))),
            failure: None,
            idle: timeouts.origin_idle,
            read: Deadline::default(),
            write: Deadline::default(),
        };
        if answer.is_over {
            answer.end();
        }
        Ok((parts, answer))
    }

    fn failed(&self, error: &h2::Error) -> Failure {
        if error.is_library() {
            tracing::debug!(%error, "a backend does not speak HTTP/2 as it should");
            self.is_over.set(true);
            return Failure::Malformed;
        }
        if error.is_go_away() || error.is_io() {
            self.is_over.set(true);
        }
        Failure::OriginReset
    }
}

/// A request until its response has a head.
struct Asking<'u> {
    response: ResponseFuture,
    request: SendStream<Bytes>,
    upload: &'u mut Upload,
    read: Deadline,
    write: Deadline,
}

/// Why there is no response.
enum Stopped {
    Failure(Failure),
    Stream(h2::Error),
}

impl Asking<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, timeouts: &Timeouts) -> Poll<Result<http::Response<RecvStream>, Stopped>> {
        let before = self.upload.written();
        send(cx, self.upload, &mut self.request, &mut self.write, timeouts.origin_idle).map_err(Stopped::Failure)?;
        if self.upload.written() > before {
            // The wait for the answer begins with the last byte that went out.
            self.read.start(timeouts.first_byte);
        }
        if let Poll::Ready(answered) = Pin::new(&mut self.response).poll(cx) {
            return Poll::Ready(answered.map_err(Stopped::Stream));
        }
        poll_wait(cx, &mut self.read, timeouts.first_byte, Some(&*self.upload)).map(|()| Err(Stopped::Failure(Failure::FirstByteTimeout)))
    }
}

/// Sends what can be sent.
fn send(
    cx: &mut Context<'_>,
    upload: &mut Upload,
    to: &mut SendStream<Bytes>,
    write: &mut Deadline,
    idle: Duration,
) -> Result<(), Failure> {
    let before = upload.written();
    match upload.advance_http2(cx, to) {
        Sending::Origin => {
            if upload.written() > before {
                write.stop();
            }
            write.keep(idle);
            if write.poll(cx).is_ready() {
                return Err(Failure::OriginIdle);
            }
        }
        Sending::Broken => return Err(Failure::ClientLeft),
        Sending::Client | Sending::Over => write.stop(),
    }
    Ok(())
}

/// Nothing came. Ready when that has been so for too long; while the client is still sending it is the client that is waited for.
fn poll_wait(cx: &mut Context<'_>, read: &mut Deadline, limit: Duration, upload: Option<&Upload>) -> Poll<()> {
    read.keep(limit);
    loop {
        ready!(read.poll(cx));
        if upload.is_none_or(Upload::is_over) {
            return Poll::Ready(());
        }
        read.start(limit);
    }
}

impl Http2Answer {
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn is_early(&self) -> bool {
        !self.is_over && self.upload.is_some()
    }

    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if let (Some(upload), None) = (&mut self.upload, self.failure) {
            self.failure = send(cx, upload, &mut self.request, &mut self.write, self.idle).err();
        }
        self.failure.map_or(Ok(()), Err)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_over => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.send(cx)?;
        let Poll::Ready(polled) = self.poll_stream(cx) else {
            ready!(poll_wait(cx, &mut self.read, self.idle, self.upload.as_deref()));
            self.slot.0.is_over.set(true);
            return Poll::Ready(Some(Err(Failure::OriginIdle)));
        };
        self.read.stop();
        match polled {
            Ok(Some(frame)) => {
                if frame.is_trailers() || self.body.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(None) => {
                self.end();
                Poll::Ready(None)
            }
            // A whole answer may be followed by a reset: the rest of the request is not wanted (RFC 9113, section 8.1).
            Err(error) if error.reason() == Some(Reason::NO_ERROR) && error.is_reset() && self.left.is_none_or(|left| left == 0) => {
                self.end();
                Poll::Ready(None)
            }
            Err(error) => Poll::Ready(Some(Err(self.slot.0.failed(&error)))),
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, h2::Error>> {
        while let Some(data) = ready!(self.body.poll_data(cx)) {
            let data = data?;
            // The origin may send as much more as was taken.
            self.body.flow_control().release_capacity(data.len())?;
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            if !data.is_empty() {
                return Poll::Ready(Ok(Some(Frame::data(data))));
            }
        }
        let trailers = ready!(self.body.poll_trailers(cx))?;
        Poll::Ready(Ok(trailers.and_then(|mut trailers| {
            forward::trailers(&mut trailers);
            (!trailers.is_empty()).then(|| Frame::trailers(trailers))
        })))
    }

    /// The response is over. What is left of the request nobody wants.
    fn end(&mut self) {
        self.is_over = true;
        if self.upload.take().is_some_and(|upload| !upload.is_over()) {
            self.request.send_reset(Reason::CANCEL);
        }
    }
}

impl Slot {
    fn new(connection: &Rc<Http2>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.since.set(Instant::now());
    }
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("streams", &self.streams).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl fmt::Debug for Http2Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Answer").field("left", &self.left).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

/// Whether the origin did nothing for a request: it refused it, or said goodbye before it took it (RFC 9113, section 8.7).
fn is_undone(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
}

/// The length that is given, once at most: towards a client of HTTP/1 it frames the body.
fn length(headers: &HeaderMap) -> Result<Option<u64>, ()> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let digits = length.as_bytes();
    if lengths.next().is_some() || !(1..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    length.to_str().ok().and_then(|text| text.parse().ok()).map(Some).ok_or(())
}
