//! Origins that are spoken to by TLS: whom the proxy believes, and what becomes of the others.

use crate::http2_origin::run;
use crate::support::{Client, Message, Origin, PATIENCE, backend, eventually, everything_to, publish, serve, settings};
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serin_proxy::{OriginTls, Proxy, Settings, Timeouts};
use serin_routing::config::{Backend, Protocol, Tls};
use serin_routing::{Certificate, Config};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root").der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// What is served to clients for these names.
    pub(crate) fn certificate(&self, names: &[&str]) -> Arc<Certificate> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("parameters");
        let chain = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Arc::new(Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).expect("a certificate with its key"))
    }

    /// A server whose certificate is for these names.
    fn server(&self, names: &[&str], is_expired: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("parameters");
        if is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Arc::new(versions.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a server"))
    }

    /// A server for this name that asks each client for a certificate of this authority's.
    fn demanding(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let certificate =
            CertificateParams::new([name.to_owned()]).expect("parameters").signed_by(&key, &self.issuer).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().expect("a verifier");
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let server = versions.with_client_cert_verifier(verifier).with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(server.expect("a server"))
    }

    /// Settings that believe what it issued.
    fn believed(&self, timeouts: Timeouts) -> Settings {
        Settings { origin_tls: OriginTls::with_roots([self.root.clone()]).expect("a root"), timeouts, ..settings() }
    }
}

/// An origin by TLS that answers with the length of what it got, and notes the names that it was asked for.
fn origin(server: Arc<ServerConfig>) -> (Origin, Arc<Mutex<Vec<Option<String>>>>) {
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let names = Arc::clone(&asked);
    let talk = move |socket: TcpStream| {
        let session = ServerConnection::new(Arc::clone(&server)).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, socket));
        while let Some(request) = Message::read(&mut stream, false) {
            names.lock().expect("no panic").push(stream.get_ref().conn.server_name().map(str::to_owned));
            let body = format!("{} {}", request.line, request.body.len());
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    (Origin::talking(talk), asked)
}

/// Everything to this origin, whose certificate must be for this name.
fn to(origin: &Origin, name: &str) -> Config {
    let backend = Backend { tls: Some(Tls::of(name)), host: Some(name.into()), ..backend("https://next.example:443", &[origin.address]) };
    Config { backends: vec![backend], ..everything_to(&[]) }
}

fn proxy(authority: &Authority, origin: &Origin, name: &str) -> Proxy {
    serve(authority.believed(Timeouts::default()), to(origin, name))
}

#[test]
fn origin_with_the_right_certificate_is_spoken_to_and_its_connection_is_kept() {
    let authority = Authority::new();
    for name in ["next.example", "127.0.0.1"] {
        let (origin, asked) = origin(authority.server(&[name], false));
        let proxy = proxy(&authority, &origin, name);
        let mut client = Client::of(&proxy);
        for nth in 0..3 {
            let answer = client.get(&format!("/{nth}"));
            assert_eq!((answer.status(), answer.text()), (200, format!("GET /{nth} HTTP/1.1 0").as_str()));
        }
        assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1, "one connection for all");
        // An address is no name that a server could choose by (RFC 6066, section 3).
        let expected = (name == "next.example").then(|| name.to_owned());
        assert!(asked.lock().expect("no panic").iter().all(|asked| *asked == expected), "{name}");
    }
}

#[test]
fn large_bodies_go_up_whole() {
    let authority = Authority::new();
    let (origin, _) = origin(authority.server(&["next.example"], false));
    let proxy = proxy(&authority, &origin, "next.example");
    let mut client = Client::of(&proxy);
    for length in [1, 20_000, 3_000_000] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let answer = client.send([head.as_bytes(), &vec![b'x'; length]].concat()).response();
        assert_eq!((answer.status(), answer.text()), (200, format!("POST / HTTP/1.1 {length}").as_str()));
    }
    let chunks = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    assert_eq!(client.send(chunks).response().text(), "POST /c HTTP/1.1 7");
}

