//! What of `charts/serin` follows from other files: the templates of the CRDs, and the table of values in its README. And the CRDs as
//! `deploy/` has them; the rest of that folder is rendered by Helm.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The table stands between these two lines.
const BEGIN: &str = "<!-- values: generated from values.yaml by `cargo xtask generate` -->\n";
const END: &str = "<!-- end of values -->\n";

/// Each file, by its path in the repository, as it should be.
pub(super) fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let read = |path: &Path| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()));
    let mut files = Vec::new();
    let entries = fs::read_dir(root.join("crds")).context("cannot list crds")?;
    let mut names = entries.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect::<Result<Vec<_>>>()?;
    names.sort();
    let mut all = String::new();
    for name in names {
        let crd = read(&Path::new("crds").join(&name))?;
        all = all + "---\n" + &labelled(&crd, "  labels:\n    app.kubernetes.io/part-of: serin\n")?;
        files.push((Path::new("charts/serin/templates/crds").join(&name), template(&crd)?));
    }
    files.push((PathBuf::from("deploy/crds.yaml"), all));
    let readme = PathBuf::from("charts/serin/README.md");
    let text = read(&readme)?;
    let (before, rest) = text.split_once(BEGIN).context("charts/serin/README.md has no place for the table of values")?;
    let (_, after) = rest.split_once(END).context("charts/serin/README.md does not say where the table of values ends")?;
    let table = table(&read(Path::new("charts/serin/values.yaml"))?);
    files.push((readme, format!("{before}{BEGIN}{table}{END}{after}")));
    Ok(files)
}

/// A CRD as a template, so that an upgrade brings it along, which an uninstall keeps.
fn template(crd: &str) -> Result<String> {
    anyhow::ensure!(!crd.contains("{{"), "a CRD has what Helm takes for a template");
    let kept = "  annotations:\n    helm.sh/resource-policy: keep\n  labels:\n    {{- include \"serin.labels\" . | nindent 4 }}\n";
    Ok(format!("{{{{- if .Values.crds.install }}}}\n{}{{{{- end }}}}\n", labelled(crd, kept)?))
}

/// With these lines first in its metadata.
fn labelled(crd: &str, lines: &str) -> Result<String> {
    let (before, after) = crd.split_once("\nmetadata:\n").context("a CRD has no metadata")?;
    Ok(format!("{before}\nmetadata:\n{lines}{after}"))
}

/// One row for each value with a comment, under the headings that `##` makes.
fn table(values: &str) -> String {
    let mut table = String::new();
    let (mut comment, mut path) = (String::new(), Vec::new());
    for line in values.lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(heading) = text.strip_prefix("## ") {
            let _ = write!(table, "\n### {heading}\n\n| value | default | what for |\n|---|---|---|\n");
        } else if let Some(sentence) = text.strip_prefix("# ") {
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(sentence);
        } else if let Some((name, default)) = text.split_once(':') {
            path.truncate(depth);
            path.push(name);
            if !comment.is_empty() {
                let escaped = comment.replace('|', "\\|");
                let _ = writeln!(table, "| `{}` | `{}` | {escaped} |", path.join("."), default.trim());
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    table.push('\n');
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::root;

    #[test]
    fn what_the_chart_has_of_other_files_is_up_to_date() -> Result<()> {
        let files = files(&root())?;
        assert!(files.len() > 5, "a template for each kind, deploy/crds.yaml and the README");
        for (path, text) in &files {
            let there = fs::read_to_string(root().join(path)).unwrap_or_default();
            assert!(there == *text, "{} is not up to date: run `cargo xtask generate`", path.display());
        }
        let templates = fs::read_dir(root().join("charts/serin/templates/crds"))?.count();
        assert_eq!(templates, files.len() - 2, "a template whose CRD is gone is removed by hand");
        Ok(())
    }

    #[test]
    fn a_release_pushes_the_image_and_the_chart_to_where_they_are_looked_for() -> Result<()> {
        let read = |path: &str| fs::read_to_string(root().join(path));
        let (values, workflow) = (read("charts/serin/values.yaml")?, read(".github/workflows/release.yml")?);
        let image = values.lines().find_map(|line| line.strip_prefix("  repository: ")).context("the values name no image")?;
        assert!(workflow.contains(&format!("\n  IMAGE: {image}\n  CHARTS: oci://{image}/charts\n")), "release.yml pushes elsewhere");
        for name in workflow.split("ghcr.io/").skip(1).filter(|rest| !rest.starts_with("${{ github.repository }}")) {
            assert!(name.starts_with(image.trim_start_matches("ghcr.io/")), "release.yml names ghcr.io/{name:.30}");
        }
        for (path, whole) in [("deploy/serin.yaml", format!("image: {image}:")), ("docs/install.md", format!("name: {image},"))] {
            assert!(read(path)?.contains(&whole), "{path} names another image");
        }
        Ok(())
    }

    #[test]
    fn a_comment_is_a_row_and_a_value_without_one_is_none() {
        let values = "# Not a row.\n\n## Names\n\n# Which a|b.\n# Default: none.\nname: \"\"\nimage:\n  # Where.\n  tag: 1\nbare: 2\n";
        let head = "\n### Names\n\n| value | default | what for |\n|---|---|---|\n";
        assert_eq!(table(values), format!("{head}| `name` | `\"\"` | Which a\\|b. Default: none. |\n| `image.tag` | `1` | Where. |\n\n"));
    }

    #[test]
    fn every_value_of_the_chart_has_a_row() -> Result<()> {
        let values = fs::read_to_string(root().join("charts/serin/values.yaml"))?;
        let leaves = values.lines().filter(|line| line.split_once(": ").is_some_and(|(name, _)| !name.trim_start().starts_with('#')));
        assert_eq!(table(&values).lines().filter(|line| line.starts_with("| `")).count(), leaves.count());
        Ok(())
    }
}
