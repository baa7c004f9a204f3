//! One request on a connection of its own: enough to ask whether something is served.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The whole answer as text.
pub(super) fn get(address: SocketAddr, host: &str, path: &str, user: u32) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-User: user-{user}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether an answer is a 200.
pub(super) fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
}
