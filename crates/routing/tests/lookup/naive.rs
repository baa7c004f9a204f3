//! The table against a matcher that tries every route, and against itself in another order.

use super::{table, taken};
use proptest::prelude::*;
use serin_routing::config::{HostMatch, PathMatch, Route};

const LABELS: &[&str] = &["a", "b", "www", "example"];
const ELEMENTS: &[&str] = &["a", "b", "aa", "", "%20"];

fn host() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LABELS), 1..4).prop_map(|labels| labels.join("."))
}

fn path() -> impl Strategy<Value = String> {
    let elements = prop::collection::vec(prop::sample::select(ELEMENTS), 0..5);
    elements.prop_map(|elements| format!("/{}", elements.join("/")))
}

fn host_match() -> impl Strategy<Value = HostMatch> {
    prop_oneof![
        4 => host().prop_map(|host| HostMatch::Exact(host.into())),
        3 => host().prop_map(|host| HostMatch::Wildcard(host.into())),
        2 => Just(HostMatch::Any),
        1 => Just(HostMatch::Default),
    ]
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    let prefix = |path: String| match path.trim_end_matches('/') {
        "" => PathMatch::Prefix("/".into()),
        path => PathMatch::Prefix(path.into()),
    };
    prop_oneof![path().prop_map(|path| PathMatch::Exact(path.into())), path().prop_map(prefix)]
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let one = (host_match(), path_match()).prop_map(|(host, path)| {
        let object = format!("{host:?} {path:?}").into();
        Route { object, host, path, backend: None, https_redirect: None, auth: Default::default(), releases: Vec::new() }
    });
    prop::collection::vec(one, 0..24)
}

/// Of the routes that match, the one of the greatest rank: host, then exact path, then length.
fn naive<'r>(routes: &'r [Route], host: &str, path: &str) -> Option<&'r str> {
    let rank = |route: &Route| {
        let host_rank = match &route.host {
            HostMatch::Exact(exact) => (**exact == *host).then_some(3),
            HostMatch::Wildcard(suffix) => host.strip_suffix(&**suffix).and_then(|label| {
                let label = label.strip_suffix('.')?;
                (!label.is_empty() && !label.contains('.')).then_some(2)
            }),
            HostMatch::Any => Some(1),
            HostMatch::Default => return Some((0, false, 0)),
        };
        let (exact, length) = match &route.path {
            PathMatch::Exact(exact) => (**exact == *path).then_some((true, 0)),
            PathMatch::Prefix(prefix) if **prefix == *"/" => Some((false, 1)),
            PathMatch::Prefix(prefix) => (path == &**prefix || path.starts_with(&format!("{prefix}/"))).then_some((false, prefix.len())),
        }?;
        Some((host_rank?, exact, length))
    };
    let best = routes.iter().filter_map(|route| Some((rank(route)?, route))).max_by(|(a, x), (b, y)| {
        // Two default backends: the one that sorts first, as the table has it.
        a.cmp(b).then_with(|| (&y.path, &y.object).cmp(&(&x.path, &x.object)))
    });
    best.map(|(_, route)| &*route.object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn table_equals_a_naive_matcher(routes in routes(), requests in prop::collection::vec((host(), path()), 1..8)) {
        let table = table(routes.clone());
        for (host, path) in requests {
            prop_assert_eq!(taken(&table, &host, &path), naive(&routes, &host, &path), "{} {}", host, path);
        }
    }

    #[test]
    fn order_of_the_routes_decides_nothing(
        (routes, shuffled) in routes().prop_flat_map(|routes| (Just(routes.clone()), Just(routes).prop_shuffle())),
        requests in prop::collection::vec((host(), path()), 1..8),
    ) {
        let (one, other) = (table(routes), table(shuffled));
        for (host, path) in requests {
            prop_assert_eq!(taken(&one, &host, &path), taken(&other, &host, &path), "{} {}", host, path);
        }
    }
}
