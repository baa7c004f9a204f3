//! HTTP/2 towards clients: hyper's, between limits of serin's own.
//!
//! What the gate is to HTTP/1 stands here about each stream: its head is judged before anything is done for it, and each of its waits ends,
//! by a deadline beside the task that hyper makes of it. The frames below are looked at too, for floods of such as ask for nothing.

mod frames;
mod head;
mod io;
mod streams;

use crate::io::{ClientStream, Deadline, Refusal};
use crate::service::{self, Client};
use crate::settings::Settings;
use crate::worker::Worker;
use bytes::BytesMut;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use io::Http2Io;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use streams::Streams;
use tokio::time::Instant;

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams that clients reset before anyone looked at them (CVE-2023-44487).
const RESET_UNSEEN: usize = 20;
/// Streams that are reset for what clients do wrong in them.
const RESET_FOR_ERRORS: usize = 100;

/// Serves the requests of a connection, as many at once as it may have. `begun`: what came of it already.
pub(crate) async fn serve<S: ClientStream>(worker: &Rc<Worker>, stream: S, begun: BytesMut, client: &Rc<Client>, since: Instant) {
    let settings = &worker.settings;
    let (timeouts, streams) = (settings.timeouts, Streams::new(settings.timeouts));
    let io = Http2Io::new(stream, begun.freeze(), &streams, settings, &worker.shard, since);
    let service = {
        let (worker, client, streams, limits) = (Rc::clone(worker), Rc::clone(client), streams.clone(), settings.limits);
        service_fn(move |mut request| {
            let stream = Rc::new(client.for_stream());
            if let Err(fault) = head::check(&mut request, &limits) {
                stream.connection.refuse(Refusal::Fault(fault));
            }
            streams.begin(&stream);
            service::serve(Rc::clone(&worker), stream, request)
        })
    };
    let mut exchanges = pin!(builder(settings, &streams).serve_connection(TokioIo::new(io), service));
    let (mut age, mut idle, mut end) = (Deadline::default(), Deadline::default(), Deadline::default());
    age.start_at(since, jittered(timeouts.connection_age));
    let (mut drains, mut is_ending) = (worker.drains(), false);
    let mut drains = pin!(async move { drop(drains.wait_for(|drains| *drains).await) });
    poll_fn(|cx| {
        if exchanges.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if streams.are_none(cx) {
            idle.keep(timeouts.keep_alive);
        } else {
            idle.stop();
            end.stop();
        }
        let is_over = !is_ending && (age.poll(cx).is_ready() || idle.poll(cx).is_ready() || drains.as_mut().poll(cx).is_ready());
        if is_over {
            is_ending = true;
            exchanges.as_mut().graceful_shutdown();
            if exchanges.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        // A client that is not there any more does not say that it has seen the end.
        if is_ending && streams.are_none(cx) {
            end.keep(timeouts.write_idle);
            return end.poll(cx);
        }
        Poll::Pending
    })
    .await;
}

fn builder(settings: &Settings, streams: &Streams) -> http2::Builder<Streams> {
    let limits = settings.limits.http2;
    let mut http2 = http2::Builder::new(streams.clone());
    http2
        .max_concurrent_streams(limits.streams)
        .max_send_buf_size(limits.send_buffer)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.header_list)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_FOR_ERRORS);
    http2
}

/// Up to a fifth less.
fn jittered(longest: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) >> 32;
    let fifth = longest / 5;
    longest - fifth.mul_f64(chance as f64 / f64::from(u32::MAX))
}
