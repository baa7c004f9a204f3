//! Certificates, kubeconfigs and configuration files of a node's programs.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::place::{DNS, Place};
use crate::certificates;
use crate::kubectl::Kubectl;

/// Sandboxes run it; the image of tests has the command for it.
pub(super) const PAUSE: &str = "serin.test/app:v1";

/// The file of one of the programs, in the node's folder.
pub(super) fn kubeconfig(user: &str) -> String {
    format!("{user}.kubeconfig")
}

/// All that is there before the first program starts.
pub(super) fn write(place: &Place, kubectl: &Kubectl) -> Result<()> {
    for folder in ["logs", "pids", "cni", "volumeplugins"] {
        fs::create_dir_all(place.folder.join(folder)).with_context(|| format!("cannot create {folder}"))?;
    }
    issue(place)?;
    kubectl.write_kubeconfig("kubeconfig", "admin")?;
    for user in ["controller-manager", "scheduler", "kubelet", "proxy"] {
        kubectl.write_kubeconfig(&kubeconfig(user), user)?;
    }
    let write = |name: &str, text: String| fs::write(place.folder.join(name), text).with_context(|| format!("cannot write {name}"));
    write("containerd.toml", containerd(place))?;
    write("cni/10-node.conflist", cni(place).to_string())?;
    write("resolv.conf", "# nobody is asked for names outside\n".into())?;
    write("kubelet.json", kubelet(place).to_string())?;
    write("proxy.json", proxy(place).to_string())?;
    write("audit.json", audit().to_string())
}

fn issue(place: &Place) -> Result<()> {
    let (folder, name, node) = (&place.folder, &place.name, place.node());
    for authority in ["ca", "front-proxy-ca"] {
        certificates::authority(folder, authority)?;
    }
    certificates::api_server(folder, node)?;
    certificates::server(folder, "kubelet-server", &format!("/CN={name}"), &format!("DNS:{name},IP:{node},IP:127.0.0.1"))?;
    let client = |file: &str, subject: &str| certificates::client(folder, "ca", file, subject);
    client("admin", "/O=system:masters/CN=admin")?;
    client("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet")?;
    client("controller-manager", "/CN=system:kube-controller-manager")?;
    client("scheduler", "/CN=system:kube-scheduler")?;
    client("kubelet", &format!("/O=system:nodes/CN=system:node:{name}"))?;
    client("proxy", "/CN=system:kube-proxy")?;
    certificates::client(folder, "front-proxy-ca", "front-proxy", "/CN=front-proxy")?;
    certificates::service_accounts(folder)
}

pub(super) fn containerd_socket(place: &Place) -> String {
    place.path("containerd/containerd.sock")
}

fn containerd(place: &Place) -> String {
    let disabled = ["internal.v1.opt", "snapshotter.v1.aufs", "snapshotter.v1.btrfs", "snapshotter.v1.devmapper", "snapshotter.v1.zfs"];
    let disabled: Vec<String> = disabled.iter().map(|plugin| format!("io.containerd.{plugin}")).collect();
    // TOML takes JSON's strings and lists.
    let text = |value: String| Value::from(value).to_string();
    let path = |name: &str| text(place.path(name));
    let plugin = r#"plugins."io.containerd.grpc.v1.cri""#;
    format!(
        "version = 2\nroot = {}\nstate = {}\ndisabled_plugins = {}\n[grpc]\naddress = {}\n\
         [{plugin}]\nsandbox_image = {}\ndisable_apparmor = true\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n\
         [{plugin}.containerd]\nsnapshotter = \"overlayfs\"\ndefault_runtime_name = \"runc\"\n\
         [{plugin}.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [{plugin}.containerd.runtimes.runc.options]\nSystemdCgroup = false\nRoot = {}\n\
         [{plugin}.cni]\nbin_dir = \"{}\"\nconf_dir = {}\n",
        path("containerd/root"),
        path("containerd/state"),
        json!(disabled),
        text(containerd_socket(place)),
        text(PAUSE.into()),
        path("containerd/runc"),
        super::CNI_PLUGINS,
        path("cni")
    )
}

fn cni(place: &Place) -> Value {
    json!({"cniVersion": "1.0.0", "name": place.namespace(), "plugins": [
        {
            "type": "bridge", "bridge": "pods", "isGateway": true, "isDefaultGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {"type": "host-local", "dataDir": place.path("addresses"), "ranges": [[{"subnet": place.pods()}]]}
        },
        {"type": "portmap", "capabilities": {"portMappings": true}}
    ]})
}

fn kubelet(place: &Place) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": place.path("ca.crt")}
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": place.path("kubelet-server.crt"), "tlsPrivateKeyFile": place.path("kubelet-server.key"),
        "containerRuntimeEndpoint": format!("unix://{}", containerd_socket(place)),
        "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{}", place.name), "failCgroupV1": false, "failSwapOn": false,
        "resolvConf": place.path("resolv.conf"), "clusterDNS": [DNS], "clusterDomain": "cluster.local",
        "podLogsDir": place.path("podlogs"), "volumePluginDir": place.path("volumeplugins"),
        "serializeImagePulls": false,
        // A machine with a full disk is the business of whoever runs the tests; images cannot be had again.
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%",
            "nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%"
        }
    })
}

fn proxy(place: &Place) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": place.path(&kubeconfig("proxy"))},
        "hostnameOverride": place.name, "mode": "iptables", "clusterCIDR": place.pods(),
        // 0 leaves the machine's values alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "100ms"}
    })
}

/// What service accounts ask for, so that a test can compare a role with its use.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}]
    })
}

/// CoreDNS for the cluster's own names. It asks nobody for others: they fail at once.
pub(super) fn dns(image: &str) -> String {
    let role = json!([
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    ]);
    let names = "cluster.local in-addr.arpa ip6.arpa";
    let corefile =
        format!(".:53 {{\nerrors\nhealth :8080\nready :8181\nkubernetes {names} {{\npods insecure\nttl 1\n}}\nloop\nreload\n}}\n");
    let labels = json!({"k8s-app": "kube-dns"});
    let meta = json!({"name": "coredns", "namespace": "kube-system", "labels": labels});
    let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
    let container = json!({
        "name": "coredns", "image": image, "imagePullPolicy": "Never", "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "30Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}]
    });
    let pod = json!({
        "serviceAccountName": "coredns", "priorityClassName": "system-cluster-critical", "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1, "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}]
    });
    let objects = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"}, "rules": role
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}]
        }),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": corefile}}),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
                "replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}
            }
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"selector": labels, "clusterIP": DNS, "ports": ports}
        }),
    ];
    objects.iter().map(crate::manifests::document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_image_is_one_of_the_test_images() {
        assert!(super::super::images::APP.contains(&PAUSE));
    }
}
