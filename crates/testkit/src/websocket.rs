//! The WebSocket of an origin: it says back what it is told (RFC 6455).

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A message of text that is whole in one frame.
pub const TEXT: u8 = 1;
/// The end.
pub const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Longer messages are refused.
const LONGEST: u64 = 1024 * 1024;

/// What answers the key of a client; `None` when the request asks for no WebSocket.
pub(crate) fn accept(request: &HeaderMap) -> Option<HeaderValue> {
    let is_asked = request.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let key = request.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_asked)?;
    let both = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &both);
    HeaderValue::from_str(&BASE64_STANDARD.encode(hash)).ok()
}

/// Says back each message until the other end closes.
pub(crate) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    loop {
        let (kind, payload) = read(&mut stream).await?;
        let kind = if kind & !FINAL == PING { FINAL | PONG } else { kind };
        write(&mut stream, kind, &payload, None).await?;
        if kind & !FINAL == CLOSE {
            return Ok(());
        }
    }
}

/// The next frame: its first byte, and its payload.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let [first, second] = [stream.read_u8().await?, stream.read_u8().await?];
    let length = match second & !MASKED {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    ensure!(length <= LONGEST, "a message of {length} bytes");
    let mut mask = [0; 4];
    if second & MASKED != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((first, payload))
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Result<()> {
    let mut frame = vec![first];
    let masked = if mask.is_some() { MASKED } else { 0 };
    match payload.len() {
        length @ 0..126 => frame.push(masked | u8::try_from(length)?),
        length @ 126..65536 => {
            frame.push(masked | 126);
            frame.extend(u16::try_from(length)?.to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| frame.extend(mask)).unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Ok(stream.write_all(&frame).await?)
}

/// A client's end of a WebSocket, on a stream of any kind.
pub struct Client<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Asks for a WebSocket of this host and path, with these headers, and checks what is agreed to.
    ///
    /// # Errors
    /// When the other end does not agree, or not as it should.
    pub async fn open(mut stream: S, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\n{more}\r\n"
        );
        stream.write_all(ask.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.with_context(|| format!("only {:?} came", String::from_utf8_lossy(&head)))?);
        }
        let head = String::from_utf8(head)?;
        // The answer to that key, as RFC 6455 has it.
        let is_agreed = head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        ensure!(is_agreed, "no WebSocket: {head}");
        Ok(Self(stream))
    }

    /// Says this and waits for what is said back.
    ///
    /// # Errors
    /// When the WebSocket is over.
    pub async fn ask(&mut self, text: &str) -> Result<String> {
        write(&mut self.0, FINAL | TEXT, text.as_bytes(), Some([1, 2, 3, 4])).await?;
        let (kind, payload) = read(&mut self.0).await?;
        ensure!(kind == FINAL | TEXT, "a frame of kind {kind:#x}");
        Ok(String::from_utf8(payload)?)
    }

    /// Says goodbye and waits for the other's.
    ///
    /// # Errors
    /// When the WebSocket is over before.
    pub async fn close(mut self) -> Result<()> {
        write(&mut self.0, FINAL | CLOSE, &[], Some([1, 2, 3, 4])).await?;
        let (kind, _) = read(&mut self.0).await?;
        ensure!(kind == FINAL | CLOSE, "a frame of kind {kind:#x}");
        Ok(())
    }
}
