//! The cookie that gives a browser an identity (`split.issueCookie`): random, never the decision itself.

use http::{HeaderMap, HeaderValue, header};
use uuid::Uuid;
use uuid::fmt::Simple;

/// How long a browser keeps it, in seconds: a year, longer than any release that is not left behind.
const MAX_AGE: u32 = 365 * 24 * 60 * 60;

/// A random identity: nobody guesses another one's.
pub(crate) type Random = [u8; Simple::LENGTH];

/// A new one.
pub(crate) fn random() -> Random {
    let mut text = [0; Simple::LENGTH];
    Uuid::new_v4().simple().encode_lower(&mut text);
    text
}

/// The field that gives it. `None` of a name that no cookie has, which parsing excludes.
pub(crate) fn field(name: &str, value: Random, secure: bool) -> Option<HeaderValue> {
    let (value, secure) = (String::from_utf8_lossy(&value), if secure { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Lax{secure}").try_into().ok()
}

/// Adds the field to an origin's response, unless the origin itself gives a cookie of that name: that is the identity from then on.
///
/// Such a response is for one client: a cache that shared it would give the same identity, and the same side, to many.
pub(crate) fn give(headers: &mut HeaderMap, field: HeaderValue) {
    let own = headers.get_all(header::SET_COOKIE).iter().any(|other| name(other) == name(&field));
    if own {
        return;
    }
    headers.append(header::SET_COOKIE, field);
    let lines = headers.get_all(header::CACHE_CONTROL).iter().flat_map(|line| line.as_bytes().split(|&b| b == b','));
    let mut directives = lines.map(<[u8]>::trim_ascii);
    if !directives.any(|word| word.eq_ignore_ascii_case(b"private") || word.eq_ignore_ascii_case(b"no-store")) {
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

fn name(field: &HeaderValue) -> &[u8] {
    field.as_bytes().split(|&b| b == b'=').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_has_a_random_value_and_the_attributes_of_an_identity() {
        let (one, other) = (random(), random());
        assert_ne!(one, other);
        assert!(one.iter().all(u8::is_ascii_hexdigit));
        let attributes = "; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax";
        for (secure, more) in [(false, ""), (true, "; Secure")] {
            let value = String::from_utf8_lossy(&one);
            assert_eq!(field("id", one, secure), format!("id={value}{attributes}{more}").try_into().ok());
        }
        assert_eq!(field("a\nb", one, false), None);
    }

    #[test]
    fn response_that_gives_a_cookie_is_for_one_client() {
        let given = |lines: &[(&'static str, &'static str)]| {
            let value = |text: &'static str| HeaderValue::from_static(text);
            let mut headers: HeaderMap = lines.iter().map(|(n, v)| (n.parse().expect("a name"), value(v))).collect();
            give(&mut headers, value("id=new; Path=/"));
            let of = |name| headers.get_all(name).iter().map(|v| v.to_str().expect("text").to_owned()).collect::<Vec<_>>();
            (of(header::SET_COOKIE), of(header::CACHE_CONTROL))
        };
        let (cookies, cache) = (vec!["id=new; Path=/"], "cache-control");
        assert_eq!(given(&[]), (to_owned(&cookies), to_owned(&["private"])));
        assert_eq!(given(&[(cache, "public, max-age=60")]).1, to_owned(&["public, max-age=60", "private"]));
        for private in ["no-store", "max-age=0, Private", "NO-STORE,must-revalidate"] {
            assert_eq!(given(&[(cache, private)]).1, to_owned(&[private]));
        }
        assert_eq!(given(&[(cache, "private=\"x-a\"")]).1.len(), 2, "of some fields only");
        assert_eq!(given(&[("set-cookie", "ids=1"), ("set-cookie", "ID=1")]).0.len(), 3);
        assert_eq!(given(&[("set-cookie", "id=own; Secure")]), (to_owned(&["id=own; Secure"]), Vec::new()));
    }

    fn to_owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }
}
