//! Names that Kubernetes takes, made of names that others take.

use std::collections::{BTreeMap, BTreeSet};

/// The longest name of a Service, and so of everything here.
const LONGEST: usize = 63;

/// Names of one kind of object: the same thing always has the same, two things never.
#[derive(Debug, Default)]
pub(crate) struct Names {
    given: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// The name of the thing `key`, made of `wanted` when it has none yet.
    pub(crate) fn of(&mut self, key: &str, wanted: &str) -> String {
        if let Some(name) = self.given.get(key) {
            return name.clone();
        }
        let name = self.fresh(wanted);
        self.given.insert(key.to_owned(), name.clone());
        name
    }

    /// A name that nothing has.
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        let base = label(wanted);
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            let suffix = format!("-{number}");
            name = format!("{}{suffix}", cut(&base, LONGEST - suffix.len()));
            number += 1;
        }
        name
    }

    /// Nothing else gets this name.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }
}

/// The nearest RFC 1035 label, which is a name of whatever there is.
pub(crate) fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars().flat_map(char::to_lowercase).take(4 * LONGEST) {
        match c {
            'a'..='z' | '0'..='9' => label.push(c),
            _ if label.ends_with('-') || label.is_empty() => {}
            _ => label.push('-'),
        }
    }
    if label.starts_with(|c: char| c.is_ascii_digit()) {
        label.insert_str(0, "x-");
    }
    match cut(&label, LONGEST) {
        "" => "unnamed".to_owned(),
        label => label.to_owned(),
    }
}

/// Whether a text is an RFC 1035 label as it stands.
pub(crate) fn is_label(text: &str) -> bool {
    label(text) == text
}

fn cut(label: &str, length: usize) -> &str {
    // A label is ASCII.
    label.get(..length).unwrap_or(label).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_near_to_the_text_and_always_valid() {
        let long = "x".repeat(70);
        for (text, expected) in [
            ("checkout", "checkout"),
            ("my.v2.service", "my-v2-service"),
            ("Shop Größe!", "shop-gr-e"),
            ("5.6.7.8", "x-5-6-7-8"),
            ("--", "unnamed"),
            ("", "unnamed"),
            (&long, &long[..63]),
        ] {
            assert_eq!(label(text), expected, "{text}");
            assert!(is_label(&label(text)), "{text}");
        }
    }

    #[test]
    fn two_things_never_share_a_name_and_one_keeps_its_own() {
        let mut names = Names::default();
        assert_eq!([names.of("1", "a.b"), names.of("2", "a-b"), names.of("1", "other")], ["a-b", "a-b-2", "a-b"]);
        let long = "y".repeat(63);
        assert_eq!(names.fresh(&long), long);
        assert_eq!(names.fresh(&long), format!("{}-2", &long[..61]));
        names.reserve("taken");
        assert_eq!(names.fresh("taken"), "taken-2");
    }
}
