//! A small DNS server on loopback: it knows the addresses that it is told, and falls silent when it is told.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// The question's type for IPv4 addresses; for all others a name has no records.
const A: u16 = 1;
/// In answers: whole, by whoever knows, and recursion is there.
const ANSWERS: u16 = 0x8580;
const NXDOMAIN: u16 = 3;

/// A server that runs for as long as the process.
pub struct Dns {
    address: SocketAddr,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    addresses: HashMap<String, Vec<Ipv4Addr>>,
    ttl: u32,
    silent: bool,
    questions: u64,
}

impl Dns {
    /// Listens on a free port of loopback, by UDP; its answers live for so many seconds.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(ttl: u32) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = socket.local_addr()?;
        let known = Arc::new(Mutex::new(Known { ttl, ..Known::default() }));
        let shared = Arc::clone(&known);
        std::thread::Builder::new().name("dns".to_owned()).spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(&buffer[..length]) {
                    // Whoever asked may have gone.
                    let _ = socket.send_to(&answer, from);
                }
            }
        })?;
        Ok(Self { address, known })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this name has these addresses; none: it does not exist.
    pub fn says(&self, name: &str, addresses: &[IpAddr]) {
        let v4 = addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
        self.with(|known| drop(known.addresses.insert(name.to_owned(), v4.collect())));
    }

    /// Whether it answers nobody from now on.
    pub fn falls_silent(&self, silent: bool) {
        self.with(|known| known.silent = silent);
    }

    /// Questions until now.
    pub fn questions(&self) -> u64 {
        self.with(|known| known.questions)
    }

    fn with<T>(&self, does: impl FnOnce(&mut Known) -> T) -> T {
        does(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// The answer to a datagram with one question (RFC 1035, section 4.1).
    fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.questions += 1;
        if self.silent {
            return None;
        }
        let (labels, end) = name(datagram.get(12..)?)?;
        let question = datagram.get(12..12 + end + 4)?;
        let asked = u16::from_be_bytes([question[end], question[end + 1]]);
        let found = self.addresses.get(&labels).filter(|addresses| !addresses.is_empty());
        let records: &[Ipv4Addr] = found.filter(|_| asked == A).map_or(&[], Vec::as_slice);
        let flags = if found.is_some() { ANSWERS } else { ANSWERS | NXDOMAIN };
        let mut answer = datagram[..2].to_vec();
        for number in [flags, 1, u16::try_from(records.len()).ok()?, 0, 0] {
            answer.extend(number.to_be_bytes());
        }
        answer.extend(question);
        for record in records {
            // The name is that of the question, which begins behind the head.
            answer.extend([0xc0, 12, 0, 1, 0, 1]);
            answer.extend(self.ttl.to_be_bytes());
            answer.extend([0, 4]);
            answer.extend(record.octets());
        }
        Some(answer)
    }
}

/// A name in lower case with dots, and how many bytes it took.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(std::str::from_utf8(bytes.get(at..at + length)?).ok()?.to_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ask(dns: &Dns, name: &str) -> Result<Vec<u8>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len())?);
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, 1, 0, 1]);
        socket.send_to(&question, dns.address())?;
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer)?;
        Ok(buffer[..length].to_vec())
    }

    #[test]
    fn it_answers_what_it_was_told_and_that_other_names_do_not_exist() -> Result<()> {
        let dns = Dns::start(5)?;
        dns.says("a.example", &[Ipv4Addr::new(127, 0, 0, 2).into()]);
        let answer = ask(&dns, "A.example")?;
        assert_eq!(
            (&answer[..2], &answer[6..8], &answer[answer.len() - 10..]),
            (&[7, 7][..], &[0, 1][..], &[0, 0, 0, 5, 0, 4, 127, 0, 0, 2][..])
        );
        assert_eq!(ask(&dns, "b.example")?[3] & 15, 3);
        assert_eq!(dns.questions(), 2);
        Ok(())
    }
}
