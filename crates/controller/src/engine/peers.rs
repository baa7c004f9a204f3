//! What the other replicas say, for the one that leads: which epochs they serve, what they counted, and what time they have.
//!
//! Counters only grow while a process runs, and each process begins at 0 under a boot id of its own. So what counts is by how much each
//! grew since the leader first heard it, and what one that left had grown by stays: no sum ever falls, and nothing that was counted before
//! somebody led is taken for what a step counted.

use super::evidence::Totals;
use crate::update::Said;
use jiff::{SignedDuration, Timestamp};
use serin_api::{Condition, Finding, reason};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// A ready replica that does not answer for so long keeps everything from rising.
const UNREACHABLE: SignedDuration = SignedDuration::from_secs(30);
/// The word of a replica whose clock is further off does not count.
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// The ready replicas beside this one, and what those counted that were there before.
#[derive(Debug)]
pub(super) struct Peers {
    /// The boot id of this replica.
    own: String,
    /// Whether it is known who is ready.
    known: bool,
    ready: BTreeMap<SocketAddr, Peer>,
    /// What those grew by that left or began anew.
    kept: Grown,
}

/// By uid and id of a release.
type Grown = HashMap<(String, String), Totals>;

#[derive(Debug)]
struct Peer {
    /// When it answered last; before that, since when it is ready.
    since: Timestamp,
    heard: Option<Heard>,
}

#[derive(Debug)]
struct Heard {
    boot: String,
    /// Whether it is this replica itself.
    is_own: bool,
    skew: SignedDuration,
    served: BTreeMap<String, u64>,
    first: Grown,
    last: Grown,
}

/// What all ready replicas serve of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The epoch that each of them serves, this one too; `None` when one serves none, or nobody knows.
    pub(super) served: Option<u64>,
    /// How many are ready, this one too.
    pub(super) ready: u32,
}

impl Peers {
    /// Nobody is known yet to the replica of this boot id.
    pub(super) fn of(own: &str) -> Self {
        Self { own: own.to_owned(), known: false, ready: BTreeMap::new(), kept: Grown::new() }
    }

    /// These are ready now.
    pub(super) fn are(&mut self, ready: &BTreeSet<SocketAddr>, now: Timestamp) {
        self.known = true;
        let gone: Vec<SocketAddr> = self.ready.keys().filter(|address| !ready.contains(address)).copied().collect();
        let heard: Vec<Heard> = gone.iter().filter_map(|address| self.ready.remove(address)?.heard).collect();
        self.keep(heard);
        for address in ready {
            self.ready.entry(*address).or_insert(Peer { since: now, heard: None });
        }
    }

    /// The replica at this address answered; `true` when it serves something else than before, or was not heard before.
    pub(super) fn heard(&mut self, address: SocketAddr, said: Said, now: Timestamp) -> bool {
        // One that is not ready any more: its last word was taken before.
        let Some(peer) = self.ready.get_mut(&address) else { return false };
        peer.since = now;
        let is_own = said.boot == self.own;
        let last: Grown = said.counted.into_iter().map(|row| ((row.uid, row.id), row.totals)).collect();
        let (skew, served) = (said.at.duration_since(now), said.served);
        let before = peer.heard.take();
        let differs = before.as_ref().is_none_or(|before| before.served != served);
        let (first, other) = match before {
            Some(before) if before.boot == said.boot => (before.first, None),
            other => (last.clone(), other),
        };
        peer.heard = Some(Heard { boot: said.boot, is_own, skew, served, first, last });
        self.keep(other);
        differs
    }

    /// Adds what they grew by to what is kept.
    fn keep(&mut self, heard: impl IntoIterator<Item = Heard>) {
        for heard in heard.into_iter().filter(|heard| !heard.is_own) {
            for key in heard.last.keys() {
                let kept = self.kept.entry(key.clone()).or_default();
                *kept = *kept + heard.grown(key);
            }
        }
    }

    /// Nobody is asked any more: another one leads. What was counted stays.
    pub(super) fn rest(&mut self) {
        let heard: Vec<Heard> = self.ready.values_mut().filter_map(|peer| peer.heard.take()).collect();
        self.keep(heard);
    }

