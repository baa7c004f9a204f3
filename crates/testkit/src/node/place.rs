//! Where a node lives: a name, a slot with a subnet and a lock, a folder, a network namespace.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{cgroups, sysctls};
use crate::run::stdout;

/// A folder for each node, by name.
const STATE: &str = "/var/lib/serin-testkit";
/// Whoever makes or removes nodes locks `nodes.lock`; the keeper of a node holds `node-SLOT.lock`.
pub(super) const LOCKS: &str = "/run/serin-testkit";
const SLOTS: std::ops::RangeInclusive<u8> = 1..=250;

/// In each subnet: the node's own address, and those of the machine at the other end of the wire.
const NODE: u8 = 1;
pub(super) const OUTSIDE: std::ops::RangeInclusive<u8> = 32..=61;
/// The first and the last address for Services of type LoadBalancer: 64/26.
pub(super) const BALANCERS: std::ops::RangeInclusive<u8> = 65..=126;

/// The subnet of Services; the first address is the API server's, the tenth the DNS's.
pub(super) const SERVICES: &str = "10.96.0.0/16";
pub(super) const DNS: &str = "10.96.0.10";

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    slot: u8,
    pub(super) folder: PathBuf,
}

impl Place {
    fn of(name: &str, slot: u8) -> Self {
        Self { name: name.to_owned(), slot, folder: Path::new(STATE).join(name) }
    }

    /// The node of this name, up or left behind.
    pub(super) fn find(name: &str) -> Result<Self> {
        let path = Path::new(STATE).join(name).join("slot");
        let slot = fs::read_to_string(&path).with_context(|| format!("there is no node {name}"))?;
        Ok(Self::of(name, slot.trim().parse().with_context(|| format!("{} is damaged; remove its folder", path.display()))?))
    }

    /// Of the subnet of this node. 198.18.0.0/15 is set apart for tests (RFC 2544); clusters without a node have the lower half.
    pub(super) fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.slot, host)
    }

    pub(super) fn node(&self) -> Ipv4Addr {
        self.address(NODE)
    }

    /// The subnet of pods; the machine has a route there.
    pub(super) fn pods(&self) -> String {
        format!("{}/25", self.address(128))
    }

    fn balancers(&self) -> String {
        format!("{}/26", self.address(64))
    }

    pub(super) fn namespace(&self) -> String {
        format!("serin-{}", self.name)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// True while a keeper holds the lock of the slot.
    pub(super) fn is_kept(&self) -> bool {
        lock_file(self.slot).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// A wire from the machine to the namespace. Services and load balancers are routed to a bridge without ports: the kernel looks for
    /// a route before kube-proxy's rules, and what no rule takes ends there. No default route: nothing gets out.
    pub(super) fn network(&self) -> Result<()> {
        let (name, wire, node) = (self.namespace(), self.wire(), self.node());
        ip(&format!("netns add {name}\nlink add {wire} type veth peer name wire netns {name}\n"), None)?;
        let (balancers, pods) = (self.balancers(), self.pods());
        let inside = format!(
            "link set lo up\naddr add {node}/26 dev wire\nlink set wire up\nlink add services type bridge\nlink set services up\n\
             route add {SERVICES} dev services src {node}\nroute add {balancers} dev services src {node}\n"
        );
        ip(&inside, Some(&name))?;
        let outside: String = OUTSIDE.map(|host| format!("addr add {}/26 dev {wire}\n", self.address(host))).collect();
        ip(&format!("{outside}link set {wire} up\nroute add {balancers} via {node}\nroute add {pods} via {node}\n"), None)?;
        // Those of a network namespace are whoever's that reads them.
        let settings = "cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 0 >ipv4/conf/all/rp_filter; echo 0 >ipv4/conf/wire/rp_filter; \
                        [ ! -e bridge/bridge-nf-call-iptables ] || echo 1 >bridge/bridge-nf-call-iptables";
        stdout(self.inside("sh").args(["-c", settings])).map(drop)
    }

    /// Links go with the namespace, but a moment later than `ip` ends.
    pub(super) fn remove_network(&self) {
        for arguments in [["link", "delete", &self.wire()], ["netns", "delete", &self.namespace()]] {
            // It may be gone, or never have been there.
            let _ = Command::new("ip").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).status();
        }
    }

    /// A program in the network namespace, with everything else the machine's: pods' mounts must be seen there.
    pub(super) fn inside(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace())).arg(program.as_ref()).current_dir(&self.folder);
        command
    }

    /// Names of links have 15 letters at most.
    fn wire(&self) -> String {
        format!("serin-node{}", self.slot)
    }
}

/// The right to make and to remove nodes, one process at a time.
pub(super) struct Nodes {
    _lock: File,
}

impl Nodes {
    pub(super) fn lock() -> Result<Self> {
        fs::create_dir_all(LOCKS).with_context(|| format!("cannot create {LOCKS}"))?;
        let lock = File::create(Path::new(LOCKS).join("nodes.lock")).context("cannot create the lock of the nodes")?;
        lock.lock().context("cannot lock the nodes")?;
        Ok(Self { _lock: lock })
    }

