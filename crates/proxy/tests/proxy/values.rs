//! Which text of a request is hashed: the published rule, through the proxy.

use crate::support::{Client, Origin, release_of, serve, settings};
use serin_proxy::Settings;
use serin_routing::config::By;
use serin_split::{Kind, place};

#[test]
fn the_value_that_is_hashed_is_the_published_one_and_what_is_none_is_missing() {
    let origin = Origin::saying("ok");
    let header = || By::Header("x-tenant".into());
    let cookie = || By::Cookie("id".into());
    let query = || By::QueryParam("user id".into());
    let cases: [(By, &str, &[u8], Option<&str>); 33] = [
        // The header field without surrounding blanks; of a repeated one the first.
        (header(), "/", b"X-Tenant: acme", Some("acme")),
        (header(), "/", b"x-TENANT:\t  a b\t ", Some("a b")),
        (header(), "/", b"X-Tenant: acme\r\nX-Tenant: other", Some("acme")),
        (header(), "/", b"X-Tenant: a, b", Some("a, b")),
        (header(), "/", b"X-Tenant: ACME", Some("ACME")),
        (header(), "/", "X-Tenant: sälz".as_bytes(), Some("sälz")),
        (header(), "/", b"X-Tenant: \t\r\nX-Tenant: other", None),
        (header(), "/", b"X-Tenant: \xff", None),
        (header(), "/", b"X-Tenants: acme", None),
        // The cookie raw.
        (cookie(), "/", b"Cookie: id=a%20b", Some("a%20b")),
        (cookie(), "/", b"Cookie: a=1; id=x=y==; b=2", Some("x=y==")),
        (cookie(), "/", b"Cookie: id=\"q\"", Some("\"q\"")),
        (cookie(), "/", b"Cookie: a=1;id=x;b=2", Some("x")),
        (cookie(), "/", b"Cookie: id=x; id=y", Some("x")),
        (cookie(), "/", b"Cookie: a=1\r\nCookie: id=x\r\nCookie: id=y", Some("x")),
        (cookie(), "/", "Cookie: id=µ".as_bytes(), Some("µ")),
        (cookie(), "/", b"Cookie: id=; id=y", None),
        (cookie(), "/", b"Cookie: id", None),
        (cookie(), "/", b"Cookie: ID=x; xid=x; id2=x", None),
        (cookie(), "/", b"Cookie: id=\xff; id=y", None),
        // The parameter percent-decoded, `+` as blank; its name too.
        (query(), "/?user+id=acme", b"A: b", Some("acme")),
        (query(), "/?user%20id=a%2Bb+c%26d", b"A: b", Some("a+b c&d")),
        (query(), "/?a&user+id=x=y&b", b"A: b", Some("x=y")),
        (query(), "/?user+id=x&user+id=y", b"A: b", Some("x")),
        (query(), "/?user+id=%C2%B5", b"A: b", Some("µ")),
        (query(), "/?user+id=100%", b"A: b", Some("100%")),
        (query(), "/?user+id=a;b", b"A: b", Some("a;b")),
        (query(), "/?user+id=&user+id=y", b"A: b", None),
        (query(), "/?user+id", b"A: b", None),
        (query(), "/?user+id=%ff", b"A: b", None),
        (query(), "/?userid=x&USER+ID=x", b"A: b", None),
        (query(), "/", b"A: b", None),
        (By::ClientIp, "/", b"X-Forwarded-For: 192.0.2.7", Some("127.0.0.1")),
    ];
    for (by, target, field, expected) in cases {
        let kind = match by {
            By::Header(_) => Kind::Header,
            By::Cookie(_) => Kind::Cookie,
            By::QueryParam(_) => Kind::Query,
            _ => Kind::Ip,
        };
        // Who has no value is split by address.
        let (kind, value) = expected.map_or((Kind::Ip, "127.0.0.1"), |value| (kind, value));
        let mut config = release_of(&[origin.address], &[origin.address], 1_000_000, 0);
        config.releases[0].by = by;
        let proxy = serve(Settings { decision_header: true, ..settings() }, config);
        let request = [format!("GET {target} HTTP/1.1\r\nHost: a\r\n").as_bytes(), field, b"\r\n\r\n"].concat();
        let response = Client::of(&proxy).send(&request).response();
        let bucket = place("shop/checkout", kind, value.as_bytes(), 1_000_000).bucket;
        let told = format!("release=shop/checkout; side=stable; rule=bucket; bucket={bucket}; k=0");
        assert_eq!(response.field("serin-decision"), Some(told.as_str()), "{}", request.escape_ascii());
        let fallbacks: u64 = proxy.counters().snapshot().iter().map(|row| row.counts.fallbacks.to_client_ip).sum();
        assert_eq!(fallbacks, u64::from(expected.is_none()), "{}", request.escape_ascii());
    }
}
