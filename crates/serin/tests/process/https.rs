//! TLS by the built binary: certificates from files, replaced under load, and what is said of it.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use serin_testkit::manifests::document;
use serin_testkit::{eventually, long};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Who issues certificates, and clients that believe nobody else.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    client: Arc<ClientConfig>,
}

impl Authority {
    fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key)?.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut client = versions.with_root_certificates(roots).with_no_client_auth();
        // Who takes up a session again is shown nothing.
        client.resumption = rustls::client::Resumption::disabled();
        let client = Arc::new(client);
        Ok(Self { issuer: Issuer::new(params, key), client })
    }

    /// A certificate for the route's host, and the file of the Secret that holds it.
    fn secret(&self) -> Result<(CertificateDer<'static>, String)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &self.issuer)?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "shop", "name": "shop-tls"},
            "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()}});
        Ok((certificate.der().clone(), document(&secret)))
    }

    /// A whole exchange: the certificate that was shown, and the answer.
    fn ask(&self, address: SocketAddr, host: &str) -> Result<(CertificateDer<'static>, String)> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut session = ClientConnection::new(Arc::clone(&self.client), ServerName::try_from(HOST)?)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let mut stream = StreamOwned::new(session, socket);
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let shown = stream.conn.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?;
        Ok((shown.clone(), answer))
    }
}

fn ingress() -> String {
    let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "checkout", "port": {"number": 80}}}});
    document(&json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"tls": [{"hosts": [HOST], "secretName": "shop-tls"}], "rules": [{"host": HOST, "http": {"paths": [path]}}]}}))
}

/// A site by TLS, and where.
fn site(authority: &Authority, options: &[&str]) -> Result<(Site, SocketAddr, CertificateDer<'static>)> {
    let site = Site::start_with(&spec(&json!({"strategy": {"percentage": 0}})), &[&["--https", "127.0.0.1:0"], options].concat())?;
    let printed = site.running.process.log();
    let line = printed.lines().find_map(|line| line.strip_prefix("https  https://")).context("no line says where TLS is")?;
    let (address, (certificate, secret)) = (line.trim().parse()?, authority.secret()?);
    site.write("secret.yaml", &secret)?;
    site.write("ingress.yaml", &ingress())?;
    eventually("TLS is served", PATIENCE, || {
        ensure!(authority.ask(address, HOST)?.0 == certificate, "another certificate");
        Ok(())
    })?;
    Ok((site, address, certificate))
}

#[test]
fn a_secret_is_rotated_under_tls_load_and_no_handshake_and_no_request_fails() -> Result<()> {
    let authority = Authority::new()?;
    let (site, address, _) = site(&authority, &[])?;
    let labels = ["client-tls", "client-tls-name", "client-tls-timeout"];
    let refused = || labels.map(|label| site.running.metric(&format!("serin_errors_total{{error=\"{label}\"}}")).unwrap_or_default());
    // While there was no certificate.
    let before = refused();
    let rotations = if long() { 100 } else { 6 };
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut waits = Vec::new();
    thread::scope(|scope| {
        let load = || {
            while !stop.load(Ordering::Relaxed) {
                let (_, answer) = authority.ask(address, HOST)?;
                ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        let rotated = (0..rotations).try_for_each(|_| {
            let (certificate, secret) = authority.secret()?;
            let begun = Instant::now();
            site.write("secret.yaml", &secret)?;
            eventually("the new certificate is shown", PATIENCE, || {
                ensure!(authority.ask(address, HOST)?.0 == certificate, "the old one");
                Ok(())
            })?;
            waits.push(begun.elapsed());
            Ok(())
        });
        stop.store(true, Ordering::Relaxed);
        let served = clients.into_iter().try_for_each(|client| client.join().expect("no panic"));
        rotated.and(served)
    })?;
    waits.sort();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("{rotations} rotations, {} handshakes, none failed; shown after {median:?}, at the latest {longest:?}", asked.into_inner());
    // Each, on a machine that does nothing else.
    ensure!(median < Duration::from_secs(2), "half of the certificates came later than 2 s: {waits:?}");
    assert_eq!(refused(), before, "handshakes that went wrong");
    Ok(())
}

#[test]
fn a_broken_secret_leaves_the_last_good_certificate_and_the_log_says_why_without_the_key() -> Result<()> {
    let authority = Authority::new()?;
    let (site, address, certificate) = site(&authority, &["--hsts", "31536000", "--https-redirect"])?;
    let (_, answer) = authority.ask(address, HOST)?;
    ensure!(answer.contains("strict-transport-security: max-age=31536000"), "{answer}");
    ensure!(authority.ask(address, "other.example")?.1.starts_with("HTTP/1.1 421 "), "another host on this connection");
    let sent = site.ask(HOST, "/cart?x=1", &[])?;
    let expected = format!("https://{HOST}:{}/cart?x=1", address.port());
    assert_eq!((sent.status, sent.header("location")), (308, Some(expected.as_str())));
    let (_, secret) = authority.secret()?;
    let secret_of_key = secret.split("PRIVATE KEY-----\\n").nth(1).and_then(|key| key.get(..40)).context("no key")?.to_owned();
    site.write("secret.yaml", &secret.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"))?;
    eventually("the log says why", PATIENCE, || {
        let log = site.running.process.log();
        let why =
            "Key tls.crt of Secret shop/shop-tls is no chain of certificates in PEM, the server's own one first. The last good certificate";
        ensure!(log.contains(why), "{log}");
        Ok(())
    })?;
    ensure!(authority.ask(address, HOST)?.0 == certificate, "it is not the last good one");
    std::fs::remove_file(site.folder().join("secret.yaml"))?;
    eventually("the log says that it is gone", PATIENCE, || {
        let log = site.running.process.log();
        ensure!(log.contains("Secret shop/shop-tls does not exist. The last good certificate serves on."), "{log}");
        Ok(())
    })?;
    ensure!(authority.ask(address, HOST)?.0 == certificate, "it is not the last good one");
    ensure!(!site.running.process.log().contains(&secret_of_key), "the log has a key");
    Ok(())
}
