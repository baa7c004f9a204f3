//! Modes in which serin has rights in some namespaces only: Roles, and no ClusterRole.

use crate::site::{Site, shared};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::manifests;
use std::fmt::Write;

/// The account `limited` of a namespace, with these rules in each of these namespaces and no ClusterRole.
fn limited(cluster: &Cluster, own: &str, namespaces: &[&str], secrets: &Value) -> Result<()> {
    let mut documents =
        manifests::document(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "limited", "namespace": own}}));
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let kinds = ["authpolicies", "backendpolicies", "canaryreleases", "consumers"];
    let statuses = kinds.map(|kind| format!("{kind}/status"));
    let watch = ["list", "watch"];
    let mut routes = vec![
        rule("", &["services"], &watch),
        rule("discovery.k8s.io", &["endpointslices"], &watch),
        rule("networking.k8s.io", &["ingresses"], &watch),
        rule("networking.k8s.io", &["ingresses/status"], &["patch"]),
        rule("serin.dev", &kinds, &watch),
        rule("serin.dev", &statuses.each_ref().map(String::as_str), &["patch"]),
        rule("events.k8s.io", &["events"], &["create"]),
    ];
    routes.push(secrets.clone());
    let lease =
        json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["serin"], "verbs": ["get", "update"]}]);
    let roles = namespaces.iter().map(|namespace| (*namespace, "limited", json!(routes))).chain([(own, "limited-lease", lease)]);
    for (namespace, name, rules) in roles {
        let metadata = json!({"name": name, "namespace": namespace});
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": own}]});
        write!(documents, "{}{}", manifests::document(&role), manifests::document(&binding))?;
    }
    cluster.apply(&documents)
}

/// A Secret with a key, the Consumer whose it is, and the policy that asks for keys of a Service.
fn people(namespace: &str) -> String {
    let all = [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "alice-key", "namespace": namespace}, "stringData": {"key": "alices"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bob-key", "namespace": namespace}, "stringData": {"key": "bobs"}}),
        consumer(namespace, "alice"),
        consumer(namespace, "bob"),
        json!({"apiVersion": "serin.dev/v1alpha1", "kind": "AuthPolicy", "metadata": {"name": "keys", "namespace": namespace},
            "spec": {"scope": {"service": "checkout"}, "methods": [{"keyAuth": {"headers": ["apikey"]}}]}}),
    ];
    all.iter().map(manifests::document).collect()
}

fn consumer(namespace: &str, name: &str) -> Value {
    let key = json!({"secretRef": {"name": format!("{name}-key"), "key": "key"}});
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "Consumer", "metadata": {"name": name, "namespace": namespace},
        "spec": {"credentials": [{"keyAuth": key}]}})
}

#[test]
fn roles_in_the_watched_namespaces_are_enough_and_only_the_named_secrets_are_asked_for() -> Result<()> {
    let site = Site::new(shared()?, "roles-own")?;
    site.cluster.apply(&manifests::namespace("roles-other"))?;
    let other = serin_testkit::origin::Origin::start((site.cluster.outside(200), 0), "other")?;
    let beside = [
        manifests::service("roles-other", "checkout", &[other.address()]),
        manifests::ingress("roles-other", "shop", "other.example", "/", "checkout"),
        people(site.namespace),
    ];
    site.cluster.apply(&beside.concat())?;
    let named = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["alice-key"], "verbs": ["list", "watch"]});
    limited(site.cluster, site.namespace, &[site.namespace], &named)?;
    let options = ["--ingress-class", "serin", "--secret-names", "roles-own/alice-key", "--publish-address", "192.0.2.5"];
    let serin = site.serin_as(38, "limited", &options)?;

    let ask = |key: &str| -> Result<u16> {
        Ok(serin_testkit::ask::get(serin.http(), "/", &[("Host", crate::site::HOST), ("apikey", key)])?.status)
    };
    serin_testkit::eventually("alice is known", crate::site::SOON, || {
        let status = ask("alices")?;
        ensure!(status == 200, "{status}\n{}", serin.process.last_lines());
        Ok(())
    })?;
    assert_eq!(ask("bobs")?, 401, "the Secret of bob is not among those that are named");
    assert_eq!(serin.ask("other.example", "/", "u")?.status, 404, "a namespace that is not watched");
    let log = serin.process.log();
    assert!(log.contains("--secret-names") && !log.contains("alices") && !log.contains("bobs"), "{log}");
    let may = |what: &[&str]| -> Result<String> {
        let arguments = [&["auth", "can-i"], what, &["--as=system:serviceaccount:roles-own:limited"]].concat();
        Ok(site.cluster.kubectl(&arguments, "")?.stdout.trim().to_owned())
    };
    for refused in [&["list", "secrets", "-n", "roles-own"][..], &["list", "ingressclasses"], &["list", "services", "-n", "roles-other"]] {
        assert_eq!(may(refused)?, "no", "{refused:?}");
    }
    // Of its own one, it writes the status.
    serin_testkit::eventually("the addresses are shown", crate::site::SOON, || {
        let shown = site.kubectl(&["get", "ingress", "shop", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"])?;
        ensure!(shown == "192.0.2.5", "{shown}\n{}", serin.process.last_lines());
        Ok(())
    })
}
