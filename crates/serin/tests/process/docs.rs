//! What the pages say is what serin has. Pages whose examples are run have a test of their own beside.

use crate::running::serin;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

/// The Markdown files that people read, with their text.
fn pages() -> Result<Vec<(PathBuf, String)>> {
    let mut pages = Vec::new();
    for folder in [".", "docs", "deploy", "charts/serin", "e2e"] {
        let folder = Path::new(ROOT).join(folder);
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                pages.push((path, text));
            }
        }
    }
    ensure!(pages.len() > 10, "only {} pages", pages.len());
    Ok(pages)
}

#[test]
fn each_link_to_a_file_leads_somewhere() -> Result<()> {
    let mut links = 0;
    for (page, text) in pages()? {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains("://") {
                continue;
            }
            links += 1;
            let target = page.parent().context("a page has a folder")?.join(link);
            ensure!(target.exists(), "{} links to {link}, which is not there", page.display());
        }
    }
    ensure!(links > 30, "only {links} links were found");
    Ok(())
}

#[test]
fn each_example_of_docs_is_valid() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for (page, text) in pages()?.iter().filter(|(page, _)| page.parent().is_some_and(|folder| folder.ends_with("docs"))) {
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
        let ours = |block: &&str| block.lines().any(|line| line.starts_with("apiVersion: serin.dev/"));
        for (number, block) in blocks.filter(ours).enumerate() {
            let name = format!("{}-{number}.yaml", page.file_stem().context("a page has a name")?.display());
            fs::write(folder.path().join(&name), block)?;
            files.push(name);
        }
    }
    ensure!(files.len() > 5, "only {} examples were found", files.len());
    let output = serin().current_dir(folder.path()).arg("check").args(&files).output()?;
    ensure!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn each_reason_and_each_metric_is_in_the_page_on_operations() -> Result<()> {
    for reason in serin_api::reason::ALL {
        ensure!(OPERATIONS.contains(&format!("`{reason}`")), "docs/operations.md does not say what {reason} means");
    }
    for line in include_str!("metrics.txt").lines() {
        let name = line.split(' ').next().unwrap_or_default();
        ensure!(OPERATIONS.contains(&format!("`{name}`")), "docs/operations.md does not say what {name} tells");
    }
    Ok(())
}

#[test]
fn each_command_that_a_page_shows_exists() -> Result<()> {
    let help = serin().arg("--help").output()?;
    let help = String::from_utf8(help.stdout)?;
    let commands: Vec<&str> =
        help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|word| !word.is_empty()).collect();
    let mut shown = 0;
    for (page, text) in pages()? {
        let code = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        for word in code.filter_map(|line| line.trim_start().strip_prefix("serin ")?.split(' ').next()) {
            shown += 1;
            ensure!(commands.contains(&word), "{} shows `serin {word}`, which is no command", page.display());
        }
    }
    ensure!(shown > 5, "only {shown} commands were found");
    Ok(())
}
