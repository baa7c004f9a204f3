//! TLS of a cluster: certificates from Secrets, rotated, broken and deleted; and what a scanner of TLS finds.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::authority::{Authority, Certificate};
use serin_testkit::load::{self, Plan};
use serin_testkit::rotation::Rotations;
use serin_testkit::{ask, eventually, long};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
    let authority = Authority::new()?;
    let shown = |certificate: &Certificate| {
        let (shown, answer) = ask::get_tls(&authority.client(), HOST, address, "/", &[("Host", HOST)])?;
        ensure!(answer.status == 200 && shown == certificate.der, "another certificate: {}", answer.head);
        Ok(())
    };
    let apply = |certificate: &Certificate| site.cluster.apply(&certificate.secret(site.namespace, "shop-tls"));
    let mut last = authority.certificate(&[HOST])?;
    apply(&last)?;
    eventually("the certificate is shown", SOON, || shown(&last))?;

    let (mut keys, mut rotations) = (vec![last.key.clone()], Rotations::default());
    let plan = Plan::new(address, Duration::from_secs(3600));
    let load = load::start(&Plan { tls: Some(authority.client()), host: HOST.into(), rate: 50, fresh: true, ..plan });
    for _ in 0..if long() { 100 } else { 5 } {
        last = authority.certificate(&[HOST])?;
        apply(&last)?;
        rotations.until_shown(&authority, HOST, address, &last, Instant::now())?;
        keys.push(last.key.clone());
    }
    let report = load.end()?;
    println!("{rotations}; {} handshakes beside it, {} failed", report.connections, report.failed);
    ensure!(report.failed == 0 && report.connections == report.sent, "{:?} {:?}", report.statuses, report.failures);
    rotations.each_within(Duration::from_secs(2))?;

    site.kubectl(&["patch", "secret", "shop-tls", "-p", r#"{"stringData": {"tls.key": "?"}}"#])?;
    told("Key tls.key of Secret tls/shop-tls is no private key in PEM. The last good certificate serves on.")?;
    shown(&last)?;
    site.kubectl(&["delete", "secret", "shop-tls"])?;
    told("Secret tls/shop-tls does not exist, or serin may not read it. The last good certificate serves on.")?;
    shown(&last)?;
    let next = authority.certificate(&[HOST])?;
    apply(&next)?;
    eventually("the new certificate is shown", SOON, || shown(&next))?;

    let metrics = serin.metrics()?;
    ensure!(!metrics.contains("error=\"misdirected\""), "{metrics}");
    let log = serin.process.log();
    for key in keys.iter().chain([&next.key]) {
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
    let authority = Authority::new()?;
    site.cluster.apply(&authority.certificate(&[HOST])?.secret(site.namespace, "shop-tls"))?;
    names_tls(&site)?;
    eventually("the certificate is shown", SOON, || ask::get_tls(&authority.client(), HOST, address, "/", &[("Host", HOST)]))?;
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
