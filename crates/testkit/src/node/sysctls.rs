//! Settings of the whole machine that kubelet changes: saved before the first node, restored after the last one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::place::LOCKS;

const CHANGED: &[&str] =
    &["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"];

/// Unless another node's start has: it would save what kubelet made of them.
pub(super) fn save() -> Result<()> {
    if saved().exists() {
        return Ok(());
    }
    let line = |name: &&str| Some(format!("{name} {}\n", fs::read_to_string(setting(name)).ok()?.trim()));
    let text: String = CHANGED.iter().filter_map(line).collect();
    fs::write(saved(), text).context("cannot save the settings of the machine")
}

pub(super) fn restore() -> Result<()> {
    let Ok(text) = fs::read_to_string(saved()) else { return Ok(()) };
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if fs::read_to_string(setting(name)).is_ok_and(|now| now.trim() != value) {
            fs::write(setting(name), value).with_context(|| format!("cannot set {name} back to {value}"))?;
        }
    }
    fs::remove_file(saved()).context("cannot remove the saved settings")
}

fn saved() -> PathBuf {
    Path::new(LOCKS).join("sysctls")
}

fn setting(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}
