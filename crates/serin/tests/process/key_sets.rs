//! Key sets by URL: an issuer that rotates its keys, dies, and answers with what is none.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::manifests::document;
use serin_testkit::origin::LABEL;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers every request with what is set: a whole response, or nothing at all while there is none.
struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Issuer {
    fn start(answer: Vec<u8>) -> Result<Self> {
        Self::start_with(answer, None)
    }

    /// By TLS, if there is a certificate.
    fn start_with(answer: Vec<u8>, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, answer) = (listener.local_addr()?, Arc::new(Mutex::new(Some(answer))));
        let answers = Arc::clone(&answer);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Some(answer) = answers.lock().unwrap_or_else(PoisonError::into_inner).clone() else { continue };
                match &tls {
                    None => reply(socket, &answer),
                    Some(tls) => {
                        let session = ServerConnection::new(Arc::clone(tls)).expect("a session");
                        reply(StreamOwned::new(session, socket), &answer);
                    }
                }
            }
        });
        Ok(Self { address, answer })
    }

    fn answers(&self, answer: Option<Vec<u8>>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }
}

/// One who asks and goes away, or does not believe in us, is none of its business.
fn reply(mut stream: impl Read + Write, answer: &[u8]) {
    let head = BufReader::new(&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    if head.count() > 0 {
        let _ = stream.write_all(answer).and_then(|()| stream.flush());
    }
}

fn response(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

struct Signer {
    id: &'static str,
    key: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Result<Self> {
        Ok(Self { id, key: Ed25519KeyPair::generate()? })
    }

    fn published(&self) -> Vec<u8> {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref())});
        response("200 OK", "", &json!({"keys": [key]}).to_string())
    }

    fn token(&self) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = part(json!({"iss": "https://id.example", "sub": "dora", "exp": 4_102_444_800_u64}));
        let signed = format!("{}.{claims}", part(json!({"alg": "EdDSA", "kid": self.id})));
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())))
    }
}

fn policy(name: &str, url: &str) -> String {
    let spec = json!({"scope": {"service": "checkout"}, "methods": [{"jwt": {"issuer": "https://id.example", "jwks": {"url": url}}}]});
    document(
        &json!({"apiVersion": "serin.dev/v1alpha1", "kind": "AuthPolicy", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}),
    )
}

fn asked(site: &Site, token: &str) -> Result<String> {
    let answer = get(site.running.http, "/", &[("Host", HOST), ("Authorization", token)])?;
    Ok(answer.header(LABEL).map_or_else(|| answer.status.to_string(), str::to_owned))
}

fn until(site: &Site, token: &str, expected: &str) -> Result<()> {
    eventually(&format!("{expected} is answered"), PATIENCE, || {
        let seen = asked(site, token)?;
        ensure!(seen == expected, "{seen}: {}", site.running.process.last_lines());
        Ok(())
    })
}

#[test]
fn keys_are_fetched_and_rotated_and_the_last_good_ones_stay_when_the_issuer_dies() -> Result<()> {
    let (first, second, never) = (Signer::new("1")?, Signer::new("2")?, Signer::new("3")?);
    let issuer = Issuer::start(first.published())?;
    let mut site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    site.write("policy.yaml", &policy("tokens", &issuer.url()))?;
    until(&site, &second.token(), "401")?;
    assert_eq!(asked(&site, &first.token())?, "v1");

    // A token that names a key which nobody knows has the set fetched before its minute is over.
    issuer.answers(Some(second.published()));
    until(&site, &second.token(), "v1")?;
    assert_eq!(asked(&site, &first.token())?, "401", "that key is not published any more");

    issuer.answers(None);
    eventually("it is told that the keys cannot be fetched again", PATIENCE, || {
        assert_eq!(asked(&site, &never.token())?, "401");
        let log = site.running.process.log();
        ensure!(log.contains("cannot be fetched again, so the last good ones are used"), "{}", site.running.process.last_lines());
        Ok(())
    })?;
    assert_eq!(asked(&site, &second.token())?, "v1", "the last good keys stay");

    // The first table after a restart does not wait for ever, and what cannot be known is closed.
    site.restart()?;
    assert_eq!(asked(&site, &second.token())?, "503");
    issuer.answers(Some(second.published()));
    until(&site, &second.token(), "v1")
}

#[test]
fn what_is_no_key_set_closes_the_scope_and_is_told_without_its_text() -> Result<()> {
    let good = Signer::new("1")?;
    let elsewhere = Issuer::start(good.published())?;
    let issuer = Issuer::start(response("302 Found", &format!("Location: {}\r\n", elsewhere.url()), ""))?;
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    site.write("policy.yaml", &policy("tokens", &issuer.url()))?;
    site.tells("the answer is 302, and redirects are not followed")?;
    until(&site, &good.token(), "503")?;
    let shared = json!({"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}).to_string();
    let huge = format!("{{\"keys\": [], \"s3cret\": \"{}\"}}", "x".repeat(300 * 1024));
    for (name, answer, told) in [
        ("huge", response("200 OK", "", &huge), "the answer is longer than 262144 bytes"),
        ("down", response("500 Internal Server Error", "", "s3cret"), "the answer is 500"),
        ("broken", b"s3cret\r\n\r\n".to_vec(), "the answer is no HTTP/1.1, or breaks off"),
        ("garbage", response("200 OK", "", "s3cret"), "the answer is no JSON Web Key Set"),
        ("shared", response("200 OK", "", &shared), "it has a symmetric key, which must not be published"),
    ] {
        issuer.answers(Some(answer));
        // Another URL is fetched at once.
        site.write("policy.yaml", &policy("tokens", &format!("{}/{name}", issuer.url())))?;
        site.tells(&format!("{}/{name} cannot be had: {told}", issuer.url()))?;
        assert_eq!(asked(&site, &good.token())?, "503", "{name}");
    }
    site.write("policy.yaml", &policy("tokens", "http://issuer.elsewhere.svc/jwks"))?;
    site.tells("issuer.elsewhere.svc is no Service of namespace shop, and the operator does not allow it")?;
    site.write("policy.yaml", &policy("tokens", &elsewhere.url()))?;
    until(&site, &good.token(), "v1")?;
    let told = site.running.process.log();
    ensure!(!told.contains("s3cret") && !told.contains("MDEyMzQ1"), "{told}");
    Ok(())
}

#[test]
fn by_https_the_certificate_is_verified_for_the_host() -> Result<()> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let tls = versions.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)?;
    let signer = Signer::new("1")?;
    let issuer = Issuer::start_with(signer.published(), Some(Arc::new(tls)))?;
    let folder = tempfile::tempdir()?;
    let believed = folder.path().join("issuers.pem");
    let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
    std::fs::write(&believed, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"))?;

    let site = Site::start_with(&spec(&json!({"strategy": {"percentage": 0}})), &["--upstream-ca", &believed.to_string_lossy()])?;
    // The certificate is for the name, and not for the address.
    site.write("policy.yaml", &policy("tokens", &format!("https://{}/jwks", issuer.address)))?;
    site.tells("127.0.0.1 is not believed by TLS")?;
    until(&site, &signer.token(), "503")?;
    site.write("policy.yaml", &policy("tokens", &format!("https://localhost:{}/jwks", issuer.address.port())))?;
    until(&site, &signer.token(), "v1")?;
    assert_eq!(asked(&site, &Signer::new("1")?.token())?, "401");
    Ok(())
}
