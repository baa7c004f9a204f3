//! Which route takes a request: one table a rule, and the naive matcher that the compiled table must agree with.

mod naive;
mod releases;
mod rules;

use serin_routing::config::{Config, HostMatch, PathMatch, Route};
use serin_routing::{Policies, Table};

/// A route by its short form: `host path`, where the host is `a.b`, `*.b`, `*` or `default`, and `=` before the path means exact.
fn route(text: &str) -> Route {
    let (host, path) = text.split_once(' ').expect("a host and a path");
    let host = match host {
        "default" => HostMatch::Default,
        "*" => HostMatch::Any,
        host => host.strip_prefix("*.").map_or(HostMatch::Exact(host.into()), |suffix| HostMatch::Wildcard(suffix.into())),
    };
    let path = match path.strip_prefix('=') {
        Some(path) => PathMatch::Exact(path.into()),
        None => PathMatch::Prefix(path.into()),
    };
    Route { object: text.into(), host, path, backend: None, https_redirect: None, auth: Default::default(), releases: Vec::new() }
}

fn table(routes: impl IntoIterator<Item = Route>) -> Table {
    Table::new(&Config { routes: routes.into_iter().collect(), ..Config::default() }, &mut Policies::default())
}

/// The route that takes a request, by its short form.
fn taken<'t>(table: &'t Table, host: &str, path: &str) -> Option<&'t str> {
    table.lookup(host, path).map(|route| &*route.object)
}
