//! Certificates of other namespaces, by ReferenceGrants of Gateway API.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::authority::{Authority, Certificate};
use serin_testkit::manifests::{document, namespace, reference_grant, reference_grants};
use serin_testkit::{ask, eventually};
use std::net::SocketAddr;

/// The host of a second Ingress.
const SECOND: &str = "second.example";
/// The namespace of the certificates, and one that nobody here watches.
const OWNER: &str = "grants-certificates";
const OTHERS: &str = "grants-others";

/// Whether this is what is shown there for a host.
fn shown(authority: &Authority, host: &str, address: SocketAddr, certificate: &Certificate) -> Result<()> {
    let (shown, answer) = ask::get_tls(&authority.client(), host, address, "/", &[("Host", host)])?;
    ensure!(answer.status == 200 && shown == certificate.der, "another certificate: {}", answer.head);
    Ok(())
}

/// Whether nothing is shown there for the route's host, by the alert that says so.
fn refused(authority: &Authority, address: SocketAddr) -> Result<()> {
    let asked = ask::get_tls(&authority.client(), HOST, address, "/", &[("Host", HOST)]);
    let error = asked.err().context("a certificate is shown")?;
    ensure!(format!("{error:#}").contains("UnrecognisedName"), "{error:#}");
    Ok(())
}

#[test]
fn a_certificate_of_another_namespace_is_shown_only_while_a_grant_there_permits_it() -> Result<()> {
    let site = Site::new(shared()?, "grants")?;
    let authority = Authority::new()?;
    let (first, second) = (authority.certificate(&[HOST])?, authority.certificate(&[SECOND])?);
    let secrets = first.secret(OWNER, "first-tls") + &second.secret(OWNER, "second-tls");
    site.cluster.apply(&[namespace(OWNER), namespace(OTHERS), secrets].concat())?;
    let at = |host| SocketAddr::from((site.cluster.inside(host), 8443));
    let watched = [site.namespace, OWNER].join(",");
    let serin_with = |host, options: &[&str]| site.serin_of_with(host, &watched, &[&["--https", &at(host).to_string()], options].concat());
    let serin = serin_with(71, &[])?;
    let tls = json!({"spec": {"tls": [{"hosts": [HOST], "secretName": "first-tls"}]},
        "metadata": {"annotations": {"serin.dev/tls-secret-namespace": OWNER}}});
    site.kubectl(&["patch", "ingress", "shop", "--type=merge", "-p", &tls.to_string()])?;
    // The cluster does not have the kind.
    let told =
        "No ReferenceGrant in namespace grants-certificates lets Ingresses of namespace grants use Secret first-tls, or serin may not";
    eventually("an Event tells that there is no grant", SOON, || {
        let events = site.kubectl(&["get", "events", "--field-selector=involvedObject.kind=Ingress,involvedObject.name=shop"])?;
        ensure!(events.contains("RefNotPermitted") && events.contains(told), "{events}\n{}", serin.process.last_lines());
        Ok(())
    })?;
    refused(&authority, at(71))?;

    // It has the kind, and grants for others: for another namespace, for another Secret, and of other namespaces than the Secret's.
    site.cluster.apply(&reference_grants(&["v1beta1"]))?;
    let own = site.namespace;
    let foreign = [
        reference_grant(OWNER, "foreign", OTHERS, None),
        reference_grant(OWNER, "second", own, Some("second-tls")),
        reference_grant(OTHERS, "foreign", own, None),
        reference_grant(own, "own", own, None),
    ];
    eventually("the kind is taken", SOON, || site.cluster.apply(&foreign.concat()))?;
    // A second Ingress, whose Secret is permitted, shows that they were read.
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "second", "namespace": own, "annotations": {"serin.dev/tls-secret-namespace": OWNER}},
        "spec": {"ingressClassName": "serin", "tls": [{"hosts": [SECOND], "secretName": "second-tls"}],
            "defaultBackend": {"service": {"name": "checkout", "port": {"number": 80}}}}});
    site.cluster.apply(&document(&ingress))?;
    eventually("the second is shown", SOON, || shown(&authority, SECOND, at(71), &second))?;
    refused(&authority, at(71))?;

    let grant = reference_grant(OWNER, "first", own, Some("first-tls"));
    site.cluster.apply(&grant)?;
    eventually("the certificate is shown", SOON, || shown(&authority, HOST, at(71), &first))?;
    // A replica that begins has it with its first table. One that may read other Secrets only, or does not watch the namespace, has it never.
    let fresh = serin_with(72, &[])?;
    shown(&authority, HOST, at(72), &first)?;
    drop(fresh);
    let named = serin_with(73, &["--secret-names", "grants-certificates/second-tls"])?;
    shown(&authority, SECOND, at(73), &second)?;
    refused(&authority, at(73))?;
    drop(named);
    let alone = site.serin_with(74, &["--https", &at(74).to_string()])?;
    refused(&authority, at(74))?;
    drop(alone);

    site.cluster.kubectl(&["delete", "referencegrant", "first", "-n", OWNER], "")?.ok()?;
    eventually("what was permitted is not any more", SOON, || refused(&authority, at(71)))?;
    shown(&authority, SECOND, at(71), &second)?;
    site.cluster.apply(&grant)?;
    eventually("the certificate is shown again", SOON, || shown(&authority, HOST, at(71), &first))?;
    let log = serin.process.log();
    for key in [&first.key, &second.key] {
        let line = key.lines().nth(1).context("a key has lines")?;
        ensure!(!log.contains(line), "the log has a key");
    }
    Ok(())
}
