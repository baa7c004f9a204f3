//! What is done for one request: route, decide, send on, answer.

use crate::access_log::Entry;
use crate::auth::{self, Refused};
use crate::body::ResponseBody;
use crate::counters::Protocol;
use crate::failure::Failure;
use crate::forward::{self, Arrival};
use crate::gate::Fault;
use crate::io::{Connection, RequestBody};
use crate::listener::Door;
use crate::origin::{Answer, Upload};
use crate::passwords::Known;
use crate::record::{Decided, Record};
use crate::tls::Session;
use crate::tunnel::Tunnel;
use crate::view::Endpoints;
use crate::worker::Worker;
use crate::{ClientIp, RequestFacts, counters, grpc, https, issue, target};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use serin_auth::{Fingerprint, Guess, Identity, Policy, Refusal};
use serin_routing::{Auth, Backend, RouteRelease};
use serin_split::{Side, decide_issuing};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::mem;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::task::Context;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

/// So often a password is checked for one request: again only when its hash was replaced meanwhile.
const PASSWORD_CHECKS: usize = 2;

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: Rc<Connection>,
    /// The address at the other end of the socket.
    pub(crate) socket: IpAddr,
    /// Its address, by the PROXY protocol where a balancer speaks that; `None` if it did not say.
    pub(crate) peer: Option<IpAddr>,
    /// The same, as a field has it.
    pub(crate) peer_text: HeaderValue,
    /// Whether it may speak for others in the fields of its requests.
    pub(crate) trusted: bool,
    /// The answer under way, if it came before all of its request.
    pub(crate) early: RefCell<Weak<RefCell<Answer>>>,
    /// What an origin agreed to, once the answer that says so is out.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
    /// Where it came in.
    pub(crate) door: Door,
    /// For whom TLS speaks on its connection.
    pub(crate) session: Option<Rc<Session>>,
    /// Whether it speaks HTTP/2, so that this is about one stream of its connection.
    pub(crate) is_http2: bool,
}

/// Where a request goes.
struct Plan {
    endpoints: Rc<Endpoints>,
    side: Side,
    /// What gives the client an identity with an origin's answer.
    cookie: Option<HeaderValue>,
    /// Fields that do not go on as trailers either.
    withheld: Vec<HeaderName>,
    /// What of the request decides between endpoints.
    key: Option<u64>,
    /// The endpoint that it is at.
    at: Cell<Option<usize>>,
    /// It may become one.
    websocket: bool,
}

/// Why there is no plan.
enum Stop {
    /// The request is not served.
    Refused(Refused),
    /// It depends on a password that is being checked.
    Password(Fingerprint, oneshot::Receiver<bool>),
}

/// What came of a password.
struct Checked {
    print: Fingerprint,
    right: bool,
}

impl<R: Into<Refused>> From<R> for Stop {
    fn from(refused: R) -> Self {
        Self::Refused(refused.into())
    }
}

impl Client {
    /// The same for one stream of its connection.
    pub(crate) fn for_stream(&self) -> Self {
        Self {
            connection: Rc::default(),
            socket: self.socket,
            peer: self.peer,
            peer_text: self.peer_text.clone(),
            trusted: self.trusted,
            early: RefCell::default(),
            tunnel: RefCell::default(),
            door: self.door,
            session: self.session.clone(),
            is_http2: true,
        }
    }

    /// Whether the client itself speaks TLS: to serin, or to a trusted peer that says so.
    pub(crate) fn came_by_tls(&self, parts: &Parts) -> bool {
        self.session.is_some() || self.trusted && ClientIp::came_by_https(&parts.headers)
    }

    /// Sends on what an origin answered before it had it.
    pub(crate) fn send_on(&self, cx: &mut Context<'_>) {
        if let Some(answer) = self.early.borrow().upgrade() {
            // A failure is told to whoever asks for more of the answer.
            let _ = answer.borrow_mut().send(cx);
        }
    }
}

