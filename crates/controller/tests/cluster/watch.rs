//! What is watched.

use crate::world::{CRD, SOON, admin, create_release, install, named, namespace, release, releases, serin, shared};
use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use serin_compiler::{Need, Needed, SecretNeeds};
use serin_controller::admin::Name;
use serin_controller::cluster::watch::{self, NeededWatches, SecretWatches};
use serin_controller::update::{Delta, Update};
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, manifests};
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// One object of each kind.
const OBJECTS: &str = "
{apiVersion: v1, kind: Service, metadata: {name: one, namespace: NAMESPACE}, spec: {ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: one, namespace: NAMESPACE}, addressType: IPv4, endpoints: []}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: one, namespace: NAMESPACE}, spec: {defaultBackend: {service: {name: one, port: {number: 80}}}}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: NAMESPACE}, spec: {controller: serin.dev/ingress-controller}}
";

/// The updates of a watch, one word each: `+Service one`, `-Service one`, `=Service one,two`.
pub(crate) struct Watched {
    updates: mpsc::Receiver<Update>,
    seen: Vec<String>,
    _tasks: JoinSet<()>,
}

impl Watched {
    async fn start(cluster: &Cluster, own: &str, namespaces: &[&str]) -> Result<Self> {
        let client = serin(&cluster.kubeconfig(), &install(cluster, own)?).await?;
        Ok(Self::of(&client, namespaces))
    }

    /// By this client.
    pub(crate) fn of(client: &kube::Client, namespaces: &[&str]) -> Self {
        let (sender, updates) = mpsc::channel(64);
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Self { updates, seen: Vec::new(), _tasks: watch::spawn(client, &namespaces, false, &sender) }
    }

    /// Nothing but what is asked for.
    fn needed(client: &kube::Client, namespaces: &[String]) -> (Self, NeededWatches) {
        let (sender, updates) = mpsc::channel(64);
        (Self { updates, seen: Vec::new(), _tasks: JoinSet::new() }, NeededWatches::new(client.clone(), namespaces, sender))
    }

    async fn next(&mut self) -> Result<()> {
        let next = tokio::time::timeout(SOON, self.updates.recv()).await;
        let update = next.with_context(|| format!("no more than {:?}", self.seen))?.context("the watch ended")?;
        self.seen.push(told(update));
        Ok(())
    }

    /// Until each of these was seen.
    pub(crate) async fn see(&mut self, words: &[&str]) -> Result<()> {
        let missing = |seen: &[String]| words.iter().find(|word| seen.iter().all(|seen| seen != *word)).map(|word| (*word).to_owned());
        while let Some(word) = missing(&self.seen) {
            let next = tokio::time::timeout(SOON, self.updates.recv()).await;
            let update = next.with_context(|| format!("no {word} in {:?}", self.seen))?.context("the watch ended")?;
            self.seen.push(told(update));
        }
        Ok(())
    }
}

