//! Combinations of values: each is clean for lint, for the schemas of the API server and for the API server itself.

use crate::helm::{CHART, Helm, NAMESPACE, objects};
use crate::schemas;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::manifests;
use serin_testkit::tools::KUBECONFORM;
use std::fs;
use std::process::Command;

/// Kinds of the Prometheus operator, which no API server has by itself: their files are read by other tests only.
const OPERATORS: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

/// Every option at once.
pub(crate) const OPTIONS: &str = include_str!("values/options.yaml");

/// What it is about, and the values.
const COMBINATIONS: [(&str, &str); 19] = [
    ("the defaults", "{}"),
    ("a DaemonSet on ports of its nodes", "{kind: DaemonSet, hostPorts: {http: 80, https: 443}, service: {type: ClusterIP}}"),
    ("a DaemonSet behind a balancer", "{kind: DaemonSet, tolerations: [{operator: Exists}]}"),
    ("replicas by load", "{autoscaling: {enabled: true, maxReplicas: 5, behavior: {scaleDown: {stabilizationWindowSeconds: 600}}}}"),
    ("some namespaces", "{watchNamespaces: [shop, blog]}"),
    (
        "nothing that an operator may bring himself",
        "{rbac: {create: false, aggregate: false}, serviceAccount: {create: false, name: mine}, ingressClassResource: {create: false},
          crds: {install: false}, networkPolicy: {enabled: false}, podDisruptionBudget: {enabled: false}}",
    ),
    (
        "monitoring",
        "{serviceMonitor: {enabled: true, labels: {release: prometheus}}, prometheusRule: {enabled: true}, dashboard: {enabled: true},
          networkPolicy: {adminFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}}",
    ),
    ("every option", OPTIONS),
    ("named Secrets of all namespaces", "{secretNames: [shop/alice-key, blog/jwks, shop/bob-key]}"),
    ("addresses of a Service elsewhere, for some namespaces", "{watchNamespaces: [shop], publishService: blog/balancer}"),
    ("ports of the nodes", "{service: {type: NodePort, httpNodePort: 30080, httpsNodePort: 30443, externalTrafficPolicy: Local}}"),
    ("addresses outside", "{service: {type: ClusterIP, externalIPs: [192.0.2.7]}}"),
    (
        "a cloud's balancer",
        "{service: {externalTrafficPolicy: Local, loadBalancerClass: example.com/internal, loadBalancerSourceRanges: [10.0.0.0/8],
          annotations: {example.com/internal: 'true'}, ipFamilyPolicy: PreferDualStack, httpPort: 8080}, propagationSeconds: 30}",
    ),
    ("the default class, and the guard", "{ingressClassResource: {name: edge, default: true}, guardDeletion: {enabled: true}}"),
    (
        "an image of one's own",
        "{image: {repository: registry.example/serin, pullPolicy: Always,
          digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}, imagePullSecrets: [{name: registry}]}",
    ),
    (
        "where pods go",
        "{nodeSelector: {edge: 'true'}, tolerations: [{key: edge, operator: Exists}], priorityClassName: system-cluster-critical,
          affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions:
          [{key: edge, operator: Exists}]}]}}}, minReadySeconds: 10, updateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 50%}},
          topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}], podLabels: {team: edge},
          podAnnotations: {example.com/team: edge}, podDisruptionBudget: {maxUnavailable: 25%}}",
    ),
    ("names of one's own", "{nameOverride: edge, fullnameOverride: the-ingress-controller-of-the-whole-platform-team}"),
    ("OpenShift", "{podSecurityContext: {runAsUser: null, runAsGroup: null}}"),
    ("one replica, without limits", "{replicas: 1, resources: {limits: null}, listen: '[::]', rbac: {aggregate: false}}"),
];

#[test]
fn every_combination_is_clean_for_lint_and_schemas_and_rendered_alike_by_both() -> Result<()> {
    let folder = tempfile::tempdir()?;
    schemas::write(Cluster::shared()?, folder.path())?;
    let [three, four] = Helm::both()?;
    let mut files = Vec::new();
    for (number, (about, values)) in COMBINATIONS.iter().enumerate() {
        for helm in [&three, &four] {
            let output = helm.run(&["lint", "--strict", CHART, "-n", NAMESPACE, "--values", &helm.values(values)?])?;
            let said = format!("{}{}", output.stdout, output.stderr);
            ensure!(output.status.success() && !said.contains("[WARNING]"), "{} lint, {about}:\n{said}", helm.name);
        }
        let documents = objects(&three, values).with_context(|| (*about).to_owned())?;
        ensure!(sorted(&documents) == sorted(&objects(&four, values)?), "{about}: Helm 3 and Helm 4 render different objects");
        let file = folder.path().join(format!("combination-{number}.json"));
        fs::write(&file, list(&documents).to_string())?;
        files.push(file);
    }
    let location = format!("{}/{}", folder.path().display(), schemas::LOCATION);
    let conform = |files: &[std::path::PathBuf]| -> Result<std::process::Output> {
        let mut kubeconform = Command::new(KUBECONFORM.folder()?.join("kubeconform"));
        kubeconform.args(["-strict", "-summary", "-schema-location", &location, "-skip", &OPERATORS.join(",")]).args(files);
        kubeconform.output().context("cannot start kubeconform")
    };
    let output = conform(&files)?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    ensure!(output.status.success() && said.contains("Invalid: 0, Errors: 0"), "{said}{}", String::from_utf8_lossy(&output.stderr));

    // The schemas are no mere formality.
    let mut wrong = objects(&three, "{}")?;
    let deployment = wrong.iter_mut().find(|object| object["kind"] == "Deployment").context("there is a Deployment")?;
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = json!({});
    let file = folder.path().join("wrong.json");
    fs::write(&file, list(&wrong).to_string())?;
    let output = conform(&[file])?;
    ensure!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("readynessProbe"), "{output:?}");
    Ok(())
}

#[test]
fn the_api_server_takes_every_combination_and_its_pods_where_security_is_restricted() -> Result<()> {
    let cluster = Cluster::shared()?;
    let [helm, _] = Helm::both()?;
    let namespaces = [manifests::namespace("shop"), manifests::namespace("blog")].concat();
    let restricted = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}});
    cluster.apply(&format!("{namespaces}\n---\n{restricted}"))?;
    for (about, values) in COMBINATIONS {
        let mut documents = objects(&helm, values)?;
        documents.retain(|object| !OPERATORS.iter().any(|kind| object["kind"] == *kind));
        let apply = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        let output = cluster.kubectl(&apply, &list(&documents).to_string())?;
        let on_nodes = values.contains("hostPorts");
        ensure!(output.stderr.contains("would violate PodSecurity") == on_nodes, "{about}: {}", output.stderr);
        output.ok().with_context(|| about.to_owned())?;

        let pods = documents.iter().filter_map(|object| match object["kind"].as_str()? {
            "Deployment" | "DaemonSet" => Some(&object["spec"]["template"]),
            "Pod" => Some(object),
            _ => None,
        });
        for (number, pod) in pods.enumerate() {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": pod["spec"],
                "metadata": {"name": format!("pod-{number}"), "namespace": NAMESPACE, "labels": pod["metadata"]["labels"]}});
            let output = cluster.kubectl(&["create", "--dry-run=server", "-f", "-"], &pod.to_string())?;
            // The test's pod has no port of a node.
            let allowed = number > 0 || !on_nodes;
            ensure!(output.status.success() == allowed, "{about}: {}", output.stderr);
        }
    }
    Ok(())
}

fn list(documents: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": documents})
}

fn sorted(documents: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}
