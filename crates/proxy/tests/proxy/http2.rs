//! HTTP/2 towards clients: the same service, and limits of its own.

use crate::https::{config, secure, site};
use crate::support::{Client, Message, Origin, PATIENCE, eventually, everything_to, serve, settings};
use crate::tls::Authority;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::ServerName;
use serin_proxy::{AccessLog, Http2Limits, Limits, Proxy, Settings, Timeouts};
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream as Socket;
use tokio_rustls::TlsConnector;

/// Runs a client's story.
fn play<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, story).await.expect("in time") })
}

/// A proxy that speaks HTTP/2 without TLS.
fn plain(settings: Settings, origin: &Origin) -> Proxy {
    serve(Settings { http2_prior_knowledge: true, ..settings }, everything_to(&[origin.address]))
}

async fn client_with(builder: &Builder, address: SocketAddr) -> SendRequest<Bytes> {
    let socket = Socket::connect(address).await.expect("a connection");
    let (client, connection) = builder.handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    client
}

async fn client(proxy: &Proxy) -> SendRequest<Bytes> {
    client_with(&Builder::new(), proxy.local_addr()).await
}

/// Waits, while the connection goes on, until something is so; the story has its end.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://shop.example{path}")).body(()).expect("a request")
}

/// The whole answer.
async fn whole(response: Response<RecvStream>) -> Result<(u16, HeaderMap, String, Option<HeaderMap>), h2::Error> {
    let (parts, mut body) = response.into_parts();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        text.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await?;
    Ok((parts.status.as_u16(), parts.headers, String::from_utf8(text).expect("text"), trailers))
}

async fn ask(client: &mut SendRequest<Bytes>, request: Request<()>) -> Result<(u16, HeaderMap, String, Option<HeaderMap>), h2::Error> {
    let mut ready = client.clone().ready().await?;
    let (response, _) = ready.send_request(request, true)?;
    whole(response.await?).await
}

#[test]
fn http_2_is_agreed_on_by_tls_and_both_ways_of_http_reach_the_same_service() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let settings = Settings { access_log: AccessLog::Json, hsts: Some(60), ..secure() };
    let (log, lines) = lines();
    let proxy = Proxy::start_logging_to(settings, log).expect("a proxy");
    crate::support::publish(&proxy, site(&origin, &[("shop.example", &authority.certificate(&["shop.example", "cart.example"]))]));
    play(async {
        let socket = Socket::connect(proxy.https_addr().expect("TLS is served")).await.expect("a connection");
        let connector = TlsConnector::from(config(&authority, true, &["h2", "http/1.1"]));
        let stream = connector.connect(ServerName::try_from("shop.example").expect("a name"), socket).await.expect("a session");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        for (host, status) in [("shop.example", 200), ("cart.example", 200), ("other.example", 421)] {
            let request = Request::get(format!("https://{host}/a/../b?c")).header("cookie", "a=1").header("cookie", "b=2");
            let request = request.header("x-forwarded-for", "6.6.6.6").header("te", "trailers").body(()).expect("a request");
            let (got, headers, ..) = ask(&mut client, request).await.expect("an answer");
            assert_eq!((got, headers["strict-transport-security"].as_bytes()), (status, &b"max-age=60"[..]), "{host}");
            assert!(!headers.contains_key("connection") && !headers.contains_key("transfer-encoding"));
        }
    });
    let heard = origin.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].line, "GET /b?c HTTP/1.1");
    for (name, value) in
        [("host", "shop.example"), ("cookie", "a=1; b=2"), ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")]
    {
        assert_eq!(heard[0].field(name), Some(value), "{name}");
    }
    drop(proxy);
    let logged = String::from_utf8(lines.lock().expect("no panic").clone()).expect("text");
    assert_eq!(logged.matches("\"host\":\"").count(), 3, "{logged}");
}

type Lines = Arc<std::sync::Mutex<Vec<u8>>>;

