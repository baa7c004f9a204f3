//! `--state FILE`: what outlives a restart of standalone mode. It is on disk before a change is shown or answered.

use super::store::Kept;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file, and what it holds.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    last: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    /// And the other kinds of serin's: which of two objects is older must not change.
    releases: Vec<Kept>,
}

/// The form that this version reads and writes.
const VERSION: u32 = 1;

impl StateFile {
    /// Reads the file. One that is not there is the first start; one that cannot be read is an error, since going on would begin every
    /// release again.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Vec<Kept>)> {
        let releases = match std::fs::read(path) {
            Ok(text) => {
                let content: Content = serde_json::from_slice(&text)
                    .with_context(|| format!("{} is no state of serin: move it away to begin each release again", path.display()))?;
                anyhow::ensure!(
                    content.version == VERSION,
                    "{} has version {}, this serin reads {VERSION}",
                    path.display(),
                    content.version
                );
                content.releases
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok((Self { path: path.to_owned(), last: releases.clone() }, releases))
    }

    /// Writes what changed, beside the file first, so that a crash leaves the old one or the new one.
    pub(crate) fn save(&mut self, releases: Vec<Kept>) -> anyhow::Result<()> {
        if self.last == releases {
            return Ok(());
        }
        let beside = self.path.with_added_extension("new");
        let content = Content { version: VERSION, releases };
        let write = || -> anyhow::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(&content)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            Ok(())
        };
        write().with_context(|| format!("writing {}", self.path.display()))?;
        self.last = content.releases;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_again_and_junk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut file, kept) = StateFile::open(&path).unwrap();
        assert!(kept.is_empty());
        let releases: Vec<Kept> =
            serde_json::from_str(r#"[{"object": {"kind": "CanaryRelease"}, "ofFile": ["a"], "good": true}]"#).unwrap();
        file.save(releases.clone()).unwrap();
        assert_eq!(StateFile::open(&path).unwrap().1, releases);
        std::fs::write(&path, "{").unwrap();
        assert!(StateFile::open(&path).unwrap_err().to_string().contains("move it away"));
        std::fs::write(&path, r#"{"version": 9, "releases": []}"#).unwrap();
        assert!(StateFile::open(&path).unwrap_err().to_string().contains("has version 9"));
    }
}
