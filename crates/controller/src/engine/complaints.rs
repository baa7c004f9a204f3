//! What is wrong with Ingresses, as Events: they have no condition of ours. Pure; who leads sends them.

use crate::update::Event;
use jiff::{SignedDuration, Timestamp};
use serin_api::Finding;
use serin_compiler::Key;
use std::collections::BTreeMap;

/// For so long a fault must be there: the files of one `kubectl apply` come one by one.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);
/// After so long it is told again: the API server forgets an Event after an hour.
const AGAIN: SignedDuration = SignedDuration::from_mins(45);
/// Of so many Ingresses at once: a thousand faults that come together are told within half a minute.
const AT_ONCE: usize = 8;
/// So many faults of one Ingress, and a last Event that counts the others.
const OF_ONE: usize = 8;

/// What is wrong, since when, and when it was told.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    of: BTreeMap<Key, Complaint>,
}

#[derive(Debug)]
struct Complaint {
    findings: Vec<Finding>,
    since: Timestamp,
    told: Option<Timestamp>,
}

impl Complaints {
    /// What is to be told now, these being all that are at fault.
    pub(super) fn due<'f>(&mut self, found: impl Iterator<Item = (&'f Key, &'f [Finding])>, now: Timestamp) -> Vec<(Key, Vec<Event>)> {
        let mut before = std::mem::take(&mut self.of);
        let (mut due, mut turn) = (Vec::new(), BTreeMap::new());
        for (key, findings) in found.filter(|(_, findings)| !findings.is_empty()) {
            let same = before.remove(key).filter(|before| before.findings == findings);
            let mut complaint = same.unwrap_or_else(|| Complaint { findings: findings.to_vec(), since: now, told: None });
            let since = complaint.told.unwrap_or(complaint.since);
            // A clock that was set back begins the wait anew.
            if since > now {
                (complaint.since, complaint.told) = (now, complaint.told.map(|_| now));
            }
            let wait = if complaint.told.is_some() { AGAIN } else { SETTLED };
            if now.duration_since(since) >= wait && due.len() < AT_ONCE {
                complaint.told = Some(now);
                due.push((key.clone(), events(findings)));
            }
            turn.insert(key.clone(), complaint);
        }
        self.of = turn;
        due
    }

    /// Somebody else tells.
    pub(super) fn forget(&mut self) {
        self.of.clear();
    }
}

fn events(findings: &[Finding]) -> Vec<Event> {
    let event = |reason: &str, message: String| Event { warning: true, reason: reason.to_owned(), message };
    let more = findings.len().saturating_sub(OF_ONE);
    let told = findings.iter().take(OF_ONE).map(|finding| event(finding.reason, finding.to_string()));
    let others = (more > 0).then(|| event("MoreFaults", format!("{more} more faults of this Ingress are in serin's log.")));
    told.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_api::Condition;

    fn finding(message: &str) -> Finding {
        Finding {
            condition: Condition::ResolvedRefs,
            reason: "BackendNotFound",
            field: "spec.rules[0]".to_owned(),
            message: message.to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_fault_is_told_once_when_it_has_settled_and_again_before_the_event_is_forgotten() {
        let (mut complaints, key) = (Complaints::default(), Key::new("shop", "shop"));
        let told = |complaints: &mut Complaints, message: Option<&str>, second| {
            let findings: Vec<Finding> = message.map(finding).into_iter().collect();
            complaints.due([(&key, &findings[..])].into_iter(), at(second)).into_iter().flat_map(|(_, events)| events).count()
        };
        assert_eq!(told(&mut complaints, Some("a"), 100), 0, "its Service may come in a moment");
        assert_eq!(told(&mut complaints, None, 101), 0);
        assert_eq!((told(&mut complaints, Some("a"), 102), told(&mut complaints, Some("a"), 103)), (0, 0));
        assert_eq!((told(&mut complaints, Some("a"), 104), told(&mut complaints, Some("a"), 105)), (1, 0));
        assert_eq!((told(&mut complaints, Some("b"), 110), told(&mut complaints, Some("b"), 112)), (0, 1), "another fault");
        assert_eq!((told(&mut complaints, Some("b"), 112 + 2699), told(&mut complaints, Some("b"), 112 + 2700)), (0, 1));
        assert_eq!((told(&mut complaints, Some("c"), 9000), told(&mut complaints, Some("c"), 5)), (0, 0), "the clock was set back");
        assert_eq!(told(&mut complaints, Some("c"), 7), 1);
    }

    #[test]
    fn many_faults_are_told_a_few_at_a_time() {
        let mut complaints = Complaints::default();
        let keys: Vec<Key> = (0..20).map(|n| Key::new("shop", n.to_string())).collect();
        let findings: Vec<Finding> = (0..10).map(|n| finding(&n.to_string())).collect();
        let mut turn = |second| complaints.due(keys.iter().map(|key| (key, &findings[..])), at(second));
        assert_eq!(turn(100).len(), 0);
        let counts: Vec<usize> = (0..4).map(|_| turn(102).len()).collect();
        assert_eq!(counts, [8, 8, 4, 0]);
        let events = events(&findings);
        assert_eq!((events.len(), events[0].message.as_str()), (9, "spec.rules[0]: 0"));
        assert_eq!(events[8].message, "2 more faults of this Ingress are in serin's log.");
    }
}
