//! The table: built once from a config, asked by every request.

use crate::config::{self, HostMatch, PathMatch, Protocol, Tls};
use crate::deciders::Deciders;
use crate::paths::Paths;
use crate::upstream::Upstream;
use crate::{Certificate, Config, Policies, Release, rewrite};
use serin_auth::Policy;
use serin_split::{Facts, Side};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

/// Everything that is served, ready to be asked. Immutable: the next config is the next table.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
    backends: Vec<Arc<Backend>>,
    releases: Vec<Arc<Release>>,
    exact: HashMap<Arc<str>, Paths>,
    /// By the suffix behind the first label.
    wildcard: HashMap<Arc<str>, Paths>,
    any: Paths,
    default: Option<usize>,
    key_parameters: Vec<String>,
    certificates: Hosts<Arc<Certificate>>,
}

/// What there is for hosts, by how they are matched.
#[derive(Debug)]
struct Hosts<T> {
    exact: HashMap<Arc<str>, T>,
    /// By the suffix behind the first label.
    wildcard: HashMap<Arc<str>, T>,
    any: Option<T>,
}

/// What a request of one host and path gets.
#[derive(Debug)]
pub struct Route {
    /// The object it comes from, `kind/namespace/name`, for logs.
    pub object: Arc<str>,
    /// Which hosts it takes.
    pub host: HostMatch,
    /// Which paths it takes.
    pub path: PathMatch,
    /// What it does without a release; `None`: 503, the reference does not resolve.
    pub backend: Option<Arc<Backend>>,
    /// Whether requests that come without TLS are sent to the same place with it. `None`: as the operator says for all.
    pub https_redirect: Option<bool>,
    /// How it learns who asks.
    pub auth: Auth,
    deciders: Deciders,
}

/// How a route learns who asks.
#[derive(Debug)]
pub enum Auth {
    /// Not at all: nobody is anyone.
    None,
    /// By this policy.
    Policy(Arc<Policy>),
    /// By a policy of this name, `namespace/name`, which cannot be resolved: 503, it never falls open.
    Unresolved(String),
}

/// A release on one route.
#[derive(Debug)]
pub struct RouteRelease {
    /// The release.
    pub release: Arc<Release>,
    /// Side A on this route; `None`: 503, the reference does not resolve.
    pub stable: Option<Arc<Backend>>,
    /// Side B on this route; `None`: it does not resolve, so it has no endpoint.
    pub canary: Option<Arc<Backend>>,
}

/// One port of one Service.
#[derive(Debug)]
pub struct Backend {
    /// Its place in [`Table::backends`]: what a worker keeps for each backend is a list of that order.
    pub index: usize,
    /// `namespace/service:port`, for logs and metrics.
    pub name: String,
    /// Ready endpoints, sorted, each once.
    pub ready: Vec<SocketAddr>,
    /// Serving and terminating ones: used as stable while none is ready (KEP-1669), never as canary.
    pub draining: Vec<SocketAddr>,
    /// What goes as `Host` in place of the client's.
    pub host: Option<String>,
    /// How HTTP is spoken to it.
    pub protocol: Protocol,
    /// TLS is spoken to it.
    pub tls: Option<Tls>,
    /// What it needs does not resolve: nothing is sent to it, and the answer is 503. It has no endpoints.
    pub unresolved: bool,
    /// How it is spoken to beside that, where its Service has a policy that says so.
    pub upstream: Option<Arc<Upstream>>,
    path: Option<String>,
}

