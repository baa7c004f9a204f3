//! TLS towards clients: who is shown which certificate, what may be asked on it, and where those go who come without.

use crate::support::{Client, Message, Origin, PATIENCE, eventually, everything_to, publish, route, serve, settings};
use crate::tls::Authority;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serin_proxy::{ClientIp, ClientIpFrom, Proxy, Settings, Timeouts};
use serin_routing::config::{HostMatch, Route};
use serin_routing::{Certificate, Config};
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A client by TLS.
pub(crate) struct Secure(BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// Believes this authority, asks by this name if any, and speaks one of these protocols.
pub(crate) fn config(authority: &Authority, names_host: bool, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.enable_sni = names_host;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

impl Secure {
    pub(crate) fn to(proxy: &Proxy, authority: &Authority, name: &str) -> io::Result<Self> {
        Self::with(proxy, config(authority, true, &["http/1.1"]), name)
    }

    fn with(proxy: &Proxy, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(proxy.https_addr().expect("TLS is served"))?;
        Self::on(socket, config, name)
    }

    fn on(mut socket: TcpStream, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut session =
            ClientConnection::new(config, ServerName::try_from(name.to_owned()).expect("a name")).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Self(BufReader::new(StreamOwned::new(session, socket))))
    }

    /// The certificate that was shown.
    fn shown(&self) -> CertificateDer<'static> {
        self.0.get_ref().conn.peer_certificates().expect("a certificate")[0].clone()
    }

    pub(crate) fn get(&mut self, host: &str, path: &str) -> Message {
        self.try_get(host, path).expect("a response")
    }

    fn try_get(&mut self, host: &str, path: &str) -> Option<Message> {
        self.0.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).ok()?;
        Message::read(&mut self.0, false)
    }
}

/// By TLS too.
pub(crate) fn secure() -> Settings {
    Settings { https: Some(([127, 0, 0, 1], 0).into()), ..settings() }
}

/// Everything to this origin, and these certificates: of a name, of `*.` and what follows, or of `*`.
pub(crate) fn site(origin: &Origin, certificates: &[(&str, &Arc<Certificate>)]) -> Config {
    let host = |name: &str| match name.strip_prefix("*.") {
        Some(suffix) => HostMatch::Wildcard(suffix.into()),
        None if name == "*" => HostMatch::Any,
        None => HostMatch::Exact(name.into()),
    };
    let certificates = certificates.iter().map(|(name, certificate)| (host(name), Arc::clone(certificate))).collect();
    Config { certificates, ..everything_to(&[origin.address]) }
}

fn is_unrecognized(error: &io::Error) -> bool {
    let alert = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(alert, Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)))
}

#[test]
fn each_host_is_shown_its_own_certificate_and_a_host_without_one_the_default() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let [own, wildcard, default] = [&["shop.example"][..], &["*.shops.example"], &["other.test", "a.b.shops.example", "127.0.0.1"]]
        .map(|names| authority.certificate(names));
    let proxy = serve(secure(), site(&origin, &[("shop.example", &own), ("*.shops.example", &wildcard), ("*", &default)]));
    let shown = |name: &str| Secure::to(&proxy, &authority, name).map(|client| client.shown());
    let [of_own, of_wildcard, of_default] =
        ["shop.example", "cart.shops.example", "other.test"].map(|name| shown(name).expect("a certificate for it"));
    assert!(of_own != of_wildcard && of_wildcard != of_default && of_own != of_default);
    assert_eq!(shown("SHOP.example").ok(), Some(of_own), "names have no case");
    assert_eq!(shown("a.b.shops.example").ok(), Some(of_default.clone()), "a wildcard stands for one label");
    assert!(shown("stranger.test").is_err(), "the default certificate is shown, and not for that name");
    let nameless = Secure::with(&proxy, config(&authority, false, &[]), "other.test").expect("a session");
    assert_eq!(nameless.shown(), of_default);
    let by_address = Secure::to(&proxy, &authority, "127.0.0.1").expect("a session").get("127.0.0.1", "/");
    assert_eq!((by_address.status(), by_address.text()), (200, "yes"));
}

