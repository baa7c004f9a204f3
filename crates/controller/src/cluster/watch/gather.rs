//! From what the watches of one kind see to what changed: a pure struct.

use crate::admin::Name;
use crate::update::Delta;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// How often in a row a kind that was there must be said to be missing. An API server that starts may not know it yet for a moment, and
/// to forget every release for that moment would take all traffic from their canaries. When a kind is really taken away, its objects
/// are deleted one by one before.
const SURE: u32 = 3;

/// How often in a row a kind must be refused before it counts as absent, where it may: an API server that starts may not know every right
/// yet.
const SURE_FORBIDDEN: u32 = 5;

/// Namespace and name.
pub(super) type Key = (String, String);

/// What one watch saw.
pub(super) enum Seen<T> {
    /// One object of a list that is not complete yet.
    Listing(Key, T),
    /// The list is complete.
    Listed,
    /// One is new or another one now.
    Applied(Key, T),
    /// One is gone.
    Deleted(Key),
    /// The API server does not know the kind.
    Missing,
    /// The API server lets nobody of serin's rights read the kind.
    Forbidden,
    /// The watch broke; a list that was under way begins again.
    Broken,
    /// Something that is as absent.
    Nothing,
}

/// Joins the watches of one kind, one a namespace or one for all. Says nothing until each was listed once, and then all at once.
pub(super) struct Gather<T> {
    sources: Vec<Source<T>>,
    complete: bool,
}

struct Source<T> {
    /// The list under way.
    listing: BTreeMap<Key, T>,
    /// What is there, while other sources are not listed yet.
    ready: Option<BTreeMap<Key, T>>,
    /// What it told: only where a list of one namespace must not forget those of the others.
    told: BTreeSet<Key>,
    /// Whether it was ever listed.
    listed: bool,
    /// How often in a row it was told that the kind is missing.
    missing: u32,
    /// How often in a row it was told that the kind may not be read.
    forbidden: u32,
}

impl<T> Gather<T> {
    pub(super) fn new(sources: usize) -> Self {
        let source = |_| Source { listing: BTreeMap::new(), ready: None, told: BTreeSet::new(), listed: false, missing: 0, forbidden: 0 };
        Self { sources: (0..sources).map(source).collect(), complete: false }
    }

    /// What changed by what the watch of this number saw.
    pub(super) fn take(&mut self, number: usize, seen: Seen<T>) -> Vec<Delta<T>> {
        let alone = self.sources.len() == 1;
        let Some(source) = self.sources.get_mut(number) else { return Vec::new() };
        match seen {
            Seen::Nothing => {}
            Seen::Listing(key, object) => drop(source.listing.insert(key, object)),
            Seen::Broken => {
                source.forbidden = 0;
                source.listing.clear();
            }
            Seen::Listed => {
                (source.listed, source.missing, source.forbidden) = (true, 0, 0);
                return self.listed(number);
            }
            Seen::Missing => {
                source.missing = source.missing.saturating_add(1);
                source.listing.clear();
                // Once: it is asked for again and again.
                if source.missing == if source.listed { SURE } else { 1 } {
                    return self.listed(number);
                }
            }
            Seen::Forbidden => {
                source.forbidden = source.forbidden.saturating_add(1);
                source.listing.clear();
                // What was once read is kept.
                if !source.listed && source.forbidden == SURE_FORBIDDEN {
                    return self.listed(number);
                }
            }
            Seen::Applied(key, object) => match source.there() {
                Some(ready) => drop(ready.insert(key, object)),
                None => {
                    if !alone {
                        source.told.insert(key);
                    }
                    return vec![Delta::Applied(Box::new(object))];
                }
            },
            Seen::Deleted(key) => match source.there() {
                Some(ready) => drop(ready.remove(&key)),
                None => {
                    source.told.remove(&key);
                    return vec![Delta::Deleted(name(key))];
                }
            },
        }
        Vec::new()
    }

    fn listed(&mut self, number: usize) -> Vec<Delta<T>> {
        let alone = self.sources.len() == 1;
        let Some(source) = self.sources.get_mut(number) else { return Vec::new() };
        if self.complete && !alone {
            return source.relisted();
        }
        source.ready = Some(mem::take(&mut source.listing));
        if self.sources.iter().any(|source| source.ready.is_none()) {
            return Vec::new();
        }
        self.complete = true;
        let mut all = Vec::new();
        for source in &mut self.sources {
            let ready = source.ready.take().unwrap_or_default();
            if !alone {
                source.told = ready.keys().cloned().collect();
            }
            all.extend(ready.into_values());
        }
        vec![Delta::Listed(all)]
    }
}

impl<T> Source<T> {
    /// What it holds back until the others are listed; it was told of an object, so the kind is there.
    fn there(&mut self) -> Option<&mut BTreeMap<Key, T>> {
        self.missing = 0;
        self.ready.as_mut()
    }

    /// A later list of one namespace of several, as single changes.
    fn relisted(&mut self) -> Vec<Delta<T>> {
        let listing = mem::take(&mut self.listing);
        let told = mem::replace(&mut self.told, listing.keys().cloned().collect());
        let gone = told.into_iter().filter(|key| !listing.contains_key(key)).map(|key| Delta::Deleted(name(key)));
        let mut deltas: Vec<Delta<T>> = gone.collect();
        deltas.extend(listing.into_values().map(|object| Delta::Applied(Box::new(object))));
        deltas
    }
}