/// An access log, and where it can be read.
fn lines() -> (Box<dyn Write + Send>, Lines) {
    struct To(Lines);
    impl Write for To {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    (Box::new(To(Arc::clone(&lines))), lines)
}

#[test]
fn prior_knowledge_is_for_those_who_were_told_and_http_1_stays_what_it_is() {
    let origin = Origin::saying("yes");
    let proxy = plain(settings(), &origin);
    play(async {
        let mut client = client(&proxy).await;
        for nth in 0..3 {
            assert_eq!(ask(&mut client, get(&format!("/{nth}"))).await.expect("an answer").2, "yes");
        }
    });
    assert_eq!(Client::of(&proxy).get("/").status(), 200);
    assert_eq!(
        Client::of(&proxy).send("PRO").send(" / HTTP/1.1\r\nHost: a\r\n\r\n").response().status(),
        200,
        "a method that begins alike"
    );
    let proxy = serve(settings(), everything_to(&[origin.address]));
    assert_eq!(Client::of(&proxy).send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").response().status(), 400, "it is off unless it is asked for");
}

#[test]
fn bodies_and_trailers_go_both_ways_and_wait_for_each_other() {
    let echo = Origin::talking(|socket| {
        let mut reader = BufReader::new(socket);
        while let Some(request) = Message::read(&mut reader, false) {
            let trailer = request.trailers.iter().find(|(name, _)| name == "x-sum").map_or("none", |(_, value)| value);
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Length: {}\r\n\r\n", request.body.len());
            let body = format!("{:x}\r\n", request.body.len());
            let end = format!("\r\n0\r\nX-Sum: {trailer}\r\n\r\n");
            if reader.get_mut().write_all(&[head.as_bytes(), body.as_bytes(), &request.body, end.as_bytes()].concat()).is_err() {
                return;
            }
        }
    });
    let proxy = plain(settings(), &echo);
    play(async {
        let mut client = client(&proxy).await.ready().await.expect("a stream");
        let request = Request::post("http://shop.example/").body(()).expect("a request");
        let (response, mut body) = client.send_request(request, false).expect("a stream");
        let mut sent = 0;
        while sent < 400_000 {
            body.reserve_capacity(20_000);
            let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.expect("open").expect("a window");
            body.send_data(vec![b'x'; room].into(), false).expect("a piece");
            sent += room;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().expect("a value"));
        trailers.insert("x-forwarded-for", "6.6.6.6".parse().expect("a value"));
        body.send_trailers(trailers).expect("trailers");
        let (status, headers, text, trailers) = whole(response.await.expect("an answer")).await.expect("all of it");
        assert_eq!((status, text.len(), headers["x-length"].to_str().ok()), (200, sent, Some(sent.to_string().as_str())));
        assert_eq!(trailers.expect("trailers")["x-sum"], "42");
    });
}

#[test]
fn malformed_requests_are_answered_or_reset_and_reach_no_origin() {
    let origin = Origin::saying("yes");
    let proxy = plain(settings(), &origin);
    play(async {
        let mut client = client(&proxy).await;
        let shop = || Request::get("http://shop.example/");
        let many = (0..101).fold(shop(), |request, nth| request.header("x", nth.to_string()));
        for (request, status) in [
            (shop().header("host", "other.example"), 400),
            (Request::get("http://user@shop.example/"), 400),
            (shop().header("content-length", "3"), 400),
            (shop().header("content-length", "3").header("content-length", "3"), 400),
            (many, 431),
            (shop().header("x", "y".repeat(17_000)), 431),
            (Request::get("http://shop.example/%00"), 400),
        ] {
            let request = request.body(()).expect("a request");
            let what = format!("{:?}", request.uri());
            match ask(&mut client, request).await {
                Ok((got, ..)) => assert_eq!(got, status, "{what}"),
                Err(error) => assert!(error.is_reset(), "{what}: {error}"),
            }
        }
        for (name, value) in [("connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip")] {
            let ended = ask(&mut client, shop().header(name, value).body(()).expect("a request")).await;
            assert!(ended.is_err() || ended.is_ok_and(|(status, ..)| status == 400), "{name}");
        }
    });
    assert!(origin.heard().is_empty(), "{:?}", origin.heard());
}

#[test]
fn more_streams_than_there_may_be_wait_or_are_refused() {
    let silent = Origin::talking(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    let limits = Limits { http2: Http2Limits { streams: 5, ..Http2Limits::default() }, ..Limits::default() };
    let proxy = plain(Settings { limits, ..settings() }, &silent);
    // A client that does not care about the limit.
    let mut socket = TcpStream::connect(proxy.local_addr()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a beginning");
    for nth in 0..8_u32 {
        socket.write_all(&headers(1 + 2 * nth, 5)).expect("a request");
    }
    let mut refused = Vec::new();
    while refused.len() < 3 {
        let (kind, stream, payload) = frame(&mut socket);
        if kind == 3 {
            assert_eq!(payload, [0, 0, 0, 7], "REFUSED_STREAM");
            refused.push(stream);
        }
    }
    assert_eq!(refused, [11, 13, 15]);
}

/// HEADERS of a GET, whole with flags 5.
fn headers(stream: u32, flags: u8) -> Vec<u8> {
    // :method GET, :scheme http, :path /, :authority a, by indexes of HPACK's static table.
    let block = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    let mut frame = vec![0, 0, u8::try_from(block.len()).expect("short"), 1, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&block);
    frame
}

/// The next frame: kind, stream and payload.
fn frame(socket: &mut TcpStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    socket.read_exact(&mut head).expect("a frame");
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    socket.read_exact(&mut payload).expect("its payload");
    (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
}

fn with_head(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).expect("short"), kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The nth piece of a flood.
type More = Box<dyn Fn(u32) -> Vec<u8>>;

#[test]
fn floods_end_their_connection_and_no_other() {
    let origin = Origin::saying("yes");
    let limits = Limits { http2: Http2Limits { idle_frames: 1000, ..Http2Limits::default() }, ..Limits::default() };
    let proxy = plain(Settings { limits, ..settings() }, &origin);
    let open = headers(1, 4);
    let rapid = |nth: u32| [headers(1 + 2 * nth, 5), with_head(3, 0, 1 + 2 * nth, &[0, 0, 0, 8])].concat();
    let floods: [(&str, Vec<u8>, More); 6] = [
        ("rapid reset", Vec::new(), Box::new(rapid)),
        ("CONTINUATION", headers(1, 0), Box::new(move |_| with_head(9, 0, 1, &[0x40, 1, b'x', 1, b'y']))),
        ("empty CONTINUATION", headers(1, 0), Box::new(move |_| with_head(9, 0, 1, &[]))),
        ("empty DATA", open.clone(), Box::new(move |_| with_head(0, 0, 1, &[]))),
        ("PING", Vec::new(), Box::new(move |_| with_head(6, 0, 0, &[0; 8]))),
        ("SETTINGS", Vec::new(), Box::new(move |_| with_head(4, 0, 0, &[]))),
    ];
    let mut good = Client::of(&proxy);
    for (what, beginning, more) in floods {
        let mut socket = TcpStream::connect(proxy.local_addr()).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let mut drain = socket.try_clone().expect("a stream");
        let read = std::thread::spawn(move || drop(drain.read_to_end(&mut Vec::new())));
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a beginning");
        socket.write_all(&beginning).expect("a beginning");
        let ended = (0..200_000_u32).find(|nth| socket.write_all(&more(*nth)).is_err());
        assert!(ended.is_some(), "{what} goes on for ever");
        read.join().expect("no panic");
        assert_eq!(good.get("/").status(), 200, "{what}");
    }
    eventually("all but the good one are gone", || proxy.counters().totals().open_connections == 1);
}

#[test]
fn waits_for_a_client_end() {
    let (big, short) = (Origin::saying("x".repeat(1_000_000).leak()), Duration::from_millis(150));
    let timeouts = Timeouts { header: short, body_idle: short, write_idle: short, keep_alive: short, ..Timeouts::default() };
    let proxy = plain(Settings { timeouts, ..settings() }, &big);
    // A head that does not end.
    let mut socket = TcpStream::connect(proxy.local_addr()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a beginning");
    socket.write_all(&headers(1, 0)).expect("a beginning");
    let _ = socket.read_to_end(&mut Vec::new());
    assert_eq!(proxy.counters().totals().failures.get("head-timeout"), Some(&1));
    // A preface that does not end, and nothing at all behind it.
    for beginning in [&b"PRI * HT"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut socket = TcpStream::connect(proxy.local_addr()).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.write_all(beginning).expect("a beginning");
        let _ = socket.read_to_end(&mut Vec::new());
    }
    play(async {
        // A body that does not come.
        let mut ready = client(&proxy).await.ready().await.expect("a stream");
        let request = Request::post("http://shop.example/").body(()).expect("a request");
        let (response, _body) = ready.send_request(request, false).expect("a stream");
        assert_eq!(response.await.map(|answer| answer.status().as_u16()).ok(), Some(408));
        // A window that does not open.
        let mut narrow = Builder::new();
        narrow.initial_window_size(100);
        let mut ready = client_with(&narrow, proxy.local_addr()).await.ready().await.expect("a stream");
        let (response, _) = ready.send_request(get("/"), true).expect("a stream");
        let mut body = response.await.expect("a head").into_body();
        let mut got = 0;
        let ended = loop {
            match body.data().await {
                Some(Ok(piece)) => got += piece.len(),
                other => break other,
            }
        };
        assert!(ended.is_some_and(|end| end.is_err()) && got <= 100, "{got}");
    });
    eventually("all are gone", || proxy.counters().totals().open_connections == 0);
}

#[test]
fn drain_says_goaway_and_lets_streams_end() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    let slow = Origin::talking(move |socket| {
        let mut reader = BufReader::new(socket);
        while let Some(request) = Message::read(&mut reader, false) {
            counted.fetch_add(1, Ordering::SeqCst);
            if request.line.contains("slow") {
                let _ = told.lock().expect("no panic").recv();
            }
            let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
        }
    });
    let proxy = plain(settings(), &slow);
    play(async {
        let socket = Socket::connect(proxy.local_addr()).await.expect("a connection");
        let (mut client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        assert_eq!(ask(&mut client, get("/")).await.expect("an answer").0, 200);
        let (response, _) = client.send_request(get("/slow"), true).expect("a stream");
        until(|| asked.load(Ordering::SeqCst) == 2).await;
        let drained = proxy.drain(Duration::ZERO, PATIENCE);
        let finished = async {
            // Until it hears of the end it may ask, and is answered; then it is told to ask elsewhere.
            let refused = loop {
                match ask(&mut client, get("/")).await {
                    Ok((status, ..)) => assert_eq!(status, 200),
                    Err(error) => break error,
                }
                tokio::task::yield_now().await;
            };
            assert!(refused.is_go_away() && refused.reason() == Some(Reason::NO_ERROR), "{refused}");
            tell.send(()).expect("the origin waits");
            assert_eq!(whole(response.await.expect("an answer")).await.expect("all of it").2, "yes");
        };
        tokio::join!(drained, finished);
        let _ = connection.await;
    });
    assert!(proxy.counters().totals().failures.is_empty(), "{:?}", proxy.counters().totals().failures);
}

#[test]
fn connection_that_is_old_takes_no_more_requests_and_ends_its_own() {
    let origin = Origin::saying("yes");
    let timeouts = Timeouts { connection_age: Duration::from_millis(200), ..Timeouts::default() };
    let proxy = plain(Settings { timeouts, ..settings() }, &origin);
    play(async {
        let mut client = client(&proxy).await;
        let ended = loop {
            match ask(&mut client, get("/")).await {
                Ok((status, ..)) => assert_eq!(status, 200),
                Err(error) => break error,
            }
        };
        assert!(ended.is_go_away() && ended.reason() == Some(Reason::NO_ERROR), "{ended}");
    });
    eventually("it is gone", || proxy.counters().totals().open_connections == 0);
}

#[test]
fn stream_that_the_client_resets_lets_go_of_its_origin() {
    let hanging = Origin::talking(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    let proxy = plain(settings(), &hanging);
    play(async {
        let mut client = client(&proxy).await.ready().await.expect("a stream");
        let (response, mut body) = client.send_request(get("/"), true).expect("a stream");
        until(|| hanging.connections.load(Ordering::SeqCst) == 1).await;
        body.send_reset(Reason::CANCEL);
        assert!(response.await.is_err());
    });
    eventually("the origin is let go", || proxy.counters().totals().upstream_connections == 0);
    assert_eq!(proxy.counters().totals().failures.get("client-left"), Some(&1));
}
