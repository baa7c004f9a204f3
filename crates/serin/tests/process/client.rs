//! One connection with one request after the other, so that answers come in the order in which the proxy decided.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sent before the first answer is read: few enough that both sides' socket buffers hold them.
const BATCH: usize = 50;
/// How long an answer may take before a test fails. Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept alive.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("{address} takes no connection"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// So many requests, and whether the canary's origin answered each.
    pub(crate) fn sides(&mut self, host: &str, requests: usize) -> Result<Vec<bool>> {
        self.sides_of(host, &vec![None; requests])
    }

    /// A request of each tenant, and whether the canary's origin answered it.
    pub(crate) fn sides_of(&mut self, host: &str, tenants: &[Option<String>]) -> Result<Vec<bool>> {
        self.sides_by(host, "X-Tenant", tenants)
    }

    /// A request with each value of a header, and whether the canary's origin answered it.
    pub(crate) fn sides_by(&mut self, host: &str, header: &str, values: &[Option<String>]) -> Result<Vec<bool>> {
        let mut sides = Vec::with_capacity(values.len());
        for batch in values.chunks(BATCH) {
            let requests: String = batch.iter().map(|value| request(host, header, value.as_deref())).collect();
            self.reader.get_mut().write_all(requests.as_bytes()).context("the connection broke")?;
            for _ in batch {
                sides.push(match self.answer()?.as_str() {
                    "v1\n" => false,
                    "v2\n" => true,
                    other => bail!("neither side answered: {other}"),
                });
            }
        }
        Ok(sides)
    }

    /// The body of the next answer, whatever its status: each side has one of its own.
    fn answer(&mut self) -> Result<String> {
        let mut length = None;
        loop {
            let mut line = String::new();
            ensure!(self.reader.read_line(&mut line).context("no whole head")? > 0, "the connection ended");
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = Some(value.parse()?),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length.context("an answer without a length")?];
        self.reader.read_exact(&mut body).context("no whole body")?;
        Ok(String::from_utf8(body)?)
    }
}

fn request(host: &str, header: &str, value: Option<&str>) -> String {
    let field = value.map(|value| format!("{header}: {value}\r\n")).unwrap_or_default();
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n{field}\r\n")
}