impl Table {
    /// The table of a config. An index that points nowhere counts as a reference that does not resolve.
    pub fn new(config: &Config, policies: &mut Policies) -> Self {
        let renewed = policies.renew(&config.releases);
        let releases = config.releases.iter().zip(renewed).enumerate();
        let releases: Vec<_> = releases.map(|(index, (release, policy))| Arc::new(Release::new(index, release.clone(), policy))).collect();
        let backends: Vec<_> = config.backends.iter().enumerate().map(|(index, b)| Arc::new(Backend::new(index, b.clone()))).collect();

        let mut routes: Vec<_> = config.routes.iter().map(|route| Route::new(route, &backends, &releases, &config.policies)).collect();
        // A compiler gives each host and path once. Should it not, the order of the routes must not decide.
        routes.sort_by(|a, b| (&a.host, &a.path, &a.object).cmp(&(&b.host, &b.path, &b.object)));

        let key_parameters: BTreeSet<_> = config.policies.iter().flat_map(|policy| policy.key_parameters()).map(str::to_owned).collect();
        let (key_parameters, certificates) = (key_parameters.into_iter().collect(), Hosts::new(config.certificates.clone()));
        let mut table = Self { routes, backends, releases, key_parameters, certificates, ..Self::empty() };
        let mut first = 0;
        for of_host in table.routes.chunk_by(|a, b| a.host == b.host) {
            let mut paths = Paths::with_capacity(of_host.len());
            of_host.iter().enumerate().for_each(|(nth, route)| paths.insert(&route.path, first + nth));
            match &of_host[0].host {
                HostMatch::Exact(host) => drop(table.exact.insert(Arc::clone(host), paths)),
                HostMatch::Wildcard(suffix) => drop(table.wildcard.insert(Arc::clone(suffix), paths)),
                HostMatch::Any => table.any = paths,
                HostMatch::Default => table.default = Some(first),
            }
            first += of_host.len();
        }
        table
    }

    fn empty() -> Self {
        let (exact, wildcard, any) = (HashMap::new(), HashMap::new(), Paths::default());
        Self {
            routes: Vec::new(),
            backends: Vec::new(),
            releases: Vec::new(),
            exact,
            wildcard,
            any,
            default: None,
            key_parameters: Vec::new(),
            certificates: Hosts::new(Vec::new()),
        }
    }

    /// The route that takes this host (lower case, without port and trailing dot) and canonical path. Allocates nothing.
    ///
    /// Of all routes whose host and path both match, the most specific host wins, and within that host the exact path, then the longest
    /// prefix. So a path that the exact host does not have falls to the wildcard and then to the routes without a host: Ingress v1 lets
    /// a rule without host apply to all traffic and asks that host and path match, and Gateway API ranks by host only what matches.
    /// (Proxies that choose a server block by host first, as nginx and Envoy do, answer 404 there.) Last comes the default backend.
    pub fn lookup(&self, host: &str, path: &str) -> Option<&Route> {
        let exact = || self.exact.get(host)?.lookup(path);
        let wildcard = || match host.split_once('.') {
            Some((label, suffix)) if !label.is_empty() => self.wildcard.get(suffix)?.lookup(path),
            _ => None,
        };
        let index = exact().or_else(wildcard).or_else(|| self.any.lookup(path)).or(self.default)?;
        self.routes.get(index)
    }

    /// What a client is shown that asks for this host (lower case, without trailing dot) by TLS, or for none. `None`: nobody is spoken for.
    pub fn certificate(&self, host: Option<&str>) -> Option<&Arc<Certificate>> {
        host.and_then(|host| self.certificates.of(host)).or(self.certificates.any.as_ref())
    }

    /// Every route, in the order of precedence within a host.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The query parameters that hold keys on any of the routes: no log shows their values.
    pub fn key_parameters(&self) -> &[String] {
        &self.key_parameters
    }

    /// Every backend, in the order of the config.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// Every release, in the order of the config.
    pub fn releases(&self) -> &[Arc<Release>] {
        &self.releases
    }
}

