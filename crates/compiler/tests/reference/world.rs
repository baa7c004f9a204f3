//! A world that is made up: routes, Services and releases in every phase; and as the objects that the product gets.

use crate::request::at;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Strategy as _;
use serde_json::{Value, json};
use serin_compiler::{AnyRelease, Objects};

/// serin's own namespace.
pub(crate) const OWN: &str = "serin-system";
const NAMESPACES: &[&str] = &["shop", OWN];

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) routes: Vec<Route>,
    pub(crate) releases: Vec<Release>,
    /// Services of each namespace that have a ready endpoint.
    pub(crate) ready: Vec<(&'static str, &'static str)>,
}

/// One path of an Ingress; no two have the same host and path.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) namespace: &'static str,
    pub(crate) ingress: &'static str,
    pub(crate) host: Option<&'static str>,
    pub(crate) path: &'static str,
    pub(crate) exact: bool,
    pub(crate) service: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) namespace: &'static str,
    pub(crate) name: String,
    /// The lower, the older.
    pub(crate) born: usize,
    pub(crate) scope: Scope,
    pub(crate) canary: &'static str,
    pub(crate) fail: bool,
    pub(crate) by: By,
    pub(crate) buckets: u32,
    pub(crate) salt: Option<&'static str>,
    pub(crate) revision: Option<&'static str>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) strategy: Strategy,
    pub(crate) enabled: bool,
    pub(crate) deleting: bool,
    pub(crate) phase: &'static str,
    /// The annotation, and what status has of it.
    pub(crate) abort: Option<&'static str>,
    pub(crate) last_abort: Option<&'static str>,
    /// What status serves is of this release.
    pub(crate) own_traffic: bool,
    pub(crate) line: Line,
    pub(crate) groups: Vec<&'static str>,
    pub(crate) denied: Vec<&'static str>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Ingress, and maybe host and path of a rule.
    pub(crate) route: Option<(&'static str, Option<&'static str>, Option<&'static str>)>,
    pub(crate) service: Option<&'static str>,
    pub(crate) consumer: Option<&'static str>,
    pub(crate) group: Option<&'static str>,
    pub(crate) all_namespaces: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Consumer,
    ClientIp,
    Header(&'static str),
    Cookie(&'static str),
    QueryParam(&'static str),
    Claim(&'static str),
    Request,
}

#[derive(Debug, Clone)]
pub(crate) struct Override {
    pub(crate) on: On,
    pub(crate) to_canary: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum On {
    AlwaysNever {
        cookie: bool,
        name: &'static str,
    },
    Exact {
        cookie: bool,
        name: &'static str,
        value: &'static str,
    },
    /// `^value`.
    Begins {
        cookie: bool,
        name: &'static str,
        value: &'static str,
    },
    Groups(Vec<&'static str>),
}

#[derive(Debug, Clone)]
pub(crate) enum Strategy {
    /// In ten-thousandths of a percent.
    Percentage(u32),
    Weights(u32, u32),
    Linear,
    Steps,
    Allow(Vec<&'static str>),
    Deny(Vec<&'static str>),
    /// A bad edit: it cannot be read.
    Bad,
}

/// In buckets, and in milliseconds from the moment around which everything happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) floor: u32,
    pub(crate) starts: i64,
    pub(crate) ends: i64,
    pub(crate) until: i64,
}

const PHASES: &[&str] = &[
    "",
    "Pending",
    "Scheduled",
    "Progressing",
    "Progressing",
    "Progressing",
    "Paused",
    "Paused",
    "Steady",
    "Steady",
    "Promoted",
    "Aborted",
    "Completed",
    "Disabled",
];

fn groups() -> impl proptest::strategy::Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["testers", "staff"], 1..=2)
}

fn scope() -> impl proptest::strategy::Strategy<Value = Scope> {
    let route = (select(&["web", "more"][..]), select(&[None, Some("a.example")][..]), select(&[None, Some("/"), Some("/cart")][..]));
    let parts = (prop::option::of(route), prop::option::of(select(&["cart", "pay"][..])), 0..5u8, any::<bool>());
    parts.prop_map(|(route, service, people, all_namespaces)| {
        let (consumer, group) = match people {
            0 => (Some("alice"), None),
            1 => (None, Some("testers")),
            2 => (None, Some("staff")),
            _ => (None, None),
        };
        // Only what stands without route and Service may reach over all namespaces.
        Scope { all_namespaces: all_namespaces && route.is_none() && service.is_none(), route, service, consumer, group }
    })
}

fn an_override() -> impl proptest::strategy::Strategy<Value = Override> {
    let (name, value) = (select(&["x-a", "x-b"][..]), select(&["payments", "legal", "a"][..]));
    let on = prop_oneof![
        2 => (any::<bool>(), name.clone()).prop_map(|(cookie, name)| On::AlwaysNever { cookie, name }),
        1 => (any::<bool>(), name.clone(), value).prop_map(|(cookie, name, value)| On::Exact { cookie, name, value }),
        1 => (any::<bool>(), name, select(&["pay", "le", "tenant"][..])).prop_map(|(cookie, name, value)| On::Begins { cookie, name, value }),
        1 => groups().prop_map(On::Groups),
    ];
    (on, any::<bool>()).prop_map(|(on, to_canary)| Override { on, to_canary })
}

fn by() -> impl proptest::strategy::Strategy<Value = By> {
    let name = || select(&["x-a", "x-b"][..]);
    prop_oneof![
        Just(By::Consumer),
        Just(By::ClientIp),
        name().prop_map(By::Header),
        name().prop_map(By::Cookie),
        name().prop_map(By::QueryParam),
        name().prop_map(By::Claim),
        Just(By::Request),
    ]
}

fn strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        3 => (0u32..=100).prop_map(|percent| Strategy::Percentage(percent * 10_000)),
        2 => (0u32..5, 1u32..5).prop_map(|(stable, canary)| Strategy::Weights(stable, canary)),
        1 => Just(Strategy::Linear),
        3 => Just(Strategy::Steps),
        1 => groups().prop_map(Strategy::Allow),
        1 => groups().prop_map(Strategy::Deny),
        1 => Just(Strategy::Bad),
    ]
}

fn line(buckets: u32) -> impl proptest::strategy::Strategy<Value = Line> {
    let moment = || -10_000i64..40_000;
    (0..=buckets, 0..=buckets, 0..=buckets, moment(), 0i64..30_000, moment()).prop_map(|(one, other, floor, starts, length, until)| {
        let to = one.max(other);
        Line { from: one.min(other), to, floor: floor.min(to), starts, ends: starts + length, until }
    })
}

fn release() -> impl proptest::strategy::Strategy<Value = Release> {
    let spec =
        (scope(), select(&["cart-v2", "pay-v2", "gone"][..]), any::<bool>(), by(), strategy(), prop::collection::vec(an_override(), 0..3));
    let names = (select(NAMESPACES), select(&[None, Some(""), Some("salt")][..]), select(&[None, Some("v2")][..]));
    let life = (select(PHASES), prop::bool::weighted(0.95), prop::bool::weighted(0.05), prop::bool::weighted(0.9));
    let aborts = (prop::option::weighted(0.15, Just("1")), prop::option::weighted(0.5, Just("1")));
    let served = select(&[1u32, 7, 10, 1000][..]).prop_flat_map(|buckets| (Just(buckets), line(buckets)));
    let told = (subsequence(vec!["testers", "staff"], 0..=2), any::<bool>());
    (spec, names, life, aborts, served, told).prop_map(
        |(
            (scope, canary, fail, by, strategy, overrides),
            (namespace, salt, revision),
            (phase, enabled, deleting, own_traffic),
            aborts,
            served,
            told,
        )| {
            let denies = matches!(strategy, Strategy::Deny(_)) && told.1;
            let (groups, denied) = if denies { (Vec::new(), told.0) } else { (told.0, Vec::new()) };
            Release {
                namespace,
                name: String::new(),
                born: 0,
                scope,
                canary,
                fail,
                by,
                buckets: served.0,
                salt,
                revision,
                overrides,
                strategy,
                enabled,
                deleting,
                phase,
                abort: aborts.0,
                last_abort: aborts.1,
                own_traffic,
                line: served.1,
                groups,
                denied,
            }
        },
    )
}

fn routes() -> impl proptest::strategy::Strategy<Value = Vec<Route>> {
    let places: Vec<_> = [Some("a.example"), Some("*.b.example"), None]
        .into_iter()
        .flat_map(|host| [("/", false), ("/cart", false), ("/cart", true)].map(|(path, exact)| (host, path, exact)))
        .collect();
    let to = (select(&["shop", "shop", OWN][..]), select(&["web", "more"][..]), select(&["cart", "pay"][..]));
    (subsequence(places, 3..=9), prop::collection::vec(to, 9)).prop_map(|(places, to)| {
        let route = |((host, path, exact), (namespace, ingress, service))| Route { namespace, ingress, host, path, exact, service };
        places.into_iter().zip(to).map(route).collect()
    })
}

pub(crate) fn world() -> impl proptest::strategy::Strategy<Value = World> {
    let services: Vec<_> = NAMESPACES.iter().flat_map(|namespace| ["cart-v2", "pay-v2"].map(|service| (*namespace, service))).collect();
    let releases = prop::collection::vec((release(), any::<u16>()), 0..6);
    (routes(), releases, subsequence(services, 0..=4)).prop_map(|(routes, releases, ready)| {
        // No two are of one age.
        let mut ages: Vec<_> = releases.iter().enumerate().map(|(nth, (_, age))| (*age, nth)).collect();
        ages.sort_unstable();
        let born = |nth: usize| ages.iter().position(|(_, other)| *other == nth).expect("each has an age");
        let named = |(nth, (release, _)): (usize, (Release, u16))| Release { name: format!("r{nth}"), born: born(nth), ..release };
        World { routes, releases: releases.into_iter().enumerate().map(named).collect(), ready }
    })
}

impl World {
    /// As objects.
    pub(crate) fn apply(&self, objects: &mut Objects) {
        for namespace in NAMESPACES {
            for name in ["cart", "pay", "cart-v2", "pay-v2"] {
                let has = !name.ends_with("-v2") || self.ready.contains(&(namespace, name));
                let annotations = json!({"serin.dev/endpoints": if has { "10.0.0.1:80" } else { "" }});
                let metadata = json!({"namespace": namespace, "name": name, "annotations": annotations});
                let service = json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}});
                objects.apply(serde_json::from_value::<Service>(service).expect("a Service"));
            }
            for name in ["web", "more"] {
                let own = self.routes.iter().filter(|route| (route.namespace, route.ingress) == (*namespace, name));
                let rules: Vec<Value> = own.map(Route::rule).collect();
                let ingress = json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"rules": rules}});
                objects.apply(serde_json::from_value::<Ingress>(ingress).expect("an Ingress"));
            }
        }
        for release in &self.releases {
            objects.apply(AnyRelease(release.object()));
        }
    }
}

