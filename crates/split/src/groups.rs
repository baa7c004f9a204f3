//! Groups of consumers: what decides between overrides and buckets (S19).

use crate::{Facts, Side};

/// The groups that are admitted or kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// `strategy.groups.allow`: the listed to the canary, all others to stable; no bucket decides.
    Allow(Vec<String>),
    /// `strategy.groups.deny`: the listed to stable, all others to the canary; no bucket decides.
    Deny(Vec<String>),
    /// Groups of steps, those admitted so far: the listed to the canary, the buckets decide for all others.
    Admitted(Vec<String>),
}

impl Groups {
    /// The side that the groups decide on; `None` leaves it to the buckets.
    pub fn side(&self, facts: &impl Facts) -> Option<Side> {
        let listed = |groups: &[String]| groups.iter().any(|g| facts.in_group(g));
        match self {
            Self::Allow(groups) => Some(if listed(groups) { Side::Canary } else { Side::Stable }),
            Self::Deny(groups) => Some(if listed(groups) { Side::Stable } else { Side::Canary }),
            Self::Admitted(groups) => listed(groups).then_some(Side::Canary),
        }
    }

    /// What of these may be served when `asked` is asked for: nobody gets the canary by it who does not get it by both. Where the two
    /// have no common form, nobody gets it.
    pub fn within(&self, asked: &Self) -> Option<Self> {
        let both = |these: &[String], those: &[String]| {
            let both: Vec<String> = these.iter().filter(|group| those.contains(group)).cloned().collect();
            Some(both).filter(|both| !both.is_empty())
        };
        match (self, asked) {
            (Self::Allow(these) | Self::Admitted(these), Self::Allow(those)) => both(these, those).map(Self::Allow),
            (Self::Allow(these) | Self::Admitted(these), Self::Admitted(those)) => both(these, those).map(Self::Admitted),
            (Self::Deny(these), Self::Deny(those)) => {
                let mut all = [these.as_slice(), those].concat();
                all.sort();
                all.dedup();
                Some(Self::Deny(all))
            }
            (Self::Deny(_), _) | (_, Self::Deny(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::borrow::Cow;
    use std::net::IpAddr;

    /// A consumer of these groups.
    struct Member(Vec<String>);

    impl Facts for Member {
        fn header(&self, _: &str) -> impl Iterator<Item = &[u8]> {
            std::iter::empty()
        }
        fn cookie(&self, _: &str) -> Option<&[u8]> {
            None
        }
        fn query(&self, _: &str) -> Option<Cow<'_, [u8]>> {
            None
        }
        fn client_ip(&self) -> Option<IpAddr> {
            None
        }
        fn consumer(&self) -> Option<&str> {
            Some("alice")
        }
        fn in_group(&self, group: &str) -> bool {
            self.0.iter().any(|own| own == group)
        }
        fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
            None
        }
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4).prop_map(|names| names.into_iter().map(str::to_owned).collect())
    }

    fn groups() -> impl Strategy<Value = Groups> {
        (0..3, names()).prop_map(|(kind, names)| match kind {
            0 => Groups::Allow(names),
            1 => Groups::Deny(names),
            _ => Groups::Admitted(names),
        })
    }

    proptest! {
        #[test]
        fn what_is_within_both_admits_nobody_whom_one_of_them_does_not(served in groups(), asked in groups(), of in names()) {
            let member = Member(of);
            let canary = |groups: &Groups| groups.side(&member) == Some(Side::Canary);
            if let Some(both) = served.within(&asked) {
                prop_assert!(!canary(&both) || (canary(&served) && canary(&asked)));
            }
            prop_assert_eq!(served.within(&served).is_some_and(|same| canary(&same)), canary(&served));
        }
    }
}