    /// Forgets releases that are not among these uids.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.kept.retain(|(uid, _), _| exists(uid));
    }

    /// Whoever is asked again after a pause has the time to answer.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.ready.values_mut().for_each(|peer| peer.since = now);
    }

    /// What they counted of a release since each was first heard.
    pub(super) fn counted(&self, uid: &str, id: &str) -> Totals {
        let key = (uid.to_owned(), id.to_owned());
        let others = self.ready.values().filter_map(|peer| peer.heard.as_ref()).filter(|heard| !heard.is_own);
        others.fold(self.kept.get(&key).copied().unwrap_or_default(), |sum, heard| sum + heard.grown(&key))
    }

    /// What is served by this replica, which serves `own`, and by all others.
    pub(super) fn standing(&self, uid: &str, own: Option<u64>) -> Standing {
        let others = || self.ready.values().filter(|peer| !peer.heard.as_ref().is_some_and(|heard| heard.is_own));
        let acknowledged = |peer: &Peer| peer.heard.as_ref().filter(|heard| heard.is_on_time())?.served.get(uid).copied();
        let served = others().map(acknowledged).chain([own.filter(|_| self.known)]).min().flatten();
        Standing { served, ready: u32::try_from(others().count() + 1).unwrap_or(u32::MAX) }
    }

    /// How many serve this epoch, this one not counted.
    pub(super) fn programmed(&self, uid: &str, epoch: u64) -> u32 {
        let heard = self.ready.values().filter_map(|peer| peer.heard.as_ref()).filter(|heard| !heard.is_own && heard.is_on_time());
        u32::try_from(heard.filter(|heard| heard.served.get(uid).is_some_and(|served| *served >= epoch)).count()).unwrap_or(u32::MAX)
    }

    /// Why nothing may rise: the first replica that is silent or off the time, by its address.
    pub(super) fn finding(&self, now: Timestamp) -> Option<Finding> {
        let told = |reason, message| Finding { condition: Condition::Programmed, reason, field: String::new(), message };
        let silent = self.ready.iter().find(|(_, peer)| now.duration_since(peer.since) >= UNREACHABLE);
        if let Some((address, _)) = silent {
            let message = format!(
                "Replica {address} is ready and has not answered the leader for 30 s, so nothing rises. See its log, and whether replicas may reach each other's admin port."
            );
            return Some(told(reason::PEER_UNREACHABLE, message));
        }
        let late = self.ready.iter().filter_map(|(address, peer)| Some((address, peer.heard.as_ref()?)));
        let (address, heard) = late.into_iter().find(|(_, heard)| !heard.is_own && !heard.is_on_time())?;
        let message = format!(
            "The clock of replica {address} is {} s off the leader's, so nothing rises. Set the clocks of their nodes.",
            heard.skew.as_secs()
        );
        Some(told(reason::CLOCK_SKEW, message))
    }
}

impl Heard {
    fn is_on_time(&self) -> bool {
        self.is_own || self.skew.abs() <= MOST_SKEW
    }

