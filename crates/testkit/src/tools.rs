//! Programs from Go modules, each set built once into the user's cache folder.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::run::{is_there, line};

/// etcd, kube-apiserver and kubectl.
pub const KUBERNETES: Tools = Tools {
    name: "kubernetes",
    module: "kubernetes",
    versioned_by: "k8s.io/kubernetes",
    programs: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    stamps: KUBERNETES_STAMPS,
    minutes: 5,
};

/// What a node with pods needs besides.
pub const NODE: Tools = Tools {
    name: "node",
    module: "tools/node",
    versioned_by: "k8s.io/kubernetes",
    programs: &[
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ],
    stamps: KUBERNETES_STAMPS,
    minutes: 5,
};

/// The cluster's DNS.
pub const COREDNS: Tools = Tools {
    name: "coredns",
    module: "tools/coredns",
    versioned_by: "github.com/coredns/coredns",
    programs: &[("coredns", "github.com/coredns/coredns")],
    stamps: &[],
    minutes: 3,
};

/// Helm 3, as `helm`.
pub const HELM_3: Tools = Tools {
    name: "helm",
    module: "tools/helm-3",
    versioned_by: "helm.sh/helm/v3",
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    // Without a cluster it takes the version of Kubernetes from these; Helm 4 finds it by itself.
    stamps: &[
        ("helm.sh/helm/v3/internal/version.version", "v{version}"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "34"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "34"),
    ],
    minutes: 2,
};

/// Helm 4, as `helm`.
pub const HELM_4: Tools = Tools {
    name: "helm",
    module: "tools/helm-4",
    versioned_by: "helm.sh/helm/v4",
    programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
    stamps: &[("helm.sh/helm/v4/internal/version.version", "v{version}")],
    minutes: 2,
};

/// Checks manifests against schemas.
pub const KUBECONFORM: Tools = Tools {
    name: "kubeconform",
    module: "tools/kubeconform",
    versioned_by: "github.com/yannh/kubeconform",
    programs: &[("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform")],
    stamps: &[],
    minutes: 1,
};

/// Argo CD: one program, whose name decides what it is.
pub const ARGOCD: Tools = Tools {
    name: "argocd",
    module: "argocd",
    versioned_by: "github.com/argoproj/argo-cd/v3",
    programs: &[("argocd", "github.com/argoproj/argo-cd/v3/cmd")],
    stamps: &[("github.com/argoproj/argo-cd/v3/common.version", "{version}")],
    minutes: 6,
};

/// What Flux says of an object: a small program around its own code.
pub const FLUX: Tools = Tools {
    name: "flux",
    module: "flux",
    versioned_by: "github.com/fluxcd/kustomize-controller/api",
    programs: &[("flux-health", ".")],
    stamps: &[],
    minutes: 1,
};

/// Every set.
pub const ALL: &[&Tools] = &[&KUBERNETES, &NODE, &COREDNS, &HELM_3, &HELM_4, &KUBECONFORM, &ARGOCD, &FLUX];

/// kubectl, Helm and Argo CD read the version that is stamped into the API server.
const KUBERNETES_STAMPS: &[(&str, &str)] = &[
    ("k8s.io/component-base/version.gitVersion", "v{version}"),
    ("k8s.io/component-base/version.gitMajor", "{major}"),
    ("k8s.io/component-base/version.gitMinor", "{minor}"),
    ("k8s.io/component-base/version.gitTreeState", "clean"),
    ("k8s.io/component-base/version.gitCommit", "0000000000000000000000000000000000000000"),
    ("k8s.io/component-base/version.buildDate", "2026-01-01T00:00:00Z"),
    ("k8s.io/client-go/pkg/version.gitVersion", "v{version}"),
    ("k8s.io/client-go/pkg/version.gitMajor", "{major}"),
    ("k8s.io/client-go/pkg/version.gitMinor", "{minor}"),
    ("k8s.io/client-go/pkg/version.gitTreeState", "clean"),
    ("k8s.io/client-go/pkg/version.gitCommit", "0000000000000000000000000000000000000000"),
    ("k8s.io/client-go/pkg/version.buildDate", "2026-01-01T00:00:00Z"),
];

const E2E: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e");

/// Programs that one go.mod of `e2e` pins. Each set has a folder of its own in the cache, so a change of one builds no other again.
#[derive(Debug)]
pub struct Tools {
    name: &'static str,
    /// The folder of go.mod and go.sum, below `e2e`.
    module: &'static str,
    /// The Go module whose version is the set's.
    versioned_by: &'static str,
    /// Each program's name, and its package.
    programs: &'static [(&'static str, &'static str)],
    /// What the linker puts into variables; `{version}`, `{major}` and `{minor}` are of the set.
    stamps: &'static [(&'static str, &'static str)],
    /// What the build takes on two cores with empty caches, about.
    minutes: u8,
}

