//! A canary plugin as a CanaryRelease.

use super::build::Build;
use super::entities::Plugin;
use super::scope::{self, Scoped};
use super::settings::{Hash, STEPS, Settings};
use super::target;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serin_api::parse::percent_of_text;
use serin_api::spec::{CanaryReleaseSpec, GroupsSpec, LinearSpec, OverrideSpec, Percent, SplitBy, SplitSpec, StrategySpec, ValueMatch};

/// The most groups that serin takes in one list.
const MOST_GROUPS: usize = 64;
/// A whole in ten-thousandths of a percent.
const WHOLE: u32 = 1_000_000;

/// Makes a release of the plugin, or says why none.
pub(super) fn release(plugin: &Plugin, build: &mut Build<'_>) {
    let Some(scoped) = scope::of(plugin, build) else { return };
    let Some(settings) = Settings::of(plugin, &mut build.notes) else { return };
    for field in &plugin.beyond {
        let message = "A release has nothing like it: it decides every request of its scope.";
        build.notes.no_equivalent(&plugin.at, field, message);
    }
    let Some((canary, namespace)) = target::of(plugin, &settings, &scoped, build) else { return };
    let Some(strategy) = strategy(plugin, &settings, build) else { return };
    let split = (!settings.hash.by_group()).then(|| split(plugin, &settings, &strategy, build));
    let overrides = settings.by_header.as_ref().map(|name| {
        let header = ValueMatch { name: name.clone(), exact: None, regex: None };
        vec![OverrideSpec { header: Some(header), ..OverrideSpec::default() }]
    });
    let Scoped { scope, name, .. } = scoped;
    let spec = CanaryReleaseSpec { overrides, ..spec(scope, canary, split, strategy) };
    let spec = CanaryReleaseSpec { enabled: (!plugin.enabled).then_some(false), ..spec };
    build.release(&plugin.at, namespace, &name, spec);
}

/// A spec of the four parts that every release has.
pub(super) fn spec(
    scope: serin_api::spec::ScopeSpec,
    canary: serin_api::spec::CanarySpec,
    split: Option<SplitSpec>,
    strategy: StrategySpec,
) -> CanaryReleaseSpec {
    CanaryReleaseSpec {
        enabled: None,
        scope,
        canary,
        split,
        overrides: None,
        strategy,
        analysis: None,
        hooks: None,
        schedule: None,
        revision: None,
        workloads: None,
        progress_deadline: None,
        paused: None,
        drain: None,
    }
}

/// Groups win over a percentage, and that over a line.
fn strategy(plugin: &Plugin, settings: &Settings, build: &mut Build<'_>) -> Option<StrategySpec> {
    if settings.hash.by_group() {
        return groups(plugin, settings, build);
    }
    if let Some(share) = &settings.percentage {
        return Some(StrategySpec { percentage: Some(percent(share)), ..StrategySpec::default() });
    }
    // What serin has by itself is not written: `linear: {}` is Kong's default too, now and over an hour.
    let duration = Some(settings.duration.clone()).filter(|duration| duration != "1h");
    let linear = LinearSpec { start: settings.start.clone(), duration };
    Some(StrategySpec { linear: Some(linear), ..StrategySpec::default() })
}

fn groups(plugin: &Plugin, settings: &Settings, build: &mut Build<'_>) -> Option<StrategySpec> {
    let allow = settings.hash == Hash::Allow;
    let named = |name: &String| (1..=253).contains(&name.chars().count());
    if settings.groups.is_empty() {
        let (who, share) = if allow { ("nobody is", "0") } else { ("everybody is", "100") };
        let message = format!("hash names groups, and there are none, so {who} sent to the canary: percentage {share}. Name the groups.");
        build.notes.decide(&plugin.at, "config.groups", message);
        return Some(StrategySpec { percentage: Some(percent(share)), ..StrategySpec::default() });
    }
    if settings.groups.len() > MOST_GROUPS || !settings.groups.iter().all(named) {
        let message = "serin takes 64 groups of 1 to 253 characters in one release. Put those consumers into fewer groups.";
        build.notes.left_out(&plugin.at, "config.groups", message);
        return None;
    }
    let list = Some(settings.groups.clone());
    let groups = if allow { GroupsSpec { allow: list, deny: None } } else { GroupsSpec { allow: None, deny: list } };
    Some(StrategySpec { groups: Some(groups), ..StrategySpec::default() })
}

fn split(plugin: &Plugin, settings: &Settings, strategy: &StrategySpec, build: &mut Build<'_>) -> SplitSpec {
    let (by, name) = match &settings.hash {
        Hash::Ip => {
            let message = "Addresses behind proxies: what kong.conf has as trusted_ips and real_ip_header is serin's trusted-proxies and \
                client-ip-from.";
            build.notes.decide(&plugin.at, "config.hash", message);
            (SplitBy::ClientIp, None)
        }
        Hash::None => (SplitBy::Request, None),
        Hash::Header(name) => (SplitBy::Header, Some(name.clone())),
        Hash::Consumer | Hash::Allow | Hash::Deny => (SplitBy::Consumer, None),
    };
    let mut steps = settings.steps;
    if let Some(share) = settings.percentage.as_deref().and_then(percent_of_text).filter(|_| strategy.percentage.is_some())
        && share > 0
        && u64::from(steps) * u64::from(share) < u64::from(WHOLE)
    {
        let needed = WHOLE.div_ceil(share);
        let message = format!(
            "{} % of {steps} steps is less than one step. serin asks for a whole bucket, so there are {needed}.",
            settings.percentage.as_deref().unwrap_or_default()
        );
        build.notes.decide(&plugin.at, "config.steps", message);
        steps = needed;
    }
    let buckets = (steps != STEPS).then(|| i32::try_from(steps).unwrap_or(i32::MAX));
    SplitSpec { by: Some(by), name, issue_cookie: None, buckets, salt: None }
}

/// A whole number as such: only a fraction has to be a text.
fn percent(share: &str) -> Percent {
    Percent(share.parse().map_or_else(|_| IntOrString::String(share.to_owned()), IntOrString::Int))
}
