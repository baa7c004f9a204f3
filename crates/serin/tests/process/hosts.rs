//! Canaries outside: a host by its address or its name, and what becomes of that name.

use crate::running::{Running, serin};
use crate::site::{HOST, PATIENCE};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::dns::Dns;
use serin_testkit::manifests::{PORT, document, ingress, release, service};
use serin_testkit::origin::{self, LABEL, Origin, TARGET};
use serin_testkit::{ask, eventually};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use tempfile::TempDir;

/// A folder that is served with these options.
struct Outside {
    folder: TempDir,
    running: Running,
}

impl Outside {
    fn start(files: &[(&str, String)], options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text)?;
        }
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let running = Running::start_with(folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", &options)?;
        Ok(Self { folder, running })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let beside = self.folder.path().join(format!(".{name}"));
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, self.folder.path().join(name))?)
    }

    /// A canary's request, by its override.
    fn asked(&self) -> Result<ask::Answer> {
        ask::get(self.running.http, "/cart?x=1", &[("Host", HOST), ("X-Canary", "always")])
    }

    /// Waits until so many requests in a row come to these origins, and to each of them.
    fn comes_to(&self, labels: &[&str]) -> Result<()> {
        eventually(&format!("requests come to {labels:?}"), PATIENCE, || {
            let answers = (0..8).map(|_| self.asked()).collect::<Result<Vec<_>>>()?;
            let seen: BTreeSet<_> = answers.iter().map(|answer| answer.header(LABEL).unwrap_or(answer.body.trim_end())).collect();
            ensure!(seen == labels.iter().copied().collect(), "{seen:?}\n{}", self.running.process.last_lines());
            Ok(())
        })
    }

    fn conditions(&self) -> Result<Vec<Value>> {
        let release: Value = serde_json::from_str(&self.running.ask("/v1/releases/shop/checkout")?.body)?;
        Ok(release["status"]["conditions"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until a condition is so, with this reason and these words.
    fn tells(&self, kind: &str, status: &str, reason: &str, words: &str) -> Result<()> {
        eventually(&format!("{kind}={status}/{reason}"), PATIENCE, || {
            let conditions = self.conditions()?;
            let is_so = |it: &Value| {
                it["type"] == kind && it["status"] == status && it["reason"] == reason && it["message"].to_string().contains(words)
            };
            ensure!(conditions.iter().any(is_so), "{conditions:#?}\n{}", self.running.process.last_lines());
            Ok(())
        })
    }
}

fn spec(canary: &Value) -> Value {
    json!({"scope": {"service": "checkout"}, "canary": canary, "overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 0}})
}

fn files(stable: &Origin, canary: &Value) -> [(&'static str, String); 3] {
    [
        ("service.yaml", service("shop", "checkout", &[stable.address()])),
        ("ingress.yaml", ingress("shop", "shop", HOST, "/", "checkout")),
        ("release.yaml", release("shop", "checkout", &spec(canary))),
    ]
}

fn origin(last: u8, port: u16, label: &str) -> Result<Origin> {
    Origin::start((Ipv4Addr::new(127, 0, 0, last), port), label)
}

fn ips(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last).into()).collect()
}

#[test]
fn s1_canary_may_be_an_address_outside_and_gets_its_own_host_or_the_clients() -> Result<()> {
    let (stable, canary) = (origin(1, 0, "v1")?, origin(2, 0, "v2")?);
    let target = |more: &Value| {
        let mut target = json!({"host": "127.0.0.2", "port": canary.address().port()});
        target.as_object_mut().into_iter().for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
        target
    };
    let site = Outside::start(&files(&stable, &target(&json!({}))), &[])?;
    site.comes_to(&["v2"])?;
    let answer = site.asked()?;
    assert_eq!(answer.header(origin::HOST), Some(format!("127.0.0.2:{}", canary.address().port()).as_str()));
    assert_eq!(answer.header(TARGET), Some("/cart?x=1"));
    // S17: with a path, that is the host's; a BackendPolicy of the Service in whose place it is goes before it otherwise.
    let policy = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "BackendPolicy", "metadata": {"namespace": "shop", "name": "checkout"},
        "spec": {"service": "checkout", "path": "/v1"}});
    site.write("policy.yaml", &document(&policy))?;
    let gets = |host: &str, path: &str| {
        eventually(&format!("{host} gets {path}"), PATIENCE, || {
            let answer = site.asked()?;
            ensure!(answer.header(TARGET) == Some(path) && answer.header(origin::HOST) == Some(host), "{}", answer.head);
            Ok(())
        })
    };
    gets(&format!("127.0.0.2:{}", canary.address().port()), "/v1/cart?x=1")?;
    let rewrite = json!({"preserveHost": true, "path": {"type": "ReplaceFullPath", "replaceFullPath": "/next"}});
    site.write("release.yaml", &release("shop", "checkout", &spec(&target(&rewrite))))?;
    gets(HOST, "/next?x=1")
}

#[test]
fn name_is_looked_up_again_its_last_answer_is_kept_and_without_one_the_canary_is_unavailable() -> Result<()> {
    let dns = Dns::start(1)?;
    let (stable, first) = (origin(1, 0, "v1")?, origin(2, 0, "first")?);
    let port = first.address().port();
    let (second, third) = (origin(3, port, "second")?, origin(4, port, "third")?);
    dns.says("next.example", &ips(&[2, 3]));
    let options = ["--allow-external-hosts", "*.example", "--dns-servers", &dns.address().to_string()];
    let site = Outside::start(&files(&stable, &json!({"host": "next.example", "port": port})), &options)?;
    site.comes_to(&["first", "second"])?;
    assert_eq!(site.asked()?.header(origin::HOST), Some(format!("next.example:{port}").as_str()));
    dns.says("next.example", &ips(&[4]));
    site.comes_to(&["third"])?;
    // Nobody answers: what was known serves on. That is told in the log, and nothing is wrong with the release.
    dns.falls_silent(true);
    eventually("a failure is told of", PATIENCE, || {
        ensure!(site.running.process.log().contains("no DNS server answers"), "{}", site.running.process.last_lines());
        Ok(())
    })?;
    site.comes_to(&["third"])?;
    site.tells("ResolvedRefs", "True", "ResolvedRefs", "")?;
    // The name is gone: stable takes the place, or nobody.
    dns.falls_silent(false);
    dns.says("next.example", &[]);
    site.comes_to(&["v1"])?;
    site.tells("ResolvedRefs", "False", "HostNotResolved", "Host next.example has no address: the name does not exist")?;
    let fail = json!({"host": "next.example", "port": port, "whenUnavailable": "Fail"});
    site.write("release.yaml", &release("shop", "checkout", &spec(&fail)))?;
    site.comes_to(&["the canary has no ready endpoint"])?;
    dns.says("next.example", &ips(&[2]));
    site.comes_to(&["first"])?;
    drop((second, third));
    Ok(())
}

#[test]
fn host_that_the_operator_has_not_allowed_gets_nothing_and_the_cure_is_told() -> Result<()> {
    let stable = origin(1, 0, "v1")?;
    let site = Outside::start(&files(&stable, &json!({"host": "next.example", "port": 80})), &["--allow-external-hosts", "other.example"])?;
    site.tells("Accepted", "False", "NotPermitted", "Let --allow-external-hosts name it.")?;
    site.comes_to(&["v1"])?;
    let output = serin().args(["standalone", "--manifests", ".", "--allow-external-hosts", "http://a"]).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success() && said.contains("is none of a DNS name"), "{said}");
    Ok(())
}

