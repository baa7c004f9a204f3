//! A proxy with raw clients before it and small origins behind it, all on loopback.

use serin_proxy::{Proxy, Settings};
use serin_routing::config::{Auth, Backend, By, Config, HostMatch, PathMatch, People, Release, Route, RouteRelease, Traffic};
use serin_routing::{Policies, Table};
use serin_split::Segment;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Settings on a free port of loopback.
pub(crate) fn settings() -> Settings {
    Settings { workers: 2, ..Settings::new((Ipv4Addr::LOCALHOST, 0).into()) }
}

/// A proxy that serves this.
pub(crate) fn serve(settings: Settings, config: Config) -> Proxy {
    let proxy = Proxy::start(settings).expect("a proxy");
    publish(&proxy, config);
    proxy
}

/// Serves this from when it returns.
pub(crate) fn publish(proxy: &Proxy, config: Config) {
    wait_for(proxy.publish(Arc::new(Table::new(&config, &mut Policies::default()))));
}

/// Runs a future to its end.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("in time") })
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} in time");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Everything goes to these endpoints.
pub(crate) fn everything_to(endpoints: &[SocketAddr]) -> Config {
    Config { routes: vec![route("/", 0, Vec::new())], backends: vec![backend("shop/checkout:80", endpoints)], ..Config::default() }
}

/// `k` of `buckets` by request to the canary, the rest to stable.
pub(crate) fn release_of(stable: &[SocketAddr], canary: &[SocketAddr], buckets: u32, k: u32) -> Config {
    let applied = RouteRelease { release: 0, stable: Some(0), canary: Some(1) };
    Config {
        routes: vec![route("/", 0, vec![applied])],
        backends: vec![backend("shop/checkout:80", stable), backend("shop/checkout-v2:80", canary)],
        releases: vec![release(buckets, k)],
        ..Config::default()
    }
}

pub(crate) fn route(prefix: &str, backend: usize, releases: Vec<RouteRelease>) -> Route {
    Route {
        object: "Ingress/shop/shop".into(),
        host: HostMatch::Any,
        path: PathMatch::Prefix(prefix.into()),
        backend: Some(backend),
        https_redirect: None,
        auth: Auth::None,
        releases,
    }
}

pub(crate) fn backend(name: &str, ready: &[SocketAddr]) -> Backend {
    Backend { name: name.into(), ready: ready.into(), ..Backend::default() }
}

pub(crate) fn release(buckets: u32, k: u32) -> Release {
    let segment = Segment::flat("1", buckets, k, 1, jiff::Timestamp::now());
    Release {
        people: People::Anyone,
        namespace: "shop".into(),
        name: "checkout".into(),
        id: "1".into(),
        uid: "u".into(),
        by: By::Request,
        buckets,
        salt: "shop/checkout".into(),
        overrides: Vec::new(),
        path: None,
        fail_when_unavailable: false,
        drain_on_abort: std::time::Duration::ZERO,
        traffic: Traffic::Segment { segment, cap: buckets },
    }
}

/// An origin: a thread a connection.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Message>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers every request with this body.
    pub(crate) fn saying(body: &'static str) -> Self {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Self::answering(move |_| response.clone().into_bytes())
    }

    /// Answers every whole request with these bytes; with none it closes.
    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let mut origin = Self::talking(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut writer = stream;
            while let Some(request) = Message::read(&mut reader, false) {
                let bytes = answer(&request);
                all.lock().expect("no panic").push(request);
                if bytes.is_empty() || writer.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        origin.heard = heard;
        origin
    }

    /// Does with each connection whatever it likes.
    pub(crate) fn talking(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (talk, connections) = (Arc::new(talk), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let talk = Arc::clone(&talk);
                thread::spawn(move || talk(stream));
            }
        });
        Self { address, heard: Arc::default(), connections }
    }

    /// The requests so far.
    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().expect("no panic").clone()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        self.heard.lock().expect("no panic").clear();
    }

    pub(crate) fn count(&self) -> usize {
        self.heard.lock().expect("no panic").len()
    }
}

/// A request or a response, read simply: what stands between two serins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    /// The next one; `None` when there is no whole one.
    pub(crate) fn read(from: &mut impl BufRead, bodiless: bool) -> Option<Self> {
        let line = line_of(from)?;
        let mut message = Self { line, fields: fields(from)?, ..Self::default() };
        if bodiless || message.line.contains(" 204 ") || message.line.contains(" 304 ") {
            return Some(message);
        }
        if message.field("transfer-encoding").is_some() {
            loop {
                let size = usize::from_str_radix(line_of(from)?.split(';').next()?, 16).ok()?;
                if size == 0 {
                    message.trailers = fields(from)?;
                    return Some(message);
                }
                exactly(from, size as u64, &mut message.body)?;
                line_of(from).filter(String::is_empty)?;
            }
        }
        let mut body = Vec::new();
        if let Some(length) = message.field("content-length") {
            exactly(from, length.parse().ok()?, &mut body)?;
            message.body = body;
        }
        Some(message)
    }

    /// The only field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let value = values.next()?;
        assert_eq!(values.next(), None, "{name} is given twice in {self:?}");
        Some(value)
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

fn exactly(from: &mut impl BufRead, length: u64, to: &mut Vec<u8>) -> Option<()> {
    let read = from.take(length).read_to_end(to).ok()?;
    (read as u64 == length).then_some(())
}

fn line_of(from: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).ok()?;
    let line = bytes.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(line).into_owned())
}

fn fields(from: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line_of(from)?;
        if line.is_empty() {
            return Some(fields);
        }
        let (name, value) = line.split_once(':')?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// A client on one connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self::to(proxy.local_addr())
    }

    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).expect("a connection"))
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        Self::patient(stream, PATIENCE)
    }

    /// One that waits so long each time that it reads.
    pub(crate) fn patient(stream: TcpStream, patience: Duration) -> Self {
        stream.set_read_timeout(Some(patience)).expect("a read timeout");
        stream.set_nodelay(true).expect("no delay");
        let reader = BufReader::new(stream.try_clone().expect("a stream"));
        Self { stream, reader }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("bytes go out");
        self
    }

    /// The next response.
    pub(crate) fn response(&mut self) -> Message {
        self.try_response(false).expect("a whole response")
    }

    /// The next response, to HEAD.
    pub(crate) fn response_to_head(&mut self) -> Message {
        self.try_response(true).expect("a response head")
    }

    /// The next response that is not an interim one, to HEAD or not; `None` when there is no whole one.
    pub(crate) fn try_response(&mut self, to_head: bool) -> Option<Message> {
        loop {
            let response = Message::read(&mut self.reader, to_head)?;
            if response.status() >= 200 {
                return Some(response);
            }
        }
    }

    /// Sends a request and reads its response.
    pub(crate) fn get(&mut self, path: &str) -> Message {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).response()
    }

    /// The same; `None` when there is no whole response.
    pub(crate) fn try_get(&mut self, path: &str) -> Option<Message> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n").as_bytes()).ok()?;
        self.try_response(false)
    }

    /// What still comes until the proxy closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.try_rest().expect("the proxy closes in time")
    }

    /// The same; `None` when it does not close in time, or resets.
    pub(crate) fn try_rest(&mut self) -> Option<Vec<u8>> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).ok().map(|_| rest)
    }

    /// The end of what the client sends.
    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a half that is open");
    }
}
