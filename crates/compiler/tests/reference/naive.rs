//! The rules, one sentence after the other: slow, and meant to be read beside the design. Of the product nothing is used here.

use crate::request::{Request, at};
use crate::world::{By, OWN, On, Release, Route, Scope, Strategy, World};
use xxhash_rust::xxh3::xxh3_64;

/// What becomes of a request, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// `namespace/name`; `None`: the route does what it says.
    pub(crate) release: Option<String>,
    pub(crate) canary: bool,
    /// `rollback`, `override N`, `group`, `bucket`, or `unavailable` when stable takes the canary's place.
    pub(crate) rule: String,
    /// What was hashed, or `request`.
    pub(crate) identity: Option<&'static str>,
    pub(crate) fallback: bool,
    /// The bucket, and of how many.
    pub(crate) bucket: Option<(u32, u32)>,
    pub(crate) k: u32,
}

/// What the random cases must have met, as parts of [`Answer::sort`].
pub(crate) const SORTS: &[&str] = &[
    "no route",
    "no release",
    "rollback",
    "override 0",
    "override 1",
    "group",
    "bucket consumer",
    "bucket ip",
    "bucket header",
    "bucket cookie",
    "bucket query",
    "bucket claim",
    "bucket request",
    "in place",
    "unavailable",
    "canary",
    "stable",
];

impl Answer {
    /// No release decides.
    pub(crate) fn of_the_route() -> Self {
        Self { release: None, canary: false, rule: String::new(), identity: None, fallback: false, bucket: None, k: 0 }
    }

    /// In words, to count what was met.
    pub(crate) fn sort(&self) -> String {
        let side = if self.canary { "canary" } else { "stable" };
        let fallback = if self.fallback { " in place of what is missing" } else { "" };
        match (&self.release, self.identity) {
            (None, _) => "no release".to_owned(),
            (_, Some(identity)) => format!("{} {identity}{fallback}: {side}", self.rule),
            (_, None) => format!("{}: {side}", self.rule),
        }
    }
}

/// What becomes of this request in this world; `turn` is the bucket that comes next when the request counts for itself.
pub(crate) fn answer(world: &World, request: &Request, turn: Option<u32>) -> Option<Answer> {
    let route = route(world, request)?;
    // "Pending, Scheduled, Completed and Disabled decide nothing, and the next release applies."
    let deciding = world.releases.iter().filter(|release| decides(release) && takes(release, route, request));
    // "Exactly one release decides a request; nothing is merged. Most specific wins. Overlapping releases of equal rank: the oldest."
    let Some(release) = deciding.min_by_key(|release| (rank(&release.scope), release.born)) else { return Some(Answer::of_the_route()) };
    let decided = decide(release, request, turn);
    // "Whatever chose the canary, whenUnavailable applies when it has no ready endpoint."
    let unavailable = decided.canary && !release.fail && !world.ready.contains(&(release.namespace, release.canary));
    Some(if unavailable { Answer { canary: false, rule: "unavailable".to_owned(), ..decided } } else { decided })
}

/// "Of all routes whose host and path both match, the most specific host wins, and within that host the exact path, then the longest prefix."
fn route<'w>(world: &'w World, request: &Request) -> Option<&'w Route> {
    let host = |route: &Route| match route.host {
        None => Some(2),
        Some(own) if own == request.host => Some(0),
        Some(own) => {
            let label = request.host.strip_suffix(own.strip_prefix('*')?)?;
            (!label.is_empty() && !label.contains('.')).then_some(1)
        }
    };
    let path = |route: &Route| {
        let matches = match (route.exact, route.path) {
            (true, path) => request.path == path,
            (false, "/") => true,
            (false, path) => request.path == path || request.path.starts_with(&format!("{path}/")),
        };
        matches.then(|| (!route.exact, usize::MAX - route.path.len()))
    };
    let matching = world.routes.iter().filter_map(|route| Some(((host(route)?, path(route)?), route)));
    matching.min_by_key(|(precedence, _)| *precedence).map(|(_, route)| route)
}

/// "The canary can be reached in Progressing, Paused, Steady and Promoted; Aborted sends all to A." An abort that status does not know yet
/// is obeyed where nothing is served yet, too. Deleting and disabling is side A at once, as the route says (S11).
fn decides(release: &Release) -> bool {
    let under_way = ["Progressing", "Paused", "Steady", "Promoted", "Aborted"].contains(&release.phase);
    release.enabled && !release.deleting && (under_way || release.phase == "Scheduled" && aborts(release))
}

/// "Each replica serves side A as long as that value is not status.lastAbort."
fn aborts(release: &Release) -> bool {
    release.abort.is_some() && release.abort != release.last_abort
}

