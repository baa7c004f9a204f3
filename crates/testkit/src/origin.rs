//! A small origin that says its label, counts, and fails, lingers or never ends as told. It speaks HTTP/1.1, and HTTP/2 without TLS on the same port.
//!
//! `/ws` is a WebSocket that says back what it is told, `/sse` sends events without end, `/slow?seconds=10` takes so long to send, and
//! what comes as gRPC is said back as it comes, whatever the method.
//!
//! It has a thread and a runtime of its own: neither a paused clock nor a busy runtime of the test changes how it serves.

mod streams;

use crate::websocket;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use streams::Body;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

/// The response header that carries an origin's label.
pub const LABEL: &str = "x-origin";
/// The response header that carries the target of the request, as it came.
pub const TARGET: &str = "x-target";
/// The response header that carries the version of HTTP that the request came by.
pub const VERSION: &str = "x-version";
/// The response header that carries the `Host` of the request, as it came.
pub const HOST: &str = "x-host";

/// How an origin answers.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The share of requests that gets [`Behaviour::status`].
    pub fail: Share,
    /// The status of a failure.
    pub status: StatusCode,
    /// How long an answer takes to begin.
    pub delay: Duration,
    /// The body is the label and a line break each 100 ms, without end; otherwise once.
    pub endless: bool,
}

impl Default for Behaviour {
    /// 200 at once, always.
    fn default() -> Self {
        Self { fail: Share::default(), status: StatusCode::SERVICE_UNAVAILABLE, delay: Duration::ZERO, endless: false }
    }
}

/// An exact share of a sequence, in parts per million: of the first n, `floor(n * share)` are in it, spread evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    const WHOLE: u64 = 1_000_000;

    /// Whether the nth of the sequence, from 0, is in the share.
    pub fn takes(self, nth: u64) -> bool {
        let share = u64::from(self.0);
        (nth + 1) * share / Self::WHOLE > nth * share / Self::WHOLE
    }
}

impl FromStr for Share {
    type Err = Error;

    /// `10%`, `0.5%`: up to four decimals.
    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_suffix('%').with_context(|| format!("{text}: a share ends with %"))?;
        let percent: f64 = number.parse().with_context(|| format!("{text}: not a number"))?;
        ensure!((0.0..=100.0).contains(&percent), "{text}: a share is between 0% and 100%");
        Ok(Self((percent * 10_000.0).round() as u32))
    }
}

/// A running origin; it ends, and breaks its connections, when it is dropped.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
    draining: watch::Sender<bool>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    label: HeaderValue,
    behaviour: Mutex<Behaviour>,
    requests: AtomicU64,
    connections: AtomicU64,
}