/// Answers one request. What fails is answered too; only a body can still end early.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let verdict = client.connection.verdict();
    let (mut parts, body) = request.into_parts();
    let client_ip = client.peer.filter(|_| !client.trusted).or_else(|| worker.settings.client_ip.of(client.peer?, &parts.headers));
    let protocol = protocol(&client, verdict.is_none().then_some(&parts));
    if let Some(protocol) = protocol {
        worker.shard.request(protocol);
    }
    let entry = worker.log.as_ref().map(|_| entry(&worker, verdict.is_none().then_some(&parts), client_ip, protocol));
    let mut record = Record::new(Rc::clone(&worker), client.connection.begun(), entry);
    if grpc::is_request(&parts.headers) {
        record.is_of_grpc();
    }
    let limit = worker.settings.timeouts.request.and_then(|limit| record.started().checked_add(limit));
    let planned = match (verdict, limit) {
        (Some(refusal), _) => Err(Failure::from(refusal).into()),
        (None, None) => planned(&worker, &client, client_ip, &mut parts, &mut record).await,
        // A password may have to wait for its check.
        (None, Some(limit)) => {
            let planned = timeout_at(limit, planned(&worker, &client, client_ip, &mut parts, &mut record)).await;
            planned.unwrap_or(Err(Failure::RequestTimeout.into()))
        }
    };
    let mut plan = match planned {
        Ok(plan) => plan,
        Err(refused) => return Ok(answered(refused, record, &worker, &client)),
    };
    let by_policy = plan.endpoints.request.and_then(|limit| record.started().checked_add(limit));
    let limit = limit.into_iter().chain(by_policy).min();
    let arrival = Arrival {
        peer: &client.peer_text,
        trusted: client.trusted,
        scheme: if client.session.is_some() { "https" } else { "http" },
        port: &worker.doorway(client.door).port,
        host: plan.endpoints.host.as_ref(),
    };
    let body = match client.is_http2 {
        true => RequestBody::of_stream(body, worker.settings.timeouts.body_idle, Rc::clone(&client.connection)),
        false => RequestBody::gated(body),
    };
    let mut upload = Upload::new(&parts, &arrival, body, mem::take(&mut plan.withheld));
    if let Some(tls) = plan.endpoints.speaks_http2() {
        upload = upload.or_http2(&parts, &arrival, tls);
    }
    let exchange = exchange(&worker, &client, &plan, upload, &mut record);
    let exchanged = match limit {
        None => exchange.await,
        Some(limit) => match timeout_at(limit, exchange).await {
            Ok(exchanged) => exchanged,
            Err(_) => {
                plan.failed(Failure::RequestTimeout, &mut record);
                Err(Failure::RequestTimeout)
            }
        },
    };
    let response = match exchanged {
        Ok(response) => response,
        Err(failure) => return Ok(answered(failure.into(), record, &worker, &client)),
    };
    let (mut parts, answer) = response.into_parts();
    forward::response_headers(&mut parts.headers);
    if let Some(cookie) = plan.cookie.take() {
        issue::give(&mut parts.headers, cookie);
    }
    if let Answer::Upgraded(origin) = answer {
        if client.connection.is_ahead() {
            client.connection.close();
            return Ok(answered(Failure::Request(Fault::EarlyTunnel).into(), record, &worker, &client));
        }
        forward::upgrade(&mut parts.headers);
        record.head(parts.status.as_u16());
        if let Some(decision) = record.decision_header().filter(|_| worker.settings.decision_header) {
            parts.headers.insert(&forward::SERIN_DECISION, decision);
        }
        client.tunnel.replace(Some(Tunnel::new(origin, record)));
        return Ok(Response::from_parts(parts, ResponseBody::upgraded(Rc::clone(&client.connection))));
    }
    record.head(parts.status.as_u16());
    record.answer_fields(&parts.headers);
    let limit = limit.map(|limit| Box::pin(sleep_until(limit)));
    let mut response = Response::from_parts(parts, ());
    finish(&mut response, &record, &worker, &client);
    let connection = Rc::clone(&client.connection);
    if !answer.is_early() {
        return Ok(response.map(|()| ResponseBody::origin(answer, record, connection, limit)));
    }
    let answer = Rc::new(RefCell::new(answer));
    client.early.replace(Rc::downgrade(&answer));
    Ok(response.map(|()| ResponseBody::early(answer, record, connection, limit)))
}

/// The plan, made anew when it had to wait for a password: so all of it is from one table.
async fn planned(
    worker: &Worker,
    client: &Client,
    client_ip: Option<IpAddr>,
    parts: &mut Parts,
    record: &mut Record,
) -> Result<Plan, Refused> {
    let mut checked = None;
    for _ in 0..=PASSWORD_CHECKS {
        match plan(worker, client, client_ip, parts, record, checked.as_ref()) {
            Ok(plan) => return Ok(plan),
            Err(Stop::Refused(refused)) => return Err(refused),
            Err(Stop::Password(print, right)) => match right.await {
                Ok(right) => checked = Some(Checked { print, right }),
                Err(_) => break,
            },
        }
    }
    Err(Refused::until(Failure::PasswordsBusy, 1))
}