fn told(update: Update) -> String {
    match update {
        Update::Service(delta) => word("Service", delta, |object| object.metadata.name.unwrap_or_default()),
        Update::EndpointSlice(delta) => word("EndpointSlice", delta, |object| object.metadata.name.unwrap_or_default()),
        Update::Ingress(delta) => word("Ingress", delta, |object| object.metadata.name.unwrap_or_default()),
        Update::IngressClass(delta) => word("IngressClass", delta, |object| object.metadata.name.unwrap_or_default()),
        Update::Pod(namespace, delta) => word(&format!("Pod {namespace}"), delta, |object| {
            let (uid, labels, more) =
                (&object.metadata.uid, &object.metadata.labels, object.spec.is_some() || object.metadata.annotations.is_some());
            let is_what_is_read = uid.is_some() && labels.as_ref().is_some_and(|labels| labels["version"] == "v2") && !more;
            object.metadata.name.filter(|_| is_what_is_read).unwrap_or_default()
        }),
        Update::Deployment(namespace, delta) => {
            word(&format!("Deployment {namespace}"), delta, |object| object.metadata.name.unwrap_or_default())
        }
        Update::StatefulSet(namespace, delta) => {
            word(&format!("StatefulSet {namespace}"), delta, |object| object.metadata.name.unwrap_or_default())
        }
        Update::BackendPolicy(delta) => word("BackendPolicy", delta, named_so),
        Update::Consumer(delta) => word("Consumer", delta, named_so),
        Update::AuthPolicy(delta) => word("AuthPolicy", delta, named_so),
        Update::ReferenceGrant(delta) => word("ReferenceGrant", delta, |grant| named_so(grant.0)),
        Update::Unreadable(kind) => format!("?{}", kind.name()),
        Update::Addresses(addresses) => format!("+Addresses {}", addresses.map_or(0, |all| all.len())),
        // No watch here tells of replicas, of names and of key sets.
        Update::Peers(ready, _) => format!("+Peers {}", ready.len()),
        Update::Said(address, _, _) => format!("+Said {address}"),
        Update::Host(name, _) => format!("+Host {name}"),
        Update::KeySet(url, _) => format!("+KeySet {url}"),
        // A list says of those that were asked for which are there.
        Update::Secret(asked, delta) => {
            let many = if asked.names.len() > 1 { "many of " } else { "" };
            word(&format!("Secret {many}{}", asked.namespace), delta, |object| object.metadata.name.unwrap_or_default())
        }
        Update::CanaryRelease(delta) => word("CanaryRelease", delta, |object| {
            let weight = &object["spec"]["strategy"]["percentage"];
            format!(
                "{}{}",
                object["metadata"]["name"].as_str().unwrap_or_default(),
                if weight == 10 { String::new() } else { format!(":{weight}") }
            )
        }),
    }
}

fn named_so(object: Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn word<K>(kind: &str, delta: Delta<K>, name: impl Fn(K) -> String) -> String {
    match delta {
        Delta::Applied(object) => format!("+{kind} {}", name(*object)),
        Delta::Deleted(Name { name, .. }) => format!("-{kind} {name}"),
        Delta::Listed(all) => {
            let mut names: Vec<String> = all.into_iter().map(name).collect();
            names.sort();
            format!("={kind} {}", names.join(","))
        }
    }
}

#[tokio::test]
async fn every_kind_is_listed_and_each_object_is_seen_when_it_comes_changes_and_goes() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "watch-life")?;
    let mut watched = Watched::start(cluster, "watch-life", &["watch-life"]).await?;
    watched.see(&["=Service ", "=EndpointSlice ", "=Ingress ", "=CanaryRelease "]).await?;
    cluster.apply(&OBJECTS.replace("NAMESPACE", "watch-life"))?;
    let client = admin(cluster).await?;
    create_release(&client, "watch-life", "one").await?;
    watched.see(&["+Service one", "+EndpointSlice one", "+Ingress one", "+IngressClass watch-life", "+CanaryRelease one"]).await?;
    let edit = json!({"spec": {"strategy": {"percentage": 20}}});
    releases(&client, "watch-life").patch("one", &PatchParams::default(), &Patch::Merge(&edit)).await?;
    watched.see(&["+CanaryRelease one:20"]).await?;
    releases(&client, "watch-life").delete("one", &DeleteParams::default()).await?;
    Api::<Service>::namespaced(client, "watch-life").delete("one", &DeleteParams::default()).await?;
    watched.see(&["-CanaryRelease one", "-Service one"]).await
}

/// A pod that no kubelet runs.
fn pod(namespace: &str, name: &str) -> String {
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"version": "v2"}, "annotations": {"a": "b"}});
    let containers = json!([{"name": "a", "image": "a"}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}).to_string()
}

#[tokio::test]
async fn s1_pods_are_watched_only_where_a_release_asks_for_them_and_no_more_of_them_than_their_labels() -> Result<()> {
    let cluster = shared()?;
    let client = serin(&cluster.kubeconfig(), &install(cluster, "pods-system")?).await?;
    for name in ["pods-a", "pods-b"] {
        namespace(cluster, name)?;
        cluster.apply(
            &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}).to_string(),
        )?;
        cluster.apply(&pod(name, "first"))?;
    }
    let (mut watched, mut needed) = Watched::needed(&client, &[]);
    let need = |namespace: &str| Need { kind: Needed::Pods, namespace: namespace.to_owned() };
    needed.are(&BTreeSet::from([need("pods-a")]));
    watched.see(&["=Pod pods-a first"]).await?;
    cluster.apply(&pod("pods-a", "second"))?;
    watched.see(&["+Pod pods-a second"]).await?;
    needed.are(&BTreeSet::from([need("pods-b")]));
    watched.see(&["=Pod pods-b first"]).await?;
    cluster.apply(&pod("pods-a", "third"))?;
    cluster.apply(&pod("pods-b", "last"))?;
    watched.see(&["+Pod pods-b last"]).await?;
    ensure!(watched.seen.iter().all(|word| !word.contains("third")), "{:?}", watched.seen);
    Ok(())
}

