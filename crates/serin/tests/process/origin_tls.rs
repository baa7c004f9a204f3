//! TLS to the endpoints of a Service, by its BackendPolicy: who they must be, and what serin shows them.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::{document, service};
use serin_testkit::origin::LABEL;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const PAGE: &str = include_str!("../../../../docs/backends.md");

/// Who issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    seen: Seen,
}

/// What the last client that asked one of its origins showed.
type Seen = Arc<Mutex<Option<CertificateDer<'static>>>>;

impl Authority {
    fn new() -> Result<Self> {
        let (key, mut params) = (KeyPair::generate()?, CertificateParams::new(Vec::<String>::new())?);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), root, seen: Seen::default() })
    }

    /// A certificate for this name, and its key.
    fn issue(&self, name: &str) -> Result<(CertificateDer<'static>, KeyPair)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate.der().clone(), key))
    }

    /// An origin with a certificate for this name, which asks for one of the same authority's if it is told to.
    fn origin(&self, name: &str, asks: bool) -> Result<SocketAddr> {
        let (certificate, key) = self.issue(name)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let server = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.root.clone())?;
            versions.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
        } else {
            versions.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let server = Arc::new(server.with_single_cert(vec![certificate], key)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let seen = Arc::clone(&self.seen);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let session = ServerConnection::new(Arc::clone(&server)).expect("a session");
                answer(StreamOwned::new(session, socket), &seen);
            }
        });
        Ok(address)
    }
}

