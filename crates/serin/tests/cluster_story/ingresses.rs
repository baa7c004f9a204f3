//! What serin tells on Ingresses, which have no condition of its: addresses in their status, and Events of what is wrong.

use crate::site::{SOON, Serin, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::{eventually, long, manifests};

/// A LoadBalancer Service that has these addresses.
fn balancer(site: &Site<'_>, addresses: &Value) -> Result<()> {
    let spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "balancer", "namespace": site.namespace}, "spec": spec});
    site.cluster.apply(&service.to_string())?;
    let patch = json!({"status": {"loadBalancer": {"ingress": addresses}}}).to_string();
    site.kubectl(&["patch", "service", "balancer", "--subresource=status", "--type=merge", "-p", &patch]).map(drop)
}

fn shown(site: &Site<'_>, ingress: &str) -> Result<Value> {
    let object: Value = serde_json::from_str(&site.kubectl(&["get", "ingress", ingress, "-o", "json"])?)?;
    Ok(object["status"]["loadBalancer"]["ingress"].clone())
}

fn until_shown(site: &Site<'_>, serin: &Serin, ingress: &str, addresses: &Value) -> Result<()> {
    eventually(&format!("{ingress} shows {addresses}"), SOON, || {
        let shown = shown(site, ingress)?;
        ensure!(shown == *addresses, "it shows {shown}\n{}", serin.process.last_lines());
        Ok(())
    })
}

