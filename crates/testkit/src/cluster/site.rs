//! The place of one cluster: a network namespace, a subnet, a folder, and the janitor who takes all of it down.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// One lock file for each slot; a slot names the namespace, the subnet and the folder.
const LOCKS: &str = "/run/serin-testkit";
const SLOTS: std::ops::RangeInclusive<u8> = 1..=250;

/// On the bridge in the namespace: the API server, and the addresses of processes.
pub(super) const INSIDE: std::ops::RangeInclusive<u8> = 1..=99;
/// On the machine's end of the wire.
pub(super) const OUTSIDE: std::ops::RangeInclusive<u8> = 200..=249;

/// Ends every process of namespace $1, removes it, its wire $3 and the folder $2, once the other end of its input is closed: by will,
/// or by the death of the owner. A killed process is listed until the kernel has taken it down, hence the loop. The wire would go with
/// the namespace, but a moment later than `ip` ends.
const JANITOR: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for _ in $(seq 200); do
    pids=$(ip netns pids "$1" 2>/dev/null)
    [ -n "$pids" ] || break
    kill -9 $pids 2>/dev/null
    sleep 0.02
done
ip link delete "$3" 2>/dev/null
ip netns delete "$1" 2>/dev/null
rm -rf --one-file-system "$2"
"#;

/// Made by [`Site::claim`], gone when dropped.
pub(super) struct Site {
    pub(super) namespace: String,
    pub(super) folder: PathBuf,
    slot: u8,
    janitor: Child,
}

impl Site {
    /// Takes the first free slot, after removing what killed runs left in any.
    pub(super) fn claim() -> Result<Self> {
        let (slot, mut lock) = free_slot()?;
        writeln!(lock, "{}", std::process::id()).context("cannot write the lock file")?;
        let (namespace, folder) = (namespace(slot), folder(slot));
        // create_dir, not create_dir_all: a folder that someone else laid there is refused.
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // The lock is the janitor's standard output, so the slot is taken until the janitor has ended. Its own process group lets it
        // outlive a kill of ours.
        let janitor =
            janitor(slot).stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null()).process_group(0).spawn().context("cannot start sh")?;
        let site = Self { namespace, folder, slot, janitor };
        site.network()?;
        Ok(site)
    }

    /// Of the subnet of this slot. 198.18.0.0/15 is set apart for tests (RFC 2544), so no machine has a network of its own there.
    pub(super) fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.slot, host)
    }

    /// A bridge in the namespace and a wire from it to the machine. No default route: nothing gets out.
    fn network(&self) -> Result<()> {
        let (name, wire) = (&self.namespace, wire(self.slot));
        batch(None, &format!("netns add {name}\nlink add {wire} type veth peer name wire netns {name}\n"))?;
        let mut inside = String::from("link set lo up\nlink add node0 type bridge\nlink set wire master node0\n");
        inside.extend(INSIDE.map(|host| format!("addr add {}/24 dev node0\n", self.address(host))));
        inside.push_str("link set wire up\nlink set node0 up\n");
        batch(Some(name), &inside)?;
        let outside = OUTSIDE.map(|host| format!("addr add {}/24 dev {wire}\n", self.address(host))).collect::<String>();
        batch(None, &format!("{outside}link set {wire} up\n"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Its input ends here.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

fn namespace(slot: u8) -> String {
    format!("serin-testkit-{slot}")
}

fn folder(slot: u8) -> PathBuf {
    std::env::temp_dir().join(namespace(slot))
}

/// The machine's end; names of links have 15 letters at most.
fn wire(slot: u8) -> String {
    format!("serin{slot}")
}

fn janitor(slot: u8) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", JANITOR, "janitor", &namespace(slot)]).arg(folder(slot)).arg(wire(slot));
    command
}

/// The first slot that nobody holds. Every other one without a holder is cleared too.
fn free_slot() -> Result<(u8, File)> {
    fs::create_dir_all(LOCKS).with_context(|| format!("cannot create {LOCKS}"))?;
    let mut free = None;
    for slot in SLOTS {
        let path = Path::new(LOCKS).join(format!("{slot}.lock"));
        // A slot that was never used has nothing to clear.
        if free.is_some() && !path.exists() {
            continue;
        }
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
        file.set_len(0).with_context(|| format!("cannot write {}", path.display()))?;
        clear(slot)?;
        free.get_or_insert((slot, file));
    }
    free.with_context(|| format!("all {} clusters are in use; {LOCKS} has the pid of each", SLOTS.len()))
}

/// Removes what a run that was killed together with its janitor left.
fn clear(slot: u8) -> Result<()> {
    let folder = folder(slot);
    if !folder.exists() && !Path::new("/run/netns").join(namespace(slot)).exists() {
        return Ok(());
    }
    let status = janitor(slot).stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot start sh")?;
    ensure!(status.success(), "cannot remove {}, which an earlier run left", folder.display());
    Ok(())
}

/// Several commands of `ip`, one a line, in this namespace or in ours.
fn batch(namespace: Option<&str>, commands: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    if let Some(namespace) = namespace {
        ip.args(["-n", namespace]);
    }
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ip; install the Debian package iproute2")?;
    if let Some(mut input) = child.stdin.take() {
        // ip that ends early closes the pipe; what it has to say is in its standard error.
        let _ = input.write_all(commands.as_bytes());
    }
    let output = child.wait_with_output().context("cannot wait for ip")?;
    ensure!(output.status.success(), "ip: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(())
}
