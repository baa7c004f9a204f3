//! TLS of a cluster: certificates from Secrets, rotated, broken and deleted; and what a scanner of TLS finds.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use serin_testkit::manifests::document;
use serin_testkit::{eventually, long};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A certificate that vouches for itself.
struct Own {
    der: CertificateDer<'static>,
    chain: String,
    key: String,
}

impl Own {
    fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![HOST.to_owned()])?.self_signed(&key)?;
        Ok(Self { der: certificate.der().clone(), chain: certificate.pem(), key: key.serialize_pem() })
    }

    fn secret(&self, namespace: &str) -> String {
        document(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "shop-tls"},
            "type": "kubernetes.io/tls", "stringData": {"tls.crt": self.chain, "tls.key": self.key}}))
    }

    /// Whether a client that believes this one and no other is answered there.
    fn is_served(&self, address: SocketAddr) -> Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = Arc::new(versions.with_root_certificates(roots).with_no_client_auth());
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(SOON))?;
        let mut stream = StreamOwned::new(ClientConnection::new(config, ServerName::try_from(HOST)?)?, socket);
        write!(stream, "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        Ok(())
    }
}

fn names_tls(site: &Site<'_>) -> Result<()> {
    let tls = json!({"spec": {"tls": [{"hosts": [HOST], "secretName": "shop-tls"}]}});
    site.kubectl(&["patch", "ingress", "shop", "--type=merge", "-p", &tls.to_string()]).map(drop)
}

#[test]
fn a_secret_is_served_rotated_broken_and_deleted_and_the_author_of_the_ingress_is_told() -> Result<()> {
    let site = Site::new(shared()?, "tls")?;
    let address = SocketAddr::from((site.cluster.inside(24), 8443));
    let serin = site.serin_with(24, &["--https", &address.to_string()])?;
    names_tls(&site)?;
    let told = |what: &str| {
        eventually(&format!("an Event tells that {what}"), SOON, || {
            let told = site.kubectl(&["get", "events", "--field-selector=involvedObject.kind=Ingress,involvedObject.name=shop"])?;
            ensure!(told.contains(what), "{told}");
            Ok(())
        })
    };
    told("shop-tls does not exist, or serin may not read it.")?;
    let served = |own: &Own| eventually("the certificate is shown", SOON, || own.is_served(address));
    let mut keys = Vec::new();
    let mut last = Own::new()?;
    for _ in 0..5 {
        site.cluster.apply(&last.secret(site.namespace))?;
        served(&last)?;
        keys.push(last.key.clone());
        last = Own::new()?;
    }
    site.cluster.apply(&last.secret(site.namespace))?;
    served(&last)?;

    site.kubectl(&["patch", "secret", "shop-tls", "-p", r#"{"stringData": {"tls.key": "?"}}"#])?;
    told("Key tls.key of Secret tls/shop-tls is no private key in PEM. The last good certificate serves on.")?;
    last.is_served(address)?;
    site.kubectl(&["delete", "secret", "shop-tls"])?;
    told("Secret tls/shop-tls does not exist, or serin may not read it. The last good certificate serves on.")?;
    last.is_served(address)?;
    let next = Own::new()?;
    site.cluster.apply(&next.secret(site.namespace))?;
    served(&next)?;

    let metrics = serin.metrics()?;
    ensure!(!metrics.contains("error=\"misdirected\""), "{metrics}");
    let log = serin.process.log();
    for key in keys.iter().chain([&last.key, &next.key]) {
        let line = key.lines().nth(1).context("a key has lines")?;
        ensure!(!log.contains(line), "the log has a key");
    }
    Ok(())
}

/// What the report says of the certificate, which nobody issued here, and of the headers that an application gives its pages.
fn is_of_another(id: &str) -> bool {
    id.starts_with("cert") || ["DNS_CAArecord", "OCSP_stapling", "security_headers"].contains(&id)
}

#[test]
fn testssl_finds_nothing_of_medium_or_above_outside_the_certificate() -> Result<()> {
    let site = Site::new(shared()?, "testssl")?;
    let address = SocketAddr::from((site.cluster.inside(25), 8443));
    let _serin = site.serin_with(25, &["--https", &address.to_string(), "--hsts", "31536000"])?;
    let own = Own::new()?;
    site.cluster.apply(&own.secret(site.namespace))?;
    names_tls(&site)?;
    eventually("the certificate is shown", SOON, || own.is_served(address))?;
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let IpAddr::V4(ip) = address.ip() else { anyhow::bail!("an IPv4 address") };
    let mut command = Command::new("testssl");
    command.args(["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--openssl-timeout", "10"]);
    // Protocols, ciphers and the server's preference; and its defaults, its headers and the known vulnerabilities, which take as long again.
    command.args(["-p", "-s", "-P"]).args(if long() { &["-S", "-h", "-U"][..] } else { &[] });
    command.arg("--jsonfile").arg(&report).args(["--ip", &ip.to_string(), &format!("{HOST}:{}", address.port())]);
    let output = command.stdin(Stdio::null()).output().context("testssl is not there; install the Debian package testssl.sh")?;
    let text = fs::read_to_string(&report).with_context(|| format!("no report:\n{}", String::from_utf8_lossy(&output.stdout)))?;
    let findings: Vec<Value> = serde_json::from_str(&text)?;
    let of = |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    let more = if long() { &["HSTS_time", "heartbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "LUCKY13"][..] } else { &[] };
    for looked_at in ["SSLv3", "TLS1_2", "TLS1_3", "ALPN_HTTP2", "cipherlist_NULL", "cipherlist_STRONG", "cipher_order"].iter().chain(more)
    {
        ensure!(findings.iter().any(|finding| of(finding, "id") == *looked_at), "the report has no {looked_at}:\n{text}");
    }
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| !is_of_another(&of(finding, "id")))
        .filter(|finding| ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&of(finding, "severity").as_str()))
        .collect();
    ensure!(bad.is_empty(), "{bad:#?}");
    let counted = findings.len();
    println!("testssl: {counted} findings, none of MEDIUM or above outside the certificate");
    Ok(())
}
