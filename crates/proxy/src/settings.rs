//! What an operator may set, with the defaults that are served without a word.

use crate::client_ip::ClientIp;
use crate::gate;
use crate::origin_tls::OriginTls;
use std::net::SocketAddr;
use std::time::Duration;

/// The settings of a proxy.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; with port 0 the system chooses one port for all workers.
    pub listen: SocketAddr,
    /// Where to listen for TLS too; with port 0 as above. `None`: nowhere.
    pub https: Option<SocketAddr>,
    /// Requests that come without TLS are sent to the same place with it, on routes that do not say otherwise.
    pub https_redirect: bool,
    /// The port of TLS as clients know it, for those; `None`: the one that is listened on.
    pub https_port: Option<u16>,
    /// For how many seconds browsers ask for this host by TLS only (RFC 6797); `None`: that is not said.
    pub hsts: Option<u32>,
    /// Whether HTTP/2 is spoken without TLS too, with clients that begin with it.
    pub http2_prior_knowledge: bool,
    /// How many workers serve, each a thread; at least one.
    pub workers: usize,
    /// Whose word on client addresses counts (S5).
    pub client_ip: ClientIp,
    /// Whether responses say how they were decided, in `Serin-Decision`.
    pub decision_header: bool,
    /// Whether and how requests are logged.
    pub access_log: AccessLog,
    /// Whom it believes that speak TLS behind it.
    pub origin_tls: OriginTls,
    /// How long anything is waited for.
    pub timeouts: Timeouts,
    /// How much of anything there may be.
    pub limits: Limits,
}

/// How requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Not at all.
    #[default]
    Off,
    /// A line of `key=value` pairs.
    Text,
    /// A JSON object a line.
    Json,
}

/// How long anything is waited for. Every wait of the proxy is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From a connection's beginning until TLS on it is agreed on: it is closed.
    pub client_handshake: Duration,
    /// From a connection's beginning, or the first byte of a later request, to the end of its head: 408.
    pub header: Duration,
    /// Between two pieces of a request's body: 408.
    pub body_idle: Duration,
    /// While a client takes nothing of a response: the connection is closed.
    pub write_idle: Duration,
    /// Between two requests of a connection: it is closed.
    pub keep_alive: Duration,
    /// For how long a connection of HTTP/2 takes new requests; up to a fifth less, so that not all close at once.
    pub connection_age: Duration,
    /// Until a connection to an origin is made.
    pub connect: Duration,
    /// Until TLS on it is agreed on.
    pub handshake: Duration,
    /// From the last byte of the request to the whole head of the origin's response: 504.
    pub first_byte: Duration,
    /// Between two pieces of an origin's body, which is then cut off, and while an origin takes nothing of a request: 504.
    pub origin_idle: Duration,
    /// While nothing comes either way of a WebSocket: it is closed.
    pub websocket_idle: Duration,
    /// For how long a connection to an origin is kept that nobody uses; up to a fifth less, so that not all close at once.
    pub pool_idle: Duration,
    /// From the head of a request to the end of its response; `None`: no limit.
    pub request: Option<Duration>,
    /// After a refusal: how long the client's rest is read and thrown away, so that it gets to see the answer.
    pub linger: Duration,
}

/// How much of anything there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Heads, of requests and responses.
    pub head: gate::Limits,
    /// Connections of HTTP/2.
    pub http2: Http2Limits,
    /// Connections of clients, over all workers.
    pub connections: usize,
    /// Open connections to an endpoint, over all workers.
    pub connections_per_endpoint: usize,
    /// Idle connections to an endpoint that a worker keeps.
    pub idle_per_endpoint: usize,
    /// Endpoints that a request is offered to while nothing of it was sent.
    pub attempts: usize,
    /// Passwords.
    pub passwords: PasswordLimits,
}

/// How much of anything there may be on a connection of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Limits {
    /// Requests under way; more are refused, for the client to send again.
    pub streams: u32,
    /// Bytes of a response that wait for the client to take them.
    pub send_buffer: usize,
    /// Bytes of a request that may come before the origin took any.
    pub stream_window: u32,
    /// The same of all requests.
    pub connection_window: u32,
    /// Bytes of a head, as RFC 9113 counts them (section 6.5.2): 431.
    pub header_list: u32,
    /// Frames that ask for nothing and bring nothing, beyond what goes with requests and answers: the connection is closed.
    pub idle_frames: u64,
}

/// How much is done for passwords, each of which takes a core for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordLimits {
    /// Threads that check them.
    pub threads: usize,
    /// That may wait for a thread: more are answered 503.
    pub queue: usize,
    /// Of these from one address: more are answered 503 too.
    pub waiting: usize,
    /// Wrong ones a minute of one client for one user name on the routes of one policy, and ten times as many for all names: more are answered
    /// 429, right or wrong, unless they were right lately.
    pub failures: u32,
}

impl Settings {
    /// The defaults, on an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            https: None,
            https_redirect: false,
            https_port: None,
            hsts: None,
            http2_prior_knowledge: false,
            workers: std::thread::available_parallelism().map_or(1, usize::from).min(8),
            client_ip: ClientIp::default(),
            decision_header: false,
            access_log: AccessLog::Off,
            origin_tls: OriginTls::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            client_handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body_idle: Duration::from_secs(15),
            write_idle: Duration::from_secs(15),
            keep_alive: Duration::from_secs(60),
            connection_age: Duration::from_secs(3600),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            origin_idle: Duration::from_secs(60),
            websocket_idle: Duration::from_secs(3600),
            pool_idle: Duration::from_secs(30),
            request: None,
            linger: Duration::from_secs(2),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: gate::Limits::default(),
            http2: Http2Limits::default(),
            connections: 16 * 1024,
            connections_per_endpoint: 256,
            idle_per_endpoint: 2,
            attempts: 3,
            passwords: PasswordLimits::default(),
        }
    }
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            streams: 100,
            send_buffer: 16 * 1024,
            stream_window: 64 * 1024,
            connection_window: 1024 * 1024,
            header_list: 16 * 1024,
            idle_frames: 10_000,
        }
    }
}

impl Default for PasswordLimits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(4)).min(4);
        Self { threads, queue: 32, waiting: 4, failures: 20 }
    }
}