#[tokio::test]
async fn reference_grants_are_none_until_the_kind_is_there_and_followed_in_the_version_that_is_served() -> Result<()> {
    let cluster = shared()?;
    let client = serin(&cluster.kubeconfig(), &install(cluster, "grants-system")?).await?;
    for name in ["grants-a", "grants-b"] {
        namespace(cluster, name)?;
    }
    let asked = BTreeSet::from([Need::reference_grants()]);
    let (mut watched, mut needed) = Watched::needed(&client, &["grants-a".to_owned()]);
    needed.are(&asked);
    watched.see(&["=ReferenceGrant "]).await?;
    let apply = |versions: &[&str]| {
        cluster.apply(&manifests::reference_grants(versions))?;
        let wait = ["wait", "--for=condition=Established", "crd/referencegrants.gateway.networking.k8s.io", "--timeout=60s"];
        cluster.kubectl(&wait, "")?.ok().map(drop)
    };
    apply(&["v1beta1"])?;
    eventually("the kind is taken", SOON, || cluster.apply(&manifests::reference_grant("grants-b", "elsewhere", "shop", None)))?;
    cluster.apply(&manifests::reference_grant("grants-a", "one", "shop", None))?;
    // Whether it was there before the watch or not.
    while !watched.seen.iter().any(|word| word.ends_with("ReferenceGrant one")) {
        watched.next().await?;
    }
    cluster.apply(&manifests::reference_grant("grants-a", "two", "shop", None))?;
    cluster.kubectl(&["delete", "referencegrant", "one", "-n", "grants-a"], "")?.ok()?;
    watched.see(&["+ReferenceGrant two", "-ReferenceGrant one"]).await?;
    ensure!(watched.seen.iter().all(|word| !word.contains("elsewhere")), "{:?}", watched.seen);

    // Both versions, and then the new one alone, which a watch that begins finds.
    apply(&["v1beta1", "v1"])?;
    let new = manifests::reference_grants(&["v1beta1", "v1"]).replacen(r#""served":true"#, r#""served":false"#, 1);
    cluster.apply(&new)?;
    eventually("the old version is gone", SOON, || {
        let answer = cluster.kubectl(&["get", "--raw", "/apis/gateway.networking.k8s.io/v1beta1/referencegrants"], "")?;
        ensure!(!answer.status.success(), "it is served");
        Ok(())
    })?;
    let (mut watched, mut needed) = Watched::needed(&client, &[]);
    needed.are(&asked);
    watched.see(&["=ReferenceGrant elsewhere,two"]).await
}

/// A Secret of one key.
fn secret(namespace: &str, name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": {"key": "k"}})
        .to_string()
}

#[tokio::test]
async fn of_the_secrets_of_a_namespace_only_those_that_are_named_are_told_few_or_many() -> Result<()> {
    let cluster = shared()?;
    let client = serin(&cluster.kubeconfig(), &install(cluster, "secrets")?).await?;
    let (sender, updates) = mpsc::channel(64);
    let (mut watched, mut secrets) =
        (Watched { updates, seen: Vec::new(), _tasks: JoinSet::new() }, SecretWatches::new(client, sender, false));
    for name in ["first", "other"] {
        cluster.apply(&secret("secrets", name))?;
    }
    let mut needs = SecretNeeds::from([("secrets".to_owned(), BTreeSet::from(["first".to_owned(), "gone".to_owned()]))]);
    secrets.are(&needs);
    watched.see(&["=Secret secrets first", "=Secret secrets "]).await?;
    cluster.apply(&secret("secrets", "gone"))?;
    watched.see(&["+Secret secrets gone"]).await?;
    let names = needs.entry("secrets".to_owned()).or_default();
    names.extend((0..40).map(|n| format!("many-{n}")));
    secrets.are(&needs);
    watched.see(&["=Secret many of secrets first,gone"]).await?;
    for name in ["unnamed", "many-7"] {
        cluster.apply(&secret("secrets", name))?;
    }
    watched.see(&["+Secret many of secrets many-7"]).await?;
    ensure!(
        watched.seen.iter().all(|word| !word.contains("other") && !word.starts_with("+Secret many of secrets u")),
        "{:?}",
        watched.seen
    );
    secrets.are(&SecretNeeds::new());
    cluster.apply(&secret("secrets", "many-8"))?;
    let late = tokio::time::timeout(std::time::Duration::from_millis(500), watched.updates.recv()).await;
    ensure!(late.is_err(), "nothing is watched any more: {late:?}");
    Ok(())
}

#[tokio::test]
async fn with_rights_to_named_secrets_alone_those_are_read_and_others_count_as_absent() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "secret-names")?;
    cluster.apply(&secret("secret-names", "allowed"))?;
    cluster.apply(&secret("secret-names", "forbidden"))?;
    let of = |kind: &str, more: Value| {
        let mut object = json!({"kind": kind, "metadata": {"name": "limited", "namespace": "secret-names"}});
        object.as_object_mut().into_iter().for_each(|object| object.extend(more.as_object().cloned().unwrap_or_default()));
        object.to_string()
    };
    cluster.apply(&of("ServiceAccount", json!({"apiVersion": "v1"})))?;
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["allowed"], "verbs": ["list", "watch"]});
    let group = "rbac.authorization.k8s.io";
    cluster.apply(&of("Role", json!({"apiVersion": format!("{group}/v1"), "rules": [rule]})))?;
    let subjects = json!([{"kind": "ServiceAccount", "name": "limited", "namespace": "secret-names"}]);
    let role = json!({"apiGroup": group, "kind": "Role", "name": "limited"});
    cluster.apply(&of("RoleBinding", json!({"apiVersion": format!("{group}/v1"), "roleRef": role, "subjects": subjects})))?;
    let token = cluster.kubectl(&["create", "token", "limited", "-n", "secret-names"], "")?.ok()?;
    let client = serin(&cluster.kubeconfig(), token.trim()).await?;
    let (sender, updates) = mpsc::channel(64);
    let (mut watched, mut secrets) =
        (Watched { updates, seen: Vec::new(), _tasks: JoinSet::new() }, SecretWatches::new(client, sender, false));
    // More than have a watch of their own, so it tries one for all first.
    let names = (0..40).map(|n| format!("absent-{n}")).chain(["allowed".to_owned(), "forbidden".to_owned()]).collect();
    secrets.are(&SecretNeeds::from([("secret-names".to_owned(), names)]));
    watched.see(&["=Secret secret-names allowed", "=Secret secret-names "]).await?;
    ensure!(watched.seen.iter().all(|word| !word.contains("forbidden")), "{:?}", watched.seen);
    Ok(())
}

