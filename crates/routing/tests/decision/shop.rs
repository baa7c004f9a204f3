//! A shop of 5,000 routes and 1,000 releases, and a request to it.

use jiff::Timestamp;
use serin_routing::config::{
    Auth, Backend, By, Config, HostMatch, Match, Override, PathMatch, People, Release, Route, RouteRelease, Side, Source, Traffic,
};
use serin_routing::{Policies, Table};
use serin_split::{Decision, Facts, Groups, Segment, decide};
use std::borrow::Cow;
use std::net::IpAddr;

/// Routes of the whole table.
pub(crate) const ROUTES: usize = 5_000;
/// Releases of the whole table.
pub(crate) const RELEASES: usize = 1_000;
/// The moment at which everything is asked.
pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A table of [`ROUTES`] routes and so many releases, each on a route of its own, the first ones on the first routes.
pub(crate) fn table(releases: usize) -> Table {
    let backend = |name: String| Backend { name, ready: vec![([10, 0, 0, 1], 80).into()], ..Backend::default() };
    let route = |n: usize| Route {
        object: format!("Ingress/shop/{n}").into(),
        host: HostMatch::Exact(host(n).into()),
        path: PathMatch::Prefix(format!("/{n}").into()),
        backend: Some(0),
        https_redirect: None,
        auth: Auth::None,
        releases: (n < releases).then_some(RouteRelease { release: n, stable: Some(0), canary: Some(1) }).into_iter().collect(),
    };
    let config = Config {
        routes: (0..ROUTES).map(route).collect(),
        backends: vec![backend("shop/a:80".into()), backend("shop/b:80".into())],
        releases: (0..releases).map(release).collect(),
        ..Config::default()
    };
    Table::new(&config, &mut Policies::default())
}

/// The host of a route: several share one, as they do in a cluster.
pub(crate) fn host(route: usize) -> String {
    format!("host-{}.example", route % 500)
}

/// A release of a kind of its own in turns: each way to split, with overrides by word and by expression, and groups.
fn release(n: usize) -> Release {
    let ways = [
        By::Consumer,
        By::ClientIp,
        By::Header("x-tenant".into()),
        By::Cookie("tenant".into()),
        By::QueryParam("tenant".into()),
        By::Claim("tenant".into()),
        By::Request,
    ];
    let on = |name: &str, matches| Override::Value { source: Source::Header(name.into()), matches };
    let groups = Some(Groups::Admitted(vec!["testers".into()]));
    Release {
        namespace: "shop".into(),
        name: format!("release-{n}"),
        id: "0123456789".into(),
        uid: n.to_string(),
        people: People::Anyone,
        by: ways[n % ways.len()].clone(),
        buckets: 1_000,
        salt: format!("shop/release-{n}"),
        overrides: vec![
            on("x-canary", Match::AlwaysNever),
            on("x-team", Match::Regex("^(pay|check)".into(), Side::Canary)),
            Override::ConsumerGroups(vec!["staff".into()], Side::Stable),
        ],
        path: None,
        fail_when_unavailable: false,
        drain_on_abort: std::time::Duration::ZERO,
        traffic: Traffic::Segment { segment: Segment { groups, ..Segment::flat("0123456789", 1_000, 100, 1, NOW) }, cap: 1_000 },
    }
}

/// A request with all that a split may ask for.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Of header, cookie, parameter, claim and consumer.
    pub(crate) tenant: String,
}

impl Facts for Visitor {
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let value: Option<&[u8]> = match name {
            "x-tenant" => Some(self.tenant.as_bytes()),
            "x-team" => Some(b"legal"),
            _ => None,
        };
        value.into_iter()
    }
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        (name == "tenant").then_some(self.tenant.as_bytes())
    }
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (name == "tenant").then(|| self.tenant.as_bytes().into())
    }
    fn client_ip(&self) -> Option<IpAddr> {
        Some([192, 0, 2, 7].into())
    }
    fn consumer(&self) -> Option<&str> {
        Some(&self.tenant)
    }
    fn in_group(&self, group: &str) -> bool {
        group == "customers"
    }
    fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        (name == "tenant").then(|| self.tenant.as_str().into())
    }
}

/// The whole of what is decided for a request: route, release, side.
pub(crate) fn ask(table: &Table, host: &str, path: &str, visitor: &Visitor) -> Option<Decision> {
    let applied = table.lookup(host, path)?.decider(visitor)?;
    let release = &applied.release;
    Some(decide(&release.policy, &release.served(NOW), visitor))
}