/// "Every part that is given must match." Consumer and group need an authenticated request; `allNamespaces` counts in serin's own only.
fn takes(release: &Release, route: &Route, request: &Request) -> bool {
    let Scope { route: wanted, service, consumer, group, all_namespaces } = &release.scope;
    if *all_namespaces && release.namespace != OWN {
        return false;
    }
    let of_namespace = *all_namespaces || route.namespace == release.namespace;
    let of_route = wanted.is_none_or(|(ingress, host, path)| {
        ingress == route.ingress && (host.is_none() || host == route.host) && path.is_none_or(|path| path == route.path)
    });
    let of_service = service.is_none_or(|service| service == route.service);
    let of_consumer = consumer.is_none() || *consumer == request.consumer;
    let of_group = group.is_none_or(|group| request.consumer.is_some() && request.groups.contains(&group));
    of_namespace && of_route && of_service && of_consumer && of_group
}

/// "route+service+consumer, group+service+route, route+consumer, service+consumer, group+route, group+service, route+service, consumer, group,
/// route, service, all."
fn rank(scope: &Scope) -> usize {
    let parts = [
        ("route", scope.route.is_some()),
        ("service", scope.service.is_some()),
        ("consumer", scope.consumer.is_some()),
        ("group", scope.group.is_some()),
    ];
    let given: Vec<&str> = parts.into_iter().filter(|(_, given)| *given).map(|(part, _)| part).collect();
    let levels = [
        "route service consumer",
        "route service group",
        "route consumer",
        "service consumer",
        "route group",
        "service group",
        "route service",
        "consumer",
        "group",
        "route",
        "service",
        "",
    ];
    levels.iter().position(|level| *level == given.join(" ")).expect("each combination has a level")
}

/// "Precedence inside one release: overrides, then groups, then buckets."
fn decide(release: &Release, request: &Request, turn: Option<u32>) -> Answer {
    let name = Some(format!("{}/{}", release.namespace, release.name));
    let without_bucket =
        |canary, rule: String, k| Answer { release: name.clone(), canary, rule, identity: None, fallback: false, bucket: None, k };
    // "An Aborted release still decides its requests and all go to stable: overrides and groups are off." The same "while
    // status.traffic.release is not the id that the replica computes".
    if release.phase == "Aborted" || aborts(release) || !release.own_traffic {
        return without_bucket(false, "rollback".to_owned(), 0);
    }
    let k = threshold(release, request);
    // "In order, before groups and buckets; first match wins."
    for (nth, entry) in release.overrides.iter().enumerate() {
        let side = match &entry.on {
            // "always and never are compared byte for byte; a header given twice with different values goes on."
            On::AlwaysNever { cookie, name } => match value(request, *cookie, name) {
                Some(b"always") => Some(true),
                Some(b"never") => Some(false),
                _ => None,
            },
            On::Exact { cookie, name, value: exact } => {
                (value(request, *cookie, name) == Some(exact.as_bytes())).then_some(entry.to_canary)
            }
            On::Begins { cookie, name, value: begin } => {
                value(request, *cookie, name).is_some_and(|value| value.starts_with(begin.as_bytes())).then_some(entry.to_canary)
            }
            On::Groups(groups) => groups.iter().any(|group| request.groups.contains(group)).then_some(entry.to_canary),
        };
        if let Some(canary) = side {
            return without_bucket(canary, format!("override {nth}"), k);
        }
    }
    if let Some(canary) = by_groups(release, request) {
        return without_bucket(canary, "group".to_owned(), k);
    }
    let (identity, bucket, fallback) = bucket(release, request, turn);
    // "Canary when bucket < k."
    let canary = bucket.is_some_and(|bucket| bucket < k);
    let bucket = bucket.map(|bucket| (bucket, release.buckets));
    Answer { release: name, canary, rule: "bucket".to_owned(), identity: Some(identity), fallback, bucket, k }
}

/// What an override reads.
fn value(request: &Request, cookie: bool, name: &str) -> Option<&'static [u8]> {
    let fields = if cookie { &request.cookies } else { &request.headers };
    let mut values = fields.iter().filter(|(own, _)| *own == name).map(|(_, value)| *value);
    let first = values.next()?;
    (cookie || values.all(|value| value == first)).then_some(first)
}

/// "In strategy.groups no bucket decides: allow sends the listed to B and all others to A, deny the reverse"; "groups of successive steps add up",
/// and buckets decide for all others. "A replica may at any time serve less than status says, never more": a spec that lets fewer in counts at
/// once, one that lets more in when status says so. "Percentage and weights are orders": they have no groups.
fn by_groups(release: &Release, request: &Request) -> Option<bool> {
    let is_in = |groups: &[&str]| groups.iter().any(|group| request.groups.contains(group));
    match &release.strategy {
        _ if is_bad(release) => is_in(&release.groups).then_some(true),
        Strategy::Percentage(_) | Strategy::Weights(..) => None,
        Strategy::Allow(asked) => {
            let both: Vec<&str> = asked.iter().filter(|group| release.groups.contains(group)).copied().collect();
            (!both.is_empty()).then(|| is_in(&both))
        }
        Strategy::Deny(asked) => (!release.denied.is_empty()).then(|| !is_in(asked) && !is_in(&release.denied)),
        Strategy::Linear | Strategy::Steps | Strategy::Bad => is_in(&release.groups).then_some(true),
    }
}

