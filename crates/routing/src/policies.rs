//! What of a release outlives the tables.

use crate::config;
use regex::bytes::Regex;
use serin_split::{Override, Policy, Side, Source, SplitBy, Turns, ValueMatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The policies of the releases that the last table had.
///
/// While uid and id of a release stay, its turns (S6) go on over tables; while its split and overrides stay too, its expressions are
/// not compiled and its stride is not searched again. Whoever builds tables keeps one of these.
#[derive(Debug, Default)]
pub struct Policies(BTreeMap<Identity, Kept>);

/// uid and id.
type Identity = (String, String);

#[derive(Debug)]
struct Kept {
    by: config::By,
    buckets: u32,
    salt: String,
    overrides: Vec<config::Override>,
    turns: Arc<Turns>,
    /// `None` when an expression does not compile.
    policy: Option<Arc<Policy>>,
}

impl Policies {
    /// The policies of these releases, in their order; all others are forgotten.
    ///
    /// `None` stands for a release whose expressions do not compile, or that has no buckets: parsing excludes both.
    pub(crate) fn renew(&mut self, releases: &[config::Release]) -> Vec<Option<Arc<Policy>>> {
        let mut before = std::mem::take(&mut self.0);
        let policies = releases.iter().map(|release| {
            let identity = (release.uid.clone(), release.id.clone());
            let kept = match before.remove(&identity) {
                Some(kept) if kept.is_of(release) => kept,
                Some(kept) => Kept::new(release, kept.turns),
                None => Kept::new(release, Arc::default()),
            };
            let policy = kept.policy.clone();
            self.0.insert(identity, kept);
            policy
        });
        policies.collect()
    }
}

impl Kept {
    fn new(release: &config::Release, turns: Arc<Turns>) -> Self {
        Self {
            by: release.by.clone(),
            buckets: release.buckets,
            salt: release.salt.clone(),
            overrides: release.overrides.clone(),
            policy: policy(release, &turns).map(Arc::new),
            turns,
        }
    }

    fn is_of(&self, release: &config::Release) -> bool {
        (&self.by, self.buckets, &self.salt, &self.overrides) == (&release.by, release.buckets, &release.salt, &release.overrides)
    }
}

fn policy(release: &config::Release, turns: &Arc<Turns>) -> Option<Policy> {
    let overrides = release.overrides.iter().map(entry).collect::<Option<_>>()?;
    (release.buckets > 0).then(|| Policy::new(release.salt.clone(), by(&release.by), release.buckets, overrides, Arc::clone(turns)))
}

fn by(by: &config::By) -> SplitBy {
    match by {
        config::By::Consumer => SplitBy::Consumer,
        config::By::ClientIp => SplitBy::ClientIp,
        config::By::Header(name) => SplitBy::Header(name.clone()),
        config::By::Cookie(name) => SplitBy::Cookie(name.clone()),
        config::By::IssuedCookie(name) => SplitBy::IssuedCookie(name.clone()),
        config::By::QueryParam(name) => SplitBy::QueryParam(name.clone()),
        config::By::Claim(name) => SplitBy::Claim(name.clone()),
        config::By::Request => SplitBy::Request,
    }
}

fn entry(entry: &config::Override) -> Option<Override> {
    let (source, matches) = match entry {
        config::Override::Value { source, matches } => (source, matches),
        config::Override::ConsumerGroups(groups, to) => {
            return Some(Override::ConsumerGroups { groups: groups.clone(), to: side(*to) });
        }
    };
    let source = match source {
        config::Source::Header(name) => Source::Header(name.clone()),
        config::Source::Cookie(name) => Source::Cookie(name.clone()),
    };
    Some(match matches {
        config::Match::AlwaysNever => Override::AlwaysNever(source),
        config::Match::Exact(text, to) => Override::Value { source, matches: ValueMatch::Exact(text.clone()), to: side(*to) },
        config::Match::Regex(text, to) => Override::Value { source, matches: ValueMatch::Regex(Regex::new(text).ok()?), to: side(*to) },
    })
}

fn side(side: config::Side) -> Side {
    match side {
        config::Side::Stable => Side::Stable,
        config::Side::Canary => Side::Canary,
    }
}