impl Tools {
    /// What is missing to build them, and how to get it; `None` when they can be built or are built already.
    pub fn missing(&self) -> Option<String> {
        let built = self.place().is_ok_and(|folder| folder.is_dir());
        (!built && !is_there("go", "version"))
            .then(|| "go is not there; install Go 1.26 or newer (go.dev/doc/install; the Debian package golang-go may be older)".into())
    }

    /// The folder with the programs. The first call takes minutes; a second one beside it waits.
    ///
    /// # Errors
    /// When a build fails, or the cache folder cannot be written.
    pub fn folder(&self) -> Result<PathBuf> {
        let folder = self.place()?;
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
        let names: Vec<&str> = self.programs.iter().map(|(name, _)| *name).collect();
        let (names, minutes) = (names.join(", "), self.minutes);
        eprintln!("building {names} into {}, once; about {minutes} min on two cores", folder.display());
        let unfinished = folder.with_added_extension("unfinished");
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        let flags = self.linker_flags()?;
        for (name, package) in self.programs {
            build(&self.source(), &unfinished.join(name), &flags, package)?;
        }
        fs::rename(&unfinished, &folder).with_context(|| format!("cannot move the build to {}", folder.display()))?;
        Ok(folder)
    }

    /// The version of these programs, without `v`.
    ///
    /// # Errors
    /// When go.mod cannot be read or names none.
    pub fn version(&self) -> Result<String> {
        let path = self.source().join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut words = text.lines().map(|line| line.trim().trim_start_matches("require ").split_whitespace());
        let version = words.find_map(|mut words| (words.next() == Some(self.versioned_by)).then(|| words.next()).flatten());
        let version = version.and_then(|version| version.strip_prefix('v'));
        Ok(version.with_context(|| format!("{} names no version of {}", path.display(), self.versioned_by))?.to_owned())
    }

    /// Where the build of these versions belongs; go.sum names every module that goes in, and a program of our own is one file.
    fn place(&self) -> Result<PathBuf> {
        let path = self.source().join("go.sum");
        let mut sums = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        sums.extend(fs::read(self.source().join("main.go")).unwrap_or_default());
        Ok(cache()?.join("serin").join(format!("{}-{}-{:016x}", self.name, self.version()?, fnv1a(&sums))))
    }

    /// Where its go.mod stands.
    pub(crate) fn source(&self) -> PathBuf {
        Path::new(E2E).join(self.module)
    }

    fn linker_flags(&self) -> Result<String> {
        let version = self.version()?;
        let mut parts = version.split('.');
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mut flags = String::from("-s -w");
        for (variable, value) in self.stamps {
            let value = value.replace("{version}", &version).replace("{major}", major).replace("{minor}", minor);
            flags.push_str(&format!(" -X {variable}={value}"));
        }
        Ok(flags)
    }
}

fn build(source: &Path, output: &Path, flags: &str, package: &str) -> Result<()> {
    let mut go = Command::new("go");
    go.current_dir(source).args(["build", "-trimpath", "-ldflags", flags, "-o"]).arg(output).arg(package);
    go.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly").env("CGO_ENABLED", "0");
    let line = line(&go);
    let status = go.stdin(Stdio::null()).stdout(Stdio::null()).status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}`: {status}");
    Ok(())
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
    fn every_set_has_a_version_and_sums() -> Result<()> {
        for tools in ALL {
            let place = tools.place()?;
            assert!(tools.version()?.split('.').count() == 3, "{tools:?}: {}", place.display());
        }
        Ok(())
    }

    #[test]
    fn the_node_is_of_the_version_of_its_api_server() -> Result<()> {
        assert_eq!(NODE.version()?, KUBERNETES.version()?);
        Ok(())
    }

    #[test]
    fn stamps_are_of_the_version_of_go_mod() -> Result<()> {
        let (flags, version) = (KUBERNETES.linker_flags()?, KUBERNETES.version()?);
        assert!(flags.contains(&format!(" -X k8s.io/component-base/version.gitVersion=v{version} ")), "{flags}");
        let minor = version.split('.').nth(1).context("no minor version")?;
        assert!(HELM_3.linker_flags()?.ends_with(&format!("rules.k8sVersionMinor={minor}")), "Helm 3 takes charts for another Kubernetes");
        Ok(())
    }
}
