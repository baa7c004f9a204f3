//! The admin port: health, metrics and releases; in standalone mode also commands.
//!
//! A page in somebody's browser must not be able to give a command: commands are POSTs of a content type that no form can send, and a
//! `Host` that is not an address is refused, so that a name that is bound again to loopback reaches nothing. Questions to `/v1/explain` are
//! as careful, since their answers depend on credentials: where others than this host reach the port no key and no password is checked,
//! and questions never pile up.

use crate::cluster::review::{Review, Reviewer};
use crate::explain::Question;
use crate::update::Said;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use serde_json::{Value, json};
use serin_routing::Table;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};

/// The content type of a command.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// The content type of a question.
pub const QUESTION: &str = "application/json";
/// Questions at once; the next one is told to come again.
const QUESTIONS: usize = 4;
/// The longest command.
const BODY_LIMIT: usize = 16 * 1024;
/// Connections at once; the next one waits.
const CONNECTIONS: usize = 64;
/// How long a request head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be open in all.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// What the admin port asks of whoever holds the releases.
#[derive(Debug)]
pub enum Ask {
    /// Whether traffic may be sent here.
    Ready(oneshot::Sender<bool>),
    /// The metrics, as Prometheus text.
    Metrics(oneshot::Sender<String>),
    /// All releases with their status.
    List(oneshot::Sender<Vec<Value>>),
    /// One release.
    One(Name, oneshot::Sender<Option<Value>>),
    /// What this replica serves and counted.
    Counters(oneshot::Sender<Said>),
    /// What is served.
    Table(oneshot::Sender<Option<Arc<Table>>>),
    /// A merge patch of `metadata.annotations` of one release; answers the release after it, or why not.
    Annotate(Name, Vec<(String, Option<String>)>, oneshot::Sender<Result<Value, Refusal>>),
}

/// A release's namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such release.
    NotFound,
    /// In a cluster commands go through the API server.
    ReadOnly,
}

/// What the port needs for an answer.
#[derive(Debug)]
struct Port {
    asks: mpsc::Sender<Ask>,
    questions: Arc<Semaphore>,
    /// Who may read the counters is asked here; `None`: nobody asks for them.
    reviewer: Option<Reviewer>,
    /// Only this host asks, so questions may find out whether a key or a password is right.
    is_private: bool,
}

/// Serves until it is dropped, and then ends its connections too. Whoever holds the releases answers on `asks`; who may read the counters,
/// `reviewer` says: without one there are none.
pub async fn serve(listener: TcpListener, asks: mpsc::Sender<Ask>, reviewer: Option<Reviewer>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let is_private = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let port = Arc::new(Port { asks, questions: Arc::new(Semaphore::new(QUESTIONS)), reviewer, is_private });
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        // An accept error is about one connection, or about descriptors that others will free.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let port = Arc::clone(&port);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let port = Arc::clone(&port);
                async move { Ok::<_, std::convert::Infallible>(answer(request, &port).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            // What a peer does wrong is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, http.serve_connection(TokioIo::new(stream), service)).await;
            drop(permit);
        });
    }
}

async fn answer(request: Request<Incoming>, port: &Port) -> Response<Full<Bytes>> {
    let asks = &port.asks;
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let get = request.method() == Method::GET || request.method() == Method::HEAD;
    match (parts.as_slice(), get) {
        (["healthz"], true) => text(StatusCode::OK, "ok\n"),
        (["readyz"], true) => match ask(asks, Ask::Ready).await {
            Some(true) => text(StatusCode::OK, "ok\n"),
            Some(false) => text(StatusCode::SERVICE_UNAVAILABLE, "the first table is not served yet\n"),
            None => gone(),
        },
        (["metrics"], true) => ask(asks, Ask::Metrics).await.map_or_else(gone, |metrics| text(StatusCode::OK, metrics)),
        (["v1", "releases"], true) => {
            ask(asks, Ask::List).await.map_or_else(gone, |items| json_of(StatusCode::OK, &json!({"items": items})))
        }
        (["v1", "releases", namespace, name], true) => {
            let name = named(namespace, name);
            match ask(asks, |reply| Ask::One(name, reply)).await {
                Some(Some(object)) => json_of(StatusCode::OK, &object),
                Some(None) => error(StatusCode::NOT_FOUND, &format!("canaryrelease {namespace}/{} not found", parts[3])),
                None => gone(),
            }
        }
        (["v1", "releases", namespace, name], false) if request.method() == Method::POST => {
            let name = named(namespace, name);
            command(request, name, asks).await
        }
        (["v1", "counters"], true) if port.reviewer.is_some() => counters(&request, port).await,
        (["v1", "explain"], false) if request.method() == Method::POST => explain(request, port).await,
        (["healthz" | "readyz" | "metrics"] | ["v1", "releases", ..] | ["v1", "explain" | "counters"], _) => {
            error(StatusCode::METHOD_NOT_ALLOWED, "use GET, or POST for a command and for /v1/explain")
        }
        _ => error(StatusCode::NOT_FOUND, "paths are /healthz, /readyz, /metrics, /v1/explain and /v1/releases[/NAMESPACE/NAME]"),
    }
}

