//! Values that are misspelt or make no sense are refused before anything is installed.

use crate::helm::{CHART, Helm, NAMESPACE};
use anyhow::{Result, ensure};

#[test]
fn a_value_that_is_misspelt_or_of_the_wrong_type_is_refused_and_named() -> Result<()> {
    let cases = [
        ("{watchNamespace: [shop]}", "watchNamespace"),
        ("{service: {typ: NodePort}}", "typ"),
        ("{service: {type: Loadbalancer}}", "/service/type"),
        ("{replicas: two}", "/replicas"),
        ("{accessLog: off}", "/accessLog"),
        ("{watchNamespaces: shop}", "/watchNamespaces"),
        ("{watchNamespaces: [Shop]}", "/watchNamespaces/0"),
        ("{image: {digest: latest}}", "/image/digest"),
        ("{podDisruptionBudget: {minAvailable: 1}}", "minAvailable"),
        ("{clientIpFrom: x-forwarded-for, trustedProxies: [10.0.0.0/8]}", "/clientIpFrom"),
        ("{clientIpFrom: forwarded}", "clientIpFrom is for trustedProxies"),
        ("{secretNames: [alice-key]}", "/secretNames/0"),
        ("{publishService: a/b, publishAddress: [192.0.2.7]}", "publishService and publishAddress exclude each other"),
        ("{hostPorts: {http: 80}}", "hostPorts is for kind DaemonSet"),
    ];
    for helm in Helm::both()? {
        for (values, named) in cases {
            let output = helm.run(&["template", "serin", CHART, "-n", NAMESPACE, "--values", &helm.values(values)?])?;
            ensure!(!output.status.success(), "{} takes {values}", helm.name);
            // Helm 3 writes a path with dots in front of some messages, and with slashes in others.
            let said = output.stderr.replace('.', "/");
            ensure!(said.contains(&named.replace('.', "/")), "{}, {values}: {}", helm.name, output.stderr);
        }
    }
    Ok(())
}
