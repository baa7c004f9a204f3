//! Helm, and the chart as people install it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::cluster::Output;
use crate::tools::{HELM_3, HELM_4, Tools};

/// The chart, as it is shipped.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/serin");
/// Where the README installs it, as `serin`.
pub const NAMESPACE: &str = "serin-system";

/// One version of Helm, with a home of its own.
pub struct Helm {
    /// `helm 3` or `helm 4`.
    pub name: &'static str,
    program: PathBuf,
    home: TempDir,
}

impl Helm {
    /// Helm 3. The first call on a machine builds it.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn three() -> Result<Self> {
        Self::of("helm 3", &HELM_3)
    }

    /// Both that are supported, likewise.
    ///
    /// # Errors
    /// Those of [`Helm::three`].
    pub fn both() -> Result<[Self; 2]> {
        Ok([Self::three()?, Self::of("helm 4", &HELM_4)?])
    }

    fn of(name: &'static str, tools: &Tools) -> Result<Self> {
        Ok(Self { name, program: tools.folder()?.join("helm"), home: tempfile::tempdir()? })
    }

    /// Runs it, without a cluster; that it failed is in the output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        output(self.command(arguments))
    }

    /// The same with a cluster.
    ///
    /// # Errors
    /// Those of [`Helm::run`].
    pub fn on(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments);
        command.env("KUBECONFIG", kubeconfig);
        output(command)
    }

    /// What the chart is rendered to with these values, which are YAML.
    ///
    /// # Errors
    /// With what it says when it refuses.
    pub fn template(&self, values: &str) -> Result<String> {
        let file = self.values(values)?;
        let output = self.run(&["template", "serin", CHART, "-n", NAMESPACE, "--kube-version", "1.34.0", "--values", &file])?;
        output.ok().with_context(|| format!("{} template", self.name))
    }

    /// A file with these values, for `--values`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn values(&self, values: &str) -> Result<String> {
        let file = self.home.path().join("values.yaml");
        fs::write(&file, values)?;
        Ok(file.display().to_string())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin").args(arguments);
        command
    }
}

/// The chart as a later version may have it: with one more column in the CRD of releases, [`COLUMN`].
///
/// # Errors
/// When it cannot be copied.
pub fn later_chart() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    copy(Path::new(CHART), folder.path())?;
    let template = folder.path().join("templates/crds/canaryreleases.serin.dev.yaml");
    let text = fs::read_to_string(&template)?;
    let list = "additionalPrinterColumns:\n";
    ensure!(text.contains(list), "the CRD has no columns");
    let column = format!("{list}    - {{jsonPath: .spec.revision, name: {COLUMN}, type: string}}\n");
    fs::write(&template, text.replacen(list, &column, 1))?;
    Ok(folder)
}

/// The column of [`later_chart`].
pub const COLUMN: &str = "Later";

/// Every object that an installation of the chart made and that is there, of any kind, as KIND/NAME in order.
///
/// # Errors
/// When kubectl fails.
pub fn made(kubectl: impl Fn(&[&str]) -> Result<Output>) -> Result<Vec<String>> {
    let kinds = kubectl(&["api-resources", "--verbs=list", "-o", "name"])?.ok()?;
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.ends_with(".serin.dev")).collect();
    let get = ["get", &kinds.join(","), "-A", "-l", "app.kubernetes.io/part-of=serin", "-o", "name"];
    let mut names: Vec<String> = kubectl(&get)?.ok()?.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn output(mut command: Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output().context("cannot start helm")?;
    let text = |bytes| String::from_utf8(bytes).context("helm printed something other than UTF-8");
    Ok(Output { status: output.status, stdout: text(output.stdout)?, stderr: text(output.stderr)? })
}