/// What replicas ask each other, for whoever has a token that is worth it.
async fn counters(request: &Request<Incoming>, port: &Port) -> Response<Full<Bytes>> {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let review = match (&port.reviewer, token) {
        (Some(reviewer), Some(token)) => reviewer.review(token.trim()).await,
        _ => Review::Refused,
    };
    match review {
        Review::Allowed => ask(&port.asks, Ask::Counters).await.map_or_else(gone, |said| json_of(StatusCode::OK, &json!(said))),
        Review::Unknown => error(StatusCode::SERVICE_UNAVAILABLE, "the token could not be reviewed: ask again"),
        Review::Refused => {
            let mut refused =
                error(StatusCode::UNAUTHORIZED, "counters are for serin's own account, by a token for audience serin.dev/peers");
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
            refused
        }
    }
}

async fn command(request: Request<Incoming>, name: Name, asks: &mpsc::Sender<Ask>) -> Response<Full<Bytes>> {
    if !host_is_an_address(&request) {
        return error(StatusCode::FORBIDDEN, "commands are taken by address only: use 127.0.0.1 or localhost");
    }
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|value| value != MERGE_PATCH) {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("Content-Type must be {MERGE_PATCH}"));
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let patch = match serde_json::from_slice::<Value>(&body).map_err(|e| e.to_string()).and_then(|body| annotations(&body)) {
        Ok(patch) => patch,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    match ask(asks, |reply| Ask::Annotate(name.clone(), patch, reply)).await {
        Some(Ok(object)) => json_of(StatusCode::OK, &object),
        Some(Err(Refusal::NotFound)) => error(StatusCode::NOT_FOUND, &format!("canaryrelease {}/{} not found", name.namespace, name.name)),
        Some(Err(Refusal::ReadOnly)) => error(StatusCode::FORBIDDEN, "in a cluster commands go through the API server"),
        None => gone(),
    }
}

async fn explain(request: Request<Incoming>, port: &Port) -> Response<Full<Bytes>> {
    if !host_is_an_address(&request) {
        return error(StatusCode::FORBIDDEN, "questions are taken by address only: use 127.0.0.1 or localhost");
    }
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|value| value != QUESTION) {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &format!("Content-Type must be {QUESTION}"));
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let question = match serde_json::from_slice::<Question>(&body) {
        Ok(question) => question,
        Err(why) => return error(StatusCode::BAD_REQUEST, &format!("the body is no question about a request: {why}")),
    };
    let Ok(permit) = Arc::clone(&port.questions).try_acquire_owned() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, &format!("busy: {QUESTIONS} questions are being answered, ask again"));
    };
    let table = match ask(&port.asks, Ask::Table).await {
        Some(Some(table)) => table,
        Some(None) => return error(StatusCode::BAD_REQUEST, "no table is served yet"),
        None => return gone(),
    };
    let is_private = port.is_private;
    // A password may have to be checked, which holds up whoever does it, also when nobody waits for the answer any more.
    let answered = spawn_blocking(move || {
        let _permit = permit;
        let now = Timestamp::now();
        if is_private { question.answer(&table, now) } else { question.answer_without_secrets(&table, now) }
    });
    match answered.await {
        Ok(Ok(explanation)) => json_of(StatusCode::OK, &json!(explanation)),
        Ok(Err(why)) => error(StatusCode::BAD_REQUEST, &why),
        Err(_) => gone(),
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Box<Response<Full<Bytes>>>> {
    match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body must be whole and at most {BODY_LIMIT} bytes")))),
    }
}

/// The annotations of a merge patch, which may be serin's own only.
fn annotations(patch: &Value) -> Result<Vec<(String, Option<String>)>, String> {
    let shape = "the body must be {\"metadata\":{\"annotations\":{NAME: text or null}}}";
    let annotations = patch.pointer("/metadata/annotations").and_then(Value::as_object).ok_or(shape)?;
    let entry = |(name, value): (&String, &Value)| match value {
        _ if !name.starts_with("serin.dev/") => Err(format!("annotation {name} is not serin's: only serin.dev/ ones are taken")),
        Value::Null => Ok((name.clone(), None)),
        Value::String(text) => Ok((name.clone(), Some(text.clone()))),
        _ => Err(shape.to_owned()),
    };
    annotations.iter().map(entry).collect()
}

/// Whether `Host` is an IP address or `localhost`, with or without a port.
fn host_is_an_address(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
}

async fn ask<T>(asks: &mpsc::Sender<Ask>, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    asks.send(question(reply)).await.ok()?;
    answer.await.ok()
}

fn named(namespace: &str, name: &str) -> Name {
    Name { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn gone() -> Response<Full<Bytes>> {
    error(StatusCode::SERVICE_UNAVAILABLE, "serin is stopping")
}

fn error(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    json_of(status, &json!({"error": message}))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; version=0.0.4; charset=utf-8", body.into())
}

fn json_of(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", format!("{body}\n").into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
