//! The images that a node is born with: serin, the app of tests, which pods' sandboxes run too, and CoreDNS. All have one static binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use super::configuration::containerd_socket;
use super::place::Place;
use crate::image::{Entry, Image};
use crate::run::stdout;
use crate::{folder_of_programs, tools};

/// serin as `serin controller`, of user 65532. `imagePullPolicy` must not be `Always`.
pub const SERIN: &str = "serin.test/serin:test";
/// `testkit` under several tags, so that a Deployment can go from one to the next: `args: [origin, --listen, "0.0.0.0:8080", ...]`.
pub const APP: &[&str] = &["serin.test/app:v1", "serin.test/app:v2", "serin.test/app:v3"];

/// The target that static binaries are built for; with the machine's own, proc macros would become static too, which fails.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The archives, made anew where their program is newer.
///
/// # Errors
/// When a program is not built.
pub(super) fn archives() -> Result<Vec<PathBuf>> {
    let folder = folder_of_programs()?;
    let (profile, target_folder) = (folder.file_name().context("no profile")?, folder.parent().context("no target folder")?);
    let program = |name: &str| {
        let path = target_folder.join(target()).join(profile).join(name);
        ensure!(path.is_file(), "the static {name} is not built; run `cargo xtask cluster build`");
        Ok(path)
    };
    let images = target_folder.join("images");
    let app = APP.iter().map(|name| (*name).to_owned()).collect();
    let coredns = tools::COREDNS.folder()?;
    Ok(vec![
        // A container that says no arguments is a sandbox.
        archive(&images, "app", &program("testkit")?, app, "testkit", &["pause"], "")?,
        archive(&images, "serin", &program("serin")?, vec![SERIN.into()], "serin", &["controller"], "65532:65532")?,
        archive(&coredns, "coredns", &coredns.join("coredns"), vec![coredns_name()?], "coredns", &[], "")?,
    ])
}

pub(super) fn coredns_name() -> Result<String> {
    Ok(format!("serin.test/coredns:{}", tools::COREDNS.version()?))
}

fn archive(folder: &Path, file: &str, program: &Path, names: Vec<String>, path: &str, command: &[&str], user: &str) -> Result<PathBuf> {
    let tar = folder.join(format!("{file}.tar"));
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    if modified(&tar) > modified(program) {
        return Ok(tar);
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let image = Image {
        names,
        entrypoint: vec![format!("/{path}")],
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        user: user.to_owned(),
        labels: BTreeMap::new(),
        files: BTreeMap::from([(path.to_owned(), Entry::program(program)?), ("tmp".to_owned(), Entry::Folder(0o1777))]),
    };
    image.write(&tar)?;
    Ok(tar)
}

/// Imports an archive; what it says is the names of its images.
pub(super) fn load(place: &Place, tar: &Path) -> Result<String> {
    stdout(ctr(place).args(["images", "import"]).arg(tar))
}

pub(super) fn ctr(place: &Place) -> Command {
    let mut command = Command::new("ctr");
    command.args(["--address", &containerd_socket(place), "--namespace", "k8s.io"]);
    command
}