#[tokio::test]
async fn without_rights_to_them_consumers_count_as_absent_and_what_opens_or_closes_routes_is_waited_for() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "no-rights")?;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody", "namespace": "no-rights"}});
    cluster.apply(&account.to_string())?;
    let token = cluster.kubectl(&["create", "token", "nobody", "-n", "no-rights"], "")?.ok()?;
    let mut watched = Watched::of(&serin(&cluster.kubeconfig(), token.trim()).await?, &[]);
    watched.see(&["=Consumer ", "?Consumer"]).await?;
    ensure!(watched.seen.len() == 2, "{:?}", watched.seen);
    Ok(())
}

#[tokio::test]
async fn the_objects_of_several_namespaces_are_listed_as_one_and_of_others_not_seen() -> Result<()> {
    let cluster = shared()?;
    let client = admin(cluster).await?;
    for name in ["watch-a", "watch-b", "watch-other"] {
        namespace(cluster, name)?;
        create_release(&client, name, name).await?;
    }
    let mut watched = Watched::start(cluster, "watch-a", &["watch-a", "watch-b"]).await?;
    watched.see(&["=CanaryRelease watch-a,watch-b"]).await?;
    create_release(&client, "watch-other", "later").await?;
    create_release(&client, "watch-b", "later-b").await?;
    watched.see(&["+CanaryRelease later-b"]).await?;
    ensure!(watched.seen.iter().all(|word| !word.contains("other") && word != "+CanaryRelease later"), "{:?}", watched.seen);
    Ok(())
}

