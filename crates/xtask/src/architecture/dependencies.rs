//! Rules on what is depended on. Pure functions of what `cargo tree --prefix none --format {p}` prints.

use std::collections::{BTreeMap, BTreeSet};

/// A runtime, a client or chance: none of it belongs into a crate that only decides.
const IMPURE: &[&str] = &["tokio", "hyper", "kube-client", "kube-runtime", "rand", "getrandom", "mio"];

/// Two versions of one of these make types that do not fit, or two of what there must be one of. The crates of kube count too.
const ONE_VERSION: &[&str] = &["k8s-openapi", "schemars", "rustls", "hyper", "h2", "http", "tokio", "aws-lc-rs", "jiff"];

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

/// The packages that must have one version and have more.
pub(super) fn duplicates(tree: &str) -> Vec<String> {
    let several = packages(tree).into_iter().filter(|(name, versions)| versions.len() > 1 && one_version(name));
    several
        .map(|(name, versions)| {
            let list = versions.into_iter().collect::<Vec<_>>().join(" and ");
            format!("{name} is built as {list}; see `cargo tree --workspace -d`, and pin in Cargo.toml what pulls the odd one in")
        })
        .collect()
}

fn one_version(name: &str) -> bool {
    name == "kube" || name.starts_with("kube-") || ONE_VERSION.contains(&name)
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
    fn every_crate_of_kube_counts_and_others_do_not() {
        assert_eq!(duplicates("kube-core v1.0.0\nkube-core v2.0.0\n").len(), 1);
        assert!(duplicates("syn v1.0.0\nsyn v2.0.0\nkube-core v1.0.0\nkube-core v1.0.0 (*)\n").is_empty());
    }
}
