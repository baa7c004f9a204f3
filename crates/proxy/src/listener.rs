//! Listeners: one a worker, all on one port, so that the system spreads connections without a lock.

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::net::TcpStream;

/// Where a connection comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where nothing but HTTP is spoken.
    Http,
    /// Where it is spoken by TLS.
    Https,
}

/// Connections that may wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// When a connection on which nothing comes is asked whether its other end is still there: after a minute, and each 15 s then. Whoever does
/// not answer for a further minute has vanished without a word, as with a machine that lost power; and what lies between keeps the connection.
fn asking() -> TcpKeepalive {
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4)
}

/// Has a connection ask so. Without it a vanished end is noticed later.
pub(crate) fn keep_asking(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_keepalive(&asking());
}

/// So many listeners on one address; with port 0 the first one gets a port from the system and the others take the same.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = listen(address)?;
    let address = first.local_addr()?;
    let others = (1..count).map(|_| listen(address));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Its connections have it from here.
    socket.set_tcp_keepalive(&asking())?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn asks(socket: &SockRef<'_>) -> (bool, Duration, Duration, u32) {
        let [time, interval] = [socket.tcp_keepalive_time(), socket.tcp_keepalive_interval()].map(|read| read.expect("an option"));
        (socket.keepalive().expect("an option"), time, interval, socket.tcp_keepalive_retries().expect("an option"))
    }

    #[tokio::test]
    async fn connections_of_both_sides_ask_whether_their_other_end_is_there() {
        let wanted = (true, Duration::from_secs(60), Duration::from_secs(15), 4);
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).expect("a listener").remove(0);
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let (accepted, _) = listener.accept().await.expect("a connection");
        assert_eq!(asks(&SockRef::from(&accepted)), wanted);
        assert!(!SockRef::from(&stream).keepalive().expect("an option"));
        keep_asking(&stream);
        assert_eq!(asks(&SockRef::from(&stream)), wanted);
    }
}
