//! The rules S1 to S20, each by the manifests that `e2e` shows for it and by real requests through the real proxy.

mod s01;
mod s02;
mod s03;
mod s04;
mod s05;
mod s06;
mod s07;
mod s08;
mod s09;
mod s10;
mod s11;
mod s12;
mod s13;
mod s14;
mod s15;
mod s16;
mod s17;
mod s18;
mod s19;
mod s20;

use crate::shown::{MANIFESTS, shelf};
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use serin_testkit::ask::Answer;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A field of an answer's decision header, such as `side` or `bucket`.
fn decided(answer: &Answer, field: &str) -> Result<String> {
    let decision = answer.header("Serin-Decision").with_context(|| format!("no decision: {answer:?}"))?;
    let value = decision.split("; ").find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
    Ok(value.with_context(|| format!("no {field} in {decision}"))?.to_owned())
}

/// How many of so many requests to a host the canary answers.
fn canaries(site: &Site, host: &str, requests: usize) -> Result<usize> {
    Ok(site.client()?.sides(host, requests)?.into_iter().filter(|canary| *canary).count())
}

/// So many tenants.
fn tenants(number: u32) -> Vec<Option<String>> {
    (0..number).map(|n| Some(format!("tenant-{n}"))).collect()
}

/// The rules that a folder is there for, by its number.
fn folders() -> Result<BTreeMap<u32, String>> {
    let names = fs::read_dir(shelf())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    let number = |name: &str| name.strip_prefix('s')?.split_once('-')?.0.parse().ok();
    Ok(names.into_iter().filter_map(|name| Some((number(&name)?, name))).collect())
}

#[test]
fn every_rule_has_a_folder_with_manifests_a_readme_a_row_in_the_table_and_a_test_that_takes_it() -> Result<()> {
    let (folders, table) = (folders()?, fs::read_to_string(shelf().join("README.md"))?);
    for (number, name) in &folders {
        let test = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/process/rules/s{number:02}.rs"));
        let test = fs::read_to_string(&test).with_context(|| test.display().to_string())?;
        ensure!(test.contains(&format!("#[test]\nfn s{number}_")), "no test is named by S{number}");
        ensure!(test.contains(&format!("Site::shown({name:?}")), "the test of S{number} does not take {name}");
        let readme = fs::read_to_string(shelf().join(name).join("README.md"))?;
        for part in [&format!("# S{number}: "), "\nDo: ", "\nSee: "] {
            ensure!(readme.contains(part), "{name}/README.md: no {part:?}");
        }
        ensure!(shelf().join(name).join(MANIFESTS).is_file(), "{name} has no {MANIFESTS}");
        ensure!(table.contains(&format!("| [S{number}]({name}/README.md) | ")), "e2e/README.md has no row of S{number}");
    }
    assert_eq!(folders.into_keys().collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    Ok(())
}
