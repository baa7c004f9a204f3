//! The identity of a release: a hash of a versioned canonical text.

use xxhash_rust::xxh3::xxh3_64;

/// The version of the canonical form. It never changes for a released schema: a new field joins as absent.
const FORM: &str = "serin-release-v1";

/// The canonical text: the form, then each field that has a value, in the given order.
///
/// The caller leaves out what is absent or at its default. Lengths are written, so that no value can pass for another field.
pub fn canonical(fields: &[(&str, &str)]) -> String {
    let mut text = String::from(FORM);
    for (field, value) in fields {
        text.push_str(&format!("\n{}:{field}={}:{value}", field.len(), value.len()));
    }
    text
}

/// `release.id`: the first 10 hex digits of XXH3-64 over the canonical text.
pub fn release_id(fields: &[(&str, &str)]) -> String {
    format!("{:010x}", xxh3_64(canonical(fields).as_bytes()) >> 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_published_ones() {
        for (fields, id) in [
            (&[][..], "08a0a8d12a"),
            (&[("scope.service", "checkout"), ("canary.service", "checkout-v2")][..], "fd8780e4c0"),
            (&[("scope.service", "checkout"), ("canary.service", "checkout-v2"), ("revision", "v2")][..], "059c3514f5"),
            (&[("split.salt", "sälz")][..], "78775be6dd"),
        ] {
            assert_eq!(release_id(fields), id, "{}", canonical(fields));
        }
    }

    #[test]
    fn a_value_cannot_pass_for_another_field() {
        assert_ne!(release_id(&[("a", "1\n1:b=1:2")]), release_id(&[("a", "1"), ("b", "2")]));
        assert_ne!(release_id(&[("a", "")]), release_id(&[]));
    }
}
