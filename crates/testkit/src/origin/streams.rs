//! Answers of an origin that take their time: events, a slow download, and gRPC.

use bytes::Bytes;
use futures::stream::{StreamExt, iter, once, unfold};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use std::convert::Infallible;
use std::time::Duration;

/// What every answer of an origin is made of.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Between two pieces.
const TICK: Duration = Duration::from_millis(100);

/// Server-Sent Events: one at once and one every [`TICK`], each with its number, without end.
pub(crate) fn events(label: &HeaderValue) -> Response<Body> {
    let label = label.clone();
    let events = ticks().map(move |nth| {
        let event = [b"data: ", label.as_bytes(), b" ", nth.to_string().as_bytes(), b"\n\n"].concat();
        Ok(Frame::data(Bytes::from(event)))
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// A download of so many seconds: a line of the label every [`TICK`], and its length beforehand.
pub(crate) fn slow(label: &HeaderValue, seconds: u64) -> Response<Body> {
    let count = seconds.saturating_mul(10).max(1);
    let line = Bytes::from([label.as_bytes(), b"\n"].concat());
    let length = count * line.len() as u64;
    let lines = ticks().take(usize::try_from(count).unwrap_or(usize::MAX)).map(move |_| Ok(Frame::data(line.clone())));
    let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// This line at once and then every [`TICK`], until the client has gone.
pub(crate) fn endless(line: Bytes) -> Body {
    StreamBody::new(ticks().map(move |_| Ok(Frame::data(line.clone())))).boxed_unsync()
}

/// gRPC: each piece of the request is said back as it comes, unary or a stream; then the status.
pub(crate) fn grpc(request: Incoming) -> Response<Body> {
    let pieces = unfold(request, |mut request| async move {
        loop {
            match request.frame().await?.ok()?.into_data() {
                Ok(data) => return Some((Ok(Frame::data(data)), request)),
                Err(_) => continue,
            }
        }
    });
    let trailers = once(async { Ok(Frame::trailers(status("0"))) });
    let mut response = Response::new(StreamBody::new(pieces.chain(trailers)).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A failure of gRPC: UNAVAILABLE, in the head alone.
pub(crate) fn unavailable() -> Response<Body> {
    let mut response = Response::new(StreamBody::new(iter([])).boxed_unsync());
    response.headers_mut().extend(status("14"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
}

fn ticks() -> impl futures::Stream<Item = u64> + Send {
    unfold((0, tokio::time::interval(TICK)), |(nth, mut interval)| async move {
        interval.tick().await;
        Some((nth, (nth + 1, interval)))
    })
}