#[test]
fn certificate_that_is_not_the_hosts_is_refused_and_nothing_is_sent() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (server, why) in [
        (authority.server(&["other.example"], false), "another name"),
        (authority.server(&["next.example"], true), "expired"),
        (other.server(&["next.example"], false), "an issuer that nobody believes"),
    ] {
        let (origin, asked) = origin(server);
        let proxy = proxy(&authority, &origin, "next.example");
        let answer = Client::of(&proxy).get("/");
        assert_eq!((answer.status(), answer.text()), (502, "the certificate of the backend is not to be trusted\n"), "{why}");
        assert!(asked.lock().expect("no panic").is_empty(), "{why}");
        let label = proxy.counters().text();
        assert!(label.contains("certificate"), "{label}");
    }
}

#[test]
fn who_believes_nobody_sends_to_nobody() {
    let authority = Authority::new();
    let (origin, _) = origin(authority.server(&["next.example"], false));
    let proxy = serve(settings(), to(&origin, "next.example"));
    assert_eq!(Client::of(&proxy).get("/").status(), 502);
}

#[test]
fn issuers_that_a_backend_names_are_believed_for_it_and_no_others() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (origin, asked) = origin(authority.server(&["next.example"], false));
    for (named, status) in [(Some(pem(&authority.root)), 200), (Some(pem(&other.root)), 502), (Some("no PEM".into()), 502), (None, 502)] {
        let mut config = to(&origin, "next.example");
        config.backends[0].tls = Some(Tls { issuers: named.map(Into::into), ..Tls::of("next.example") });
        // The proxy believes another one of its own accord.
        let proxy = serve(other.believed(Timeouts::default()), config);
        asked.lock().expect("no panic").clear();
        assert_eq!(Client::of(&proxy).get("/").status(), status);
        assert_eq!(asked.lock().expect("no panic").len(), usize::from(status == 200));
    }
}

/// An origin that answers a request, says whose certificate it was shown, and closes or keeps the connection.
fn demanding(server: Arc<ServerConfig>, names: Vec<Arc<Certificate>>, keeps: bool) -> Origin {
    Origin::talking(move |socket| {
        let session = ServerConnection::new(Arc::clone(&server)).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, socket));
        while Message::read(&mut stream, false).is_some() {
            let shown = stream.get_ref().conn.peer_certificates().and_then(|chain| chain.first()).expect("who shows none is refused");
            let name = names.iter().find(|one| one.is(shown)).map_or("somebody", |one| one.names[0].as_str());
            let connection = if keeps { "keep-alive" } else { "close" };
            let answer = format!("HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            if stream.get_mut().write_all(answer.as_bytes()).is_err() || !keeps {
                return;
            }
        }
    })
}

#[test]
fn backend_is_shown_the_certificate_of_the_moment_on_kept_connections_and_new_ones() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (first, second, foreign) = (authority.certificate(&["first"]), authority.certificate(&["second"]), other.certificate(&["foreign"]));
    for keeps in [true, false] {
        let origin = demanding(authority.demanding("next.example"), vec![Arc::clone(&first), Arc::clone(&second)], keeps);
        let showing = |client: Option<&Arc<Certificate>>| {
            let mut config = to(&origin, "next.example");
            config.backends[0].tls = Some(Tls { client: client.cloned(), ..Tls::of("next.example") });
            config
        };
        let proxy = serve(authority.believed(Timeouts::default()), showing(Some(&first)));
        let asked = || {
            let answer = Client::of(&proxy).get("/");
            if answer.status() == 200 { answer.text().to_owned() } else { answer.status().to_string() }
        };
        // A session that is resumed is that of the certificate by which it began, so one after another is asked.
        for (client, expected) in
            [(Some(&first), "first"), (Some(&second), "second"), (None, "502"), (Some(&foreign), "502"), (Some(&first), "first")]
        {
            publish(&proxy, showing(client));
            for _ in 0..2 {
                assert_eq!(asked(), expected, "connections are kept: {keeps}");
            }
        }
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// An origin by TLS that has these protocols to offer, and says which one it was asked by.
fn choosing(authority: &Authority, offers: &[&str]) -> Origin {
    let mut server = ServerConfig::clone(&authority.server(&["next.example"], false));
    server.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    let server = Arc::new(server);
    Origin::talking(move |socket| {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&server));
        run(async move {
            socket.set_nonblocking(true).expect("a socket");
            let socket = tokio::net::TcpStream::from_std(socket).expect("a socket");
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let mut connection = h2::server::handshake(stream).await.expect("a connection");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut body = respond.send_response(http::Response::new(()), false).expect("a stream");
                    body.send_data(bytes::Bytes::from_static(b"HTTP/2"), true).expect("a stream");
                }
                return;
            }
            let mut head = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
                    let asked = String::from_utf8_lossy(&head).contains("upgrade: websocket");
                    let answer = if asked { agreed } else { "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nHTTP/1.1" };
                    stream.write_all(answer.as_bytes()).await.expect("the proxy reads");
                    head.clear();
                }
            }
        });
    })
}

