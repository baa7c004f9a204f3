//! Who takes part: serin with a release running, and Debian's nginx and haproxy with the same split.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Core, Process};
use super::request;

const ORIGINS: &str = include_str!("origins.conf");
const NGINX: &str = include_str!("nginx.conf");
const HAPROXY: &str = include_str!("haproxy.cfg");
/// The objects that serin serves.
pub(super) const RELEASE: &str = include_str!("release.yaml");
/// The host of the route.
pub(super) const HOST: &str = "shop.example";

const PACKAGES: &[(&str, &str)] =
    &[("nginx", "nginx-light"), ("haproxy", "haproxy"), ("wrk", "wrk"), ("taskset", "util-linux"), ("kill", "procps")];

/// One that takes its turn.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) process: Process,
    /// One of those that serin is measured against.
    pub(super) is_yardstick: bool,
}

/// Names what has to be installed.
pub(super) fn installed() -> Result<()> {
    let missing: Vec<&str> = PACKAGES.iter().filter(|(program, _)| which(program).is_none()).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        bail!("not installed here; get it with `apt-get install --no-install-recommends {}`", missing.join(" "));
    }
    Ok(())
}

/// Where a program is. Debian keeps daemons in a folder that is in nobody's PATH but root's.
fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The origins of every peer.
pub(super) fn origins(folder: &Path) -> Result<Process> {
    nginx("origins", ORIGINS, Core::Rest, folder, local(18001))
}

/// The yardsticks.
pub(super) fn yardsticks(folder: &Path) -> Result<Vec<Peer>> {
    let nginx = nginx("nginx", NGINX, Core::Proxy, folder, local(18101))?;
    fs::write(folder.join("haproxy.cfg"), HAPROXY)?;
    let mut command = Core::Proxy.command(&which("haproxy").context("haproxy is gone")?);
    command.args(["-db", "-f", "haproxy.cfg"]);
    let haproxy = Process::start("haproxy", command, folder, local(18102))?;
    let peer = |name: &str, port, process| Peer { name: name.into(), address: local(port), process, is_yardstick: true };
    Ok(vec![peer("nginx", 18101, nginx), peer("haproxy", 18102, haproxy)])
}

fn nginx(name: &str, config: &str, core: Core, folder: &Path, listens: SocketAddr) -> Result<Process> {
    let file = format!("{name}.conf");
    fs::write(folder.join(&file), config)?;
    let mut command = core.command(&which("nginx").context("nginx is gone")?);
    // -e keeps the first lines of its log, from before it has read the file, out of the system's folder.
    command.arg("-p").arg(folder).args(["-e", "start.err", "-c"]).arg(folder.join(file));
    Process::start(name, command, folder, listens)
}

/// A serin with one worker, as the others have one, once the release serves its 10 %.
pub(super) fn serin(name: &str, program: &Path, folder: &Path, port: u16) -> Result<Peer> {
    let manifests = folder.join(format!("{name}-manifests"));
    fs::create_dir(&manifests)?;
    fs::write(manifests.join("release.yaml"), RELEASE)?;
    let (address, admin) = (local(port), local(port + 1000));
    let mut process = Process::start(name, standalone(program, &manifests, address, admin), folder, address)?;
    let is_split = || (1..=200).any(|user| request::get(address, HOST, "/", user).is_ok_and(|answer| answer.contains("side=canary")));
    process.wait_for("the canary gets its share", Duration::from_secs(30), is_split)?;
    Ok(Peer { name: name.into(), address, process, is_yardstick: false })
}

/// `serin standalone` on the proxy's core.
pub(super) fn standalone(program: &Path, manifests: &Path, http: SocketAddr, admin: SocketAddr) -> std::process::Command {
    let mut command = Core::Proxy.command(program);
    command.arg("standalone").arg("--manifests").arg(manifests);
    command.args(["--workers", "1", "--http", &http.to_string(), "--admin-listen", &admin.to_string()]);
    command
}

/// A port on loopback.
pub(super) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
