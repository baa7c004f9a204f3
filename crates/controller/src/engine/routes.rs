//! The routes of a release, as they were recorded when it began and as they are now (S10, S12).

use serin_api::status::FinalizeEdit;
use serin_compiler::{ReleaseOutcome, RouteUse};
use serin_rollout::state::Route;
use serin_routing::Config;
use serin_routing::config::{self, HostMatch, PathMatch};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the routes of a release are by now.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Those that take part now.
    pub(super) current: Vec<Route>,
    /// Those of the recorded that do without the release what the canary does.
    pub(super) done: Vec<Route>,
    /// At least one of the recorded still exists.
    pub(super) any_left: bool,
    /// At least one of the recorded still exists, and each that does is done.
    pub(super) completed: bool,
}

impl Routes {
    /// Of a release whose recorded routes are these; none are before it began.
    pub(super) fn of(recorded: &[Route], outcome: &ReleaseOutcome, config: &Config) -> Self {
        let (mut uses, mut current) = (BTreeMap::new(), Vec::new());
        for used in &outcome.routes {
            let Some(route) = route(used) else { continue };
            current.extend(used.in_scope.then(|| route.clone()));
            // Of two path types for one path both are to be done.
            *uses.entry(route).or_insert(true) &= used.completed;
        }
        let recorded: Vec<&Route> = if recorded.is_empty() { uses.keys().collect() } else { recorded.iter().collect() };
        let (mut done, mut left) = (Vec::new(), 0_usize);
        for route in recorded {
            let is_done = uses.get(route).copied();
            // A route that points somewhere else by now is in the table, and no use of this release.
            left += usize::from(is_done.is_some() || config.routes.iter().any(|other| is(other, route)));
            done.extend(is_done.unwrap_or_default().then(|| route.clone()));
        }
        Self { current, completed: left > 0 && done.len() == left, any_left: left > 0, done }
    }
}

/// `None` for an object that is not `kind/namespace/name`, which the compiler does not give.
fn route(used: &RouteUse) -> Option<Route> {
    let (kind, namespace, name) = object(&used.object)?;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Route { kind, namespace, name, host: text(&used.host), path: text(&used.path) })
}

fn object(object: &str) -> Option<(String, String, String)> {
    let mut parts = object.splitn(3, '/').map(str::to_owned);
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// Whether a route of the table is this one. The table has canonical spellings, so slashes at the end do not count.
fn is(other: &config::Route, route: &Route) -> bool {
    let same_object = || other.object.splitn(3, '/').eq([route.kind.as_str(), &route.namespace, &route.name]);
    let host = route.host.as_deref();
    let same_host = || match &other.host {
        HostMatch::Exact(other) => host.is_some_and(|host| host.eq_ignore_ascii_case(other)),
        HostMatch::Wildcard(suffix) => host.and_then(|host| host.strip_prefix("*.")).is_some_and(|host| host.eq_ignore_ascii_case(suffix)),
        HostMatch::Any | HostMatch::Default => host.is_none(),
    };
    let (PathMatch::Exact(path) | PathMatch::Prefix(path)) = &other.path;
    let same_path = || path.trim_end_matches('/') == route.path.as_deref().unwrap_or_default().trim_end_matches('/');
    same_path() && same_host() && same_object()
}

/// What finalises a release (S10): one edit for each object.
pub(super) fn edits(outcome: &ReleaseOutcome) -> Vec<FinalizeEdit> {
    let mut texts: BTreeMap<(String, String, String), Vec<Cow<'_, str>>> = BTreeMap::new();
    for edit in outcome.routes.iter().flat_map(|used| &used.edits) {
        let Some(object) = object(&edit.object) else { continue };
        let (texts, text) = (texts.entry(object).or_default(), edit.text());
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let edit = |((kind, namespace, name), texts): (_, Vec<Cow<'_, str>>)| FinalizeEdit { kind, namespace, name, text: texts.join("\n") };
    texts.into_iter().map(edit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_compiler::Edit;

    fn used(path: &str, in_scope: bool, completed: bool) -> RouteUse {
        let object = "Ingress/shop/shop".to_owned();
        let edit = Edit::new(object.clone(), format!("kubectl patch {path}"));
        let edits = if completed { Vec::new() } else { vec![edit] };
        RouteUse { object: object.into(), host: "shop.example".into(), path: path.into(), in_scope, completed, edits }
    }

    fn outcome(routes: Vec<RouteUse>) -> ReleaseOutcome {
        ReleaseOutcome {
            release: None,
            id: String::new(),
            unobserved: String::new(),
            observed: None,
            rolling: None,
            findings: Vec::new(),
            resolved_scope: String::new(),
            port: None,
            routes,
            waits_for: Vec::new(),
            canary_ready: 1,
            stable_ready: 1,
        }
    }

    fn elsewhere(path: &str) -> Config {
        let route = config::Route {
            object: "Ingress/shop/shop".into(),
            host: HostMatch::Exact("shop.example".into()),
            path: PathMatch::Prefix(path.into()),
            backend: None,
            https_redirect: None,
            auth: config::Auth::None,
            releases: Vec::new(),
        };
        Config { routes: vec![route], ..Config::default() }
    }

    #[test]
    fn completed_when_each_recorded_route_that_is_left_points_at_the_canary() {
        let outcome_at_first = outcome(vec![used("/a", true, false), used("/b", true, false)]);
        let begun = Routes::of(&[], &outcome_at_first, &Config::default());
        assert!(!begun.completed && begun.any_left);
        let edits = edits(&outcome_at_first);
        assert_eq!(edits.len(), 1, "one edit an object");
        assert_eq!(edits[0].text, "kubectl patch /a\nkubectl patch /b");
        let recorded = begun.current;

        let half = Routes::of(&recorded, &outcome(vec![used("/a", false, true), used("/b", true, false)]), &Config::default());
        assert_eq!((half.completed, half.done.len()), (false, 1));
        let done = Routes::of(&recorded, &outcome(vec![used("/a", false, true), used("/b", false, true)]), &Config::default());
        assert!(done.completed);
        let one_is_gone = Routes::of(&recorded, &outcome(vec![used("/a", false, true)]), &Config::default());
        assert!(one_is_gone.completed);
        let one_went_elsewhere = Routes::of(&recorded, &outcome(vec![used("/a", false, true)]), &elsewhere("/b"));
        assert!(!one_went_elsewhere.completed);
        let one_of_two_path_types =
            Routes::of(&recorded, &outcome(vec![used("/a", false, true), used("/a", true, false)]), &Config::default());
        assert!(!one_of_two_path_types.completed && one_of_two_path_types.done.is_empty());
        let all_gone = Routes::of(&recorded, &outcome(Vec::new()), &Config::default());
        assert!(!all_gone.completed && !all_gone.any_left);
    }
}
