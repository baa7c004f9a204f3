//! The programs that are measured, and the CPU time they take.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The kernel's unit of `utime` and `stime`, the same on every Linux that Debian builds.
const TICK: Duration = Duration::from_millis(10);
/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(20);

/// A running program. It is killed when the value is dropped, and with it what it started.
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process runs on: the proxy that is measured has a core for itself, load and origins share the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Core {
    Proxy,
    Rest,
}

impl Core {
    /// The program, on this core only.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        let core = match self {
            Self::Proxy => "0",
            Self::Rest => "1",
        };
        command.args(["--cpu-list", core]).arg(program);
        command
    }
}

impl Process {
    /// Starts the command in `folder`, which gets its log, and waits until it listens.
    pub(super) fn start(name: &str, mut command: Command, folder: &Path, listens: SocketAddr) -> Result<Self> {
        if TcpStream::connect(listens).is_ok() {
            bail!("{listens} is taken; {name} is to listen there");
        }
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut process = Self { name: name.to_owned(), child, log };
        process.wait_for("it listens", START, || TcpStream::connect(listens).is_ok())?;
        Ok(process)
    }

    /// Asks until the condition holds; the error has the end of the log.
    pub(super) fn wait_for(&mut self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        while !condition() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() >= end {
                let how = ended.map_or_else(|| format!("not within {limit:?}: {what}"), |status| status.to_string());
                bail!("{}: {how}\n{}", self.name, fs::read_to_string(&self.log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// User and system time until now, its children's too.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let ticks: u64 = family(self.child.id())?.into_iter().map(ticks).sum::<Result<u64>>()?;
        Ok(TICK * u32::try_from(ticks).context("more CPU time than a benchmark takes")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx has a worker that outlives a master which is killed; asked to end, the master takes it along.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(2);
        while asked.is_ok() && Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // An error has nobody to go to: the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process and all that it started.
fn family(pid: u32) -> Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut all = vec![pid];
    for child in children.split_whitespace() {
        all.extend(family(child.parse().context("a pid is a number")?)?);
    }
    Ok(all)
}

fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    user_and_system(&stat).with_context(|| format!("/proc/{pid}/stat is of another form: {stat}"))
}

/// Fields 14 and 15 of proc_pid_stat(5). The name before them is in parentheses and may hold any character.
fn user_and_system(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 130 9 9 20 0 1 0";
        assert_eq!(user_and_system(stat), Some(380));
        assert_eq!(user_and_system("7 (a) S 1"), None);
    }
}
