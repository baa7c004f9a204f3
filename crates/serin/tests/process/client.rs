//! One connection with one request after the other, so that answers come in the order in which the proxy decided.

use anyhow::{Context, Result, bail};
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

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What `Serin-Decision` says.
    pub(crate) decision: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("{address} takes no connection"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The answer to a GET.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> Result<Answer> {
        self.send(request(host, path, None).as_bytes())?;
        self.answer()
    }

    /// So many requests, and whether the canary's origin answered each.
    pub(crate) fn sides(&mut self, host: &str, requests: usize) -> Result<Vec<bool>> {
        self.sides_of(host, &vec![None; requests])
    }

    /// A request of each tenant, and whether the canary's origin answered it.
    pub(crate) fn sides_of(&mut self, host: &str, tenants: &[Option<String>]) -> Result<Vec<bool>> {
        let mut sides = Vec::with_capacity(tenants.len());
        for batch in tenants.chunks(BATCH) {
            let requests: String = batch.iter().map(|tenant| request(host, "/", tenant.as_deref())).collect();
            self.send(requests.as_bytes())?;
            for _ in batch {
                let answer = self.answer()?;
                sides.push(match (answer.status, answer.body.as_str()) {
                    (200, "v1\n") => false,
                    (200, "v2\n") => true,
                    _ => bail!("neither side answered: {answer:?}"),
                });
            }
        }
        Ok(sides)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.reader.get_mut().write_all(bytes).context("the connection broke")
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).context("no whole head")?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let field = |name: &str| {
            let of = |line: &String| Some(line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name))?.1.to_owned());
            lines.iter().find_map(of)
        };
        let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).context("no status line")?;
        let mut body = vec![0; field("content-length").context("an answer without a length")?.parse()?];
        self.reader.read_exact(&mut body).context("no whole body")?;
        Ok(Answer { status, decision: field("serin-decision").unwrap_or_default(), body: String::from_utf8(body)? })
    }
}

fn request(host: &str, path: &str, tenant: Option<&str>) -> String {
    let tenant = tenant.map(|tenant| format!("X-Tenant: {tenant}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{tenant}\r\n")
}
