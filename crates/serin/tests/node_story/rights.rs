//! N2: serin's rights, compared with the audit log.

use crate::scenario::{Scenario, WORKLOAD};
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::reference_grants;
use std::collections::BTreeSet;

/// In the manifests.
const KEY: &str = "the-key-of-alice-for-tests";

/// Rights that are for an option: idle where the Deployment does not pass it.
const FOR_OPTIONS: [(&str, &str); 2] = [("ingresses/status", "--publish-"), ("tokenreviews", "--peers-service")];

/// Open to every authenticated user.
const DISCOVERY: [&str; 3] = ["/openapi/", "/version", "/apis/gateway.networking.k8s.io/"];

/// Group, resource with its subresource, and verb.
type Right = (String, String, String);

#[test]
fn every_right_of_serin_is_used_none_is_missing_and_nothing_but_status_lease_and_events_is_written() -> Result<()> {
    let site = Scenario::new("n2-rights", "n2", 2)?;
    site.node.apply(&reference_grants(&["v1beta1"]))?;
    site.apply("manifests.yaml")?;
    for (kind, name) in
        [("crel", "checkout"), ("crel", "ledger"), ("crel", "both"), ("authp", "keys"), ("consumer", "alice"), ("bpol", "checkout")]
    {
        site.kubectl(&["wait", "--for=condition=Ready", &format!("{kind}/{name}"), "--timeout=120s"])?;
    }
    eventually("alice is let in, and nobody else", SOON, || {
        let (alice, nobody) = (site.ask("closed.n2.example", "/", &[("X-Key", KEY)])?, site.ask("closed.n2.example", "/", &[])?);
        ensure!((alice.status, nobody.status) == (200, 401), "{} {}", alice.head, nobody.head);
        Ok(())
    })?;

    let granted = granted(&site)?;
    eventually("every right is used", SOON, || {
        let used: BTreeSet<Right> = requests(&site)?.iter().filter_map(right).collect();
        let passed = |resource: &str| FOR_OPTIONS.iter().all(|(of, option)| resource != *of || WORKLOAD.contains(option));
        let idle: Vec<_> = granted.difference(&used).filter(|(_, resource, _)| passed(resource)).collect();
        ensure!(idle.is_empty(), "granted and not used: {idle:?}");
        Ok(())
    })?;
    let requests = requests(&site)?;
    println!("{} requests of serin, {} rights", requests.len(), granted.len());
    let own = format!("/{}/leases/serin", site.own);
    for request in &requests {
        let code = request.pointer("/responseStatus/code").and_then(Value::as_i64).unwrap_or_default();
        ensure!(code != 401 && code != 403, "denied: {request}");
        let Some((group, resource, verb)) = right(request) else {
            let path = request["requestURI"].as_str().unwrap_or_default();
            ensure!(request["verb"] == "get" && DISCOVERY.iter().any(|open| path.starts_with(open)), "not about an object: {request}");
            continue;
        };
        if resource == "selfsubjectreviews" {
            // Who one is oneself may be asked by everybody; nothing is stored.
            continue;
        }
        ensure!(granted.contains(&(group.clone(), resource.clone(), verb.clone())), "by another role: {request}");
        let written = match (group.as_str(), resource.as_str(), verb.as_str()) {
            (_, _, "get" | "list" | "watch") | ("events.k8s.io", "events", "create") => continue,
            // A question: nothing is stored.
            ("authentication.k8s.io", "tokenreviews", "create") => continue,
            ("serin.dev" | "networking.k8s.io", resource, "patch") => resource.ends_with("/status"),
            ("coordination.k8s.io", "leases", "update") => request["requestURI"]
                .as_str()
                .is_some_and(|uri| uri.split('?').next().is_some_and(|uri| uri.ends_with(&own.replacen('/', "/namespaces/", 1)))),
            _ => false,
        };
        ensure!(written, "it wrote what is not its own: {request}");
    }
    by_name_only(&site)
}

/// With a role that names the Secret that it needs.
fn by_name_only(site: &Scenario) -> Result<()> {
    let name = format!("{}:serin", site.own);
    let mut role: Value = serde_json::from_str(&site.node.kubectl(&["get", "clusterrole", &name, "-o", "json"], "")?.ok()?)?;
    let rules = role["rules"].as_array_mut().context("no rules")?;
    let secrets = rules.iter_mut().find(|rule| rule["resources"] == json!(["secrets"])).context("no rule about Secrets")?;
    secrets["resourceNames"] = json!(["alice"]);
    site.node.kubectl(&["replace", "-f", "-"], &role.to_string())?.ok()?;
    let account = format!("system:serviceaccount:{}:serin", site.own);
    let may = |what: &str, namespace: &str| -> Result<bool> {
        let review = ["auth", "can-i", "list", what, "--as", &account, "-n", namespace, "-q"];
        Ok(site.node.kubectl(&review, "")?.status.success())
    };
    eventually("the right to all Secrets is withdrawn", SOON, || {
        ensure!(!may("secrets", "n2")? && !may("secrets/other", "n2")? && !may("secrets", "kube-system")?, "it is there");
        Ok(())
    })?;
    ensure!(may("secrets/alice", "n2")?, "it may not read the Secret that is named");
    site.node.kubectl(&["rollout", "restart", "deployment/serin", "-n", &site.own], "")?.ok()?;
    site.node.wait_for_rollout(&site.own, "deployment/serin", SOON)?;
    let replicas = site.replicas()?;
    ensure!(!replicas.is_empty(), "no replica");
    eventually("replicas that may read this Secret alone let alice in", SOON, || {
        for replica in &replicas {
            let answer = replica.ask("closed.n2.example", &[("X-Key", KEY)])?;
            ensure!(answer.status == 200, "{}: {}", replica.name, answer.head);
        }
        Ok(())
    })
}

/// What the roles of this installation say, each verb on each resource.
fn granted(site: &Scenario) -> Result<BTreeSet<Right>> {
    let mut granted = BTreeSet::new();
    let cluster = format!("{}:serin", site.own);
    for arguments in [vec!["get", "clusterrole", &cluster], vec!["get", "role", "serin", "-n", &site.own]] {
        let text = site.node.kubectl(&[arguments, vec!["-o", "json"]].concat(), "")?.ok()?;
        let role: Value = serde_json::from_str(&text)?;
        for rule in role["rules"].as_array().context("no rules")? {
            let texts = |field: &str| rule[field].as_array().cloned().unwrap_or_default();
            for group in texts("apiGroups") {
                for resource in texts("resources") {
                    for verb in texts("verbs") {
                        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                        granted.insert((text(&group), text(&resource), text(&verb)));
                    }
                }
            }
        }
    }
    ensure!(granted.len() > 20, "{granted:?}");
    Ok(granted)
}

/// What serin asked the API server for.
fn requests(site: &Scenario) -> Result<Vec<Value>> {
    let account = format!("system:serviceaccount:{}:serin", site.own);
    let log = site.node.audit_log()?;
    let lines = log.lines().filter(|line| line.contains(&account)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(lines.filter(|request| request["user"]["username"] == account.as_str()).collect())
}

/// Absent where no object is asked for.
fn right(request: &Value) -> Option<Right> {
    let of = request.get("objectRef")?;
    let text = |field: &str| of[field].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        part => format!("{}/{part}", text("resource")),
    };
    Some((text("apiGroup").to_owned(), resource, request["verb"].as_str()?.to_owned()))
}
