//! What an operator says of hosts outside the cluster.

use crate::names::{Names, Resolver};
use serin_compiler::AllowedHosts;
use std::net::SocketAddr;

/// Which hosts may be sent to, and who knows their names.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// `--allow-external-hosts`.
    pub allowed: Vec<AllowedHosts>,
    /// `--outbound-allow`: hosts that serin itself may call.
    pub called: Vec<AllowedHosts>,
    /// `--dns-servers`; none: those of /etc/resolv.conf.
    pub dns_servers: Vec<SocketAddr>,
}

impl Outside {
    /// Looks names up.
    pub(crate) fn names(&self) -> Names<Resolver> {
        Names::new(Resolver::new(&self.dns_servers))
    }
}
