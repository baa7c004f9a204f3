//! Who may do what: serin itself, and people by the roles that the chart adds to view, edit and admin.

use crate::helm::{Helm, NAMESPACE, objects};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::manifests;

/// What someone wants to do: verb, what (`KIND.GROUP`, then `:PART` of it, then `/NAME`), and the namespace; none for what belongs to none.
type Want<'a> = (&'a str, String, &'a str);

/// What of this the user may, asked by SubjectAccessReview, all at once.
fn allowed<'a>(cluster: &Cluster, user: &str, wants: &[Want<'a>]) -> Result<Vec<Want<'a>>> {
    let reviews: Vec<Value> = wants
        .iter()
        .map(|(verb, what, namespace)| {
            let (kind, name) = what.split_once('/').unwrap_or((what, ""));
            let (kind, part) = kind.split_once(':').unwrap_or((kind, ""));
            let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user, "resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": part, "name": name, "namespace": namespace}}})
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews}).to_string();
    let text = cluster.kubectl(&["create", "-f", "-", "-o", "json"], &list)?.ok()?;
    // One document for each, one behind the other.
    let answers: Vec<Value> = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>()?;
    ensure!(answers.len() == wants.len(), "{} answers to {} questions", answers.len(), wants.len());
    let is_allowed = |answer: &Value| answer["status"]["allowed"] == true;
    Ok(wants.iter().zip(&answers).filter(|(_, answer)| is_allowed(answer)).map(|(want, _)| want.clone()).collect())
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
    let kinds = ["canaryreleases", "authpolicies", "backendpolicies", "consumers"];
    let (read, write) = (["get", "list", "watch"], ["create", "delete", "deletecollection", "patch", "update"]);
    let of = |verbs: &[&'static str], kinds: &[&str]| -> Vec<Want<'static>> {
        kinds.iter().flat_map(|kind| verbs.iter().map(move |verb| (*verb, format!("{kind}.serin.dev"), "shop"))).collect()
    };
    let mut wants = of(&[&read[..], &write[..]].concat(), &kinds);
    wants.extend(kinds.iter().flat_map(|kind| ["patch", "update"].map(|verb| (verb, format!("{kind}.serin.dev:status"), "shop"))));
    wants.extend(kinds.iter().map(|kind| ("get", format!("{kind}.serin.dev"), "blog")));
    assert_eq!(allowed(&cluster, "view", &wants)?, of(&read, &kinds));
    let sorted = |mut wants: Vec<Want<'static>>| {
        wants.sort();
        wants
    };
    // An edit role of the cluster has what view has too, and admin what edit has; these are what each adds.
    assert_eq!(sorted(allowed(&cluster, "edit", &wants)?), sorted(of(&write, &kinds[..3])));
    assert_eq!(sorted(allowed(&cluster, "admin", &wants)?), sorted(of(&write, &kinds[3..])));
    Ok(())
}

/// What serin asks for in each namespace that it watches.
const WATCHED: [(&str, &str); 8] = [
    ("list", "secrets"),
    ("watch", "services"),
    ("list", "endpointslices.discovery.k8s.io"),
    ("list", "ingresses.networking.k8s.io"),
    ("patch", "ingresses.networking.k8s.io:status"),
    ("watch", "canaryreleases.serin.dev"),
    ("patch", "canaryreleases.serin.dev:status"),
    ("create", "events.events.k8s.io"),
];

/// What it may nowhere: a spec or an object of others, more than one Lease, what it does not read.
const NEVER: [(&str, &str); 9] = [
    ("patch", "canaryreleases.serin.dev"),
    ("patch", "ingresses.networking.k8s.io"),
    ("update", "services"),
    ("get", "secrets"),
    ("create", "leases.coordination.k8s.io"),
    ("update", "leases.coordination.k8s.io/other"),
    ("get", "configmaps"),
    ("create", "pods"),
    ("create", "serviceaccounts:token/serin"),
];
const NAMESPACES: [&str; 4] = ["blog", "other", NAMESPACE, "shop"];

fn in_each(rights: &[(&'static str, &str)], namespaces: &[&'static str]) -> Vec<Want<'static>> {
    namespaces.iter().flat_map(|namespace| rights.iter().map(move |(verb, what)| (*verb, (*what).to_owned(), *namespace))).collect()
}

#[test]
fn serin_for_some_namespaces_has_no_rights_in_others() -> Result<()> {
    let cluster = Cluster::start()?;
    prepared(&cluster)?;
    let serin = format!("system:serviceaccount:{NAMESPACE}:serin");
    install(&cluster, "{watchNamespaces: [shop, blog]}")?;
    let never = in_each(&NEVER, &NAMESPACES);
    let own: Vec<Want<'_>> = vec![
        ("list", "ingressclasses.networking.k8s.io".into(), ""),
        ("create", "tokenreviews.authentication.k8s.io".into(), ""),
        ("list", "endpointslices.discovery.k8s.io".into(), NAMESPACE),
        ("watch", "services/serin".into(), NAMESPACE),
        ("update", "leases.coordination.k8s.io/serin".into(), NAMESPACE),
    ];
    assert_eq!(allowed(&cluster, &serin, &own)?, own);
    assert_eq!(allowed(&cluster, &serin, &never)?, []);
    let mut expected = in_each(&WATCHED, &["blog", "shop"]);
    expected.push(own[2].clone());
    let mut found = allowed(&cluster, &serin, &in_each(&WATCHED, &NAMESPACES))?;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    install(&cluster, "{}")?;
    let everywhere = in_each(&WATCHED, &NAMESPACES);
    assert_eq!(allowed(&cluster, &serin, &everywhere)?, everywhere, "by default it watches all namespaces");
    assert_eq!(allowed(&cluster, &serin, &never)?, []);
    Ok(())
}

#[test]
fn serin_with_named_secrets_may_read_these_and_no_other() -> Result<()> {
    let cluster = Cluster::start()?;
    prepared(&cluster)?;
    let serin = format!("system:serviceaccount:{NAMESPACE}:serin");
    let named: [(&str, &[&str]); 3] = [
        ("{secretNames: [shop/alice-key, blog/jwks]}", &["blog/jwks", "shop/alice-key"]),
        (
            "{secretNames: [shop/alice-key], watchNamespaces: [shop], defaultTlsSecret: serin-system/tls}",
            &["serin-system/tls", "shop/alice-key"],
        ),
        ("{secretNames: [shop/alice-key], defaultTlsSecret: shop/alice-key}", &["shop/alice-key"]),
    ];
    for (values, named) in named {
        for role in ["blog", "shop", NAMESPACE] {
            cluster.kubectl(&["delete", "roles,rolebindings", "--all", "-n", role], "")?.ok()?;
        }
        install(&cluster, values)?;
        let secrets = ["alice-key", "jwks", "tls", "other"].map(|name| format!("secrets/{name}"));
        let mut wants = in_each(&[("list", "secrets"), ("watch", "secrets")], &NAMESPACES);
        for namespace in NAMESPACES {
            wants.extend(secrets.iter().flat_map(|secret| ["list", "watch", "get"].map(|verb| (verb, secret.clone(), namespace))));
        }
        let found = allowed(&cluster, &serin, &wants)?;
        let found: Vec<String> = found.iter().map(|(verb, what, namespace)| format!("{verb} {namespace}/{}", &what[8..])).collect();
        let expected: Vec<String> = named.iter().flat_map(|name| ["list", "watch"].map(|verb| format!("{verb} {name}"))).collect();
        assert_eq!(found, expected, "{values}");
    }
    Ok(())
}
