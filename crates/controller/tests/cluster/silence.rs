//! An API server that falls silent: connections that stay open and carry nothing.

use crate::watch::Watched;
use crate::world::{admin, create_release, install, namespace, shared, through};
use anyhow::Result;
use serin_testkit::long;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A change behind a silent connection is seen within a minute; the short form only looks at how it is before.
#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up_within_a_minute() -> Result<()> {
    let cluster = shared()?;
    namespace(cluster, "silence")?;
    let server: SocketAddr = cluster.server().trim_start_matches("https://").parse()?;
    let listener = TcpListener::bind((cluster.outside(210), 0)).await?;
    let address = listener.local_addr()?;
    let (silent, is_silent) = watch::channel(0_u32);
    let wire = tokio::spawn(carry(listener, server, is_silent));
    let client = through(&cluster.kubeconfig(), &install(cluster, "silence")?, address).await?;
    let mut watched = Watched::of(&client, &["silence"]);
    watched.see(&["=CanaryRelease ", "=Service "]).await?;
    if long() {
        // Those that are open now carry nothing any more; new ones do.
        silent.send_replace(1);
        let since = Instant::now();
        create_release(&admin(cluster).await?, "silence", "hidden").await?;
        watched.see(&["+CanaryRelease hidden"]).await?;
        println!("{:?} from silence to the next change", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    }
    wire.abort();
    Ok(())
}

/// Carries each connection until the number changes, and then keeps it open.
async fn carry(listener: TcpListener, server: SocketAddr, silent: watch::Receiver<u32>) {
    while let Ok((near, _)) = listener.accept().await {
        let Ok(far) = TcpStream::connect(server).await else { continue };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::spawn(one_way(near_in, far_out, silent.clone()));
        tokio::spawn(one_way(far_in, near_out, silent.clone()));
    }
}

async fn one_way(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, silent: watch::Receiver<u32>) {
    let then = *silent.borrow();
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if *silent.borrow() != then {
            // Neither end hears of it.
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
