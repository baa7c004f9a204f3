use super::*;
use crate::authority::Authority;
use crate::origin::{Behaviour, Origin};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn plan(origin: &Origin) -> Plan {
    Plan { rate: 200, users: 10, connections: 5, ..Plan::new(origin.address(), Duration::from_secs(1)) }
}

#[test]
fn every_request_that_falls_due_is_sent_and_counted() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let report = run(&plan(&origin))?;
    assert_eq!((report.sent, report.failed, origin.requests()), (200, 0, 200));
    assert_eq!(report.statuses.get(&200), Some(&200));
    assert_eq!(report.labels.get("v1"), Some(&200));
    assert_eq!((report.connections, origin.connections()), (5, 5));
    Ok(())
}

#[test]
fn failures_are_counted_by_status() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    origin.behave(Behaviour { fail: "10%".parse()?, ..Behaviour::default() });
    let report = run(&plan(&origin))?;
    assert_eq!((report.failed, report.statuses.get(&503)), (20, Some(&20)));
    Ok(())
}

#[test]
fn nobody_listening_is_a_failure_of_each_request() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let plan = plan(&origin);
    drop(origin);
    let report = run(&plan)?;
    assert_eq!((report.sent, report.failed), (200, 200));
    assert!(report.failures.keys().all(|failure| failure.starts_with("connect: ")), "{:?}", report.failures);
    assert!(report.lost.len() == 200 && report.lost.iter().all(|lost| lost.began <= lost.ended), "{:?}", report.lost);
    Ok(())
}

#[test]
fn a_load_in_the_background_ends_when_it_is_told_and_keeps_each_exchange() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let began = std::time::Instant::now();
    let load = start(&Plan { duration: Duration::from_secs(3600), ..plan(&origin) });
    crate::eventually("requests come", Duration::from_secs(10), || {
        ensure!(origin.requests() > 10, "only {}", origin.requests());
        Ok(())
    })?;
    let report = load.end()?;
    assert_eq!((report.failed, report.exchanges.len() as u64), (0, report.sent));
    assert!(report.exchanges.iter().all(|e| began < e.began && e.began < e.ended && e.label.as_deref() == Some("v1")));
    Ok(())
}

#[test]
fn a_load_that_ended_by_itself_was_no_load() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let load = start(&Plan { duration: Duration::from_millis(1), ..plan(&origin) });
    crate::eventually("it is over", Duration::from_secs(10), || {
        ensure!(load.thread.is_finished(), "it goes on");
        Ok(())
    })?;
    assert!(load.end().is_err());
    Ok(())
}

#[test]
fn a_stalling_origin_shows_in_the_latencies() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    origin.behave(Behaviour { delay: Duration::from_millis(200), ..Behaviour::default() });
    let report = run(&Plan { rate: 20, ..plan(&origin) })?;
    assert_eq!(report.failed, 0);
    assert!(report.latency.p50 >= 200.0, "{:?}", report.latency);
    Ok(())
}

/// Takes TLS off what goes to an origin.
fn acceptor(authority: &Authority) -> Result<TlsAcceptor> {
    let certificate = authority.certificate(&["shop.example"])?;
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Stands before an origin. What the first connection gets, once it has asked for something, are these bytes alone.
async fn front(origin: SocketAddr, tls: Option<TlsAcceptor>, first: Option<Vec<u8>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, mut first) = (listener.local_addr()?, first);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (first, tls) = (first.take(), tls.clone());
            tokio::spawn(async move {
                if let Some(bytes) = first {
                    until_asked(&mut client).await?;
                    client.write_all(&bytes).await?;
                    return Ok(());
                }
                let mut origin = TcpStream::connect(origin).await?;
                match tls {
                    Some(tls) => copy_bidirectional(&mut tls.accept(client).await?, &mut origin).await?,
                    None => copy_bidirectional(&mut client, &mut origin).await?,
                };
                anyhow::Ok(())
            });
        }
    });
    Ok(address)
}