/// Answers one request, and notes who sent it.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>, seen: &Seen) {
    let head = BufReader::new(&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    if head.count() > 0 {
        let client = stream.conn.peer_certificates().and_then(|chain| chain.first()).map(|own| own.clone().into_owned());
        *seen.lock().expect("no panic") = client;
        let answer = format!("HTTP/1.1 200 OK\r\n{LABEL}: tls\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64::engine::general_purpose::STANDARD.encode(der))
}

/// The certificate of a client of this authority, as a Secret.
fn client(authority: &Authority, name: &str) -> Result<(CertificateDer<'static>, String, String)> {
    let (certificate, key) = authority.issue(name)?;
    let data = json!({"tls.crt": pem("CERTIFICATE", &certificate), "tls.key": key.serialize_pem()});
    Ok((certificate, secret("serin-client", &data), key.serialize_pem()))
}

fn secret(name: &str, data: &Value) -> String {
    document(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop"}, "stringData": data}))
}

/// Waits until a request is answered so.
fn until(site: &Site, status: u16, text: &str) -> Result<()> {
    eventually(&format!("{status} {text:?}"), PATIENCE, || {
        let answer = site.ask(HOST, "/", &[])?;
        ensure!(
            answer.status == status && (answer.head.contains(text) || answer.body.contains(text)),
            "{answer:?}\n{}",
            site.running.process.last_lines()
        );
        Ok(())
    })
}

#[test]
fn endpoints_are_verified_by_the_page_and_not_spoken_to_otherwise() -> Result<()> {
    let example =
        PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).find(|block| block.contains("serverName"));
    let example = example.context("the page has an example of TLS")?;
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    site.reaches("Steady", "0")?;
    let canary = service("shop", "checkout-v2", &[site.canary.address()]);
    let sends_to = |address| site.write("services.yaml", &(service("shop", "checkout", &[address]) + &canary));
    let with = |authority: &Authority| secret("internal-ca", &json!({"ca.crt": pem("CERTIFICATE", &authority.root)}));

    // Without the Secrets nothing is sent, by TLS or without.
    site.write("policy.yaml", example)?;
    until(&site, 503, "does not resolve")?;
    site.tells("Secret shop/internal-ca does not exist. Create it, or name another.")?;
    let before = site.stable.requests();
    until(&site, 503, "does not resolve")?;
    assert_eq!(site.stable.requests(), before);
    site.write("secrets.yaml", &secret("internal-ca", &json!({"ca.crt": "nothing"})))?;
    site.write("policy.yaml", &format!("{example}  path: /v1\n"))?;
    site.tells("Key ca.crt of Secret shop/internal-ca holds no certificate in PEM.")?;
    until(&site, 503, "does not resolve")?;
    site.write("policy.yaml", example)?;

    // The origin of before speaks no TLS.
    site.write("secrets.yaml", &with(&authority))?;
    until(&site, 502, "does not speak TLS")?;
    sends_to(authority.origin("checkout.shop.svc", false)?)?;
    until(&site, 200, "tls")?;
    // Who asks for a certificate gets none.
    sends_to(authority.origin("checkout.shop.svc", true)?)?;
    until(&site, 502, "")?;
    // A rotated issuer counts at once, and another name never.
    site.write("secrets.yaml", &with(&other))?;
    until(&site, 502, "not to be trusted")?;
    sends_to(other.origin("checkout.shop.svc", false)?)?;
    until(&site, 200, "tls")?;
    sends_to(other.origin("elsewhere.shop.svc", false)?)?;
    until(&site, 502, "not to be trusted")?;
    ensure!(site.running.metric(r#"serin_errors_total{error="certificate"}"#)? >= 1.0, "it is counted");
    // A policy that asks for TLS and cannot be in force does not open the way without it. It is another one, so there is no last good one.
    site.remove("policy.yaml")?;
    sends_to(site.stable.address())?;
    until(&site, 200, "v1")?;
    site.write("policy.yaml", "{apiVersion: serin.dev/v1alpha1, kind: BackendPolicy, metadata: {name: bad, namespace: shop}, spec: {service: checkout, path: v1, tls: {serverName: a.example}}}")?;
    until(&site, 503, "does not resolve")
}

#[test]
fn an_origin_that_demands_a_certificate_is_shown_that_of_the_secret_and_the_next_one_without_a_restart() -> Result<()> {
    let example = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let example = example
        .into_iter()
        .find(|block| block.contains("clientCertificate"))
        .context("the page has an example of a client's certificate")?;
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    site.reaches("Steady", "0")?;
    let address = authority.origin("checkout.shop.svc", true)?;
    site.write("services.yaml", &(service("shop", "checkout", &[address]) + &service("shop", "checkout-v2", &[site.canary.address()])))?;
    let authorities = secret("internal-ca", &json!({"ca.crt": pem("CERTIFICATE", &authority.root)}));
    let is_shown = |certificate: &CertificateDer<'_>| {
        eventually("the certificate is shown", PATIENCE, || {
            let answer = site.ask(HOST, "/", &[])?;
            let seen = authority.seen.lock().expect("no panic").clone();
            ensure!(answer.status == 200 && seen.as_ref() == Some(certificate), "{answer:?}");
            Ok(())
        })
    };
    // What does not resolve closes the Service.
    site.write("secrets.yaml", &authorities)?;
    site.write("policy.yaml", example)?;
    until(&site, 503, "does not resolve")?;
    site.tells("Secret shop/serin-client does not exist. Create it, or name another.")?;
    let (first, first_secret, first_key) = client(&authority, "serin")?;
    site.write("secrets.yaml", &(authorities.clone() + &secret("serin-client", &json!({"tls.crt": pem("CERTIFICATE", &first)}))))?;
    site.tells("Secret shop/serin-client has no key tls.key. Add it, or name another.")?;
    let mismatch = json!({"tls.crt": pem("CERTIFICATE", &first), "tls.key": KeyPair::generate()?.serialize_pem()});
    site.write("secrets.yaml", &(authorities.clone() + &secret("serin-client", &mismatch)))?;
    site.tells("Key tls.key of Secret shop/serin-client is not the key of the certificate.")?;
    until(&site, 503, "does not resolve")?;

    site.write("secrets.yaml", &(authorities.clone() + &first_secret))?;
    is_shown(&first)?;
    let (second, second_secret, second_key) = client(&authority, "serin")?;
    site.write("secrets.yaml", &(authorities.clone() + &second_secret))?;
    is_shown(&second)?;
    // The origin does not know who issued this one.
    site.write("secrets.yaml", &(authorities.clone() + &client(&other, "serin")?.1))?;
    until(&site, 502, "")?;
    site.write("secrets.yaml", &(authorities.clone() + &first_secret))?;
    is_shown(&first)?;
    // One that is gone serves on nowhere: nobody knows why it went.
    site.write("secrets.yaml", &authorities)?;
    until(&site, 503, "does not resolve")?;
    let log = site.running.process.log();
    for key in [first_key, second_key] {
        let line = key.lines().nth(1).context("a key has lines")?;
        ensure!(!log.contains(line), "the log has a key");
    }
    Ok(())
}
