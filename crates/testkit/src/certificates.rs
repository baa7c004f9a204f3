//! Certificates by plain openssl, each as `NAME.crt` and `NAME.key` of one folder.

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

/// An authority of its own.
pub(crate) fn authority(folder: &Path, name: &str) -> Result<()> {
    let extensions =
        ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature", "subjectKeyIdentifier=hash"];
    certificate(folder, name, &format!("/CN=serin-test-{name}"), None, &extensions)
}

/// `apiserver`, for this address, by the authority `ca`.
pub(crate) fn api_server(folder: &Path, address: Ipv4Addr) -> Result<()> {
    let domains = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local";
    server(folder, "apiserver", "/CN=kube-apiserver", &format!("IP:{address},IP:127.0.0.1,IP:10.96.0.1,{domains}"))
}

/// A server's, by the authority `ca`; its names are such as `DNS:node,IP:10.0.0.1`.
pub(crate) fn server(folder: &Path, name: &str, subject: &str, names: &str) -> Result<()> {
    certificate(folder, name, subject, Some("ca"), &["extendedKeyUsage=serverAuth", &format!("subjectAltName={names}")])
}

/// A client's. Kubernetes reads its subject as groups (O) and user (CN).
pub(crate) fn client(folder: &Path, authority: &str, name: &str, subject: &str) -> Result<()> {
    certificate(folder, name, subject, Some(authority), &["extendedKeyUsage=clientAuth"])
}

/// `sa.key` and `sa.pub`, for the tokens of service accounts.
pub(crate) fn service_accounts(folder: &Path) -> Result<()> {
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"])?;
    openssl(folder, &["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"])
}

fn certificate(folder: &Path, name: &str, subject: &str, authority: Option<&str>, extensions: &[&str]) -> Result<()> {
    let file = |name: &str, kind: &str| format!("{name}.{kind}");
    let (key, certificate) = (file(name, "key"), file(name, "crt"));
    let signer = authority.map(|authority| (file(authority, "crt"), file(authority, "key")));
    fs::write(folder.join("openssl.cnf"), CONFIG).context("cannot write openssl.cnf")?;
    let mut arguments = vec!["req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    arguments.extend(["-days", "30", "-subj", subject, "-keyout", &key, "-out", &certificate]);
    if let Some((certificate, key)) = &signer {
        arguments.extend(["-CA", certificate, "-CAkey", key]);
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
