//! Replicas that hear each other: a release is judged by what all of them count, and nothing rises before all of them serve it.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{self, get};
use serin_testkit::origin::Behaviour;
use serin_testkit::{eventually, long, manifests};

/// serin's headless Service with the admin ports of these replicas, as the controller of EndpointSlices would keep it.
fn peers(site: &Site<'_>, hosts: &[u8]) -> Result<()> {
    let (namespace, name) = (site.namespace, "peers");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "None", "ports": [{"name": "admin", "port": 9901}]}});
    let ends: Vec<Value> =
        hosts.iter().map(|host| json!({"addresses": [site.cluster.inside(*host)], "conditions": {"ready": true}})).collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": "admin", "port": 9901}], "endpoints": ends});
    site.cluster.apply(&[manifests::document(&service), manifests::document(&slice)].concat())
}

/// A token of serin's account for the audience of its replicas, in a file; of another account it is one that may not ask.
fn token(site: &Site<'_>, audience: &str) -> Result<String> {
    let arguments = ["create", "token", "serin", "-n", site.namespace, "--audience", audience];
    Ok(site.cluster.kubectl(&arguments, "")?.ok()?.trim().to_owned())
}

fn options(site: &Site<'_>) -> Result<Vec<String>> {
    let file = site.cluster.folder().join(format!("{}-peers-token", site.namespace));
    std::fs::write(&file, token(site, "serin.dev/peers")?)?;
    Ok(vec!["--peers-service".into(), format!("{}/peers", site.namespace), "--peers-token".into(), file.display().to_string()])
}

fn programmed(release: &Value) -> String {
    let conditions = release["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == "Programmed");
    found
        .map(|found| {
            format!("{}/{}: {}", found["status"].as_str().unwrap_or("-"), found["reason"].as_str().unwrap_or("-"), found["message"])
        })
        .unwrap_or_default()
}

#[test]
fn a_canary_that_fails_only_behind_a_replica_that_does_not_lead_is_aborted() -> Result<()> {
    let site = Site::new(shared()?, "peers")?;
    let hosts = [50, 51, 52];
    peers(&site, &hosts)?;
    let options = options(&site)?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut replicas = hosts.iter().map(|host| site.replica_with(*host, &options)).collect::<Result<Vec<_>>>()?;
    let leader = site.take_leader(&mut replicas)?;
    let check = json!({"name": "errors", "errorRate": {"max": "5%"}});
    let steps = json!([{"weight": 50, "for": "1h"}, {"weight": 100, "for": "1h"}]);
    site.release(&json!({"strategy": {"steps": steps}, "analysis": {"interval": "5s", "minRequests": 20, "checks": [check]}}))?;
    let served =
        site.until("each replica has said that it serves the step", |release| programmed(release).contains("3 of 3 ready replicas"))?;
    assert_eq!(served["status"]["replicas"], json!({"programmed": 3, "ready": 3}), "{served}");
    assert!(!programmed(&served).contains("for the leader"), "{}", programmed(&served));

    // Only one that does not lead has any traffic, and the canary fails there.
    site.canary().behave(Behaviour { fail: "100%".parse()?, ..Behaviour::default() });
    let other = replicas[0].seen.clone();
    let mut nth = 0_u32;
    let aborted = eventually("it is aborted by what another replica counted", SOON, || {
        for _ in 0..50 {
            nth += 1;
            let _ = get(other.http(), "/", &[("Host", HOST), ("X-User", &format!("user-{nth}"))])?;
        }
        let stored = site.stored()?;
        ensure!(stored["status"]["phase"] == "Aborted", "it is {}\n{}", stored["status"], leader.process.last_lines());
        Ok(stored)
    })?;
    assert_eq!(aborted["status"]["weight"], "0", "{aborted}");
    let metrics = get(leader.seen.admin(), "/metrics", &[("Host", "admin")])?.body;
    let here = metrics.lines().filter(|line| line.starts_with("serin_requests_total{") && line.contains("side=\"canary\""));
    assert_eq!(here.count(), 0, "the leader itself had no request:\n{metrics}");

    // Counters are for serin's own account, by a token for this audience.
    let ask = |token: &str| -> Result<ask::Answer> {
        get(other.admin(), "/v1/counters", &[("Host", "admin"), ("Authorization", &format!("Bearer {token}"))])
    };
    let own = token(&site, "serin.dev/peers")?;
    let answer = ask(&own)?;
    assert!(answer.status == 200 && answer.body.contains("\"served\""), "{answer:?}");
    assert_eq!(get(other.admin(), "/v1/counters", &[("Host", "admin")])?.status, 401);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger", "namespace": site.namespace}});
    site.cluster.apply(&account.to_string())?;
    let stranger =
        site.cluster.kubectl(&["create", "token", "stranger", "-n", site.namespace, "--audience", "serin.dev/peers"], "")?.ok()?;
    // serin's own token for the API server is worth nothing here either.
    let for_api = site.cluster.kubectl(&["create", "token", "serin", "-n", site.namespace], "")?.ok()?;
    for refused in [stranger.trim(), for_api.trim(), "nonsense"] {
        assert_eq!(ask(refused)?.status, 401);
    }
    Ok(())
}

#[test]
fn a_ready_replica_that_is_silent_keeps_everything_from_rising_and_is_named() -> Result<()> {
    let site = Site::new(shared()?, "silent")?;
    peers(&site, &[53, 99])?;
    let options = options(&site)?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // At 99 nobody listens.
    let _leader = site.replica_with(53, &options)?;
    site.release(&json!({"strategy": {"steps": [{"weight": 10, "for": "1h"}]}}))?;
    let waits = site.until("it waits for the other one", |release| programmed(release).contains("1 of 2 ready replicas"))?;
    assert_eq!(waits["status"]["replicas"], json!({"programmed": 1, "ready": 2}), "{waits}");
    if long() {
        let named = site.until("the silent one is named", |release| programmed(release).starts_with("False/PeerUnreachable"))?;
        assert!(programmed(&named).contains(&format!("{}:9901", site.cluster.inside(99))), "{}", programmed(&named));
    }
    // The step's clock has not begun.
    let stored = site.stored()?;
    ensure!(stored["status"]["step"]["endsAt"].is_null(), "{}", stored["status"]);
    peers(&site, &[53])?;
    site.until("it goes on when that one is not ready any more", |release| programmed(release).starts_with("True"))
        .map(drop)
        .context("it stays")
}