/// Takes from the table all that the request needs, and makes its head the one that the origin gets.
fn plan(
    worker: &Worker,
    client: &Client,
    client_ip: Option<IpAddr>,
    parts: &mut Parts,
    record: &mut Record,
    checked: Option<&Checked>,
) -> Result<Plan, Stop> {
    let view = worker.view();
    let path = target::path(&parts.uri)?;
    let host = target::host(parts);
    if client.session.as_ref().is_some_and(|session| !session.is_for(&host)) {
        return Err(Failure::Misdirected.into());
    }
    let route = view.table.lookup(&host, &path).ok_or(Failure::NoRoute)?;
    // Nobody is sent to where nothing would be shown to him.
    let has_certificate = |host: &str| view.table.certificate(Some(host)).is_some();
    if client.session.is_none()
        && route.https_redirect.unwrap_or_else(|| worker.settings.https_redirect && (worker.tls.is_none() || has_certificate(&host)))
        && let Some(location) = https::location(worker, client, &host, parts)
    {
        return Err(Refused::sent_to(location).into());
    }
    if let (Auth::Unresolved(_), Some(entry)) = (&route.auth, record.entry()) {
        // Nobody knows which parameter of the query holds a key.
        entry.path = parts.uri.path().to_owned();
    }
    let judge = |policy: &Policy, guess| judged(worker, policy, client_ip.unwrap_or(client.socket), guess, checked);
    let identity = auth::author(&route.auth, parts, client.peer, Timestamp::now, judge)?;
    let identity = identity.as_deref();
    if let (Some(identity), Some(entry)) = (identity, record.entry()) {
        entry.consumer = identity.consumer().cloned();
    }
    let policy = if let Auth::Policy(policy) = &route.auth { Some(policy) } else { None };
    auth::disbelieve(policy, identity, &mut parts.headers);
    let query = policy.and_then(|policy| policy.withhold_query(parts.uri.query()?));
    let query = query.as_deref();
    let facts = RequestFacts { parts, client_ip, identity };
    let applied = route.decider(&facts);
    let (side, cookie) = applied.map_or((Side::Stable, None), |applied| decided(worker, client, applied, &facts, record));
    let (backend, sent) = match (applied, side) {
        (Some(applied), Side::Canary) => {
            let canary = applied.canary.as_deref().ok_or(Failure::CanaryUnavailable)?;
            (canary, route.rewrite(&applied.release, canary, &path))
        }
        (applied, _) => {
            let stable = applied.map_or(&route.backend, |applied| &applied.stable);
            let stable = stable.as_deref().filter(|stable| !stable.unresolved).ok_or(Failure::NotResolved)?;
            (stable, stable.path(&path))
        }
    };
    let endpoints = view.endpoints(backend, worker.index, &worker.settings);
    if !endpoints.is_up(side) {
        return Err(if side == Side::Canary { Failure::CanaryUnavailable } else { Failure::NoEndpoint }.into());
    }
    let key = endpoints.hash_on().and_then(|on| on.key(&facts));
    if let Some(uri) = target::forwarded(&parts.uri, &sent, query) {
        let host = target::host_field(parts);
        parts.uri = uri;
        if let Some(host) = host {
            parts.headers.insert(header::HOST, host);
        }
    }
    auth::hide(policy, &mut parts.headers);
    let withheld = policy.map_or_else(Vec::new, |policy| policy.fields().cloned().collect());
    forwarded_head(worker, client, parts);
    Ok(Plan { endpoints, side, withheld, cookie, key, at: Cell::default(), websocket: forward::asks_for_websocket(parts) })
}

/// What becomes of a password: known already, or to be waited for.
fn judged(
    worker: &Worker,
    policy: &Policy,
    client: IpAddr,
    guess: Guess,
    checked: Option<&Checked>,
) -> Result<Result<Identity, Refusal>, Stop> {
    let print = worker.passwords.fingerprint(&guess);
    if let Some(checked) = checked.filter(|checked| checked.print == print) {
        return Ok(guess.settle(checked.right));
    }
    match worker.passwords.ask(&policy.name, client, guess.clone(), print, Instant::now())? {
        Known::Right => Ok(guess.settle(true)),
        Known::Soon(right) => Err(Stop::Password(print, right)),
    }
}

