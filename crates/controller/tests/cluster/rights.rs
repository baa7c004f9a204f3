//! What serin may do, and what not.

use crate::world::{install, shared};
use anyhow::Result;

#[test]
fn the_rights_are_those_that_serin_needs_and_no_others() -> Result<()> {
    let cluster = shared()?;
    install(cluster, "rights")?;
    let may = |verb: &str, what: &str, namespace: &str| -> Result<String> {
        let mut arguments = vec!["auth", "can-i", verb, "-n", namespace, "--as=system:serviceaccount:rights:serin"];
        arguments.extend(what.split(' '));
        Ok(cluster.kubectl(&arguments, "")?.stdout.trim().to_owned())
    };
    let needed = [
        ("watch", "services", "default"),
        ("watch", "pods", "default"),
        ("patch", "canaryreleases.serin.dev --subresource=status", "default"),
        ("watch", "backendpolicies.serin.dev", "default"),
        ("patch", "backendpolicies.serin.dev --subresource=status", "default"),
        ("watch", "consumers.serin.dev", "default"),
        ("list", "authpolicies.serin.dev", "default"),
        ("patch", "consumers.serin.dev --subresource=status", "default"),
        ("patch", "authpolicies.serin.dev --subresource=status", "default"),
        ("patch", "ingresses.networking.k8s.io --subresource=status", "default"),
        ("create", "tokenreviews.authentication.k8s.io", "default"),
        ("watch", "secrets", "default"),
        ("create", "events.events.k8s.io", "default"),
        ("update", "leases.coordination.k8s.io/serin", "rights"),
    ];
    for (verb, what, namespace) in needed {
        assert_eq!(may(verb, what, namespace)?, "yes", "{verb} {what}");
    }
    let others = [
        ("get", "secrets", "default"),
        ("get", "secrets", "rights"),
        ("create", "secrets", "default"),
        ("patch", "secrets", "default"),
        ("patch", "canaryreleases.serin.dev", "default"),
        ("patch", "authpolicies.serin.dev", "default"),
        ("create", "consumers.serin.dev", "default"),
        ("update", "canaryreleases.serin.dev --subresource=status", "default"),
        ("patch", "backendpolicies.serin.dev", "default"),
        ("patch", "services", "default"),
        ("patch", "ingresses.networking.k8s.io", "default"),
        ("update", "ingresses.networking.k8s.io --subresource=status", "default"),
        ("update", "leases.coordination.k8s.io/serin", "default"),
        ("update", "leases.coordination.k8s.io/other", "rights"),
        ("create", "leases.coordination.k8s.io", "rights"),
        ("get", "pods", "default"),
        ("create", "pods", "rights"),
    ];
    for (verb, what, namespace) in others {
        assert_eq!(may(verb, what, namespace)?, "no", "{verb} {what}");
    }
    Ok(())
}
