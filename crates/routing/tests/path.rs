//! The canonical path: its table of cases, and what holds for all.

use proptest::prelude::*;
use serin_routing::path::{PathFault, canonical};
use std::borrow::Cow;

const CASES: &[(&[u8], &str)] = &[
    (b"/", "/"),
    (b"/a", "/a"),
    (b"/a/", "/a/"),
    (b"/a/b.c/d~e_f-g", "/a/b.c/d~e_f-g"),
    (b"/A", "/A"),
    // Dot segments
    (b"/.", "/"),
    (b"/..", "/"),
    (b"/./", "/"),
    (b"/../", "/"),
    (b"/a/.", "/a/"),
    (b"/a/..", "/"),
    (b"/a/../admin", "/admin"),
    (b"/a/b/../c", "/a/c"),
    (b"/a/b/../../c", "/c"),
    (b"/a/../../../admin", "/admin"),
    (b"/../admin", "/admin"),
    (b"/a/./b", "/a/b"),
    (b"/%2e%2e/admin", "/admin"),
    (b"/a/%2e%2e/admin", "/admin"),
    (b"/a/%2E./admin", "/admin"),
    (b"/a/.%2e/admin", "/admin"),
    (b"/a/%2e/admin", "/a/admin"),
    (b"/a/%2e%2e", "/"),
    (b"/...", "/..."),
    (b"/..a", "/..a"),
    (b"/a..", "/a.."),
    (b"/.well-known/x", "/.well-known/x"),
    // Slashes
    (b"//", "/"),
    (b"//admin", "/admin"),
    (b"/a//b", "/a/b"),
    (b"/a///", "/a/"),
    (b"/a//../admin", "/admin"),
    (b"/a/..//admin", "/admin"),
    (b"/.//admin", "/admin"),
    (b"//host/x", "/host/x"),
    // Encoding
    (b"/%61dmin", "/admin"),
    (b"/%7Euser", "/~user"),
    (b"/%7euser", "/~user"),
    (b"/a%20b", "/a%20b"),
    (b"/%3b", "/%3B"),
    (b"/%25", "/%25"),
    (b"/%252e%252e/admin", "/%252e%252e/admin"),
    (b"/%252f", "/%252f"),
    (b"/%2500", "/%2500"),
    (b"/a%3fb", "/a%3Fb"),
    (b"/a%23b", "/a%23b"),
    (b"/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D"),
    (b"/[a]", "/%5Ba%5D"),
    (b"/a:b@c!$&'()*+,;=", "/a:b@c!$&'()*+,;="),
    (b"/%3a%40", "/%3A%40"),
    // Parameters
    (b"/a;x", "/a;x"),
    (b"/admin;x=1/b", "/admin;x=1/b"),
    (b"/;x", "/;x"),
    (b"/a%3Bx", "/a%3Bx"),
    (b"/...;x", "/...;x"),
    // Beyond ASCII
    (b"/%c3%a4", "/%C3%A4"),
    (b"/\xc3\xa4", "/%C3%A4"),
    (b"/%e4", "/%E4"),
    (b"/\xff", "/%FF"),
    (b"/%e4/../b", "/b"),
    (b"/%e0%a0%80", "/%E0%A0%80"),
    (b"/%e2%80%ae", "/%E2%80%AE"),
    (b"/%c0", "/%C0"),
];

