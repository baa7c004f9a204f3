//! A BackendPolicy on a cluster: what is served of it, and what its author is told.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Result, ensure};
use serde_json::Value;
use serin_testkit::origin::TARGET;
use serin_testkit::{ask, eventually};

#[test]
fn a_policy_is_served_and_its_conditions_tell_its_author() -> Result<()> {
    let site = Site::new(shared()?, "policies")?;
    let serin = site.serin(60)?;
    let apply = |name: &str, service: &str, path: &str| {
        site.cluster.apply(&format!(
            "apiVersion: serin.dev/v1alpha1\nkind: BackendPolicy\nmetadata: {{name: {name}, namespace: policies}}\nspec: {{service: {service}, path: {path}}}\n"
        ))
    };
    let tells = |name: &str, kind: &str, status: &str, text: &str| {
        eventually(&format!("{name}: {kind}={status}"), SOON, || {
            let policy: Value = serde_json::from_str(&site.kubectl(&["get", "backendpolicy", name, "-o", "json"])?)?;
            let conditions = policy["status"]["conditions"].as_array().into_iter().flatten();
            let mut of_kind = conditions.filter(|condition| condition["type"] == kind);
            let is_so = of_kind.any(|it| it["status"] == status && it["message"].as_str().is_some_and(|message| message.contains(text)));
            ensure!(is_so, "{policy:#}\n{}", serin.process.last_lines());
            Ok(())
        })
    };
    apply("checkout", "checkout", "/v1")?;
    tells("checkout", "Programmed", "True", "It is in force.")?;
    site.kubectl(&["wait", "--for=condition=Ready", "backendpolicy/checkout", "--timeout=10s"])?;
    eventually("the path is there", SOON, || {
        let answer = ask::get(serin.http(), "/cart", &[("Host", HOST)])?;
        ensure!(answer.header(TARGET) == Some("/v1/cart"), "{}", answer.head);
        Ok(())
    })?;
    apply("second", "checkout", "/other")?;
    tells("second", "Accepted", "False", "The older BackendPolicy policies/checkout is for the same Service.")?;
    apply("misspelt", "checkuot", "/v1")?;
    tells("misspelt", "ResolvedRefs", "False", "Did you mean checkout?")?;
    tells("misspelt", "Programmed", "False", "see Accepted and ResolvedRefs")?;
    let event = |name: &str, wanted: &str| {
        eventually(&format!("an Event of {name}"), SOON, || {
            let of = format!("regarding.kind=BackendPolicy,regarding.name={name}");
            let template = r#"jsonpath={range .items[*]}{.type} {.reason} {.note}{"\n"}{end}"#;
            let told = site.kubectl(&["get", "events.events.k8s.io", "--field-selector", &of, "-o", template])?;
            ensure!(told.lines().any(|line| line.starts_with(wanted)), "{told}");
            Ok(())
        })
    };
    event("checkout", "Normal Ready ")?;
    event("misspelt", "Warning NotReady spec.service: ")?;
    site.kubectl(&["delete", "backendpolicy", "checkout"])?;
    tells("second", "Ready", "True", "All is as the spec says.")
}
