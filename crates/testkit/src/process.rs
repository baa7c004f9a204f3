//! A process that a test starts, disturbs and ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::eventually;

/// A running program whose output goes to a file. It is killed when the value is dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command; both its streams are appended to `log`. The name is for errors.
    ///
    /// # Errors
    /// When the program or the log cannot be opened.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let open = || File::options().create(true).append(true).open(log).with_context(|| format!("cannot write {}", log.display()));
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The pid. `ip netns exec` becomes the program, so inside a namespace too it is the program's own.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its log, for an error.
    pub fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The memory that it occupies, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).with_context(|| format!("{} has ended", self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")
    }

    /// Sends a signal: `Signal::TERM` asks it to end, `Signal::STOP` freezes it, `Signal::CONT` lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Asking first keeps the signal from a stranger who has got the same pid: until it is reaped here, the pid stays its own.
        if let Some(status) = self.ended()? {
            bail!("{} has ended ({status}):\n{}", self.name, self.last_lines());
        }
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sigkill(&mut self) -> Result<ExitStatus> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// SIGSTOP: it keeps its connections and does nothing.
    ///
    /// # Errors
    /// When it has ended.
    pub fn sigstop(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT, after [`Process::sigstop`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn sigcont(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask after {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`; the error has its last lines.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, || self.ended()?.with_context(|| format!("it still runs:\n{}", self.last_lines())))
    }
}

impl Drop for Process {
    /// An error has nobody to go to: the process has ended already.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MISSING: &str = "libfaketime is not there; install the Debian package libfaketime";

/// What this machine lacks for [`shift_clock`], and how to get it; `None` when it can.
pub fn missing() -> Option<String> {
    faketime().is_none().then(|| MISSING.to_owned())
}

/// Lets a program see a wall clock that is ahead by `seconds`, or behind when negative. Monotonic time stays as it is.
///
/// # Errors
/// When libfaketime is not installed.
pub fn shift_clock(command: &mut Command, seconds: i64) -> Result<()> {
    let library = faketime().context(MISSING)?;
    command.env("LD_PRELOAD", library).env("FAKETIME", format!("{seconds:+}")).env("NO_FAKE_STAT", "1");
    // Two names for the same: before and after 0.9.10.
    command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// Debian puts it below the folder of the machine's architecture.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}
