//! What `serin import` prints, as somebody applies it.

use crate::site::shared;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

/// The goldens of the importer: what is printed for each case.
fn goldens() -> Result<Vec<String>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/cases");
    let mut goldens = Vec::new();
    for case in fs::read_dir(cases)? {
        let golden = fs::read_to_string(case?.path().join("imported.snap"))?;
        goldens.push(golden.split_once("\n---\n").context("a golden has a head")?.1.to_owned());
    }
    Ok(goldens)
}

#[test]
fn the_api_server_stores_every_object_that_is_imported_from_kong() -> Result<()> {
    let cluster = shared()?;
    // Cases have names in common: each is a change of the last one then, and has to pass all the same.
    let mut text = goldens()?.iter().map(|golden| format!("---\n{golden}\n")).collect::<String>();
    for (imported, own) in [("shop", "imported"), ("finance", "imported-finance")] {
        cluster.apply(&serin_testkit::manifests::namespace(own))?;
        text = text.replace(&format!("namespace: {imported}\n"), &format!("namespace: {own}\n"));
    }
    let objects = text.matches("\nkind: ").count();
    let applied = cluster.kubectl(&["apply", "-f", "-"], &text)?.ok()?;
    let lines: Vec<&str> = applied
        .lines()
        .filter(|line| line.ends_with(" created") || line.ends_with(" configured") || line.ends_with(" unchanged"))
        .collect();
    assert_eq!(lines.len(), objects, "{applied}");
    ensure!(applied.matches("canaryrelease.serin.dev/").count() >= 35, "{applied}");
    Ok(())
}