const REFUSED: &[(&[u8], PathFault)] = &[
    (b"", PathFault::Relative),
    (b"*", PathFault::Relative),
    (b"a/b", PathFault::Relative),
    (b"%2fa", PathFault::Relative),
    (b"/%", PathFault::Escape),
    (b"/%2", PathFault::Escape),
    (b"/%zz", PathFault::Escape),
    (b"/%+1", PathFault::Escape),
    (b"/%2g", PathFault::Escape),
    (b"/%u002e", PathFault::Escape),
    (b"/%%32e", PathFault::Escape),
    (b"/%2f", PathFault::Separator),
    (b"/a%2Fb", PathFault::Separator),
    (b"/..%2fadmin", PathFault::Separator),
    (b"/%5c", PathFault::Separator),
    (b"/a%5Cb", PathFault::Separator),
    (b"/..%5cadmin", PathFault::Separator),
    (b"/..\\admin", PathFault::Separator),
    (b"/%00", PathFault::Control),
    (b"/a.php%00.png", PathFault::Control),
    (b"/\0", PathFault::Control),
    (b"/%0d%0aX-A:%20b", PathFault::Control),
    (b"/%09", PathFault::Control),
    (b"/%1f", PathFault::Control),
    (b"/%7f", PathFault::Control),
    (b"/a b", PathFault::Delimiter),
    (b"/a?b", PathFault::Delimiter),
    (b"/a#b", PathFault::Delimiter),
    (b"/..;/admin", PathFault::DotParameters),
    (b"/a/..;x=1/admin", PathFault::DotParameters),
    (b"/.;/admin", PathFault::DotParameters),
    (b"/%2e%2e;/admin", PathFault::DotParameters),
    (b"/..%3b/admin", PathFault::DotParameters),
    (b"/%c0%ae%c0%ae/admin", PathFault::Overlong),
    (b"/\xc0\xae", PathFault::Overlong),
    (b"/%c0%af", PathFault::Overlong),
    (b"/%C1%9C", PathFault::Overlong),
    (b"/%e0%80%ae", PathFault::Overlong),
    (b"/%f0%80%80%ae", PathFault::Overlong),
];

#[test]
fn each_case_has_its_canonical_form() {
    for (path, expected) in CASES {
        assert_eq!(canonical(path).as_deref(), Ok(*expected), "{}", path.escape_ascii());
    }
}

#[test]
fn what_origins_read_differently_is_refused() {
    for (path, expected) in REFUSED {
        assert_eq!(canonical(path), Err(*expected), "{}", path.escape_ascii());
    }
}

#[test]
fn canonical_path_is_borrowed() {
    for (_, path) in CASES {
        assert!(matches!(canonical(path.as_bytes()), Ok(Cow::Borrowed(same)) if same == *path), "{path}");
    }
}

const PIECES: &[&str] = &[
    "/", "/", ".", "..", "a", "B", "%2e", "%2E", "%61", "%25", "%2", "%2f", "%00", "%3b", ";", ";x", "=", ":", "@", "~", "%7e", "%c3%a4",
    "%e4", "%c0", "%ae", "\u{e4}", "[", "{", "\\", " ", "+", "admin",
];

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn canonical_form_of_a_canonical_form_is_itself(path in path()) {
        if let Ok(once) = canonical(path.as_bytes()) {
            prop_assert_eq!(canonical(once.as_bytes()), Ok(Cow::Borrowed(&*once)));
        }
    }

    #[test]
    fn any_bytes_give_a_canonical_form_that_hides_nothing(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(form) = canonical(&[b"/", &bytes[..]].concat()) {
            prop_assert!(form.is_ascii() && form.starts_with('/') && !form.contains("//"), "{}", form);
            prop_assert!(form.split('/').all(|segment| segment != "." && segment != ".."), "{}", form);
            prop_assert!(!form.contains("%2F") && !form.contains("%5C") && !form.contains("%00") && !form.contains('\\'), "{}", form);
            prop_assert_eq!(canonical(form.as_bytes()), Ok(Cow::Borrowed(&*form)));
        }
    }

    #[test]
    fn encoding_an_unreserved_byte_changes_nothing(before in "(/|[a-z.~_-]){0,12}", byte in "[a-zA-Z0-9.~_-]", after in "(/|[a-z.~_-]){0,12}") {
        let spelled = format!("/{before}%{:02x}{after}", byte.as_bytes()[0]);
        let plain = format!("/{before}{byte}{after}");
        prop_assert_eq!(canonical(spelled.as_bytes()), canonical(plain.as_bytes()));
    }

    #[test]
    fn form_is_a_path_to_the_http_crate(path in path()) {
        if let Ok(form) = canonical(path.as_bytes()) {
            let parsed = form.parse::<http::uri::PathAndQuery>().map(|p| p.path().to_owned());
            prop_assert_eq!(parsed.ok(), Some(form.into_owned()));
        }
    }
}
