//! N4: what is open when its replica leaves.

use crate::rolling::{HOST, replaced};
use crate::scenario::Scenario;
use crate::site::SOON;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serin_testkit::{eventually, websocket};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Of the download.
const SECONDS: usize = 10;
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(200);

/// What goes over TLS while it is drained.
struct Streams {
    https: SocketAddr,
    client: Arc<ClientConfig>,
    /// How many of the three have been answered.
    open: AtomicU32,
    /// No replica takes a connection any more.
    left: AtomicBool,
    downloaded: AtomicBool,
}

/// Opens a WebSocket, a gRPC stream and a download, deletes every replica of serin, and goes on with each to its own end.
pub(crate) fn streams_outlive_their_replica(site: &Scenario) -> Result<()> {
    site.until_origin_tls(HOST, "/shop.Echo/", "v1")?;
    let leaving = site.replicas()?;
    let [left, downloaded] = [false, false].map(AtomicBool::new);
    let streams = Streams { https: site.https, client: site.authority.client(), open: AtomicU32::new(0), left, downloaded };
    let (chats, calls, lines) = thread::scope(|scope| {
        let talk = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { tokio::try_join!(streams.chat(), streams.grpc(), streams.download()) })
        });
        let drained = eventually("all three are open", SOON, || {
            let open = streams.open.load(Ordering::Relaxed);
            ensure!(open == 3 || talk.is_finished(), "{open} are");
            Ok(())
        })
        .and_then(|()| {
            let selector = "app.kubernetes.io/component=controller";
            site.node.kubectl(&["delete", "pods", "-n", &site.own, "-l", selector, "--wait=false"], "")?.ok()?;
            leaving.iter().try_for_each(|replica| {
                eventually(&format!("{} takes no more connections", replica.name), SOON, || {
                    let to = SocketAddr::from((replica.address, 8443));
                    ensure!(TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_err(), "it does");
                    Ok(())
                })
            })
        });
        streams.left.store(true, Ordering::Relaxed);
        let talked = talk.join().map_err(|_| anyhow::anyhow!("the streams panicked"))?;
        drained.and(talked)
    })?;
    println!(
        "beside the drain of every replica: {chats} messages of a WebSocket, {calls} of a gRPC stream, a download of {SECONDS} s in {lines} lines; none was cut"
    );
    replaced(site)
}

impl Streams {
    async fn connect(&self, alpn: &[&[u8]]) -> Result<TlsStream<tokio::net::TcpStream>> {
        let mut client = (*self.client).clone();
        client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = tokio::net::TcpStream::connect(self.https).await?;
        Ok(TlsConnector::from(Arc::new(client)).connect(ServerName::try_from(HOST)?, stream).await?)
    }

    async fn http2(&self) -> Result<SendRequest<Bytes>> {
        let (sender, connection) = h2::client::handshake(self.connect(&[b"h2"]).await?).await?;
        // How it ends is known by its streams.
        tokio::spawn(connection);
        Ok(sender.ready().await?)
    }

    /// True until all have left and the download is there; a while passes before it is asked again.
    async fn goes_on(&self) -> bool {
        tokio::time::sleep(PAUSE).await;
        !self.left.load(Ordering::Relaxed) || !self.downloaded.load(Ordering::Relaxed)
    }

    async fn chat(&self) -> Result<u32> {
        let mut chat = websocket::Client::open(self.connect(&[]).await?, HOST, "/ws", &[]).await?;
        let mut said = 0;
        loop {
            let text = format!("message {said}");
            ensure!(chat.ask(&text).await.context("the WebSocket is cut")? == text, "another message");
            if said == 0 {
                self.open.fetch_add(1, Ordering::Relaxed);
            }
            said += 1;
            if !self.goes_on().await {
                break;
            }
        }
        chat.close().await.context("the WebSocket is cut")?;
        Ok(said)
    }

    async fn grpc(&self) -> Result<u32> {
        let mut sender = self.http2().await?;
        let request = Request::post(format!("https://{HOST}/shop.Echo/Talk")).header("content-type", "application/grpc");
        let (answer, mut upload) = sender.send_request(request.header("te", "trailers").body(())?, false)?;
        let (mut said, mut answer, mut body) = (0, Some(answer), None);
        loop {
            let text = format!("message {said}");
            let framed = [&[0, 0, 0, 0, u8::try_from(text.len())?], text.as_bytes()].concat();
            upload.send_data(Bytes::from(framed.clone()), false)?;
            if let Some(answer) = answer.take() {
                body = Some(answer.await?.into_body());
            }
            let body = body.as_mut().context("no body")?;
            let mut back = Vec::new();
            while back.len() < framed.len() {
                let data = body.data().await.context("the gRPC stream is over")?.context("the gRPC stream is cut")?;
                body.flow_control().release_capacity(data.len())?;
                back.extend_from_slice(&data);
            }
            ensure!(back == framed, "another message");
            if said == 0 {
                self.open.fetch_add(1, Ordering::Relaxed);
            }
            said += 1;
            if !self.goes_on().await {
                break;
            }
        }
        upload.send_data(Bytes::new(), true)?;
        let mut body = body.context("no body")?;
        ensure!(body.data().await.is_none(), "more than was sent");
        let trailers = body.trailers().await.context("the gRPC stream is cut")?.context("no trailers")?;
        ensure!(trailers.get("grpc-status").is_some_and(|status| status == "0"), "{trailers:?}");
        Ok(said)
    }

    /// How many lines it had.
    async fn download(&self) -> Result<usize> {
        let mut sender = self.http2().await?;
        let request = Request::get(format!("https://{HOST}/slow?seconds={SECONDS}")).body(())?;
        let mut body = sender.send_request(request, true)?.0.await?.into_body();
        let mut lines = 0;
        while let Some(data) = body.data().await {
            let data = data.context("the download is cut")?;
            body.flow_control().release_capacity(data.len())?;
            if lines == 0 {
                self.open.fetch_add(1, Ordering::Relaxed);
            }
            lines += data.iter().filter(|byte| **byte == b'\n').count();
        }
        ensure!(lines == SECONDS * 10, "the download has {lines} lines");
        self.downloaded.store(true, Ordering::Relaxed);
        Ok(lines)
    }
}
