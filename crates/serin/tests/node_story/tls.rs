//! N3: the `tls` of Ingresses.

use crate::scenario::Scenario;
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use serin_testkit::ask::{self, Answer};
use serin_testkit::authority::Certificate;
use serin_testkit::eventually;
use serin_testkit::origin::LABEL;

/// Host, the certificate that is shown, the Service whose pod answers, and why.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("one.tls.n3.example", "one", "a", "the certificate of the host's entry"),
    ("two.tls.n3.example", "two", "b", "the certificate of the host's entry"),
    ("x.wild.tls.n3.example", "wild", "c", "a wildcard takes one label"),
    ("own.wild.tls.n3.example", "own", "a", "an exact host goes before a wildcard"),
];
/// The same for hosts that no Ingress has a certificate for.
const BARE: &[(&str, &str)] =
    &[("bare.tls.n3.example", "an Ingress without tls"), ("x.y.wild.tls.n3.example", "a wildcard takes no two labels")];

/// Applies `tls.yaml` and asks for its hosts, without and with a default certificate.
pub(crate) fn hosts_have_their_certificates(site: &Scenario) -> Result<()> {
    site.apply("tls.yaml")?;
    let names = |certificate: &str| match certificate {
        "wild" => "*.wild.tls.n3.example".to_owned(),
        "own" => "own.wild.tls.n3.example".to_owned(),
        name => format!("{name}.tls.n3.example"),
    };
    let shown: Vec<(&str, Certificate)> = ["one", "two", "wild", "own"]
        .map(|name| anyhow::Ok((name, site.secret(&format!("{name}-tls"), &[&names(name)])?)))
        .into_iter()
        .collect::<Result<_>>()?;
    eventually("each host is shown its certificate", SOON, || {
        for (host, certificate, service, why) in CASES {
            let (_, expected) = shown.iter().find(|(name, _)| name == certificate).context("no such certificate")?;
            is_answered(site, host, expected, service).with_context(|| format!("{host}: {why}"))?;
        }
        Ok(())
    })?;

    let ask_tls = |name: &str, host: &str| -> Result<Answer> {
        Ok(ask::get_tls(&site.authority.client(), name, site.https, "/", &[("Host", host)])?.1)
    };
    let misdirected = ask_tls("one.tls.n3.example", "two.tls.n3.example")?;
    ensure!(misdirected.status == 421, "a host that the certificate is not for: {}", misdirected.head);
    for (host, why) in BARE {
        let refused = ask_tls(host, host).err().with_context(|| format!("{host}: {why}"))?;
        ensure!(format!("{refused:#}").contains("UnrecognisedName"), "{host}: {refused:#}");
    }
    let default = site.secret("default-tls", &BARE.iter().map(|(host, _)| *host).collect::<Vec<_>>())?;
    eventually("the others are shown the default certificate", SOON, || {
        is_answered(site, "bare.tls.n3.example", &default, "b")?;
        is_answered(site, "x.y.wild.tls.n3.example", &default, "default")
    })?;
    is_answered(site, "one.tls.n3.example", &shown[0].1, "a")?;

    // Over HTTP only who asks for it is sent to HTTPS.
    let sent = site.ask("two.tls.n3.example", "/cart?x=1", &[])?;
    ensure!((sent.status, sent.header("location")) == (308, Some("https://two.tls.n3.example/cart?x=1")), "{}", sent.head);
    let plain = site.ask("one.tls.n3.example", "/", &[])?;
    ensure!((plain.status, plain.header(LABEL)) == (200, Some("a")), "{}", plain.head);
    Ok(())
}

fn is_answered(site: &Scenario, host: &str, certificate: &Certificate, service: &str) -> Result<()> {
    let (shown, answer) = ask::get_tls(&site.authority.client(), host, site.https, "/", &[("Host", host)])?;
    ensure!(shown == certificate.der, "another certificate");
    ensure!((answer.status, answer.header(LABEL)) == (200, Some(service)), "{}", answer.head);
    Ok(())
}