/// Asks the release. What gives the client an identity, if the release issues one.
fn decided(
    worker: &Worker,
    client: &Client,
    applied: &RouteRelease,
    facts: &RequestFacts<'_>,
    record: &mut Record,
) -> (Side, Option<HeaderValue>) {
    let (release, mut issued) = (&applied.release, None);
    let issue = || *issued.insert(issue::random());
    let decision = decide_issuing(&release.policy, &release.served(Timestamp::now()), facts, issue);
    let secure = || client.came_by_tls(facts.parts);
    let cookie = issued.zip(release.policy.issues()).and_then(|(value, name)| issue::field(name, value, secure()));
    let is_up = |canary: &Backend| worker.view().endpoints(canary, worker.index, &worker.settings).is_up(Side::Canary);
    let side = applied.serving(decision.side, is_up);
    let served = worker.view().release(release, &worker.shard);
    served.count_identity(release, &decision, facts, &worker.shard);
    record.decided(Decided { release: served, decision, side });
    (side, cookie)
}

fn forwarded_head(worker: &Worker, client: &Client, parts: &mut Parts) {
    let websocket = forward::asks_for_websocket(parts);
    // The origin need not know: hyper asks the client for the body when the origin begins to take it (RFC 9110, section 10.1.1).
    parts.headers.remove(header::EXPECT);
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    // Without Host only an HTTP/1.0 request comes so far, and HTTP/1.1 asks for one (RFC 9112, section 3.2).
    parts.headers.entry(header::HOST).or_insert_with(|| worker.doorway(client.door).own_host.clone());
    forward::request_headers(&mut parts.headers, client.trusted, worker.settings.client_ip.own_header());
    if websocket {
        forward::upgrade(&mut parts.headers);
    }
}

/// Sends the request to one endpoint after the other while that does nothing twice and the policy lets it, all of the same side (S4).
async fn exchange(
    worker: &Worker,
    client: &Client,
    plan: &Plan,
    mut upload: Upload,
    record: &mut Record,
) -> Result<Response<Answer>, Failure> {
    let (endpoints, side) = (&plan.endpoints, plan.side);
    if let Some(group) = &endpoints.group {
        group.earn(worker.index);
    }
    let (turn, mut tried, mut retries) = (endpoints.turn(), Vec::new(), 0);
    loop {
        let Some(chosen) = endpoints.choose(side, turn, plan.key, &tried) else { return Err(Failure::NoEndpoint) };
        let address = endpoints.serving(side)[chosen];
        if let Some(entry) = record.entry() {
            entry.upstream = Some(address);
        }
        plan.at.set(Some(chosen));
        record.attempt(endpoints.group.as_ref().and_then(|group| group.begin(chosen)));
        let may_repeat = || endpoints.may_repeat(worker);
        let endpoint = endpoints.endpoint(address, plan.websocket);
        let failure = match worker.pool.send(&endpoint, &endpoints.terms, &mut upload, may_repeat).await {
            Ok(response) => {
                plan.answered(response.status().as_u16(), record);
                return Ok(response);
            }
            Err(Failure::ClientLeft) => return Err(client.connection.broken().map_or(Failure::ClientLeft, Failure::from)),
            Err(failure) => failure,
        };
        plan.failed(failure, record);
        tried.push(chosen);
        // Another one may be better off; where there is none, only what was sent can fare better the second time.
        let is_unsent = upload.written() == 0;
        let others = tried.len() < endpoints.serving(side).len();
        if retries >= endpoints.attempts(worker) || !upload.may_begin_anew() || is_unsent && !others {
            return Err(failure);
        }
        if !endpoints.sends_again(worker, failure, is_unsent) {
            return Err(failure);
        }
        if !others {
            tried.clear();
        }
        upload.begin_anew();
        retries += 1;
        counters::add(&worker.shard.retries, 1);
        record.fail(failure);
    }
}

impl Plan {
    /// The endpoint answered.
    fn answered(&self, status: u16, record: &mut Record) {
        if let (Some(group), Some(at)) = (&self.endpoints.group, self.at.take()) {
            group.answered(at, self.endpoints.serving(self.side).len(), status, record.under_way());
        }
    }

