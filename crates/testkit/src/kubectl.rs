//! kubectl as the administrator of a cluster.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::eventually;

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Its standard output when it ended well.
    ///
    /// # Errors
    /// With its standard error when it did not.
    pub fn ok(self) -> Result<String> {
        ensure!(self.status.success(), "{}: {}", self.status, self.stderr.trim_end());
        Ok(self.stdout)
    }

    pub(crate) fn of(output: std::process::Output) -> Result<Self> {
        let text = |bytes| String::from_utf8(bytes).context("it printed something other than UTF-8");
        Ok(Self { status: output.status, stdout: text(output.stdout)?, stderr: text(output.stderr)? })
    }
}

/// Where a cluster's files are, and how to reach its API server.
pub(crate) struct Kubectl {
    /// The folder with the program `kubectl`.
    pub(crate) programs: PathBuf,
    /// The folder with `kubeconfig` and `ca.crt`.
    pub(crate) folder: PathBuf,
    /// The network namespace that it runs in; the machine's own when `None`.
    pub(crate) namespace: Option<String>,
    /// The API server's address.
    pub(crate) server: Ipv4Addr,
}

impl Kubectl {
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// A program where this kubectl runs.
    pub(crate) fn beside(&self, program: &Path) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(&self.folder);
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.beside(&self.programs.join("kubectl"));
        // Its default cache is the home folder, by address: a later cluster at this address would be shown this one's kinds.
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.folder.join("cache")).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start kubectl")?;
        if let Some(mut input) = child.stdin.take() {
            // kubectl that ends early closes the pipe; what it has to say is in its standard error.
            let _ = input.write_all(stdin.as_bytes());
        }
        Output::of(child.wait_with_output().context("cannot wait for kubectl")?)
    }

    pub(crate) fn shell(&self, script: &str, folders: &[&Path]) -> Result<Output> {
        let mut path = vec![self.programs.clone()];
        path.extend(folders.iter().map(|folder| folder.to_path_buf()));
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = self.beside(Path::new("sh"));
        command.args(["-c", script]).env("KUBECONFIG", self.kubeconfig()).env("KUBECACHEDIR", self.folder.join("cache"));
        command.env("PATH", std::env::join_paths(path).context("a folder's name has a colon")?).stdin(Stdio::null());
        Output::of(command.output().context("cannot start a shell")?)
    }

    pub(crate) fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.run(&["create", "token", account, "-n", namespace], "")?.ok()?;
        let path = self.folder.join(format!("kubeconfig-{namespace}-{account}"));
        let credentials = format!("token: \"{}\"", token.trim());
        write_kubeconfig(&path, &self.folder, self.server, &credentials)?;
        Ok(path)
    }

    pub(crate) fn apply(&self, manifests: &str) -> Result<()> {
        let output = self.run(&["apply", "--server-side", "--force-conflicts", "-f", "-"], manifests)?;
        output.ok().map(drop).context("kubectl apply")
    }

    pub(crate) fn apply_crds(&self, crds: &str) -> Result<()> {
        self.apply(crds)?;
        // kubectl gives up at once on a CRD that has no conditions yet.
        let wait = ["wait", "--for=condition=Established", "--timeout=5s", "-f", "-"];
        eventually("the CRDs are established", Duration::from_secs(30), || self.run(&wait, crds)?.ok().map(drop))
    }

    pub(crate) fn write_kubeconfig(&self, name: &str, user: &str) -> Result<()> {
        let file = |extension: &str| self.folder.join(format!("{user}.{extension}")).display().to_string();
        let credentials = format!("client-certificate: \"{}\", client-key: \"{}\"", file("crt"), file("key"));
        write_kubeconfig(&self.folder.join(name), &self.folder, self.server, &credentials)
    }
}

/// `folder` has the certificates; the credentials are members of the user, as YAML.
fn write_kubeconfig(path: &Path, folder: &Path, server: Ipv4Addr, credentials: &str) -> Result<()> {
    let authority = folder.join("ca.crt").display().to_string();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n\
         clusters: [{{name: test, cluster: {{server: \"https://{server}:6443\", certificate-authority: \"{authority}\"}}}}]\n\
         users: [{{name: test, user: {{{credentials}}}}}]\n"
    );
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