#[test]
fn host_without_a_certificate_is_refused_by_name_while_there_is_no_default() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let proxy = serve(secure(), site(&origin, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    for name in ["other.example", "127.0.0.1"] {
        let error = Secure::to(&proxy, &authority, name).err().expect("no certificate");
        assert!(is_unrecognized(&error), "{error:?}");
    }
    assert_eq!(Secure::to(&proxy, &authority, "shop.example").expect("a session").get("shop.example", "/").status(), 200);
    assert_eq!(proxy.counters().totals().failures.get("client-tls-name"), Some(&2));
}

#[test]
fn host_that_the_certificate_is_not_for_is_misdirected() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let shared = authority.certificate(&["shop.example", "*.cart.example"]);
    let proxy = serve(secure(), site(&origin, &[("shop.example", &shared), ("odd.example", &shared)]));
    let mut client = Secure::to(&proxy, &authority, "shop.example").expect("a session");
    for (host, status) in [
        ("shop.example", 200),
        ("Shop.Example:8443", 200),
        ("a.cart.example", 200),
        ("other.example", 421),
        ("a.b.cart.example", 421),
        ("odd.example", 421),
        ("127.0.0.1", 421),
    ] {
        assert_eq!(client.get(host, "/").status(), status, "{host}");
    }
    assert_eq!(origin.heard().len(), 3);
    assert_eq!(proxy.counters().totals().failures.get("misdirected"), Some(&4));
}