    fn grown(&self, key: &(String, String)) -> Totals {
        let of = |grown: &Grown| grown.get(key).copied().unwrap_or_default();
        of(&self.last) - of(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Counted;

    fn address(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 9901).into()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn totals(requests: u64) -> Totals {
        serde_json::from_value(serde_json::json!({"canary": {"requests": requests, "failures": requests}})).unwrap()
    }

    /// What a replica of this boot says at this second: the epoch of release `u`, and how many requests its canary had.
    fn said(boot: &str, second: i64, epoch: u64, requests: u64) -> Said {
        let counted = Counted { uid: "u".to_owned(), id: "i".to_owned(), totals: totals(requests) };
        Said { boot: boot.to_owned(), at: at(second), served: [("u".to_owned(), epoch)].into(), counted: vec![counted] }
    }

    fn peers(addresses: &[u8]) -> Peers {
        let mut peers = Peers::of("own");
        peers.are(&addresses.iter().map(|last| address(*last)).collect(), at(100));
        peers
    }

    #[test]
    fn what_each_grew_by_is_added_up_over_restarts_and_goodbyes_and_never_falls() {
        let mut peers = peers(&[1, 2, 3]);
        // What is heard, of which address, and what all of them grew by after it.
        let steps = [
            (2, said("a", 100, 1, 1_000), 0),
            (2, said("a", 101, 1, 1_010), 10),
            (3, said("b", 101, 1, 7), 10),
            (3, said("b", 102, 1, 9), 12),
            // It began anew: what it had stays, and what it has from its first word on.
            (3, said("c", 103, 1, 4), 12),
            (3, said("c", 104, 1, 5), 13),
            // This replica itself, behind the same Service, counts for itself.
            (1, said("own", 104, 1, 500), 13),
            (1, said("own", 105, 1, 600), 13),
            // Nobody who is ready.
            (9, said("d", 105, 1, 600), 13),
        ];
        for (last, said, expected) in steps {
            peers.heard(address(last), said.clone(), said.at);
            assert_eq!(peers.counted("u", "i"), totals(expected), "{last} {said:?}");
        }
        let before = peers.counted("u", "i");
        peers.are(&[address(1), address(2)].into(), at(106));
        assert_eq!(peers.counted("u", "i"), before, "one left");
        peers.rest();
        assert_eq!(peers.counted("u", "i"), before, "another one leads");
        peers.heard(address(2), said("a", 200, 1, 5_000), at(200));
        assert_eq!(peers.counted("u", "i"), before, "what was counted under another leader is not taken for new");
        assert_eq!(peers.counted("u", "other"), Totals::default());
        peers.retain(|_| false);
        assert_eq!(peers.counted("u", "i"), Totals::default());
    }

    #[test]
    fn an_epoch_is_served_when_each_ready_replica_says_so() {
        let standing = |served: Option<u64>, ready: u32| Standing { served, ready };
        assert_eq!(Peers::of("own").standing("u", Some(5)), standing(None, 1), "nobody knows who is ready");
        assert_eq!(peers(&[]).standing("u", Some(5)), standing(Some(5), 1));
        let mut peers = peers(&[1, 2, 3]);
        assert_eq!(peers.standing("u", Some(5)), standing(None, 4), "not even itself is known");
        peers.heard(address(1), said("own", 100, 5, 0), at(100));
        peers.heard(address(2), said("a", 100, 5, 0), at(100));
        assert_eq!(peers.standing("u", Some(5)), standing(None, 3), "the third has not answered");
        peers.heard(address(3), said("b", 100, 4, 0), at(100));
        assert_eq!((peers.standing("u", Some(5)), peers.programmed("u", 5)), (standing(Some(4), 3), 1), "an older epoch is no newer one");
        peers.heard(address(3), said("b", 101, 5, 0), at(101));
        assert_eq!((peers.standing("u", Some(5)), peers.programmed("u", 5)), (standing(Some(5), 3), 2));
        assert_eq!(peers.standing("other", Some(5)), standing(None, 3), "they do not have that release");
        assert_eq!(peers.standing("u", None), standing(None, 3));
    }

    #[test]
    fn one_that_is_silent_for_long_or_off_the_time_is_named_and_nothing_rises() {
        let mut peers = peers(&[2]);
        let finding = |peers: &Peers, second| peers.finding(at(second)).map(|finding| (finding.reason, finding.message));
        assert_eq!(finding(&peers, 129), None);
        let (reason, message) = finding(&peers, 130).expect("it never answered");
        assert!(reason == "PeerUnreachable" && message.contains("10.0.0.2:9901"), "{message}");
        peers.heard(address(2), said("a", 130, 5, 0), at(130));
        assert_eq!((finding(&peers, 159), peers.standing("u", Some(5)).served), (None, Some(5)));
        assert!(finding(&peers, 160).is_some());
        for (clock, is_late) in [(165, false), (166, true), (155, false), (154, true)] {
            peers.heard(address(2), said("a", clock, 5, 0), at(160));
            assert_eq!(finding(&peers, 160).map(|(reason, _)| reason), is_late.then_some("ClockSkew"), "{clock}");
            assert_eq!(peers.standing("u", Some(5)).served, (!is_late).then_some(5), "{clock}");
        }
        peers.begin(at(300));
        assert_eq!(finding(&peers, 301).map(|(reason, _)| reason), Some("ClockSkew"), "who leads again gives each the time to answer");
        peers.are(&BTreeSet::new(), at(301));
        assert_eq!(finding(&peers, 900), None);
    }
}
