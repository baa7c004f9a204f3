//! Which of the releases on a route decides a request (S13).

use crate::RouteRelease;
use crate::config::People;
use serin_split::Facts;
use std::collections::HashMap;

/// The releases of one route, the most specific first. A request looks up its author, so releases for others cost it nothing.
#[derive(Debug, Default)]
pub(crate) struct Deciders {
    releases: Vec<RouteRelease>,
    /// The first that takes anyone.
    anyone: Option<usize>,
    /// The first of each consumer.
    consumers: HashMap<String, usize>,
    /// The first of each group, in order.
    groups: Vec<(String, usize)>,
}

impl Deciders {
    /// `people` says whose requests each release takes.
    pub(crate) fn new(releases: impl Iterator<Item = (People, RouteRelease)>) -> Self {
        let mut deciders = Self { releases: Vec::with_capacity(releases.size_hint().1.unwrap_or_default()), ..Self::default() };
        for (position, (people, release)) in releases.enumerate() {
            match people {
                People::Anyone => drop(deciders.anyone.get_or_insert(position)),
                People::Consumer(username) => drop(deciders.consumers.entry(username).or_insert(position)),
                People::Group(group) if deciders.groups.iter().all(|(known, _)| *known != group) => deciders.groups.push((group, position)),
                People::Group(_) => {}
            }
            deciders.releases.push(release);
        }
        deciders
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[RouteRelease] {
        &self.releases
    }

    /// The one that decides. Allocates nothing.
    pub(crate) fn of(&self, facts: &impl Facts) -> Option<&RouteRelease> {
        let consumer = || self.consumers.get(facts.consumer()?).copied();
        let known = if self.consumers.is_empty() { None } else { consumer() };
        let first = [self.anyone, known].into_iter().flatten().min();
        let before = |position: usize| first.is_none_or(|first| position < first);
        let of_group = self.groups.iter().take_while(|(_, position)| before(*position)).find(|(group, _)| facts.in_group(group));
        self.releases.get(of_group.map(|(_, position)| *position).or(first)?)
    }
}