/// Reads what an HTTP/2 client begins with, up to its first HEADERS.
async fn until_asked(client: &mut TcpStream) -> Result<()> {
    let mut preface = [0; 24];
    client.read_exact(&mut preface).await?;
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        client.read_exact(&mut payload).await?;
        if head[3] == 1 {
            return Ok(());
        }
    }
}

fn on_a_runtime<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

#[test]
fn each_protocol_goes_with_and_without_tls() -> Result<()> {
    let (origin, authority) = (Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?, Authority::new()?);
    on_a_runtime(async {
        let secure = front(origin.address(), Some(acceptor(&authority)?), None).await?;
        for (protocol, streams) in [(Protocol::Http1, 1), (Protocol::Http2, 5)] {
            for (target, tls) in [(origin.address(), None), (secure, Some(authority.client()))] {
                let (before, host) = (origin.requests(), "shop.example".to_owned());
                let report = drive(&Plan { target, protocol, tls, host, streams, ..plan(&origin) }).await?;
                assert_eq!((report.sent, report.failed, report.connections), (200, 0, 5), "{protocol:?}: {:?}", report.failures);
                assert_eq!((report.labels.get("v1"), origin.requests() - before), (Some(&200), 200), "{protocol:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn each_request_has_a_connection_of_its_own_where_that_is_asked_for() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let report = run(&Plan { fresh: true, ..plan(&origin) })?;
    assert_eq!((report.failed, report.connections, origin.connections()), (0, 200, 200));
    Ok(())
}

#[test]
fn who_believes_nobody_there_has_not_connected() -> Result<()> {
    let (origin, authority) = (Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?, Authority::new()?);
    on_a_runtime(async {
        let target = front(origin.address(), Some(acceptor(&authority)?), None).await?;
        for (host, client) in [("shop.example", Authority::new()?.client()), ("other.example", authority.client())] {
            let report = drive(&Plan { target, tls: Some(client), host: host.into(), ..plan(&origin) }).await?;
            assert_eq!((report.failed, origin.requests(), report.connections), (200, 0, 0));
            let is_told = |failure: &String| failure.starts_with("connect: TLS: invalid peer certificate");
            assert!(report.failures.keys().all(is_told), "{:?}", report.failures);
        }
        Ok(())
    })
}

#[test]
fn what_a_server_says_it_did_not_process_is_sent_again_and_counted_apart() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    let goaway = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let refused = [&[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7], &goaway[..]].concat();
    on_a_runtime(async {
        for (bytes, why) in [(goaway, "GOAWAY NO_ERROR"), (refused, "REFUSED_STREAM")] {
            let (target, before) = (front(origin.address(), None, Some(bytes)).await?, origin.requests());
            let report = drive(&Plan { target, protocol: Protocol::Http2, connections: 1, ..plan(&origin) }).await?;
            assert_eq!((report.sent, report.failed, report.again.get(why)), (200, 0, Some(&1)), "{:?}", report.again);
            assert_eq!((origin.requests() - before, report.connections), (200, 2));
        }
        Ok(())
    })
}

#[test]
fn a_request_of_which_nobody_knows_is_lost() -> Result<()> {
    let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?;
    // GOAWAY for the streams after the first, which has its end with the connection; RST_STREAM with INTERNAL_ERROR; and nothing.
    let others = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let reset = vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    on_a_runtime(async {
        for bytes in [others, reset, Vec::new()] {
            let target = front(origin.address(), None, Some(bytes)).await?;
            let report = drive(&Plan { target, protocol: Protocol::Http2, connections: 1, ..plan(&origin) }).await?;
            assert_eq!((report.sent, report.failed, report.lost.len()), (200, 1, 1), "{:?}", report.failures);
            assert!(report.lost[0].why.starts_with("send: "), "{:?}", report.lost);
            // The next one may find the connection at its end.
            assert!(report.again.keys().all(|why| why == "closed before it was sent"), "{:?}", report.again);
        }
        Ok(())
    })
}
