//! Rules on what is depended on. Pure functions of what `cargo tree --prefix none --format {p}` prints.

use std::collections::{BTreeMap, BTreeSet};

/// A runtime, a client or chance: none of it belongs into a crate that only decides.
const IMPURE: &[&str] = &["tokio", "hyper", "kube-client", "kube-runtime", "rand", "getrandom", "mio"];

/// Two versions of one of these make types that do not fit, or two of what there must be one of. The crates of kube count too.
const ONE_VERSION: &[&str] = &["k8s-openapi", "schemars", "rustls", "hyper", "h2", "http", "tokio", "aws-lc-rs", "jiff"];

/// Built twice, and what holds the older one back.
const HELD_BACK: &[(&str, &str)] = &[
    ("base64", "0.22 by k8s-openapi and kube-client, 0.23 by serde-saphyr"),
    ("bit-set", "0.8 by kube-cel's antlr4rust, in tests only"),
    ("bit-vec", "0.8 by kube-cel's antlr4rust, in tests only"),
    ("getrandom", "0.3 by ahash of kube-runtime and of its serde-saphyr"),
    ("granit-parser", "0.0.7 by kube-client's serde-saphyr"),
    ("hashbrown", "0.16 by kube-runtime, 0.17 by indexmap"),
    ("pem", "3 by kube-client, 4 by rcgen, in tests only"),
    ("serde-saphyr", "0.0.29 by kube-client"),
    ("syn", "2 by kube-derive and tracing-attributes, 3 by the derives of serde, clap and tokio"),
    ("thiserror", "1 by kube-cel's cel, in tests only"),
    ("thiserror-impl", "1 by kube-cel's cel, in tests only"),
    ("untrusted", "0.7 by aws-lc-rs, 0.9 by rustls-webpki"),
];

/// What is under a pure crate and should not be.
pub(super) fn impure(name: &str, tree: &str) -> Vec<String> {
    let found = packages(tree);
    let wrong = IMPURE.iter().filter(|package| found.contains_key(*package));
    wrong
        .map(|package| {
            format!(
                "{name} depends on {package}, but a pure crate takes time and chance as arguments and does no I/O; \
                 see `cargo tree -e normal -p {name} -i {package}`"
            )
        })
        .collect()
}

/// The one provider of cryptography is aws-lc-rs; ring in the build is a second.
pub(super) fn ring(tree: &str) -> Option<String> {
    packages(tree)
        .contains_key("ring")
        .then(|| "ring is built beside aws-lc-rs; see `cargo tree --workspace -i ring`, and turn off the feature that asks for it".into())
}

/// The packages that are built in several versions and may not be, and those that no longer are.
pub(super) fn duplicates(tree: &str) -> Vec<String> {
    let packages = packages(tree);
    let several = packages.iter().filter(|(name, versions)| versions.len() > 1 && !is_held_back(name));
    let mut findings: Vec<String> = several
        .map(|(name, versions)| {
            let list = versions.iter().copied().collect::<Vec<_>>().join(" and ");
            let cure = if one_version(name) {
                "pin in Cargo.toml what pulls the odd one in"
            } else {
                "pin what pulls the odd one in, or say in HELD_BACK of crates/xtask/src/architecture/dependencies.rs what holds it back"
            };
            format!("{name} is built as {list}; see `cargo tree --workspace -d`, and {cure}")
        })
        .collect();
    let single = HELD_BACK.iter().filter(|(name, _)| packages.get(name).is_some_and(|versions| versions.len() == 1));
    findings.extend(single.map(|(name, _)| format!("{name} is built in one version again: take it out of HELD_BACK")));
    findings
}

fn one_version(name: &str) -> bool {
    name == "kube" || name.starts_with("kube-") || ONE_VERSION.contains(&name)
}

fn is_held_back(name: &str) -> bool {
    HELD_BACK.iter().any(|(held, _)| *held == name)
}

/// The first two words of each line: name and version.
fn packages(tree: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            packages.entry(name).or_default().insert(version);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_in_a_pure_crate_is_found_and_named() {
        let findings = impure("serin-split", "serin-split v0.1.0\nregex v1.1.0\ntokio v1.2.0 (*)\n");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("serin-split depends on tokio"), "{findings:?}");
    }

    #[test]
    fn names_that_only_begin_alike_are_no_finding() {
        assert!(impure("serin-split", "serin-split v0.1.0\ntokio-util v0.7.0\nrandom v1.0.0\n").is_empty());
    }

    #[test]
    fn ring_is_found_by_its_whole_name() {
        assert!(ring("serin v0.1.0\nring v0.17.14\n").is_some());
        assert!(ring("serin v0.1.0\nstring v1.0.0\n").is_none());
    }

    #[test]
    fn two_versions_of_a_single_crate_are_found() {
        let findings = duplicates("http v0.2.0\nhttp v1.5.0\nhttp v1.5.0 (*)\n");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].starts_with("http is built as v0.2.0 and v1.5.0"), "{findings:?}");
    }

    #[test]
    fn every_crate_of_kube_counts_and_what_is_held_back_does_not() {
        assert_eq!(duplicates("kube-core v1.0.0\nkube-core v2.0.0\n").len(), 1);
        assert!(duplicates("syn v1.0.0\nsyn v2.0.0\nkube-core v1.0.0\nkube-core v1.0.0 (*)\n").is_empty());
    }

    #[test]
    fn another_duplicate_needs_its_reason_in_the_list_and_leaves_it_when_it_has_gone() {
        assert!(duplicates("mime v1.0.0\nmime v2.0.0\n")[0].contains("say in HELD_BACK"));
        assert_eq!(duplicates("syn v2.0.0\n"), ["syn is built in one version again: take it out of HELD_BACK"]);
    }

    #[test]
    fn nothing_that_must_be_single_is_held_back() {
        assert!(HELD_BACK.iter().all(|(name, _)| !one_version(name)));
    }
}
