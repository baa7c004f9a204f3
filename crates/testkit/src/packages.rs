//! Debian packages of what tests run beside their own programs.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::is_there;

/// A program, by its path or by the name that PATH knows, and its package.
pub type Package = (&'static str, &'static str);

/// Of the tier with an API server: the control plane's network, clocks that are off, a scanner of TLS, and what Argo CD needs beside it.
pub const API_SERVER: &[Package] = &[
    ("openssl", "openssl"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    (FAKETIME, "libfaketime"),
    ("testssl", "testssl.sh"),
    ("redis-server", "redis-server"),
    ("git", "git"),
];

const FAKETIME: &str = if cfg!(target_arch = "aarch64") {
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"
} else {
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
};

/// Installs what is missing of these, when this machine has apt-get and we are root. What it could not do, each tier says by itself.
pub fn install(packages: &[Package]) {
    let lacking: Vec<&str> = lacking(packages).collect();
    if lacking.is_empty() || !rustix::process::geteuid().is_root() || !is_there("apt-get", "--version") {
        return;
    }
    eprintln!("installing {}", lacking.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        // Its progress is nobody's result.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    };
    apt(&["update"]);
    apt(&[&["install", "--yes", "--no-install-recommends"], lacking.as_slice()].concat());
}

/// The packages of the programs that are not there.
pub(crate) fn lacking(packages: &[Package]) -> impl Iterator<Item = &'static str> {
    let there = |program: &str| {
        let mut folders: Vec<_> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
        // Where root's programs are, which not each PATH names.
        folders.extend(["/usr/sbin", "/sbin"].map(Into::into));
        Path::new(program).is_absolute() && Path::new(program).exists() || folders.iter().any(|folder| folder.join(program).is_file())
    };
    packages.iter().filter(move |(program, _)| !there(program)).map(|(_, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_by_path_and_by_name() {
        let wanted = [("sh", "dash"), ("/bin/sh", "dash"), ("no-such-program", "none"), ("/no/such/program", "neither")];
        assert_eq!(lacking(&wanted).collect::<Vec<_>>(), ["none", "neither"]);
    }
}
