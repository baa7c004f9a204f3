//! Pods by their labels, as elsewhere in Kubernetes (LabelSelector of meta/v1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which pods are meant: each requirement must hold. The order in which they were written does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodSelector(pub(crate) BTreeSet<Requirement>);

/// One requirement; a label of `matchLabels` is `In` with one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// The label is there, with one of these values.
    In(String, BTreeSet<String>),
    /// The label is not there, or has none of these values.
    NotIn(String, BTreeSet<String>),
    /// The label is there.
    Exists(String),
    /// The label is not there.
    DoesNotExist(String),
}

impl PodSelector {
    /// Whether a pod with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::DoesNotExist(key) => !labels.contains_key(key),
        })
    }

    /// The labels that select the same pods, as a Service's selector takes them; `None` when labels alone cannot say it.
    pub fn labels(&self) -> Option<BTreeMap<&str, &str>> {
        let mut labels = BTreeMap::new();
        for requirement in &self.0 {
            let Requirement::In(key, values) = requirement else { return None };
            let value = values.first().filter(|_| values.len() == 1)?;
            if labels.insert(key.as_str(), value.as_str()).is_some() {
                return None;
            }
        }
        Some(labels)
    }

    /// The text that an identity is made of: JSON, in which no value passes for another.
    pub(crate) fn canonical(&self) -> String {
        let none = BTreeSet::new();
        let parts = self.0.iter().map(|requirement| match requirement {
            Requirement::In(key, values) => (key, "In", values),
            Requirement::NotIn(key, values) => (key, "NotIn", values),
            Requirement::Exists(key) => (key, "Exists", &none),
            Requirement::DoesNotExist(key) => (key, "DoesNotExist", &none),
        });
        serde_json::json!(parts.collect::<Vec<_>>()).to_string()
    }
}

/// As kubectl writes selectors: `version=v2,tier in (a,b)`.
impl fmt::Display for PodSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        for (index, requirement) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            match requirement {
                Requirement::In(key, values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
                Requirement::In(key, values) => write!(f, "{key} in ({})", list(values)),
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
                Requirement::Exists(key) => f.write_str(key),
                Requirement::DoesNotExist(key) => write!(f, "!{key}"),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn selector(requirements: impl IntoIterator<Item = Requirement>) -> PodSelector {
        PodSelector(requirements.into_iter().collect())
    }

    #[test]
    fn s1_each_requirement_must_hold_and_an_absent_label_is_none_of_any_values() {
        let labels =
            |text: &str| text.split_terminator(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
        for (requirement, labels_of_pod, matches) in [
            (Requirement::In("v".into(), set(&["1", "2"])), "v=2,app=a", true),
            (Requirement::In("v".into(), set(&["1", "2"])), "v=3", false),
            (Requirement::In("v".into(), set(&["1"])), "", false),
            (Requirement::NotIn("v".into(), set(&["1"])), "v=2", true),
            (Requirement::NotIn("v".into(), set(&["1"])), "", true),
            (Requirement::NotIn("v".into(), set(&["1"])), "v=1", false),
            (Requirement::Exists("v".into()), "v=", true),
            (Requirement::Exists("v".into()), "", false),
            (Requirement::DoesNotExist("v".into()), "w=1", true),
            (Requirement::DoesNotExist("v".into()), "v=1", false),
        ] {
            let one = selector([requirement]);
            assert_eq!(one.matches(&labels(labels_of_pod)), matches, "{one} of {labels_of_pod}");
        }
        let both = selector([Requirement::Exists("a".into()), Requirement::Exists("b".into())]);
        assert!(both.matches(&labels("a=1,b=2")) && !both.matches(&labels("a=1")));
    }

    #[test]
    fn s10_only_labels_with_one_value_can_stand_in_a_services_selector() {
        let one = Requirement::In("v".into(), set(&["2"]));
        assert_eq!(selector([one.clone()]).labels(), Some(BTreeMap::from([("v", "2")])));
        assert_eq!(selector([one, Requirement::Exists("a".into())]).labels(), None);
        assert_eq!(selector([Requirement::In("v".into(), set(&["1", "2"]))]).labels(), None);
    }

    #[test]
    fn it_is_written_as_kubectl_does_and_its_canonical_text_is_the_published_one() {
        let all = selector([
            Requirement::DoesNotExist("d".into()),
            Requirement::Exists("c".into()),
            Requirement::NotIn("b".into(), set(&["1", "2"])),
            Requirement::In("a".into(), set(&["2", "1"])),
            Requirement::In("v".into(), set(&["2"])),
        ]);
        assert_eq!(all.to_string(), "a in (1,2),v=2,b notin (1,2),c,!d");
        assert_eq!(
            all.canonical(),
            r#"[["a","In",["1","2"]],["v","In",["2"]],["b","NotIn",["1","2"]],["c","Exists",[]],["d","DoesNotExist",[]]]"#
        );
        assert_ne!(
            selector([Requirement::Exists("a,b".into())]).canonical(),
            selector([Requirement::Exists("a".into()), Requirement::Exists("b".into())]).canonical()
        );
    }
}