    /// It did not.
    fn failed(&self, failure: Failure, record: &mut Record) {
        if let (Some(group), Some(at)) = (&self.endpoints.group, self.at.take()) {
            group.failed(at, self.endpoints.serving(self.side).len(), failure, record.under_way());
        }
    }
}

impl Endpoints {
    /// How many times a request is sent again at most.
    fn attempts(&self, worker: &Worker) -> usize {
        self.retries().map_or(worker.settings.limits.attempts.saturating_sub(1), |retries| retries.attempts)
    }

    /// Whether it is sent again after this. Without a policy that is so only while nothing of it was sent.
    fn sends_again(&self, worker: &Worker, failure: Failure, is_unsent: bool) -> bool {
        let Some(retries) = self.retries() else { return is_unsent };
        match failure {
            _ if is_unsent => retries.on_connect_failure || failure == Failure::EndpointBusy,
            Failure::OriginReset => retries.on_reset && self.may_repeat(worker),
            Failure::FirstByteTimeout => retries.on_timeout && self.may_repeat(worker),
            _ => false,
        }
    }

    /// Whether something may be sent once more that an origin may have got: the budget of the policy pays for it.
    fn may_repeat(&self, worker: &Worker) -> bool {
        let (Some(group), Some(retries)) = (&self.group, self.retries()) else { return true };
        let may = group.spend(worker.index, retries);
        if !may {
            counters::add(&worker.shard.over_budget, 1);
        }
        may
    }
}

/// An answer of serin's own.
fn answered(refused: Refused, mut record: Record, worker: &Worker, client: &Client) -> Response<ResponseBody> {
    let Refused { failure, fields } = refused;
    // To be sent elsewhere is nothing that went wrong.
    if failure != Failure::TlsAsked {
        record.fail(failure);
    }
    let mut response = Response::new(());
    let text = if record.is_grpc() {
        // Only its head, which says all: clients of gRPC look no further than at the status of HTTP else.
        record.told(grpc::tell(failure, response.headers_mut()));
        Bytes::new()
    } else {
        *response.status_mut() = failure.status();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Bytes::from(format!("{failure}\n"))
    };
    record.head(response.status().as_u16());
    for (name, value) in fields {
        response.headers_mut().append(name, value);
    }
    if client.connection.broken().is_some() {
        client.connection.close();
    }
    finish(&mut response, &record, worker, client);
    response.map(|()| ResponseBody::text(text, record, Rc::clone(&client.connection)))
}

/// What serin says in every response.
fn finish(response: &mut Response<()>, record: &Record, worker: &Worker, client: &Client) {
    if worker.settings.decision_header
        && let Some(decision) = record.decision_header()
    {
        response.headers_mut().insert(&forward::SERIN_DECISION, decision);
    }
    if let Some(seconds) = worker.settings.hsts.filter(|_| client.session.is_some()) {
        https::insist(response.headers_mut(), seconds);
    }
    client.connection.offer(true);
    // HTTP/2 says it of a connection, and not of one answer.
    if client.is_http2 {
        return;
    }
    if worker.is_leaving() {
        client.connection.close();
    }
    if client.connection.is_closing() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The version of HTTP that the client speaks; what HTTP/1 it is, its head says.
fn protocol(client: &Client, parts: Option<&Parts>) -> Option<Protocol> {
    if client.is_http2 {
        return Some(Protocol::Http2);
    }
    parts.map(|parts| if parts.version == Version::HTTP_10 { Protocol::Http10 } else { Protocol::Http11 })
}

/// What the access log says from the beginning. Of a refused head nothing is known.
fn entry(worker: &Worker, parts: Option<&Parts>, client: Option<IpAddr>, protocol: Option<Protocol>) -> Box<Entry> {
    Box::new(Entry {
        time: Timestamp::now(),
        client,
        consumer: None,
        method: parts.map_or(Method::default(), |parts| parts.method.clone()),
        host: parts.map(|parts| target::host(parts).into_owned()).unwrap_or_default(),
        path: parts.map(|parts| target::logged(&parts.uri, worker.view().table.key_parameters())).unwrap_or_default(),
        protocol,
        status: 0,
        grpc_status: None,
        bytes: 0,
        duration: Duration::ZERO,
        decision: None,
        upstream: None,
        failure: None,
    })
}
