//! N3: Ingress v1, by the rules of <https://kubernetes.io/docs/concepts/services-networking/ingress/>.

use crate::scenario::Scenario;
use crate::site::SOON;
use crate::tls;
use anyhow::{Context, Result, ensure};
use serin_testkit::eventually;
use serin_testkit::origin::LABEL;
use std::collections::BTreeMap;

/// Host, path, the Service whose pod answers, and why.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("all.n3.example", "/", "a", "Prefix / takes all paths"),
    ("all.n3.example", "/any/path?with=query", "a", "Prefix / takes all paths"),
    ("exact.n3.example", "/foo", "a", "Exact takes the path"),
    ("exact.n3.example", "/bar", "default", "Exact takes no other path"),
    ("exact.n3.example", "/foo/", "default", "Exact takes no trailing slash"),
    ("exact.n3.example", "/Foo", "default", "Exact is case sensitive"),
    ("slash.n3.example", "/foo", "default", "Exact with a slash wants it"),
    ("slash.n3.example", "/foo/", "a", "Exact with a slash wants it"),
    ("prefix.n3.example", "/foo", "a", "Prefix takes the path itself"),
    ("prefix.n3.example", "/foo/", "a", "Prefix takes a trailing slash"),
    ("prefix.n3.example", "/foo/bar", "a", "Prefix takes what is below"),
    ("prefix.n3.example", "/bar", "b", "Prefix ignores its own trailing slash"),
    ("prefix.n3.example", "/bar/", "b", "Prefix ignores its own trailing slash"),
    ("prefix.n3.example", "/aaa/bb", "default", "Prefix goes by whole elements"),
    ("prefix.n3.example", "/aaa/bbb", "c", "Prefix takes the path itself"),
    ("prefix.n3.example", "/aaa/bbb/ccc", "c", "Prefix takes what is below"),
    ("prefix.n3.example", "/aaa/bbbxyz", "default", "Prefix goes by whole elements, not by letters"),
    ("prefix.n3.example", "/FOO", "default", "Prefix is case sensitive"),
    ("longest.n3.example", "/ccc", "a", "of several prefixes the longest"),
    ("longest.n3.example", "/aaa/ccc", "b", "of several prefixes the longest"),
    ("longest.n3.example", "/aaa/bbb", "c", "of several prefixes the longest"),
    ("mixed.n3.example", "/foo", "b", "Exact goes before Prefix"),
    ("mixed.n3.example", "/foo/bar", "a", "Exact goes before Prefix"),
    ("x.wild.n3.example", "/", "a", "a wildcard takes one label"),
    ("one.wild.n3.example", "/", "b", "an exact host goes before a wildcard"),
    ("x.y.wild.n3.example", "/", "default", "a wildcard takes no two labels"),
    ("wild.n3.example", "/", "default", "a wildcard takes no host without a label for it"),
    ("nobody.n3.example", "/everywhere", "c", "a rule without host is for every host"),
    ("nobody.n3.example", "/", "default", "what no rule takes goes to the default backend"),
    ("annotation.n3.example", "/", "a", "the class by its old annotation"),
    ("other-class.n3.example", "/", "default", "an Ingress of another controller's class is not served"),
    ("no-class.n3.example", "/", "default", "one without a class is not served where none is the default"),
];

#[test]
fn hosts_paths_classes_and_the_default_backend_are_as_the_documentation_of_ingress_has_them() -> Result<()> {
    let site = Scenario::with("n3-ingress", "n3", 2, &["--default-tls-secret=n3/default-tls"])?;
    site.apply("manifests.yaml")?;
    site.rolled_out(&["a", "b", "c", "default", "many"].map(|name| format!("deployment/{name}")).each_ref().map(String::as_str))?;
    site.until_origin("no-rule.n3.example", "/", "default")?;
    site.until_origin("mixed.n3.example", "/foo", "b")?;

    eventually("all cases hold", SOON, || {
        let mut wrong = Vec::new();
        for (host, path, service, why) in CASES {
            let answer = site.ask(host, path, &[])?;
            let seen = answer.header(LABEL).unwrap_or("none");
            if (answer.status, seen) != (200, service) {
                wrong.push(format!("{host}{path}: {} by {seen}, not {service}: {why}", answer.status));
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })?;
    // A host may say its port, and its letters' case means nothing (RFC 9110, 4.2.3).
    for host in ["ALL.n3.Example", "all.n3.example:80"] {
        ensure!(site.ask(host, "/", &[])?.header(LABEL) == Some("a"), "{host}");
    }

    let mut pods = BTreeMap::<String, u32>::new();
    for _ in 0..300 {
        let answer = site.ask("many.n3.example", "/", &[])?;
        *pods.entry(answer.header(LABEL).context("no origin answered")?.to_owned()).or_default() += 1;
    }
    // A third of 300; five standard deviations of a fair draw are 41.
    ensure!(pods.len() == 3 && pods.values().all(|count| (59..=141).contains(count)), "{pods:?}");
    tls::hosts_have_their_certificates(&site)
}
