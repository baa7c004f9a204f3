//! A running replica, as its clients and its probes see it.

use crate::site::HOST;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serin_testkit::process::Process;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The API server is away or a process is frozen: a call must not wait for it.
const CALL: Duration = Duration::from_secs(2);
/// So many connections in a row meet every worker.
const ASKED: usize = 4;

/// One process of `serin controller`.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) seen: Seen,
}

/// What can be asked of a replica from outside; others may ask at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    address: Ipv4Addr,
    namespace: String,
}

impl Replica {
    pub(crate) fn new(process: Process, address: Ipv4Addr, namespace: &str) -> Self {
        Self { process, seen: Seen { address, namespace: namespace.to_owned() } }
    }

    /// Whether its last word on leadership is that it leads, under this name.
    pub(crate) fn leads_as(&self, holder: &str) -> bool {
        let log = self.process.log();
        let last = log.lines().rfind(|line| line.contains("leadership changed"));
        last.is_some_and(|line| !holder.is_empty() && line.contains(holder) && line.contains("leads=true"))
    }

    pub(crate) fn is_ready(&self) -> Result<()> {
        let status = self.seen.readiness()?;
        ensure!(status == 200, "readiness is {status}:\n{}", self.process.last_lines());
        Ok(())
    }
}

impl Seen {
    /// The last part of its address.
    pub(crate) fn host(&self) -> u8 {
        self.address.octets()[3]
    }

    /// Where its proxy listens.
    pub(crate) fn http(&self) -> SocketAddr {
        (self.address, 8080).into()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        (self.address, 9901).into()
    }

    /// The status of its readiness probe.
    pub(crate) fn readiness(&self) -> Result<u16> {
        Ok(get(self.admin(), "/readyz")?.0)
    }

    /// The release as this replica knows it.
    pub(crate) fn release(&self) -> Result<Value> {
        let (status, text) = get(self.admin(), &format!("/v1/releases/{}/checkout", self.namespace))?;
        ensure!(status == 200, "{status}: {text}");
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body).context("an answer without a body")?;
        Ok(serde_json::from_str(body)?)
    }

    /// How many buckets the canary has, by the decision header of one response.
    pub(crate) fn k(&self) -> Result<u32> {
        let (status, text) = get(self.http(), "/")?;
        ensure!(status == 200, "{status}: {text}");
        let lower = text.to_ascii_lowercase();
        let decision = lower.lines().find(|line| line.starts_with("serin-decision:")).context("no decision header")?;
        let k = decision.split(';').find_map(|part| part.trim().strip_prefix("k="));
        k.with_context(|| format!("no k in {decision}"))?.parse().context("k is no number")
    }

    /// That whichever worker is asked gives the canary so many buckets.
    pub(crate) fn serves(&self, k: u32) -> Result<()> {
        for _ in 0..ASKED {
            let served = self.k()?;
            ensure!(served == k, "{} serves {served}, not {k}", self.address);
        }
        Ok(())
    }
}

/// One request on a connection of its own: status, and the whole answer.
fn get(to: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&to, CALL)?;
    stream.set_read_timeout(Some(CALL))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nX-User: someone\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("no status in {text:?}"))?, text))
}