#[test]
fn both_agree_on_http2_where_a_backend_has_it_and_a_websocket_goes_by_http1() {
    let authority = Authority::new();
    let both: &[&str] = &["h2", "http/1.1"];
    for (protocol, offers, expected) in [
        (Protocol::Negotiated, both, "HTTP/2"),
        (Protocol::Negotiated, &["http/1.1"], "HTTP/1.1"),
        (Protocol::Negotiated, &[], "HTTP/1.1"),
        (Protocol::Http2, both, "HTTP/2"),
        (Protocol::Http1, both, "HTTP/1.1"),
        (Protocol::Http2, &["http/1.1"], "the backend does not speak TLS as it should\n"),
        (Protocol::Http2, &[], "the backend does not speak TLS as it should\n"),
    ] {
        let origin = choosing(&authority, offers);
        let mut config = to(&origin, "next.example");
        config.backends[0].protocol = protocol;
        let proxy = serve(authority.believed(Timeouts::default()), config);
        let mut client = Client::of(&proxy);
        for _ in 0..2 {
            assert_eq!(client.get("/").text(), expected, "{protocol:?} and {offers:?}");
        }
        if offers == both {
            let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            let answer = Message::read(&mut client.send(ask).reader, true).expect("an answer");
            assert_eq!(answer.status(), 101, "{protocol:?}");
        }
    }
}

#[test]
fn handshake_that_never_comes_ends_in_time() {
    let authority = Authority::new();
    let silent = Origin::talking(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    let short = Timeouts { handshake: Duration::from_millis(50), ..Timeouts::default() };
    let proxy = serve(authority.believed(short), to(&silent, "next.example"));
    let answer = Client::of(&proxy).get("/");
    assert_eq!((answer.status(), answer.text()), (504, "the TLS handshake with the backend took too long\n"));
    assert!(Duration::from_millis(50) < PATIENCE);
}

#[test]
fn plain_answer_to_a_hello_is_no_answer() {
    let authority = Authority::new();
    let plain = Origin::talking(|socket| {
        let mut reader = BufReader::new(socket);
        let _ = reader.fill_buf();
        let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    });
    let proxy = proxy(&authority, &plain, "next.example");
    let answer = Client::of(&proxy).get("/");
    assert_eq!((answer.status(), answer.text()), (502, "the backend does not speak TLS as it should\n"));
}

#[test]
fn connection_that_the_origin_closed_is_not_used_again() {
    let authority = Authority::new();
    let server = authority.server(&["next.example"], false);
    let closing = Origin::talking(move |socket| {
        let session = ServerConnection::new(Arc::clone(&server)).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, socket));
        if Message::read(&mut stream, false).is_some() {
            let _ = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
            stream.get_mut().conn.send_close_notify();
            let _ = stream.get_mut().flush();
        }
    });
    let proxy = proxy(&authority, &closing, "next.example");
    let mut client = Client::of(&proxy);
    for nth in 1..=3 {
        let answer = client.get("/");
        assert_eq!((answer.status(), answer.text()), (200, "yes"));
        eventually("it was another one", || closing.connections.load(std::sync::atomic::Ordering::SeqCst) == nth);
    }
}

#[test]
fn issuers_of_a_file_are_believed_beside_those_of_the_system_and_a_file_without_any_is_named() -> std::io::Result<()> {
    let authority = Authority::new();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem(&authority.root))?;
    let (origin, _) = origin(authority.server(&["next.example"], false));
    let believed = Settings { origin_tls: OriginTls::of_system(Some(&file))?, ..settings() };
    assert_eq!(Client::of(&serve(believed, to(&origin, "next.example"))).get("/").status(), 200);
    for (text, why) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")] {
        std::fs::write(&file, text)?;
        let error = OriginTls::of_system(Some(&file)).expect_err("nobody is in it").to_string();
        assert!(error.contains("ca.pem: ") && error.contains(why), "{error}");
    }
    assert!(OriginTls::of_system(Some(&folder.path().join("gone.pem"))).is_err());
    Ok(())
}