fn name((namespace, name): Key) -> Name {
    Name { namespace, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    fn listing(name: &str) -> Seen<String> {
        Seen::Listing(key(name), name.to_owned())
    }

    fn applied(name: &str) -> Seen<String> {
        Seen::Applied(key(name), name.to_owned())
    }

    fn deleted(name: &str) -> Seen<String> {
        Seen::Deleted(key(name))
    }

    /// What comes of these in turn, one word a change.
    fn told(gather: &mut Gather<String>, seen: Vec<(usize, Seen<String>)>) -> Vec<String> {
        let deltas = seen.into_iter().flat_map(|(source, seen)| gather.take(source, seen));
        deltas
            .map(|delta| match delta {
                Delta::Applied(object) => format!("+{object}"),
                Delta::Deleted(name) => format!("-{}", name.name),
                Delta::Listed(all) => format!("={}", all.join(",")),
            })
            .collect()
    }

    #[test]
    fn nothing_is_said_before_the_first_list_is_complete() {
        let mut gather = Gather::new(1);
        assert!(told(&mut gather, vec![(0, listing("a")), (0, listing("b"))]).is_empty());
        assert_eq!(told(&mut gather, vec![(0, Seen::Listed)]), ["=a,b"]);
        assert_eq!(told(&mut gather, vec![(0, applied("c")), (0, deleted("a"))]), ["+c", "-a"]);
    }

    #[test]
    fn a_list_that_breaks_off_leaves_nothing_behind() {
        let mut gather = Gather::new(1);
        assert_eq!(told(&mut gather, vec![(0, listing("a")), (0, Seen::Broken), (0, listing("b")), (0, Seen::Listed)]), ["=b"]);
        assert_eq!(told(&mut gather, vec![(0, listing("c")), (0, Seen::Broken), (0, listing("b")), (0, Seen::Listed)]), ["=b"]);
    }

    #[test]
    fn a_missing_kind_is_listed_empty_and_its_objects_come_with_it() {
        let mut gather = Gather::new(1);
        assert_eq!(told(&mut gather, vec![(0, Seen::Missing), (0, Seen::Missing)]), ["="]);
        assert_eq!(told(&mut gather, vec![(0, listing("a")), (0, Seen::Listed)]), ["=a"]);
    }

    #[test]
    fn a_kind_that_was_there_is_missing_only_when_it_is_said_again_and_again() {
        let mut gather = Gather::new(1);
        assert_eq!(told(&mut gather, vec![(0, listing("a")), (0, Seen::Listed)]), ["=a"]);
        assert_eq!(told(&mut gather, vec![(0, Seen::Missing), (0, Seen::Missing), (0, applied("b"))]), ["+b"]);
        assert!(told(&mut gather, vec![(0, Seen::Missing), (0, Seen::Missing)]).is_empty());
        assert_eq!(told(&mut gather, vec![(0, Seen::Missing), (0, Seen::Missing)]), ["="]);
    }

    #[test]
    fn a_kind_that_may_not_be_read_is_listed_empty_when_it_is_refused_for_long_and_never_after_it_was_read() {
        let refused = |times: usize| (0..times).map(|_| (0, Seen::Forbidden)).collect::<Vec<_>>();
        let mut gather = Gather::new(1);
        assert!(told(&mut gather, refused(4)).is_empty());
        assert!(told(&mut gather, vec![(0, Seen::Broken)]).is_empty(), "another fault begins the row anew");
        assert!(told(&mut gather, refused(4)).is_empty());
        assert_eq!(told(&mut gather, refused(4)), ["="]);
        assert_eq!(told(&mut gather, vec![(0, listing("a")), (0, Seen::Listed)]), ["=a"]);
        assert!(told(&mut gather, refused(20)).is_empty());
    }

    #[test]
    fn a_watch_that_breaks_before_anything_is_known_says_nothing() {
        assert!(told(&mut Gather::new(1), vec![(0, Seen::Broken), (0, Seen::Nothing), (0, Seen::Broken)]).is_empty());
    }

    #[test]
    fn several_namespaces_are_listed_as_one() {
        let mut gather = Gather::new(2);
        let seen = vec![(0, listing("a")), (0, Seen::Listed), (0, applied("b")), (0, deleted("a")), (0, Seen::Broken), (1, listing("c"))];
        assert!(told(&mut gather, seen).is_empty());
        assert_eq!(told(&mut gather, vec![(1, Seen::Listed)]), ["=b,c"]);
    }

    #[test]
    fn a_namespace_that_is_listed_again_while_others_are_not_listed_forgets_what_went_meanwhile() {
        let mut gather = Gather::new(2);
        let seen = vec![(0, listing("a")), (0, Seen::Listed), (0, Seen::Broken), (0, listing("b")), (0, Seen::Listed), (1, Seen::Missing)];
        assert_eq!(told(&mut gather, seen), ["=b"]);
    }

    #[test]
    fn a_later_list_of_one_namespace_forgets_none_of_another() {
        let mut gather = Gather::new(2);
        assert_eq!(told(&mut gather, vec![(0, listing("a")), (0, Seen::Listed), (1, listing("c")), (1, Seen::Listed)]), ["=a,c"]);
        assert_eq!(
            told(&mut gather, vec![(0, applied("b")), (0, listing("b")), (0, listing("d")), (0, Seen::Listed)]),
            ["+b", "-a", "+b", "+d"]
        );
        assert_eq!(told(&mut gather, vec![(0, Seen::Missing), (0, Seen::Missing), (0, Seen::Missing)]), ["-b", "-d"]);
        assert!(told(&mut gather, vec![(0, Seen::Missing)]).is_empty());
    }
}
