//! The table that kubectl prints of releases.

use anyhow::{Context, Result};

/// One line of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) phase: String,
    pub(crate) weight: String,
    pub(crate) measured: String,
    /// Empty where the release has no running step.
    pub(crate) step: String,
    pub(crate) message: String,
}

/// The lines that `kubectl get --watch` printed, oldest first, but those of a release without a status. Columns are three blanks
/// apart, and each line has widths of its own.
pub(crate) fn rows(printed: &str) -> Result<Vec<Row>> {
    let mut lines = printed.lines();
    let head: Vec<&str> = lines.next().context("nothing was printed")?.split_whitespace().collect();
    anyhow::ensure!(head == ["NAME", "PHASE", "WEIGHT", "MEASURED", "STEP", "VERDICT", "AGE", "MESSAGE"], "the columns are {head:?}");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let (&[_, phase, weight, measured, ref step @ .., _, _, message], 7..=8) = (&cells[..], cells.len()) else { return None };
        let step = step.first().copied().unwrap_or_default();
        let [phase, weight, measured, step, message] = [phase, weight, measured, step, message].map(str::to_owned);
        Some(Row { phase, weight, measured, step, message })
    };
    Ok(lines.filter_map(row).collect())
}