#[test]
fn ingresses_of_our_class_show_the_addresses_of_the_published_service_and_nothing_of_others_is_touched() -> Result<()> {
    let site = Site::new(shared()?, "addresses")?;
    let first = json!([{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]);
    balancer(&site, &first)?;
    let other = manifests::ingress(site.namespace, "other", "other.example", "/", "checkout").replace(r#""serin""#, r#""nginx""#);
    site.cluster.apply(&other)?;
    let foreign = json!([{"ip": "192.0.2.99"}]);
    let patch = json!({"status": {"loadBalancer": {"ingress": foreign}}}).to_string();
    let as_another = ["--subresource=status", "--type=merge", "--field-manager=nginx", "-p", &patch];
    site.kubectl(&[&["patch", "ingress", "other"], &as_another[..]].concat())?;

    let serin = site.serin_with(34, &["--publish-service", "addresses/balancer"])?;
    until_shown(&site, &serin, "shop", &first)?;
    let moved = json!([{"ip": "192.0.2.2"}]);
    balancer(&site, &moved)?;
    until_shown(&site, &serin, "shop", &moved)?;
    let managers = site.kubectl(&["get", "ingress", "shop", "-o", "json", "--show-managed-fields"])?;
    let object: Value = serde_json::from_str(&managers)?;
    let of_serin: Vec<&Value> =
        object["metadata"]["managedFields"].as_array().context("no managers")?.iter().filter(|entry| entry["manager"] == "serin").collect();
    ensure!(of_serin.len() == 1 && of_serin[0]["subresource"] == "status", "{of_serin:?}");
    ensure!(of_serin[0]["fieldsV1"] == json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}}), "{of_serin:?}");

    // It leaves our class; what serin wrote goes, and what another controller wrote was never touched.
    site.kubectl(&["patch", "ingress", "shop", "--type=merge", "-p", r#"{"spec":{"ingressClassName":"nginx"}}"#])?;
    until_shown(&site, &serin, "shop", &Value::Null)?;
    assert_eq!(shown(&site, "other")?, foreign);
    // It comes back, and so do the addresses.
    site.kubectl(&["patch", "ingress", "shop", "--type=merge", "-p", r#"{"spec":{"ingressClassName":"serin"}}"#])?;
    until_shown(&site, &serin, "shop", &moved)
}

#[test]
fn each_ingress_of_many_is_written_once_and_not_again_by_the_next_leader() -> Result<()> {
    let site = Site::new(shared()?, "many-addresses")?;
    let many = if long() { 1_000 } else { 60 };
    let all: String =
        (0..many).map(|n| manifests::ingress(site.namespace, &format!("i-{n}"), &format!("{n}.example"), "/", "checkout")).collect();
    site.cluster.apply(&all)?;
    let writes = site.kubectl_beside("writes", &["get", "ingresses", "--watch-only", "-o", "name"])?;
    // The watch is under way when it tells of an edit; the edit is no status, and is counted out. Each is another one: the same again is none.
    let mut edits = 0;
    eventually("the watch tells", SOON, || {
        edits += 1;
        site.kubectl(&["annotate", "ingress", "shop", "--overwrite", &format!("example/edit={edits}")])?;
        ensure!(!writes.log().is_empty(), "nothing yet");
        Ok(())
    })?;
    let options = ["--publish-address", "192.0.2.7,lb.example"];
    let addresses = json!([{"ip": "192.0.2.7"}, {"hostname": "lb.example"}]);
    let serin = site.serin_with(35, &options)?;
    let is_shown = || -> Result<()> {
        let list: Value = serde_json::from_str(&site.kubectl(&["get", "ingresses", "-o", "json"])?)?;
        let items = list["items"].as_array().context("no items")?;
        let shown = items.iter().filter(|item| item["status"]["loadBalancer"]["ingress"] == addresses).count();
        ensure!(items.len() == many + 1 && shown == items.len(), "{shown} of {} show it\n{}", items.len(), serin.process.last_lines());
        Ok(())
    };
    eventually("all show the addresses", SOON * 2, is_shown)?;
    let written = || writes.log().lines().filter(|line| line.contains("/i-")).count();
    eventually("the watch has told of each", SOON, || {
        ensure!(written() >= many, "{} of {many}", written());
        Ok(())
    })?;
    let first = written();
    drop(serin);
    let next = site.serin_with(36, &options)?;
    eventually("the next one leads", SOON, || {
        ensure!(next.process.log().contains("leads=true"), "{}", next.process.last_lines());
        Ok(())
    })?;
    // It has decided on all of them once it wrote one that changed.
    site.kubectl(&[
        "patch",
        "ingress",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"loadBalancer":{"ingress":[]}}}"#,
    ])?;
    until_shown(&site, &next, "shop", &addresses)?;
    println!("{first} writes of {many} Ingresses, {} more by the next leader", written() - first);
    assert!(written() * 10 <= many * 12, "{} writes of {many} Ingresses", written());
    Ok(())
}

#[test]
fn what_is_wrong_with_an_ingress_is_an_event_of_it() -> Result<()> {
    let site = Site::new(shared()?, "faults")?;
    let of = |name: &str, host: &str, service: &str| manifests::ingress(site.namespace, name, host, "/", service);
    let documents = [
        of("no-service", "a.example", "chekout"),
        of("no-port", "b.example", "checkout").replace(r#""number":80"#, r#""number":81"#),
        of("younger", crate::site::HOST, "checkout"),
        of("no-class", "d.example", "checkout").replace(r#""serin""#, r#""no-such-class""#),
    ];
    site.cluster.apply(&documents.concat())?;
    let _serin = site.serin(37)?;
    let told = |ingress: &str, reason: &str| -> Result<Value> {
        let selector = format!("involvedObject.kind=Ingress,involvedObject.name={ingress},reason={reason}");
        let list: Value = serde_json::from_str(&site.kubectl(&["get", "events", "--field-selector", &selector, "-o", "json"])?)?;
        ensure!(list["items"].as_array().is_some_and(|items| items.len() == 1), "{list}");
        Ok(list["items"][0].clone())
    };
    let faults = [
        ("no-service", "BackendNotFound", "Did you mean checkout"),
        ("no-port", "PortNotFound", "81"),
        ("younger", "Conflicted", "faults/shop"),
        ("no-class", "ClassNotFound", "no-such-class"),
    ];
    for (ingress, reason, text) in faults {
        let event = eventually(&format!("{reason} of {ingress}"), SOON, || told(ingress, reason))?;
        assert_eq!(event["type"], "Warning");
        assert!(event["message"].as_str().is_some_and(|message| message.contains(text)), "{event}");
    }
    let described = site.kubectl(&["describe", "ingress", "no-service"])?;
    assert!(described.contains("BackendNotFound"), "{described}");
    Ok(())
}