#[test]
fn alias_service_is_sent_to_as_a_host_is() -> Result<()> {
    let dns = Dns::start(1)?;
    let (stable, canary) = (origin(1, 0, "v1")?, origin(2, 0, "v2")?);
    dns.says("next.example", &ips(&[2]));
    let target = json!({"host": "next.example", "port": canary.address().port()});
    let options = ["--allow-external-hosts", "next.example", "--dns-servers", &dns.address().to_string()];
    let site = Outside::start(&files(&stable, &target), &options)?;
    site.comes_to(&["v2"])?;
    // S10: the Service becomes the alias of the canary, and the release is over.
    let alias = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"type": "ExternalName",
        "externalName": "next.example", "ports": [{"name": "http", "port": PORT, "targetPort": canary.address().port()}]}});
    site.write("service.yaml", &document(&alias))?;
    eventually("everyone gets the canary", PATIENCE, || {
        let answer = ask::get(site.running.http, "/", &[("Host", HOST)])?;
        let host = format!("next.example:{}", canary.address().port());
        ensure!(answer.header(LABEL) == Some("v2") && answer.header(origin::HOST) == Some(&host), "{}", answer.head);
        Ok(())
    })?;
    std::fs::remove_file(site.folder.path().join("release.yaml"))?;
    site.comes_to(&["v2"])
}

/// The page about targets, as it is read.
const PAGE: &str = include_str!("../../../../docs/targets.md");

#[test]
fn examples_of_the_page_are_served_as_it_says() -> Result<()> {
    let blocks: Vec<&str> = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let [policy, release, alias] = blocks[..] else { anyhow::bail!("{} examples", blocks.len()) };
    let dns = Dns::start(1)?;
    // The page's port, on an address that no other test has.
    let (stable, _canary) = (origin(1, 0, "v1")?, origin(77, 8080, "v2")?);
    dns.says("next.example", &ips(&[77]));
    let mut files = files(&stable, &json!({})).to_vec();
    files[2] = ("release.yaml", release.to_owned());
    files.push(("policy.yaml", policy.to_owned()));
    let options = ["--allow-external-hosts", "next.example,*.partner.example,203.0.113.0/24", "--dns-servers", &dns.address().to_string()];
    let site = Outside::start(&files, &options)?;
    site.comes_to(&["v2"])?;
    let answer = site.asked()?;
    assert_eq!((answer.header(TARGET), answer.header(origin::HOST)), (Some("/v1/cart?x=1"), Some("next.example:8080")));
    site.write("service.yaml", alias)?;
    std::fs::remove_file(site.folder.path().join("release.yaml"))?;
    eventually("the alias is served", PATIENCE, || {
        let answer = ask::get(site.running.http, "/cart", &[("Host", HOST)])?;
        ensure!(answer.header(LABEL) == Some("v2") && answer.header(TARGET) == Some("/v1/cart"), "{}", answer.head);
        Ok(())
    })
}
