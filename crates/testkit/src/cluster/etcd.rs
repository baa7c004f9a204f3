//! Reading and writing etcd past the API server, through its JSON gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

/// Stores these bytes under this key.
pub(super) fn put(etcd: SocketAddr, key: &str, value: &[u8]) -> Result<()> {
    post(etcd, "/v3/kv/put", &json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)})).map(drop)
}

/// The bytes under this key; `None` when there are none.
pub(super) fn read(etcd: SocketAddr, key: &str) -> Result<Option<Vec<u8>>> {
    let answer = post(etcd, "/v3/kv/range", &json!({"key": STANDARD.encode(key)}))?;
    let Some(value) = answer["kvs"][0]["value"].as_str() else { return Ok(None) };
    STANDARD.decode(value).map(Some).context("etcd answered something other than base64")
}

/// HTTP/1.0, so the answer ends with the connection and has no chunks.
fn post(etcd: SocketAddr, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let request = format!("POST {path} HTTP/1.0\r\nHost: {etcd}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut answer = String::new();
    let talk = |answer: &mut String| -> std::io::Result<()> {
        let mut stream = TcpStream::connect(etcd)?;
        stream.set_read_timeout(LIMIT)?;
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(answer).map(drop)
    };
    talk(&mut answer).with_context(|| format!("etcd at {etcd} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("etcd answered something other than HTTP")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "etcd refuses {path}: {answer}");
    serde_json::from_str(body).context("etcd answered something other than JSON")
}
