//! etcd, kube-apiserver and kubectl from Go modules, built once into the user's cache folder.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::run::{is_there, line};

/// The Kubernetes version of `e2e/kubernetes/go.mod`.
const VERSION: (&str, &str, &str) = ("1", "34", "10");
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/kubernetes");

/// What is missing to build, and how to get it; `None` when it can be built or is built already.
pub fn missing() -> Option<String> {
    let built = place().is_ok_and(|folder| folder.is_dir());
    (!built && !is_there("go", "version"))
        .then(|| "go is not there; install Go 1.25 or newer (go.dev/doc/install; the Debian package golang-go may be older)".into())
}

/// The folder with `etcd`, `kube-apiserver` and `kubectl`. The first call takes minutes; a second one beside it waits.
///
/// # Errors
/// When a build fails, or the cache folder cannot be written.
pub fn binaries() -> Result<PathBuf> {
    let folder = place()?;
    // A folder under the final name is complete: a build that was cut short leaves only the other.
    if folder.is_dir() {
        return Ok(folder);
    }
    let cache = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(folder.with_added_extension("lock")).context("cannot create the lock of the build")?;
    lock.lock().context("cannot lock the build")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    eprintln!("building etcd, kube-apiserver and kubectl into {}, once; about five minutes on two cores", folder.display());
    let unfinished = folder.with_added_extension("unfinished");
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
    let stamps = stamps();
    build(&unfinished.join("etcd"), "-s -w", "go.etcd.io/etcd/server/v3")?;
    build(&unfinished.join("kube-apiserver"), &stamps, "k8s.io/kubernetes/cmd/kube-apiserver")?;
    build(&unfinished.join("kubectl"), &stamps, "k8s.io/kubernetes/cmd/kubectl")?;
    fs::rename(&unfinished, &folder).with_context(|| format!("cannot move the build to {}", folder.display()))?;
    Ok(folder)
}

/// Where the build of these versions belongs; go.sum names every module that goes in.
fn place() -> Result<PathBuf> {
    let sums = fs::read(Path::new(MODULE).join("go.sum")).context("cannot read e2e/kubernetes/go.sum")?;
    let (major, minor, patch) = VERSION;
    Ok(cache()?.join("serin").join(format!("kubernetes-{major}.{minor}.{patch}-{:016x}", fnv1a(&sums))))
}

fn build(output: &Path, flags: &str, package: &str) -> Result<()> {
    let mut go = Command::new("go");
    go.current_dir(MODULE).args(["build", "-trimpath", "-ldflags", flags, "-o"]).arg(output).arg(package);
    go.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly").env("CGO_ENABLED", "0");
    let line = line(&go);
    let status = go.stdin(Stdio::null()).stdout(Stdio::null()).status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}`: {status}");
    Ok(())
}

/// kubectl, Helm and Argo CD read the version that is stamped into the API server.
fn stamps() -> String {
    let (major, minor, patch) = VERSION;
    let mut flags = String::from("-s -w");
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [
            ("gitVersion", format!("v{major}.{minor}.{patch}")),
            ("gitMajor", major.into()),
            ("gitMinor", minor.into()),
            ("gitTreeState", "clean".into()),
            ("gitCommit", "0".repeat(40)),
            ("buildDate", "2026-01-01T00:00:00Z".into()),
        ] {
            flags.push_str(&format!(" -X {package}.{name}={value}"));
        }
    }
    flags
}

fn cache() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is an absolute path")
}

/// FNV-1a: std's hasher may change between releases, and each change would build everything again.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn the_stamp_is_the_version_of_go_mod() {
        let (major, minor, patch) = VERSION;
        let module = fs::read_to_string(Path::new(MODULE).join("go.mod")).unwrap_or_default();
        let required = module.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
        assert_eq!(required.and_then(|rest| rest.split(' ').next()), Some(format!("{major}.{minor}.{patch}").as_str()));
    }
}