    /// A place of this name with the lock of its slot, which is taken as long as someone has that file open.
    pub(super) fn claim(&self, name: &str) -> Result<(Place, File)> {
        let valid = name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        ensure!(valid && !name.is_empty() && !name.starts_with('-'), "{name:?} is no name of a node: a-z, 0-9 and -, at most 20");
        self.clear_abandoned()?;
        if Path::new(STATE).join(name).exists() {
            bail!("the node {name} is up already; `cargo xtask cluster down` ends it");
        }
        for slot in SLOTS {
            let lock = lock_file(slot)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error).context("cannot lock a slot"),
            }
            let place = Place::of(name, slot);
            fs::create_dir_all(&place.folder).with_context(|| format!("cannot create {}", place.folder.display()))?;
            fs::write(place.folder.join("slot"), slot.to_string()).context("cannot write the slot of the node")?;
            sysctls::save()?;
            return Ok((place, lock));
        }
        bail!("all {} nodes are in use; {STATE} has a folder for each", SLOTS.len())
    }

    /// What was killed together with its keeper.
    pub(super) fn clear_abandoned(&self) -> Result<()> {
        for name in names() {
            match Place::find(&name) {
                Ok(place) if place.is_kept() => {}
                Ok(place) => self.clear(&place)?,
                Err(_) => remove(&Path::new(STATE).join(&name))?,
            }
        }
        Ok(())
    }

    /// Ends every process of the node and removes all that it left anywhere. Its keeper has ended, or calls this.
    pub(super) fn clear(&self, place: &Place) -> Result<()> {
        cgroups::kill(&place.name)?;
        unmount(&place.folder)?;
        place.remove_network();
        cgroups::remove(&place.name)?;
        remove_strays(&place.folder);
        remove(&place.folder)?;
        if names().is_empty() {
            // What belongs to no node in particular goes with the last one.
            let _ = fs::remove_dir(STATE);
            remove(Path::new("/var/lib/kubelet/device-plugins"))?;
            sysctls::restore()?;
        }
        Ok(())
    }
}

/// All that are up or left behind.
pub(super) fn names() -> Vec<String> {
    let entries = fs::read_dir(STATE).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn lock_file(slot: u8) -> Result<File> {
    let path = Path::new(LOCKS).join(format!("node-{slot}.lock"));
    File::options().create(true).truncate(false).write(true).open(&path).with_context(|| format!("cannot open {}", path.display()))
}

/// What is mounted below this folder, the deepest first. One may hide another, hence the rounds.
fn unmount(folder: &Path) -> Result<()> {
    for _ in 0..5 {
        let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
        let mut mounts: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        mounts.retain(|mount| Path::new(mount).starts_with(folder));
        if mounts.is_empty() {
            return Ok(());
        }
        mounts.sort_unstable_by(|one, other| other.cmp(one));
        let _ = Command::new("umount").arg("--lazy").args(&mounts).stdin(Stdio::null()).stderr(Stdio::null()).status();
    }
    bail!("cannot unmount what is below {}", folder.display())
}

/// containerd, its shims, CNI and kubelet have paths of their own that no option moves; the bundles' names tell which are of this node.
fn remove_strays(folder: &Path) {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let results = entries(Path::new("/var/lib/cni/results"));
    for bundle in entries(&folder.join("containerd/state/io.containerd.runtime.v2.task/k8s.io")) {
        if let Ok(address) = fs::read_to_string(bundle.join("address")) {
            let _ = fs::remove_file(address.trim().trim_start_matches("unix://"));
        }
        let container = format!("-{}-", bundle.file_name().unwrap_or_default().to_string_lossy());
        for result in results.iter().filter(|result| result.to_string_lossy().contains(&container)) {
            let _ = fs::remove_file(result);
        }
    }
    for link in entries(Path::new("/var/log/containers")) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(folder)) {
            let _ = fs::remove_file(link);
        }
    }
}

/// Never past a mount that could not be undone.
fn remove(path: &Path) -> Result<()> {
    stdout(Command::new("rm").args(["-rf", "--one-file-system"]).arg(path)).map(drop)
}

/// Several commands of `ip`, one a line, in this namespace or in ours.
fn ip(commands: &str, namespace: Option<&str>) -> Result<()> {
    let mut ip = Command::new("ip");
    if let Some(namespace) = namespace {
        ip.args(["-n", namespace]);
    }
    ip.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = ip.spawn().context("cannot start ip; install the Debian package iproute2")?;
    if let Some(mut input) = child.stdin.take() {
        // ip that ends early closes the pipe; what it has to say is in its standard error.
        let _ = input.write_all(commands.as_bytes());
    }
    let output = child.wait_with_output().context("cannot wait for ip")?;
    ensure!(output.status.success(), "ip: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(())
}
