//! `serin check FILE...`: the rules of the API server, and serin's own, without either.

use serin_controller::standalone::admission;
use serin_controller::standalone::manifests::{parse, read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tells every finding, then how many objects there were. Exit code 0 when there was none, else 1.
pub(crate) fn run(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut objects, mut findings) = (0_usize, 0_usize);
    for path in files {
        let (seen, complaints) = check(path, &read(path)?);
        objects += seen;
        findings += complaints.len();
        complaints.iter().for_each(|complaint| println!("{complaint}"));
    }
    println!("{objects} objects, {findings} findings");
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many objects a file has, and what is wrong with it.
fn check(path: &Path, text: &str) -> (usize, Vec<String>) {
    let manifests = match parse(path, text) {
        Ok(manifests) => manifests,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let told = manifests.iter().flat_map(|manifest| {
        let findings = admission::findings(&manifest.key.kind, &manifest.object).into_iter();
        findings.map(|finding| format!("{}: {}: {finding}", path.display(), manifest.key))
    });
    let complaints = told.collect();
    (manifests.len(), complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: checkout}\nspec: {scope: {service: checkout}, canary: {service: checkout-v2}, strategy: {percentage: PERCENT}}\n";

    #[test]
    fn a_finding_names_file_object_and_field() {
        let path = Path::new("release.yaml");
        assert_eq!(check(path, &RELEASE.replace("PERCENT", "10")), (1, Vec::new()));
        for percent in ["101", "12.5"] {
            let (objects, complaints) = check(path, &RELEASE.replace("PERCENT", percent));
            assert_eq!((objects, complaints.len()), (1, 1), "{percent}");
            assert!(
                complaints[0].starts_with("release.yaml: CanaryRelease default/checkout: spec.strategy.percentage: "),
                "{complaints:?}"
            );
        }
        assert_eq!(check(path, "kind: [").1.len(), 1);
    }
}
