//! Certificates by plain openssl: one authority, the API server's leaf, an administrator, the key of service account tokens.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, shift_clock};
use crate::run::stdout;

/// So old is a certificate where clocks can be shifted: it holds too for a process whose clock is a day off.
const TWO_DAYS: i64 = 2 * 86_400;

/// The stock file would add extensions of its own.
const CONFIG: &str = "[req]\ndistinguished_name=dn\n[dn]\n";

/// Writes `ca`, `apiserver`, `admin` (`.crt`, `.key`) and `sa` (`.key`, `.pub`) into `folder`; `server` is the API server's address.
pub(super) fn write(folder: &Path, server: Ipv4Addr) -> Result<()> {
    fs::write(folder.join("openssl.cnf"), CONFIG).context("cannot write openssl.cnf")?;
    let authority =
        ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature", "subjectKeyIdentifier=hash"];
    certificate(folder, "ca", "/CN=serin-test-ca", false, &authority)?;
    let names = format!("subjectAltName=IP:{server},IP:10.96.0.1,DNS:kubernetes.default.svc");
    certificate(folder, "apiserver", "/CN=kube-apiserver", true, &["extendedKeyUsage=serverAuth", &names])?;
    certificate(folder, "admin", "/O=system:masters/CN=admin", true, &["extendedKeyUsage=clientAuth"])?;
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"])?;
    openssl(folder, &["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"])
}

fn certificate(folder: &Path, name: &str, subject: &str, leaf: bool, extensions: &[&str]) -> Result<()> {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let mut arguments = vec!["req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    arguments.extend(["-days", "4", "-subj", subject, "-keyout", &key, "-out", &certificate]);
    if leaf {
        arguments.extend(["-CA", "ca.crt", "-CAkey", "ca.key"]);
        for extension in ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "authorityKeyIdentifier=keyid"] {
            arguments.extend(["-addext", extension]);
        }
    }
    for extension in extensions {
        arguments.extend(["-addext", extension]);
    }
    openssl(folder, &arguments)
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("openssl");
    // OpenSSL 3.0 has no option for when a certificate begins to hold.
    if process::missing().is_none() {
        shift_clock(&mut command, -TWO_DAYS)?;
    }
    stdout(command.args(arguments).current_dir(folder)).map(drop)
}
