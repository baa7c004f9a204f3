//! `appProtocol` of a Service, as the API server has it: what is spoken to its pods, and TLS with a certificate that is verified.

use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Result, ensure};
use serin_testkit::{ask, eventually, manifests, websocket};

#[test]
fn app_protocol_of_a_service_says_what_is_spoken_to_its_pods() -> Result<()> {
    let site = Site::new(shared()?, "protocols")?;
    let of = |name: &str, word: &str| {
        let service = manifests::service_speaking(site.namespace, name, &[site.stable.address()], word);
        service + &manifests::ingress(site.namespace, name, HOST, &format!("/{name}"), name)
    };
    site.cluster.apply(&[of("h2c", "kubernetes.io/h2c"), of("secure", "https")].concat())?;
    let serin = site.serin(64)?;
    let grpc = [("Host", HOST), ("Content-Type", "application/grpc"), ("TE", "trailers")];
    eventually("gRPC by HTTP/2 is said back", SOON, || {
        let answer = ask::post(serin.http(), "/h2c/Talk", &grpc, "\0\0\0\0\x05hello")?;
        ensure!(answer.status == 200 && answer.body.contains("hello"), "{answer:?}");
        Ok(())
    })?;
    let plain = ask::get(serin.http(), "/h2c", &[("Host", HOST)])?;
    ensure!(plain.status == 200 && plain.header("x-version") == Some("HTTP/2.0"), "{plain:?}");
    let plain = ask::get(serin.http(), "/", &[("Host", HOST)])?;
    ensure!(plain.status == 200 && plain.header("x-version") == Some("HTTP/1.1"), "{plain:?}");
    // That port speaks no TLS, and nothing is sent to it without.
    let secure = ask::get(serin.http(), "/secure", &[("Host", HOST)])?;
    assert_eq!((secure.status, secure.body.as_str()), (502, "the backend does not speak TLS as it should\n"));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(serin.http()).await?;
        let mut chat = websocket::Client::open(socket, HOST, "/ws", &[]).await?;
        ensure!(chat.ask("hello").await? == "hello", "another text came back");
        // Its Service goes: what is open stays (S20).
        site.kubectl(&["delete", "service", "checkout"])?;
        eventually("the route answers 503", SOON, || {
            let answer = ask::get(serin.http(), "/", &[("Host", HOST)])?;
            ensure!(answer.status == 503, "{answer:?}");
            Ok(())
        })?;
        ensure!(chat.ask("still here").await? == "still here", "another text came back");
        chat.close().await
    })
}