#[tokio::test]
async fn a_kind_that_is_not_installed_is_listed_empty_and_its_objects_come_when_it_is() -> Result<()> {
    let cluster = Cluster::start()?;
    let mut watched = Watched::start(&cluster, "serin-system", &[]).await?;
    watched
        .see(&["=Service kubernetes", "=EndpointSlice ", "=Ingress ", "=IngressClass ", "=CanaryRelease ", "=Consumer ", "=AuthPolicy "])
        .await?;
    cluster.apply_crds(CRD)?;
    create_release(&admin(&cluster).await?, "default", "first").await?;
    // By a list if it came before the next attempt, else by the watch after that.
    let mut seen = |word: &str| word == "=CanaryRelease first" || word == "+CanaryRelease first";
    until(&mut watched, &mut seen).await
}

#[tokio::test]
async fn what_changed_while_the_api_server_was_away_is_seen_when_it_is_back() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let client = admin(&cluster).await?;
    create_release(&client, "default", "before").await?;
    let mut watched = Watched::start(&cluster, "serin-system", &[]).await?;
    watched.see(&["=CanaryRelease before", "=Service kubernetes"]).await?;
    cluster.stop_api_server()?;
    put(&cluster, "away", json!({"strategy": {"percentage": 10}}))?;
    cluster.start_api_server()?;
    let mut seen = |word: &str| word == "=CanaryRelease away,before" || word == "+CanaryRelease away";
    until(&mut watched, &mut seen).await?;
    create_release(&client, "default", "after").await?;
    watched.see(&["+CanaryRelease after"]).await?;
    ensure!(watched.seen.iter().all(|word| word != "=CanaryRelease "), "all were forgotten for a moment: {:?}", watched.seen);
    Ok(())
}

#[tokio::test]
async fn an_object_that_was_stored_past_every_rule_stops_no_other() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply_crds(CRD)?;
    let client = admin(&cluster).await?;
    create_release(&client, "default", "good").await?;
    put(&cluster, "bad-spec", json!("not an object"))?;
    put_raw(&cluster, "bad-metadata", |object| object["metadata"]["labels"] = json!(["not", "a", "map"]))?;
    put_raw(&cluster, "bad-status", |object| object["status"] = json!([1]))?;
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "bad", "namespace": "default", "uid": "1"}, "spec": {"rules": [{"http": {"paths": null}}, {"http": null}]}});
    cluster.put_raw("/registry/ingress/default/bad", ingress.to_string().as_bytes())?;
    let mut watched = Watched::start(&cluster, "serin-system", &[]).await?;
    let mut seen = |word: &str| word.starts_with("=CanaryRelease ") && word.contains("good");
    until(&mut watched, &mut seen).await?;
    let mut listed = |word: &str| word.starts_with("=Ingress ");
    until(&mut watched, &mut listed).await?;
    // While it is watched too, and what is made good comes through.
    put(&cluster, "bad-later", json!(17))?;
    put(&cluster, "bad-spec", json!({"strategy": {"percentage": 10}}))?;
    create_release(&client, "default", "good-later").await?;
    watched.see(&["+CanaryRelease bad-spec", "+CanaryRelease good-later"]).await
}

async fn until(watched: &mut Watched, seen: &mut impl FnMut(&str) -> bool) -> Result<()> {
    while !watched.seen.iter().any(|word| seen(word)) {
        match tokio::time::timeout(SOON, watched.updates.recv()).await {
            Ok(Some(update)) => watched.seen.push(told(update)),
            _ => bail!("only {:?} was seen", watched.seen),
        }
    }
    Ok(())
}

/// Stores a release with this spec past the API server.
fn put(cluster: &Cluster, name: &str, spec: Value) -> Result<()> {
    put_raw(cluster, name, |object| object["spec"] = spec)
}

fn put_raw(cluster: &Cluster, name: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
    let Name { namespace, name } = named("default", name);
    let mut object = release(&namespace, &name);
    object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", name.len()));
    change(&mut object);
    cluster.put_raw(&format!("/registry/serin.dev/canaryreleases/{namespace}/{name}"), object.to_string().as_bytes())
}