impl<T> Hosts<T> {
    fn new(all: Vec<(HostMatch, T)>) -> Self {
        let mut hosts = Self { exact: HashMap::new(), wildcard: HashMap::new(), any: None };
        for (host, what) in all {
            match host {
                HostMatch::Exact(host) => drop(hosts.exact.insert(host, what)),
                HostMatch::Wildcard(suffix) => drop(hosts.wildcard.insert(suffix, what)),
                HostMatch::Any | HostMatch::Default => hosts.any = Some(what),
            }
        }
        hosts
    }

    /// Of this host: its own, else that of the wildcard.
    fn of(&self, host: &str) -> Option<&T> {
        let wildcard = || self.wildcard.get(host.split_once('.').filter(|(label, _)| !label.is_empty())?.1);
        self.exact.get(host).or_else(wildcard)
    }
}

impl Route {
    fn new(route: &config::Route, backends: &[Arc<Backend>], releases: &[Arc<Release>], policies: &[Arc<Policy>]) -> Self {
        let backend = |index: Option<usize>| index.and_then(|index| backends.get(index).cloned());
        let applied = |applied: &config::RouteRelease| {
            let release = Arc::clone(releases.get(applied.release)?);
            let (stable, canary) = (backend(applied.stable), backend(applied.canary));
            Some((release.people.clone(), RouteRelease { release, stable, canary }))
        };
        Self {
            deciders: Deciders::new(route.releases.iter().filter_map(applied)),
            backend: backend(route.backend),
            auth: Auth::new(&route.auth, policies),
            https_redirect: route.https_redirect,
            object: Arc::clone(&route.object),
            host: route.host.clone(),
            path: route.path.clone(),
        }
    }

    /// The releases that may decide, the most specific first.
    pub fn releases(&self) -> &[RouteRelease] {
        self.deciders.all()
    }

    /// The release that decides a request (S13). Allocates nothing.
    pub fn decider(&self, facts: &impl Facts) -> Option<&RouteRelease> {
        self.deciders.of(facts)
    }

    /// The path that the canary of `release`, which is this backend, gets for `path`, which this route takes (S17): as the release
    /// rewrites it, else as every request to that backend has it.
    pub fn rewrite<'a>(&self, release: &'a Release, canary: &Backend, path: &'a str) -> Cow<'a, str> {
        release.path.as_ref().map_or_else(|| canary.path(path), |how| rewrite::rewrite(how, &self.path, path))
    }
}

impl Auth {
    fn new(auth: &config::Auth, policies: &[Arc<Policy>]) -> Self {
        match auth {
            config::Auth::None => Self::None,
            config::Auth::Policy(index) => {
                policies.get(*index).map_or_else(|| Self::Unresolved(String::new()), |p| Self::Policy(Arc::clone(p)))
            }
            config::Auth::Unresolved(name) => Self::Unresolved(name.clone()),
        }
    }
}

impl RouteRelease {
    /// Where a request goes that the release decided for this side: to stable while the canary has nobody ready to serve it, unless the
    /// release asks to fail then. `is_up` says whether any of its ready endpoints is healthy.
    pub fn serving(&self, decided: Side, is_up: impl FnOnce(&Backend) -> bool) -> Side {
        let has_canary = || self.canary.as_ref().is_some_and(|canary| !canary.ready.is_empty() && is_up(canary));
        match decided {
            Side::Canary if !has_canary() && !self.release.fail_when_unavailable => Side::Stable,
            side => side,
        }
    }
}

impl Backend {
    fn new(index: usize, backend: config::Backend) -> Self {
        Self {
            index,
            name: backend.name,
            ready: backend.ready,
            draining: backend.draining,
            host: backend.host,
            protocol: backend.protocol,
            tls: backend.tls,
            unresolved: backend.unresolved,
            upstream: backend.upstream,
            path: backend.path,
        }
    }

    /// The path that this backend gets for a canonical one: behind its own, where it has one. Nothing left is no slash more.
    pub fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match self.path.as_deref() {
            None | Some("") => Cow::Borrowed(path),
            Some(own) => Cow::Owned([own, path].concat()),
        }
    }
}
