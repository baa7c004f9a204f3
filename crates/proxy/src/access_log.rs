//! The access log: one line a request, written by a thread of its own, so that a slow disk slows no request down.

use crate::counters::{self, Protocol, Shard};
use crate::failure::Failure;
use crate::grpc;
use crate::record::{rule_name, side_name};
use crate::settings::AccessLog;
use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use serin_split::{Decision, Side};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Lines that may wait for the writer; more are dropped and counted.
const WAITING: usize = 16 * 1024;

/// Where workers put what they have to tell.
#[derive(Debug, Clone)]
pub(crate) struct Log(SyncSender<Box<Entry>>);

/// What is told of one request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) time: Timestamp,
    /// The originating address; `None` when a trusted peer gave no usable one.
    pub(crate) client: Option<IpAddr>,
    /// The consumer, once that is known.
    pub(crate) consumer: Option<Arc<str>>,
    pub(crate) method: Method,
    pub(crate) host: String,
    /// As the client wrote it, query and all, but for the values of parameters that hold keys.
    pub(crate) path: String,
    /// The version of HTTP that the client speaks.
    pub(crate) protocol: Option<Protocol>,
    pub(crate) status: u16,
    /// What the client was told by gRPC, if it speaks that.
    pub(crate) grpc_status: Option<grpc::Status>,
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
    pub(crate) decision: Option<(Arc<str>, Decision, Side)>,
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) failure: Option<Failure>,
}

/// The same as it is written. The order is that of the text form.
#[derive(Debug, Serialize)]
struct Line<'e> {
    time: String,
    client: Option<IpAddr>,
    consumer: Option<&'e str>,
    method: &'e str,
    host: &'e str,
    path: &'e str,
    protocol: Option<&'static str>,
    status: u16,
    grpc_status: Option<u8>,
    bytes: u64,
    duration: f64,
    release: Option<&'e str>,
    side: Option<&'static str>,
    rule: Option<&'static str>,
    bucket: Option<u32>,
    k: Option<u32>,
    upstream: Option<SocketAddr>,
    error: Option<&'static str>,
}

/// Starts the writer. It ends when the last worker that may write has.
pub(crate) fn start(form: AccessLog, to: Box<dyn Write + Send>) -> io::Result<Option<(Log, JoinHandle<()>)>> {
    if form == AccessLog::Off {
        return Ok(None);
    }
    let (log, entries) = sync_channel(WAITING);
    let writer = Builder::new().name("serin-access-log".into()).spawn(move || {
        if let Err(error) = write_all(form, &entries, BufWriter::new(to)) {
            tracing::error!(%error, "access log ended");
        }
    })?;
    Ok(Some((Log(log), writer)))
}

impl Log {
    /// Hands an entry to the writer, or counts it as dropped.
    pub(crate) fn write(&self, entry: Box<Entry>, shard: &Shard) {
        if self.0.try_send(entry).is_err() {
            counters::add(&shard.unlogged, 1);
        }
    }
}

/// Writes line by line, and on through a burst before it flushes.
fn write_all(form: AccessLog, entries: &Receiver<Box<Entry>>, mut to: impl Write) -> io::Result<()> {
    while let Ok(entry) = entries.recv() {
        let mut next = Some(entry);
        while let Some(entry) = next {
            let line = Line::of(&entry);
            match form {
                AccessLog::Json => serde_json::to_writer(&mut to, &line)?,
                AccessLog::Text | AccessLog::Off => line.write_text(&mut to)?,
            }
            to.write_all(b"\n")?;
            next = entries.try_recv().ok();
        }
        to.flush()?;
    }
    Ok(())
}

impl Line<'_> {
    fn of(entry: &Entry) -> Line<'_> {
        let decision = entry.decision.as_ref();
        Line {
            time: format!("{:.3}", entry.time),
            client: entry.client,
            consumer: entry.consumer.as_deref(),
            method: entry.method.as_str(),
            host: &entry.host,
            path: &entry.path,
            protocol: entry.protocol.map(Protocol::name),
            status: entry.status,
            grpc_status: entry.grpc_status.map(grpc::Status::code),
            bytes: entry.bytes,
            duration: entry.duration.as_micros() as f64 / 1e6,
            release: decision.map(|(name, ..)| &**name),
            side: decision.map(|(.., side)| side_name(*side)),
            rule: decision.map(|(_, decision, side)| if decision.side == *side { rule_name(decision.rule) } else { "unavailable" }),
            bucket: decision.and_then(|(_, decision, _)| decision.bucket),
            k: decision.map(|(_, decision, _)| decision.k),
            upstream: entry.upstream,
            error: entry.failure.map(Failure::label),
        }
    }

    /// `key=value` pairs. What a client wrote stands in quotes and is escaped as in JSON, so that it can neither end the line nor look
    /// like another pair; `-` stands for what there is not.
    fn write_text(&self, to: &mut impl Write) -> io::Result<()> {
        let quoted = |text: &str| serde_json::to_string(text).map_err(io::Error::from);
        let consumer = self.consumer.map(quoted).transpose()?;
        write!(to, "{} client={} consumer={}", self.time, or_dash(self.client), or_dash(consumer))?;
        write!(to, " method={}", quoted(self.method)?)?;
        write!(to, " host={} path={}", quoted(self.host)?, quoted(self.path)?)?;
        write!(to, " protocol={} status={} grpc_status={}", or_dash(self.protocol), self.status, or_dash(self.grpc_status))?;
        write!(to, " bytes={} duration={:.6}", self.bytes, self.duration)?;
        write!(to, " release={} side={} rule={}", or_dash(self.release), or_dash(self.side), or_dash(self.rule))?;
        write!(to, " bucket={} k={}", or_dash(self.bucket), or_dash(self.k))?;
        write!(to, " upstream={} error={}", or_dash(self.upstream), or_dash(self.error))
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::Relaxed;

    /// A disk that writes nothing while somebody holds it.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.lock());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn entry() -> Box<Entry> {
        Box::new(Entry {
            time: Timestamp::UNIX_EPOCH,
            client: None,
            consumer: None,
            method: Method::GET,
            host: "a".into(),
            path: "/\" b=c\n".into(),
            protocol: None,
            status: 200,
            grpc_status: None,
            bytes: 0,
            duration: Duration::ZERO,
            decision: None,
            upstream: None,
            failure: None,
        })
    }

    #[test]
    fn writer_that_cannot_follow_stops_nobody_and_what_is_lost_is_counted() {
        let (disk, shard) = (Arc::new(Mutex::new(())), Shard::default());
        let held = disk.lock().expect("no panic");
        let (log, writer) = start(AccessLog::Text, Box::new(Stuck(Arc::clone(&disk)))).expect("a thread").expect("a log");
        for _ in 0..2 * WAITING {
            log.write(entry(), &shard);
        }
        let lost = shard.unlogged.load(Relaxed);
        assert!(lost > 0 && lost <= WAITING as u64, "{lost}");
        drop((held, log));
        writer.join().expect("the writer ends");
    }

    #[test]
    fn what_a_client_wrote_is_escaped() {
        let mut text = Vec::new();
        Line::of(&entry()).write_text(&mut text).expect("memory takes all");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains(r#" path="/\" b=c\n" protocol="#), "{text}");
    }
}