impl Origin {
    /// Listens here, port 0 for any; returns once connections are taken.
    ///
    /// # Errors
    /// When the address is taken or not this machine's, or the label cannot stand in a header.
    pub fn start(address: impl Into<SocketAddr>, label: &str) -> Result<Self> {
        let address = address.into();
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true).context("cannot make the listener non-blocking")?;
        let address = listener.local_addr().context("a listener without an address")?;
        let label = HeaderValue::from_str(label).with_context(|| format!("{label:?} cannot stand in a header"))?;
        let state = State { label, behaviour: Mutex::default(), requests: AtomicU64::new(0), connections: AtomicU64::new(0) };
        let state = Arc::new(state);
        let (end, ended) = oneshot::channel();
        let (draining, drained) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
        let serving = Arc::clone(&state);
        let thread = std::thread::Builder::new().name(format!("origin {address}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, serving, drained) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { address, state, draining, end: Some(end), thread: Some(thread.context("cannot start a thread")?) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests until now, failed ones too.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Connections that were opened until now.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Requests from now on are answered so.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Takes no more connections, finishes what is under way, and ends: what a server does that is told to.
    pub fn drain(mut self) {
        self.draining.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // The thread may have ended before.
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, mut draining: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    // Each connection has a sender, so the channel closes when the last one has ended.
    let (open, mut closed) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = draining.changed() => break,
        };
        // Out of descriptors, or the client has gone: the next one may do better.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        state.connections.fetch_add(1, Ordering::Relaxed);
        let (state, open, mut draining) = (Arc::clone(&state), open.clone(), draining.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            // How a connection ends is the business of whoever opened it.
            if begins_http2(&stream).await {
                let mut connection = pin!(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection.as_mut() => {}
                    _ = draining.changed() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
            } else {
                let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
                tokio::select! {
                    _ = connection.as_mut() => {}
                    _ = draining.changed() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
            }
            drop(open);
        });
    }
    drop((listener, open));
    closed.recv().await;
}

/// Whether HTTP/2 is what comes: no request of HTTP/1.1 has a method that begins so.
async fn begins_http2(stream: &TcpStream) -> bool {
    let mut begin = [0; 4];
    loop {
        match stream.peek(&mut begin).await {
            Ok(4) => return begin == *b"PRI ",
            Ok(length @ 1..) if b"PRI ".starts_with(&begin[..length]) => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => return false,
        }
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let nth = state.requests.fetch_add(1, Ordering::Relaxed);
    let behaviour = *state.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
    let target = request.uri().path_and_query().and_then(|target| HeaderValue::from_str(target.as_str()).ok());
    let host = request.headers().get(http::header::HOST).cloned();
    let version = HeaderValue::from_str(&format!("{:?}", request.version())).ok();
    let fails = behaviour.fail.takes(nth);
    let mut request = request.map(Some);
    if let Some(mut response) = special(&state, &behaviour, fails, &mut request).await {
        response.headers_mut().insert(LABEL, state.label.clone());
        return Ok(response);
    }
    // The body is read to its end, so that the connection can be used again.
    let mut body = request.into_body();
    while let Some(frame) = match &mut body {
        Some(body) => body.frame().await,
        None => None,
    } {
        frame?;
    }
    // A sleep of nothing would still take the timer's millisecond.
    if !behaviour.delay.is_zero() {
        tokio::time::sleep(behaviour.delay).await;
    }
    let line = Bytes::from([state.label.as_bytes(), b"\n"].concat());
    let body = if behaviour.endless { streams::endless(line) } else { Full::new(line).boxed_unsync() };
    let mut response = Response::new(body);
    if fails {
        *response.status_mut() = behaviour.status;
    }
    response.headers_mut().insert(LABEL, state.label.clone());
    for (name, value) in [(TARGET, target), (HOST, host), (VERSION, version)] {
        response.headers_mut().extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    Ok(response)
}

/// The answer to what is more than a plain request. A body that it needs is taken.
async fn special(state: &State, behaviour: &Behaviour, fails: bool, request: &mut Request<Option<Incoming>>) -> Option<Response<Body>> {
    let is_grpc = request.headers().get(http::header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        tokio::time::sleep(behaviour.delay).await;
        return Some(if fails { streams::unavailable() } else { streams::grpc(request.body_mut().take()?) });
    }
    if fails {
        return None;
    }
    match request.uri().path() {
        "/sse" => Some(streams::events(&state.label)),
        "/slow" => {
            let seconds = request.uri().query().and_then(|query| query.strip_prefix("seconds="));
            Some(streams::slow(&state.label, seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(1)))
        }
        "/ws" => {
            let accept = websocket::accept(request.headers())?;
            let upgrade = hyper::upgrade::on(request);
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    // How it ends is the business of whoever opened it.
                    let _ = websocket::echo(TokioIo::new(upgraded)).await;
                }
            });
            let mut response = Response::new(Empty::new().boxed_unsync());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let fields = [
                (http::header::CONNECTION, HeaderValue::from_static("upgrade")),
                (http::header::UPGRADE, HeaderValue::from_static("websocket")),
            ];
            response.headers_mut().extend(fields.into_iter().chain([(http::header::SEC_WEBSOCKET_ACCEPT, accept)]));
            Some(response)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{Ipv4Addr, TcpStream};

    fn origin() -> Result<Origin> {
        Origin::start((Ipv4Addr::LOCALHOST, 0), "v2")
    }

    fn connect(origin: &Origin) -> Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(origin.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
        Ok(BufReader::new(stream))
    }

    fn lines(reader: impl BufRead, count: usize) -> Result<Vec<String>> {
        reader.lines().take(count).map(|line| line.context("the connection broke")).collect()
    }

    #[test]
    fn an_origin_says_its_label_in_head_and_body() -> Result<()> {
        let origin = origin()?;
        let mut stream = TcpStream::connect(origin.address())?;
        stream.write_all(b"POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("x-origin: v2\r\n"), "{text}");
        assert!(text.contains("x-target: /path\r\n") && text.contains("x-host: a\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nv2\n"), "{text}");
        assert_eq!((origin.requests(), origin.connections()), (1, 1));
        Ok(())
    }

    #[test]
    fn a_failing_origin_answers_with_the_status_it_was_told() -> Result<()> {
        let origin = origin()?;
        origin.behave(Behaviour { fail: "100%".parse()?, status: StatusCode::INTERNAL_SERVER_ERROR, ..Behaviour::default() });
        assert_eq!(lines(connect(&origin)?, 1)?, ["HTTP/1.1 500 Internal Server Error"]);
        Ok(())
    }

    #[test]
    fn an_endless_answer_goes_on_and_ends_with_its_origin() -> Result<()> {
        let origin = origin()?;
        origin.behave(Behaviour { endless: true, ..Behaviour::default() });
        let mut reader = connect(&origin)?;
        let seen = lines(&mut reader, 20)?;
        assert!(seen.iter().filter(|line| *line == "v2").count() >= 3, "{seen:?}");
        drop(origin);
        let rest: Vec<_> = reader.lines().map_while(Result::ok).collect();
        assert!(rest.len() < 20, "{rest:?}");
        Ok(())
    }

    #[test]
    fn an_origin_that_is_drained_finishes_the_request_under_way_and_closes_idle_connections() -> Result<()> {
        let origin = origin()?;
        let mut idle = connect(&origin)?;
        let head = lines(&mut idle, 1)?;
        assert_eq!(head, ["HTTP/1.1 200 OK"]);
        origin.behave(Behaviour { delay: Duration::from_millis(300), ..Behaviour::default() });
        let mut busy = connect(&origin)?;
        while origin.requests() < 2 {
            std::thread::yield_now();
        }
        origin.drain();
        let mut answer = String::new();
        busy.read_to_string(&mut answer)?;
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("\r\n\r\nv2\n"), "{answer}");
        let mut rest = String::new();
        idle.read_to_string(&mut rest)?;
        assert!(rest.ends_with("\r\n\r\nv2\n"), "{rest}");
        Ok(())
    }

    #[test]
    fn a_share_is_exact_and_even() -> Result<()> {
        let tenth: Share = "10%".parse()?;
        let taken: Vec<u64> = (0..40).filter(|nth| tenth.takes(*nth)).collect();
        assert_eq!(taken, [9, 19, 29, 39]);
        assert!((0..100).all(|nth| "100%".parse::<Share>().is_ok_and(|all| all.takes(nth)) && !Share::default().takes(nth)));
        Ok(())
    }

    #[test]
    fn a_share_without_sign_or_beyond_the_whole_is_refused() {
        for text in ["10", "101%", "-1%", "x%", "NaN%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
