//! An Upstream with targets of two weights, which is how a canary is made without the plugin: two Services and `weights`.

use super::build::Build;
use super::canary::spec;
use super::entities::{Target, Upstream};
use super::settings::is_token;
use serin_api::spec::{CanarySpec, ScopeSpec, SplitBy, SplitSpec, StrategySpec, WeightsSpec, WhenUnavailable};

/// The most that both weights together may be in serin.
const MOST: u64 = 1_000_000;

/// The two sides of an Upstream's targets: those that weigh as the first, and the others. `None` when all weigh the same.
pub(super) fn sides(upstream: &Upstream) -> Option<(Vec<&Target>, Vec<&Target>)> {
    let weight = upstream.targets.first()?.weight;
    let (stable, canary): (Vec<_>, Vec<_>) = upstream.targets.iter().partition(|target| target.weight == weight);
    (!canary.is_empty()).then_some((stable, canary))
}

/// Makes a release of each Upstream whose weights tell two sides.
pub(super) fn releases(build: &mut Build<'_>) {
    for (place, upstream) in build.kong.upstreams.iter().enumerate() {
        let Some((stable, canary)) = sides(upstream) else { continue };
        if build.led.contains(&place) {
            let message = "Its targets have different weights, and a canary plugin leads to or from it. One release is made, of the plugin; \
                endpoints of a Service all weigh the same.";
            build.notes.no_equivalent(&upstream.at, "targets", message);
            continue;
        }
        let sum = |side: &[&Target]| side.iter().map(|target| u64::from(target.weight)).sum::<u64>();
        let (a, b) = (sum(&stable), sum(&canary));
        if a + b > MOST {
            build.notes.left_out(&upstream.at, "targets", format!("Their weights add up to {}; the most is {MOST}. Divide them.", a + b));
            continue;
        }
        let weights = WeightsSpec { stable: i32::try_from(a).unwrap_or(i32::MAX), canary: i32::try_from(b).unwrap_or(i32::MAX) };
        let (one, other) = (build.service_of_upstream(place), build.canary_of_upstream(place));
        let message = format!(
            "The oldest target, and what weighs as much, is Service {one} with {}; the others are Service {other} with {}. If it is the \
             other way round, exchange them.",
            addresses(&stable),
            addresses(&canary)
        );
        build.notes.decide(&upstream.at, "targets", message);
        let scope = ScopeSpec { service: Some(one.clone()), ..ScopeSpec::default() };
        // A target that is not healthy gets nothing: the others take its share.
        let canary = CanarySpec { service: Some(other), when_unavailable: Some(WhenUnavailable::Stable), ..CanarySpec::default() };
        let split = split(upstream, build);
        let strategy = StrategySpec { weights: Some(weights), ..StrategySpec::default() };
        let namespace = build.options.namespace.clone();
        build.release(&upstream.at, namespace, &one, spec(scope, canary, Some(split), strategy));
    }
}

fn addresses(side: &[&Target]) -> String {
    let shown: Vec<String> = side.iter().take(3).map(|target| crate::note::plain(&target.address)).collect();
    let more = side.len().saturating_sub(shown.len());
    if more == 0 { shown.join(" and ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Kong's balancer takes turns unless it is told what to hash.
fn split(upstream: &Upstream, build: &mut Build<'_>) -> SplitSpec {
    let named = |by: SplitBy| upstream.hash_name.clone().map(|name| (by, Some(name)));
    let found = match upstream.hash_on.as_deref() {
        None | Some("none") => Some((SplitBy::Request, None)),
        Some("consumer") => Some((SplitBy::Consumer, None)),
        Some("ip") => Some((SplitBy::ClientIp, None)),
        Some("header") => named(SplitBy::Header),
        Some("cookie") => named(SplitBy::Cookie),
        Some("query_arg") => named(SplitBy::QueryParam),
        Some(_) => None,
    };
    let found = found.filter(|(by, name)| name.as_ref().is_none_or(|name| is_name(*by, name)));
    let (by, name) = found.unwrap_or_else(|| {
        let message = "serin hashes a consumer, an address, a header, a cookie, a query parameter or a claim. Requests take turns instead: \
            set split.";
        build.notes.no_equivalent(&upstream.at, "hash_on", message);
        (SplitBy::Request, None)
    });
    // Kong gives a browser without the cookie one.
    SplitSpec { by: Some(by), name, issue_cookie: (by == SplitBy::Cookie).then_some(true), buckets: None, salt: None }
}

/// Whether serin takes the name.
fn is_name(by: SplitBy, name: &str) -> bool {
    is_token(name) || by == SplitBy::QueryParam && (1..=253).contains(&name.chars().count())
}