impl Route {
    fn rule(&self) -> Value {
        let backend = json!({"service": {"name": self.service, "port": {"number": 80}}});
        let path = json!({"path": self.path, "pathType": if self.exact { "Exact" } else { "Prefix" }, "backend": backend});
        let mut rule = json!({"http": {"paths": [path]}});
        if let Some(host) = self.host {
            rule["host"] = host.into();
        }
        rule
    }
}

impl Release {
    fn object(&self) -> Value {
        let mut annotations = json!({});
        if let Some(token) = self.abort {
            annotations["serin.dev/abort"] = token.into();
        }
        let created = format!("2026-11-01T00:00:{:02}Z", self.born);
        let mut metadata = json!({
            "namespace": self.namespace, "name": self.name, "uid": self.name, "creationTimestamp": created, "annotations": annotations
        });
        if self.deleting {
            metadata["deletionTimestamp"] = "2026-11-02T00:00:00Z".into();
        }
        let mut object = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": metadata, "spec": self.spec()});
        let id = serin_api::parse_value(&object).id(None).unwrap_or_default();
        object["status"] = json!({"phase": self.phase});
        if let Some(token) = self.last_abort {
            object["status"]["lastAbort"] = json!({"token": token});
        }
        let Line { from, to, floor, starts, ends, until } = self.line;
        let moment = |milliseconds: i64| format!("{:.3}", at(milliseconds));
        object["status"]["traffic"] = json!({
            "buckets": self.buckets, "from": from, "to": to, "floor": floor, "epoch": 1, "release": if self.own_traffic { id.as_str() } else { "0123456789" },
            "startsAt": moment(starts), "endsAt": moment(ends), "until": moment(until), "groups": self.groups, "deniedGroups": self.denied,
        });
        object
    }