#[test]
fn both_versions_are_spoken_and_no_other_protocol() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let proxy = serve(secure(), site(&origin, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(authority.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
        let config = Arc::new(versions.with_root_certificates(roots).with_no_client_auth());
        let mut client = Secure::with(&proxy, config, "shop.example").expect("a session");
        assert_eq!(client.get("shop.example", "/").status(), 200, "{version:?}");
    }
    let strange = Secure::with(&proxy, config(&authority, true, &["spdy/3"]), "shop.example").err().expect("no protocol");
    assert!(format!("{strange:?}").contains("NoApplicationProtocol"), "{strange:?}");
}

#[test]
fn origin_and_browser_are_told_of_tls() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let settings = Settings { hsts: Some(31_536_000), ..secure() };
    let proxy = serve(settings, site(&origin, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    let answer = Secure::to(&proxy, &authority, "shop.example").expect("a session").get("shop.example", "/");
    assert_eq!(answer.field("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(Client::of(&proxy).get("/").field("strict-transport-security"), None, "it means nothing without TLS (RFC 6797)");
    let heard = origin.heard();
    let port = proxy.https_addr().expect("TLS is served").port().to_string();
    assert_eq!((heard[0].field("x-forwarded-proto"), heard[0].field("x-forwarded-port")), (Some("https"), Some(port.as_str())));
    assert_eq!(heard[1].field("x-forwarded-proto"), Some("http"));
}

#[test]
fn who_comes_without_tls_is_sent_to_it_where_that_is_asked_for() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let at = |host: &str, path: &str, https_redirect| Route {
        host: HostMatch::Exact(host.into()),
        https_redirect,
        ..route(path, 0, Vec::new())
    };
    let certificate = authority.certificate(&["shop.example", "open.example"]);
    let mut config = site(&origin, &[("shop.example", &certificate), ("open.example", &certificate)]);
    config.routes = vec![
        at("shop.example", "/", None),
        at("open.example", "/", Some(false)),
        at("plain.example", "/", None),
        at("front.example", "/", Some(true)),
    ];
    let settings = Settings { https_redirect: true, https_port: Some(443), ..secure() };
    let proxy = serve(settings, config);
    let mut client = Client::of(&proxy);
    let mut ask =
        |method: &str, host: &str, path: &str| client.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).response();
    let sent = ask("POST", "Shop.example:8080", "/cart?x=1");
    assert_eq!((sent.status(), sent.field("location")), (308, Some("https://shop.example/cart?x=1")));
    assert_eq!(ask("GET", "front.example", "/").field("location"), Some("https://front.example/"));
    for (host, path, why) in [
        ("shop.example", "/.well-known/acme-challenge/token", "a challenge"),
        ("open.example", "/", "its route says so"),
        ("plain.example", "/", "it has no certificate"),
    ] {
        assert_eq!(ask("GET", host, path).status(), 200, "{why}");
    }
    assert_eq!(Secure::to(&proxy, &authority, "shop.example").expect("a session").get("shop.example", "/").status(), 200);
    assert!(proxy.counters().totals().failures.is_empty(), "nothing went wrong");
}

#[test]
fn who_came_by_tls_to_a_trusted_proxy_is_not_sent_to_it_again() {
    let origin = Origin::saying("yes");
    let client_ip = ClientIp { trusted: vec!["127.0.0.0/8".parse().expect("a network")], from: ClientIpFrom::default() };
    let settings = Settings { https_redirect: true, https_port: Some(443), client_ip, ..settings() };
    let proxy = serve(settings, everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    for (scheme, status) in [("https", 200), ("http", 308)] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: {scheme}\r\n\r\n");
        assert_eq!(client.send(head).response().status(), status, "{scheme}");
    }
}

#[test]
fn proxy_header_comes_before_tls() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let client_ip = ClientIp { trusted: vec!["127.0.0.0/8".parse().expect("a network")], from: ClientIpFrom::ProxyProtocol };
    let proxy = serve(Settings { client_ip, ..secure() }, site(&origin, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    let mut socket = TcpStream::connect(proxy.https_addr().expect("TLS is served")).expect("a connection");
    socket.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n").expect("bytes go out");
    let mut client = Secure::on(socket, config(&authority, true, &[]), "shop.example").expect("a session");
    assert_eq!(client.get("shop.example", "/").status(), 200);
    assert_eq!(origin.heard()[0].field("x-forwarded-for"), Some("192.0.2.7"));
    assert!(Secure::to(&proxy, &authority, "shop.example").is_err(), "a trusted balancer must say for whom it speaks");
}

#[test]
fn hello_that_never_comes_or_is_none_ends_in_time() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let timeouts = Timeouts { client_handshake: Duration::from_millis(100), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts, ..secure() }, site(&origin, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    for beginning in [&b""[..], &hello, b"GET / HTTP/1.1\r\n\r\n", &[22, 3, 1, 255, 255, 0, 0], &[0; 300]] {
        let mut socket = TcpStream::connect(proxy.https_addr().expect("TLS is served")).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = socket.write_all(beginning);
        let mut rest = Vec::new();
        let ended = socket.read_to_end(&mut rest);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset), "{beginning:?} was waited for");
        assert!(!rest.starts_with(b"HTTP"), "nobody who speaks TLS reads that");
    }
    let failures = proxy.counters().totals().failures;
    assert!(failures["client-tls-timeout"] >= 2 && failures["client-tls"] >= 2, "{failures:?}");
    assert_eq!(Secure::to(&proxy, &authority, "shop.example").expect("a session").get("shop.example", "/").status(), 200);
}

#[test]
fn certificate_is_replaced_under_load_and_no_handshake_and_no_connection_fails() {
    let (authority, origin) = (Authority::new(), Origin::saying("yes"));
    let next = || authority.certificate(&["shop.example"]);
    let proxy = serve(secure(), site(&origin, &[("shop.example", &next())]));
    let mut old = Secure::to(&proxy, &authority, "shop.example").expect("a session");
    let (stop, handshakes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Secure::to(&proxy, &authority, "shop.example").expect("a session");
                    assert_eq!(client.get("shop.example", "/").status(), 200);
                    handshakes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..50 {
            let before = handshakes.load(Ordering::Relaxed);
            let certificate = next();
            publish(&proxy, site(&origin, &[("shop.example", &certificate)]));
            let shown = Secure::to(&proxy, &authority, "shop.example").expect("a session").shown();
            assert!(certificate.is(&shown), "the new one is shown as soon as it is served");
            eventually("handshakes go on", || handshakes.load(Ordering::Relaxed) >= before + 2);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(old.get("shop.example", "/").status(), 200, "who was connected before stays so");
    assert!(proxy.counters().totals().failures.is_empty(), "{:?}", proxy.counters().totals().failures);
}

#[test]
fn client_that_takes_nothing_by_tls_is_let_go() {
    let authority = Authority::new();
    let endless = Origin::talking(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while socket.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let timeouts = Timeouts { write_idle: Duration::from_millis(200), ..Timeouts::default() };
    let proxy = serve(Settings { timeouts, ..secure() }, site(&endless, &[("shop.example", &authority.certificate(&["shop.example"]))]));
    let mut client = Secure::to(&proxy, &authority, "shop.example").expect("a session");
    let begun = Instant::now();
    client.0.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").expect("bytes go out");
    eventually("it is let go", || proxy.counters().totals().open_connections == 0);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}
