//! docs/kong.md: each request of Kong's is made, the result imported, and compared with what stands beside it.

use super::admin::apply;
use super::command::{check, import, objects};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../../docs/kong.md");

/// The text within the fences of a language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// The cells of the page's examples: Kong's requests, and serin's objects beside them.
fn examples() -> Result<Vec<(&'static str, &'static str)>> {
    let rows = PAGE.split("<tr>").skip(1).filter_map(|row| Some(row.split_once("</tr>")?.0));
    let mut examples = Vec::new();
    for row in rows {
        let one = |language| match blocks(row, language).as_slice() {
            [block] => Ok(*block),
            _ => Err(anyhow::anyhow!("a row has one block of {language}: {row}")),
        };
        examples.push((one("sh")?, one("yaml")?));
    }
    Ok(examples)
}

#[test]
fn each_example_of_the_page_is_what_is_imported_of_the_requests_beside_it() -> Result<()> {
    let yaml = blocks(PAGE, "yaml");
    let base: Value = serde_saphyr::from_str(yaml.first().context("the page begins with Kong's configuration")?)?;
    ensure!(base["_format_version"] == "3.0");
    let examples = examples()?;
    ensure!(examples.len() >= 20, "{} examples", examples.len());
    for (requests, expected) in examples {
        let mut config = base.clone();
        apply(&mut config, requests)?;
        let (printed, told, code) = import(&["-n", "shop", "--all"], &[("kong.json", &config.to_string())])?;
        ensure!(code == 0, "{told}\n{requests}");
        let (imported, expected) = (objects(&printed)?, objects(expected)?);
        for object in &expected {
            ensure!(imported.contains(object), "{object:#}\nis not in\n{printed}\nwhich is of\n{requests}");
        }
        // No release beside those that are shown.
        let releases = |objects: &[Value]| objects.iter().filter(|object| object["kind"] == "CanaryRelease").count();
        assert_eq!(releases(&imported), releases(&expected), "{requests}");
        check(&printed)?;
    }
    Ok(())
}

#[test]
fn every_block_of_the_page_is_an_example_that_is_run_or_a_release_that_check_accepts() -> Result<()> {
    let examples = examples()?;
    assert_eq!(blocks(PAGE, "sh").len(), examples.len(), "a request stands beside what it is in serin");
    let beside: Vec<&str> = examples.iter().map(|(_, yaml)| *yaml).collect();
    let alone: Vec<&str> = blocks(PAGE, "yaml").into_iter().skip(1).filter(|block| !beside.contains(block)).collect();
    ensure!(alone.len() >= 2, "steps by group, and blue and green");
    for block in alone {
        ensure!(objects(block)?.iter().all(|object| object["kind"] == "CanaryRelease"), "{block}");
        check(block)?;
    }
    Ok(())
}
