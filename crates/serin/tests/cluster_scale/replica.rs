//! A replica, and a client of it that keeps its connection.

use anyhow::{Context, Result, ensure};
use serin_testkit::ask;
use serin_testkit::process::Process;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a client waits between two requests: they are many, and must not be the load that is measured.
const PAUSE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(10);

/// One process of `serin controller`.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) address: Ipv4Addr,
}

impl Replica {
    pub(crate) fn http(&self) -> SocketAddr {
        (self.address, 8080).into()
    }

    pub(crate) fn is_ready(&self) -> Result<()> {
        let status = ask::get((self.address, 9901).into(), "/readyz", &[("Host", "admin")])?.status;
        ensure!(status == 200, "readiness is {status}:\n{}", self.process.last_lines());
        Ok(())
    }

    /// A metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = ask::get((self.address, 9901).into(), "/metrics", &[("Host", "admin")])?.body;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("no {name}"))?.parse().context("it is no number")
    }

    /// The processor time that it has taken, in seconds; Linux counts it in hundredths.
    pub(crate) fn processor_time(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).context("it has ended")?;
        // Behind the name, which may have anything in it: user time is the 12th, system time the 13th.
        let fields = stat.rsplit_once(')').context("no name")?.1.split_whitespace().skip(11).take(2);
        Ok(fields.map(|ticks| ticks.parse::<f64>().context("it is no number")).sum::<Result<f64>>()? / 100.0)
    }

    /// The memory that it occupies, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        Ok(self.process.memory()? as f64 / 1024.0)
    }
}

/// One connection to a replica, for one request after the other.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn to(replica: &Replica) -> Result<Self> {
        let stream = TcpStream::connect(replica.http())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self(stream))
    }

    /// The status of one answer; its body is read too.
    pub(crate) fn status(&mut self, host: &str, path: &str) -> Result<u16> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-User: someone\r\n\r\n")?;
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let read = self.0.read(&mut chunk)?;
            ensure!(read > 0, "the connection was closed");
            bytes.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.with_context(|| format!("no length in {head}"))? {
                return head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status");
            }
        }
    }

    /// Asks until the route is there; 404 is the one other answer that may come.
    pub(crate) fn until_served(&mut self, host: &str) -> Result<Instant> {
        let deadline = Instant::now() + LIMIT * 6;
        loop {
            match self.status(host, "/")? {
                200 => return Ok(Instant::now()),
                status => ensure!(status == 404 && Instant::now() < deadline, "{host}: {status}"),
            }
            std::thread::sleep(PAUSE);
        }
    }
}