    fn spec(&self) -> Value {
        let Scope { route, service, consumer, group, all_namespaces } = &self.scope;
        let mut scope = json!({});
        if let Some((name, host, path)) = route {
            scope["route"] = json!({"kind": "Ingress", "name": name});
            host.iter().for_each(|host| scope["route"]["host"] = (*host).into());
            path.iter().for_each(|path| scope["route"]["path"] = (*path).into());
        }
        for (field, value) in [("service", service), ("consumer", consumer), ("consumerGroup", group)] {
            value.iter().for_each(|value| scope[field] = (*value).into());
        }
        if scope == json!({}) {
            scope["all"] = true.into();
        }
        if *all_namespaces {
            scope["allNamespaces"] = true.into();
        }
        let (by, name) = match self.by {
            By::Consumer => ("Consumer", None),
            By::ClientIp => ("ClientIP", None),
            By::Header(name) => ("Header", Some(name)),
            By::Cookie(name) => ("Cookie", Some(name)),
            By::QueryParam(name) => ("QueryParam", Some(name)),
            By::Claim(name) => ("Claim", Some(name)),
            By::Request => ("Request", None),
        };
        let mut split = json!({"by": by, "buckets": self.buckets});
        name.iter().for_each(|name| split["name"] = (*name).into());
        self.salt.iter().for_each(|salt| split["salt"] = (*salt).into());
        let strategy = match &self.strategy {
            Strategy::Percentage(share) => json!({"percentage": share / 10_000}),
            Strategy::Weights(stable, canary) => json!({"weights": {"stable": stable, "canary": canary}}),
            Strategy::Linear => json!({"linear": {}}),
            Strategy::Steps => json!({"steps": [{"groups": ["testers"]}, {"weight": 100, "for": "1m"}]}),
            Strategy::Allow(groups) => json!({"groups": {"allow": groups}}),
            Strategy::Deny(groups) => json!({"groups": {"deny": groups}}),
            Strategy::Bad => json!({"steps": [{"weight": 50}, {"weight": 10}]}),
        };
        let mut spec = json!({
            "enabled": self.enabled, "scope": scope, "split": split, "strategy": strategy,
            "canary": {"service": self.canary, "whenUnavailable": if self.fail { "Fail" } else { "Stable" }},
        });
        if !self.overrides.is_empty() {
            spec["overrides"] = self.overrides.iter().map(Override::spec).collect();
        }
        self.revision.iter().for_each(|revision| spec["revision"] = (*revision).into());
        spec
    }
}

impl Override {
    fn spec(&self) -> Value {
        let source = |cookie: bool| if cookie { "cookie" } else { "header" };
        let to = if self.to_canary { "Canary" } else { "Stable" };
        match &self.on {
            On::AlwaysNever { cookie, name } => json!({source(*cookie): {"name": name}}),
            On::Exact { cookie, name, value } => json!({source(*cookie): {"name": name, "exact": value}, "to": to}),
            On::Begins { cookie, name, value } => json!({source(*cookie): {"name": name, "regex": format!("^{value}")}, "to": to}),
            On::Groups(groups) => json!({"consumerGroups": groups, "to": to}),
        }
    }
}
