//! Who may do what: serin itself, and people by the roles that the chart adds to view, edit and admin.

use crate::helm::{Helm, NAMESPACE, objects};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::manifests;

/// Whether this user may; `kubectl auth can-i` asks by SubjectAccessReview. It takes what follows a slash for a name, unless it is told.
fn may(cluster: &Cluster, user: &str, verb: &str, what: &str, namespace: &str) -> Result<bool> {
    let (kind, part) = what.split_once("/status").map_or((what, ""), |(kind, _)| (kind, "status"));
    let subresource = format!("--subresource={part}");
    let output = cluster.kubectl(&["auth", "can-i", verb, kind, &subresource, "-n", namespace, "--as", user], "")?;
    match output.stdout.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => anyhow::bail!("can-i: {}{}", output.stdout, output.stderr),
    }
}

/// Applies what the chart renders with these values of accounts and rights.
fn install(cluster: &Cluster, values: &str) -> Result<()> {
    let [helm, _] = Helm::both()?;
    let kinds = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    let mut documents = objects(&helm, values)?;
    documents.retain(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    ensure!(documents.len() > 4, "these are no rights: {documents:?}");
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": documents}).to_string())
}

fn prepared(cluster: &Cluster) -> Result<()> {
    cluster.apply_crds(manifests::CRDS)?;
    let namespaces = [NAMESPACE, "shop", "blog", "other"].map(manifests::namespace);
    cluster.apply(&namespaces.concat())
}

#[test]
fn people_get_what_their_role_says_and_nobody_writes_a_status() -> Result<()> {
    let cluster = Cluster::start()?;
    prepared(&cluster)?;
    install(&cluster, "{}")?;
    // Without controllers nobody aggregates, so each is bound to the part itself; the labels are what the aggregation goes by.
    let roles: Value = serde_json::from_str(&cluster.kubectl(&["get", "clusterroles", "-o", "json"], "")?.ok()?)?;
    for role in ["view", "edit", "admin"] {
        let name = format!("{NAMESPACE}:serin:{role}");
        let found = roles["items"].as_array().into_iter().flatten().find(|item| item["metadata"]["name"] == *name);
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{role}");
        ensure!(found.is_some_and(|item| item["metadata"]["labels"][&label] == "true"), "{name} goes to {role}");
        cluster.apply(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role, "namespace": "shop"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}]})
            .to_string(),
        )?;
    }
    let kinds = ["canaryreleases", "authpolicies", "backendpolicies", "consumers"].map(|kind| format!("{kind}.serin.dev"));
    for kind in &kinds {
        let consumer = kind.starts_with("consumers");
        assert!(may(&cluster, "view", "get", kind, "shop")?, "{kind}");
        for verb in ["create", "patch", "delete"] {
            assert!(!may(&cluster, "view", verb, kind, "shop")?, "view may not {verb} {kind}");
            assert_eq!(may(&cluster, "edit", verb, kind, "shop")?, !consumer, "edit, {verb} {kind}");
            assert_eq!(may(&cluster, "admin", verb, kind, "shop")?, consumer, "what admin has beyond edit, {verb} {kind}");
        }
        for role in ["view", "edit", "admin"] {
            assert!(!may(&cluster, role, "patch", &format!("{kind}/status"), "shop")?, "{role} writes no status of {kind}");
        }
        assert!(!may(&cluster, "view", "get", kind, "blog")?);
    }
    Ok(())
}

#[test]
fn serin_for_some_namespaces_has_no_rights_in_others() -> Result<()> {
    let cluster = Cluster::start()?;
    prepared(&cluster)?;
    let serin = format!("system:serviceaccount:{NAMESPACE}:serin");
    let asked =
        [("list", "secrets"), ("watch", "services"), ("list", "ingresses.networking.k8s.io"), ("watch", "canaryreleases.serin.dev")];
    install(&cluster, "{watchNamespaces: [shop, blog]}")?;
    for (verb, what) in asked {
        for namespace in ["shop", "blog", "other", NAMESPACE] {
            let watched = ["shop", "blog"].contains(&namespace);
            assert_eq!(may(&cluster, &serin, verb, what, namespace)?, watched, "{verb} {what} in {namespace}");
        }
    }
    assert!(may(&cluster, &serin, "create", "tokenreviews.authentication.k8s.io", "")?);
    assert!(may(&cluster, &serin, "list", "endpointslices.discovery.k8s.io", NAMESPACE)?, "the other replicas");
    assert!(may(&cluster, &serin, "watch", "services/serin", NAMESPACE)?, "where it is reached");
    assert!(may(&cluster, &serin, "patch", "ingresses.networking.k8s.io/status", "shop")?);
    assert!(may(&cluster, &serin, "list", "ingressclasses.networking.k8s.io", "")?);
    assert!(may(&cluster, &serin, "patch", "canaryreleases.serin.dev/status", "shop")?);
    assert!(may(&cluster, &serin, "update", "leases.coordination.k8s.io/serin", NAMESPACE)?);
    for (verb, what) in [
        ("patch", "canaryreleases.serin.dev"),
        ("patch", "ingresses.networking.k8s.io"),
        ("update", "services"),
        ("create", "leases.coordination.k8s.io"),
        ("update", "leases.coordination.k8s.io/other"),
        ("get", "configmaps"),
        ("create", "pods"),
    ] {
        for namespace in ["shop", "other", NAMESPACE] {
            assert!(!may(&cluster, &serin, verb, what, namespace)?, "{verb} {what} in {namespace}");
        }
    }
    install(&cluster, "{}")?;
    for (verb, what) in asked {
        assert!(may(&cluster, &serin, verb, what, "other")?, "by default it watches all namespaces: {verb} {what}");
    }
    Ok(())
}

#[test]
fn serin_with_named_secrets_may_read_these_and_no_other() -> Result<()> {
    let cluster = Cluster::start()?;
    prepared(&cluster)?;
    let serin = format!("system:serviceaccount:{NAMESPACE}:serin");
    for values in
        ["{secretNames: [shop/alice-key, blog/jwks]}", "{secretNames: [shop/alice-key, blog/jwks], watchNamespaces: [shop, blog]}"]
    {
        install(&cluster, values)?;
        for namespace in ["shop", "blog", "other", NAMESPACE] {
            for name in ["alice-key", "jwks", "other"] {
                let named = matches!((namespace, name), ("shop", "alice-key") | ("blog", "jwks"));
                for verb in ["list", "watch"] {
                    assert_eq!(may(&cluster, &serin, verb, &format!("secrets/{name}"), namespace)?, named, "{verb} {namespace}/{name}");
                }
                assert!(!may(&cluster, &serin, "get", &format!("secrets/{name}"), namespace)?, "get is not used");
            }
            assert!(!may(&cluster, &serin, "list", "secrets", namespace)?, "all of {namespace}");
        }
        assert!(may(&cluster, &serin, "list", "services", "shop")?, "what it routes by it reads as before");
    }
    Ok(())
}
