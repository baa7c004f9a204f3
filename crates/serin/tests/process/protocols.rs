//! WebSocket, gRPC, events and a download through the built binary, also while it is told to stop.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::origin::VERSION;
use serin_testkit::process::Signal;
use serin_testkit::{eventually, long, manifests, websocket};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// `checkout` by HTTP/1.1 and, below `/grpc`, the same origin by HTTP/2.
fn site() -> Result<Site> {
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    let service = manifests::service_speaking("shop", "grpc", &[site.stable.address()], "kubernetes.io/h2c");
    site.write("grpc.yaml", &(service + &manifests::ingress("shop", "grpc", HOST, "/shop.Echo", "grpc")))?;
    eventually("the route is there", PATIENCE, || {
        let answer = site.ask(HOST, "/shop.Echo", &[])?;
        ensure!(answer.header(VERSION) == Some("HTTP/2.0"), "{answer:?}");
        Ok(())
    })?;
    Ok(site)
}

/// An answer that is read bit by bit.
struct Open(BufReader<TcpStream>);

impl Open {
    fn ask(to: SocketAddr, request: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut open = Self(BufReader::new(stream));
        let status = open.line()?;
        ensure!(status == "HTTP/1.1 200 OK", "{status}");
        while !open.line()?.is_empty() {}
        Ok(open)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "it is over");
        Ok(line.trim_end().to_owned())
    }

    /// The next line that begins so.
    fn next(&mut self, begin: &str) -> Result<String> {
        loop {
            let line = self.line()?;
            if line.starts_with(begin) {
                return Ok(line);
            }
        }
    }

    /// Sends one message of gRPC, and reads the one that is said back.
    fn call(&mut self, message: &[u8]) -> Result<()> {
        let framed = [&[0, 0, 0, 0, u8::try_from(message.len())?], message].concat();
        let stream = self.0.get_mut();
        stream.write_all(&[format!("{:x}\r\n", framed.len()).as_bytes(), &framed, b"\r\n"].concat())?;
        let size = usize::from_str_radix(&self.line()?, 16)?;
        let mut back = vec![0; size + 2];
        self.0.read_exact(&mut back)?;
        ensure!(back == [&framed, &b"\r\n"[..]].concat(), "{back:?}");
        Ok(())
    }
}

const GRPC: &str = "POST /shop.Echo/Talk HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/grpc\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn events_come_one_by_one_while_the_answer_is_open() -> Result<()> {
    let site = site()?;
    let mut events = Open::ask(site.running.http, &format!("GET /sse HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))?;
    for nth in 0..3 {
        assert_eq!(events.next("data: ")?, format!("data: v1 {nth}"));
    }
    Ok(())
}

#[test]
fn what_is_open_when_the_process_is_told_to_stop_is_not_cut() -> Result<()> {
    let mut site = site()?;
    let (http, seconds) = (site.running.http, if long() { 10 } else { 3 });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let chat = async { websocket::Client::open(tokio::net::TcpStream::connect(http).await?, HOST, "/ws", &[]).await };
    let mut chat = runtime.block_on(chat)?;
    assert_eq!(runtime.block_on(chat.ask("before"))?, "before");
    let mut grpc = Open::ask(http, GRPC)?;
    grpc.call(b"before")?;
    let mut events = Open::ask(http, &format!("GET /sse HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))?;
    let mut download = Open::ask(http, &format!("GET /slow?seconds={seconds} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))?;
    download.line()?;
    assert_eq!(site.running.metric("serin_client_websockets")?, 1.0);

    site.running.process.signal(Signal::TERM)?;
    eventually("it takes no more connections", PATIENCE, || {
        ensure!(TcpStream::connect(http).is_err(), "it does");
        Ok(())
    })?;
    assert_eq!(runtime.block_on(chat.ask("after"))?, "after");
    grpc.call(b"after")?;
    events.next("data: ")?;
    let mut rest = String::new();
    download.0.read_to_string(&mut rest).context("the download is cut")?;
    assert_eq!(rest.lines().count(), seconds * 10 - 1);
    runtime.block_on(chat.ask("still"))?;
    grpc.call(b"still")?;
    ensure!(site.running.process.ended()?.is_none(), "it ended with streams open");

    runtime.block_on(chat.close())?;
    grpc.0.get_mut().write_all(b"0\r\n\r\n")?;
    let mut rest = Vec::new();
    grpc.0.read_to_end(&mut rest)?;
    ensure!(rest.starts_with(b"0\r\n"), "the end of the stream comes whole: {rest:?}");
    drop(events);
    let status = site.running.process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}:\n{}", site.running.process.last_lines());
    assert!(Duration::from_secs(seconds as u64) < PATIENCE);
    Ok(())
}