/// "k(t) = max(floor, from + floor((to - from) x f)), f = the share of the line that is past at min(t, until), in integer arithmetic"; at most
/// what an order of the spec asks for since: "floor(buckets x percentage / 100)". "After a bad edit the buckets serve status.traffic."
fn threshold(release: &Release, request: &Request) -> u32 {
    let line = release.line;
    let now = request.now.as_millisecond() - at(0).as_millisecond();
    let past = now.min(line.until) - line.starts;
    let length = line.ends - line.starts;
    let rise = i128::from(line.to - line.from);
    let risen = match past {
        past if past < 0 => 0,
        past if past >= length => rise,
        past => rise * i128::from(past) / i128::from(length),
    };
    let k = (i128::from(line.from) + risen).max(i128::from(line.floor));
    let buckets = i128::from(release.buckets);
    let cap = match release.strategy {
        _ if is_bad(release) => buckets,
        Strategy::Percentage(share) => buckets * i128::from(share) / 1_000_000,
        Strategy::Weights(stable, canary) => buckets * i128::from(canary) / i128::from(stable + canary),
        Strategy::Allow(_) | Strategy::Deny(_) => 0,
        Strategy::Linear | Strategy::Steps | Strategy::Bad => buckets,
    };
    u32::try_from(k.min(cap)).expect("a number of buckets")
}

/// What cannot be read, and "a share above 0 that gives k = 0", is refused.
fn is_bad(release: &Release) -> bool {
    let buckets = u64::from(release.buckets);
    match release.strategy {
        Strategy::Percentage(share) => share > 0 && buckets * u64::from(share) < 1_000_000,
        Strategy::Weights(stable, canary) => canary > 0 && buckets * u64::from(canary) < u64::from(stable + canary),
        Strategy::Bad => true,
        Strategy::Linear | Strategy::Steps | Strategy::Allow(_) | Strategy::Deny(_) => false,
    }
}

/// S8: "Consumer -> ClientIP -> Request; header, cookie, parameter and claim fall to Consumer first." Of a repeated one the first counts; "empty,
/// other or not UTF-8 is missing".
fn bucket(release: &Release, request: &Request, turn: Option<u32>) -> (&'static str, Option<u32>, bool) {
    let first = |fields: &[(&'static str, &'static [u8])], name: &str| fields.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let consumer = ("consumer", request.consumer.map(str::as_bytes));
    let address = ("ip", request.address.map(|(_, text)| text.as_bytes()));
    let chain = match release.by {
        By::Request => return ("request", turn, false),
        By::ClientIp => vec![address],
        By::Consumer => vec![consumer, address],
        By::Header(name) => vec![("header", first(&request.headers, name)), consumer, address],
        By::Cookie(name) => vec![("cookie", first(&request.cookies, name)), consumer, address],
        By::QueryParam(name) => vec![("query", first(&request.parameters, name)), consumer, address],
        By::Claim(name) => {
            let value = request.claims.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_bytes());
            vec![("claim", value), consumer, address]
        }
    };
    let usable = |value: &&[u8]| !value.is_empty() && std::str::from_utf8(value).is_ok();
    for (nth, (kind, value)) in chain.into_iter().enumerate() {
        if let Some(value) = value.filter(usable) {
            return (kind, Some(published(release, kind, value)), nth > 0);
        }
    }
    ("request", turn, true)
}

/// "key = salt ++ 0x00 ++ kind ++ 0x00 ++ value, h = XXH3-64(key, seed 0), bucket = (h * buckets) >> 64 in 128-bit arithmetic." The default salt is
/// "namespace/name, with @revision when spec.revision is set".
fn published(release: &Release, kind: &str, value: &[u8]) -> u32 {
    let own = match release.revision {
        Some(revision) => format!("{}/{}@{revision}", release.namespace, release.name),
        None => format!("{}/{}", release.namespace, release.name),
    };
    let salt = release.salt.unwrap_or(&own);
    let key = [salt.as_bytes(), b"\0", kind.as_bytes(), b"\0", value].concat();
    let bucket = (u128::from(xxh3_64(&key)) * u128::from(release.buckets)) >> 64;
    u32::try_from(bucket).expect("below the number of buckets")
}
