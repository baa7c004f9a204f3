//! The cgroups of a node: pods are in `NAME/kubepods` of each hierarchy, daemons in `NAME/daemons` of one. So what is a node's can be
//! counted and killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

const ROOT: &str = "/sys/fs/cgroup";

/// `None` when kubelet has cgroups to work with.
pub(super) fn missing() -> Option<String> {
    let there = Path::new(ROOT).join("cgroup.controllers").is_file() || Path::new(ROOT).join("pids/cgroup.procs").is_file();
    (!there).then(|| format!("no cgroups at {ROOT}; a container needs them mounted there, and writable"))
}

pub(super) fn make(name: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(name);
        // Version 2: children have only what the parent hands on.
        if hierarchy == Path::new(ROOT) {
            write(&hierarchy.join("cgroup.subtree_control"), "+cpuset +cpu +memory +pids")?;
        }
        fs::create_dir_all(&group).with_context(|| format!("cannot create {}", group.display()))?;
        // Version 1: nobody fits into a cpuset that has none.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let parent = fs::read_to_string(hierarchy.join(file)).unwrap_or_default();
            if hierarchy.ends_with("cpuset") && !parent.trim().is_empty() {
                write(&group.join(file), &parent)?;
            }
        }
    }
    let daemons = daemons(name);
    fs::create_dir_all(&daemons).with_context(|| format!("cannot create {}", daemons.display()))
}

/// Where a daemon belongs. Only of one hierarchy, to be counted: in the others it stays where the machine put it.
pub(super) fn daemons(name: &str) -> PathBuf {
    counting().join(name).join("daemons")
}

/// Every process of the node.
pub(super) fn processes(name: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    visit(&counting().join(name), &mut |folder| {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    });
    pids
}

/// Until there are none: one may start another meanwhile, and what is killed is listed until the kernel has taken it down.
pub(super) fn kill(name: &str) -> Result<()> {
    eventually("every process of the node has ended", Duration::from_secs(30), || {
        let pids = processes(name);
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // It may have ended since it was listed.
            let _ = kill_process(pid, Signal::KILL);
        }
        ensure!(pids.is_empty(), "{} are left", pids.len());
        Ok(())
    })
}

pub(super) fn remove(name: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(name);
        eventually("the cgroups are removed", Duration::from_secs(10), || {
            visit(&group, &mut |folder| {
                // Busy for a moment after its last process.
                let _ = fs::remove_dir(folder);
            });
            ensure!(!group.exists(), "{} is still there", group.display());
            Ok(())
        })?;
    }
    Ok(())
}

/// Of version 1 one for each controller; of version 2 the only one.
fn hierarchies() -> Vec<PathBuf> {
    if Path::new(ROOT).join("cgroup.controllers").is_file() {
        return vec![ROOT.into()];
    }
    // Several names may be links to one hierarchy. runc makes groups in `unified` too, where the others have the controllers.
    let entries = fs::read_dir(ROOT).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn counting() -> PathBuf {
    let pids = Path::new(ROOT).join("pids");
    if pids.is_dir() { pids } else { ROOT.into() }
}

/// The folders below, the deepest first, and this one.
fn visit(folder: &Path, action: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path(), action);
        }
    }
    action(folder);
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
