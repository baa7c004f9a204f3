//! How a path becomes the canary's (S17), as Gateway API defines `HTTPPathModifier`.

use crate::config::{PathMatch, PathRewrite};
use std::borrow::Cow;

/// The path that the canary gets for `path`, which `matched` takes. Borrowed unless two parts must be put together.
///
/// ReplacePrefixMatch replaces whole elements, a trailing slash of prefix and replacement does not count, and nothing left is `/`. Of an
/// Exact match the whole path is the prefix.
pub(crate) fn rewrite<'a>(rewrite: &'a PathRewrite, matched: &PathMatch, path: &'a str) -> Cow<'a, str> {
    let replacement = match rewrite {
        PathRewrite::Full(full) => return Cow::Borrowed(full),
        PathRewrite::Prefix(replacement) => replacement.trim_end_matches('/'),
    };
    let rest = match matched {
        PathMatch::Exact(_) => "",
        PathMatch::Prefix(prefix) => path.strip_prefix(prefix.trim_end_matches('/')).unwrap_or(path),
    };
    match (replacement, rest) {
        ("", "") => Cow::Borrowed("/"),
        ("", rest) => Cow::Borrowed(rest),
        (replacement, "") => Cow::Borrowed(replacement),
        (replacement, rest) => Cow::Owned([replacement, rest].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in the docstring of `HTTPPathModifier.replacePrefixMatch`, and the root.
    const PREFIX: &[(&str, &str, &str, &str)] = &[
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/", "/", "/v2", "/v2/"),
        ("/bar", "/", "/v2", "/v2/bar"),
        ("/bar", "/", "/", "/bar"),
        ("/a/b/c", "/a/b", "/x/y/z", "/x/y/z/c"),
    ];

    #[test]
    fn s17_prefix_is_replaced_as_gateway_api_says() {
        for (path, prefix, replacement, expected) in PREFIX {
            let (how, matched) = (PathRewrite::Prefix((*replacement).into()), PathMatch::Prefix((*prefix).into()));
            assert_eq!(rewrite(&how, &matched, path), *expected, "{path} of {prefix} by {replacement:?}");
        }
    }

    #[test]
    fn s17_of_an_exact_match_the_whole_path_is_the_prefix() {
        for (path, replacement, expected) in [("/foo", "/v2", "/v2"), ("/foo/", "/v2/", "/v2"), ("/foo", "", "/")] {
            let how = PathRewrite::Prefix(replacement.into());
            assert_eq!(rewrite(&how, &PathMatch::Exact(path.into()), path), expected, "{path} by {replacement:?}");
        }
    }

    #[test]
    fn s17_full_path_is_replaced_as_it_stands() {
        let how = PathRewrite::Full("/v2/".into());
        assert_eq!(rewrite(&how, &PathMatch::Prefix("/foo".into()), "/foo/bar"), "/v2/");
    }
}
