//! TLS by the built binary: certificates from files, replaced under load, and what is said of it.

use crate::running::Running;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use serin_testkit::ask::{Answer, get_tls};
use serin_testkit::authority::Authority;
use serin_testkit::load::{self, Plan, Protocol};
use serin_testkit::manifests::{document, reference_grant};
use serin_testkit::origin::Behaviour;
use serin_testkit::process::Signal;
use serin_testkit::rotation::Rotations;
use serin_testkit::{eventually, long};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PAGE: &str = include_str!("../../../../docs/tls.md");

/// A new certificate for the route's host, and the file of the Secret that holds it.
fn secret(authority: &Authority) -> Result<(CertificateDer<'static>, String)> {
    let certificate = authority.certificate(&[HOST])?;
    Ok((certificate.der.clone(), certificate.secret("shop", "shop-tls")))
}

/// A whole exchange: the certificate that was shown for the route's host, and the answer.
fn ask(authority: &Authority, address: SocketAddr, host: &str) -> Result<(CertificateDer<'static>, Answer)> {
    get_tls(&authority.client(), HOST, address, "/", &[("Host", host)])
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
    let (address, (certificate, secret)) = (line.trim().parse()?, secret(authority)?);
    site.write("secret.yaml", &secret)?;
    site.write("ingress.yaml", &ingress())?;
    eventually("TLS is served", PATIENCE, || {
        ensure!(ask(authority, address, HOST)?.0 == certificate, "another certificate");
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
    let (count, mut rotations) = (if long() { 100 } else { 6 }, Rotations::default());
    let plan = Plan::new(address, Duration::from_secs(3600));
    let load = load::start(&Plan { tls: Some(authority.client()), host: HOST.into(), rate: 50, fresh: true, ..plan });
    for _ in 0..count {
        let certificate = authority.certificate(&[HOST])?;
        let since = Instant::now();
        site.write("secret.yaml", &certificate.secret("shop", "shop-tls"))?;
        rotations.until_shown(&authority, HOST, address, &certificate, since)?;
    }
    let report = load.end()?;
    println!("{rotations}; {} handshakes beside it, {} failed", report.connections, report.failed);
    ensure!(report.failed == 0 && report.connections == report.sent, "{:?} {:?}", report.statuses, report.failures);
    rotations.each_within(Duration::from_secs(2))?;
    assert_eq!(refused(), before, "handshakes that went wrong");
    Ok(())
}

#[test]
fn a_process_that_is_told_to_stop_beside_another_fails_no_request_by_tls() -> Result<()> {
    let authority = Authority::new()?;
    let (mut site, address, _) = site(&authority, &[])?;
    // So requests are under way whenever the signal comes.
    site.stable.behave(Behaviour { delay: Duration::from_millis(100), ..Behaviour::default() });
    let options = ["--https".to_owned(), address.to_string()];
    let successor = Running::start_with(site.folder(), site.running.http, "successor", &options)?;
    let plan = Plan { tls: Some(authority.client()), host: HOST.into(), rate: 100, limit: PATIENCE, ..Plan::new(address, PATIENCE * 10) };
    let http2 = Plan { protocol: Protocol::Http2, connections: 10, streams: 5, ..plan.clone() };
    let loads = [plan, http2].map(|plan| (plan.connections, load::start(&plan)));
    eventually("both have had requests", PATIENCE, || {
        for running in [&site.running, &successor] {
            let answered = running.metric(r#"serin_responses_total{code_class="2xx"}"#)?;
            ensure!(answered > 100.0, "{answered} responses");
        }
        Ok(())
    })?;
    site.running.process.signal(Signal::TERM)?;
    let status = site.running.process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}:\n{}", site.running.process.last_lines());
    for (connections, load) in loads {
        let report = load.end()?;
        println!("{} requests, {} failed, {} connections, sent again {:?}", report.sent, report.failed, report.connections, report.again);
        assert_eq!(report.failed, 0, "{:?} {:?}", report.statuses, report.failures);
        assert!(report.connections > connections, "nobody had to come back");
    }
    Ok(())
}

#[test]
fn a_broken_secret_leaves_the_last_good_certificate_and_the_log_says_why_without_the_key() -> Result<()> {
    let authority = Authority::new()?;
    let (site, address, certificate) = site(&authority, &["--hsts", "31536000", "--https-redirect"])?;
    let (_, answer) = ask(&authority, address, HOST)?;
    ensure!(answer.header("strict-transport-security") == Some("max-age=31536000"), "{}", answer.head);
    ensure!(ask(&authority, address, "other.example")?.1.status == 421, "another host on this connection");
    let sent = site.ask(HOST, "/cart?x=1", &[])?;
    let expected = format!("https://{HOST}:{}/cart?x=1", address.port());
    assert_eq!((sent.status, sent.header("location")), (308, Some(expected.as_str())));
    let (_, secret) = secret(&authority)?;
    let secret_of_key = secret.split("PRIVATE KEY-----\\n").nth(1).and_then(|key| key.get(..40)).context("no key")?.to_owned();
    site.write("secret.yaml", &secret.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"))?;
    eventually("the log says why", PATIENCE, || {
        let log = site.running.process.log();
        let why =
            "Key tls.crt of Secret shop/shop-tls is no chain of certificates in PEM, that of the key first. The last good certificate";
        ensure!(log.contains(why), "{log}");
        Ok(())
    })?;
    ensure!(ask(&authority, address, HOST)?.0 == certificate, "it is not the last good one");
    std::fs::remove_file(site.folder().join("secret.yaml"))?;
    eventually("the log says that it is gone", PATIENCE, || {
        let log = site.running.process.log();
        ensure!(log.contains("Secret shop/shop-tls does not exist. The last good certificate serves on."), "{log}");
        Ok(())
    })?;
    ensure!(ask(&authority, address, HOST)?.0 == certificate, "it is not the last good one");
    ensure!(!site.running.process.log().contains(&secret_of_key), "the log has a key");
    Ok(())
}

#[test]
fn a_secret_of_another_namespace_is_served_while_a_grant_of_that_namespace_permits_it() -> Result<()> {
    let authority = Authority::new()?;
    let (site, address, _) = site(&authority, &[])?;
    // The Ingress's own Secret is not meant any more, though it is still there.
    let example = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let example = example.into_iter().find_map(|block| block.split_once("---\n").filter(|(_, grant)| grant.contains("ReferenceGrant")));
    let (elsewhere, grant) = example.context("the page has an example of a grant")?;
    let refused = |why: &str| {
        eventually(why, PATIENCE, || {
            let error = ask(&authority, address, HOST).err().context("a certificate is shown")?;
            ensure!(format!("{error:#}").contains("UnrecognisedName"), "{error:#}");
            Ok(())
        })
    };
    let granted = authority.certificate(&[HOST])?;
    site.write("wild.yaml", &granted.secret("certificates", "wildcard"))?;
    site.write("ingress.yaml", elsewhere)?;
    site.tells("No ReferenceGrant in namespace certificates lets Ingresses of namespace shop use Secret wildcard.")?;
    refused("without a grant nothing is shown")?;
    let shown = || {
        eventually("the certificate is shown", PATIENCE, || {
            ensure!(ask(&authority, address, HOST)?.0 == granted.der, "another certificate");
            Ok(())
        })
    };
    for _ in 0..2 {
        site.write("grant.yaml", grant)?;
        shown()?;
        site.remove("grant.yaml")?;
        refused("what was permitted is not any more")?;
    }
    // A kind of the same name, and a grant that the other side gives itself; a second file shows that they were read.
    let other = reference_grant("certificates", "shop", "shop", None).replace("gateway.networking.k8s.io", "gateway.example");
    site.write("grant.yaml", &(other + &reference_grant("shop", "shop", "shop", None)))?;
    let second = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "second", "namespace": "shop"},
        "spec": {"tls": [{"hosts": ["second.example"], "secretName": "never"}]}});
    site.write("second.yaml", &document(&second))?;
    site.tells("Secret shop/never does not exist.")?;
    refused("of other kinds nothing is taken")?;
    site.remove("second.yaml")?;
    // Nobody asks for grants for a while: those that are there count all the same afterwards.
    site.write("grant.yaml", &reference_grant("certificates", "shop", "shop", None))?;
    shown()?;
    site.write("ingress.yaml", &ingress())?;
    eventually("the Ingress's own is shown", PATIENCE, || {
        ensure!(ask(&authority, address, HOST)?.0 != granted.der, "it is that of the other namespace");
        Ok(())
    })?;
    site.write("ingress.yaml", elsewhere)?;
    shown()
}
