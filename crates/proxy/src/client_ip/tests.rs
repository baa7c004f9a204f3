use super::*;
use http::HeaderValue;

/// Names and values.
type Fields = &'static [(&'static str, &'static [u8])];

fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_bytes(v).expect("a header value"))).collect()
}

fn from(source: ClientIpFrom, peer: &str, lines: &[(&'static str, &[u8])]) -> Option<String> {
    let client_ip = ClientIp { trusted: vec!["10.0.0.0/8".parse().expect("a CIDR")], from: source };
    client_ip.of(peer.parse().expect("an address"), &headers(lines)).map(|ip| ip.to_string())
}

#[test]
fn s5_an_untrusted_peer_speaks_for_itself_only() {
    assert_eq!(from(ClientIpFrom::XForwardedFor, "192.0.2.9", &[("x-forwarded-for", b"203.0.113.1")]).as_deref(), Some("192.0.2.9"));
    assert_eq!(from(ClientIpFrom::XForwardedFor, "::ffff:192.0.2.9", &[]).as_deref(), Some("192.0.2.9"));
}

#[test]
fn s5_a_list_is_read_from_the_right_through_trusted_addresses() {
    let cases: &[(&[&[u8]], Option<&str>)] = &[
        (&[b"203.0.113.1"], Some("203.0.113.1")),
        (&[b"6.6.6.6, 203.0.113.1, 10.1.1.1"], Some("203.0.113.1")),
        (&[b"6.6.6.6", b"203.0.113.1", b"10.1.1.1"], Some("203.0.113.1")),
        (&[b"203.0.113.1:4711"], Some("203.0.113.1")),
        (&[b"[2001:db8::1]:443"], Some("2001:db8::1")),
        (&[b"::ffff:10.1.1.1, 203.0.113.1 , ::ffff:10.2.2.2"], Some("203.0.113.1")),
        (&[b"10.3.3.3, 10.1.1.1"], Some("10.3.3.3")),
        (&[b"203.0.113.1, junk"], None),
        (&[b"203.0.113.1, \xff"], None),
        (&[b""], None),
        (&[b" , ,"], None),
        (&[], None),
    ];
    for (lines, expected) in cases {
        let lines: Vec<_> = lines.iter().map(|v| ("x-forwarded-for", *v)).collect();
        assert_eq!(from(ClientIpFrom::XForwardedFor, "10.0.0.1", &lines).as_deref(), *expected, "{lines:?}");
    }
}

#[test]
fn s5_forwarded_is_read_as_rfc_7239_writes_it() {
    let cases: &[(&[u8], Option<&str>)] = &[
        (b"for=203.0.113.1;proto=http;by=10.0.0.1", Some("203.0.113.1")),
        (b"proto=https; For=\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
        (b"for=6.6.6.6, for=203.0.113.1, for=10.2.2.2", Some("203.0.113.1")),
        (b"for=6.6.6.6;host=\"a,for=7.7.7.7\", for=\"203.0.113.1:80\"", Some("203.0.113.1")),
        (b"for=203.0.113.1, for=unknown", None),
        (b"for=_hidden", None),
        (b"for=\"203.0.113.1", None),
        (b"by=10.0.0.1", None),
    ];
    for (line, expected) in cases {
        assert_eq!(from(ClientIpFrom::Forwarded, "10.0.0.1", &[("forwarded", line)]).as_deref(), *expected, "{line:?}");
    }
}

#[test]
fn s5_a_single_header_given_twice_says_nothing() {
    let real_ip = || ClientIpFrom::Header(HeaderName::from_static("x-real-ip"));
    assert_eq!(from(real_ip(), "10.0.0.1", &[("x-real-ip", b"203.0.113.1")]).as_deref(), Some("203.0.113.1"));
    assert_eq!(from(real_ip(), "10.0.0.1", &[("x-real-ip", b"203.0.113.1"), ("x-real-ip", b"6.6.6.6")]), None);
    assert_eq!(from(real_ip(), "10.0.0.1", &[]), None);
}

#[test]
fn s5_junk_in_x_forwarded_for_is_nobodys_address() {
    let junk: &[&[u8]] = &[
        b"unknown",
        b"_hidden",
        b"\"203.0.113.1\"",
        b"203.0.113.1:",
        b"203.0.113.1:99999",
        b"203.0.113.1:80:80",
        b"203.0.113.01",
        b"203.0.113",
        b"0xcb007101",
        b"3405803777",
        b"[203.0.113.1]",
        b"[203.0.113.1]:80",
        b"[2001:db8::1",
        b"2001:db8::1]",
        b"[2001:db8::1]80",
        b"2001:db8::1%eth0",
        b"[fe80::1%1]:80",
        b"[fe80::1%eth0]",
        b"for=203.0.113.1",
        b"203.0.113.1;",
        b"203.0.113.1 203.0.113.2",
        b"localhost",
        b"\xef\xbc\x91.2.3.4",
        b"\xff",
    ];
    for text in junk {
        let both = [b"203.0.113.9, ", *text].concat();
        for value in [*text, &both] {
            let found = from(ClientIpFrom::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", value)]);
            assert_eq!(found, None, "{}", value.escape_ascii());
        }
        // Left of what the trusted proxy appended it does not matter.
        let appended = [*text, b", 203.0.113.9"].concat();
        let found = from(ClientIpFrom::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", &appended)]);
        assert_eq!(found.as_deref(), Some("203.0.113.9"), "{}", appended.escape_ascii());
    }
    let found = from(ClientIpFrom::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", b"\"6.6.6.6, 203.0.113.9")]);
    assert_eq!(found.as_deref(), Some("203.0.113.9"), "a quote hides nothing");
}

#[test]
fn s5_ten_thousand_elements_are_read_as_far_as_they_are_trusted() {
    let ends = |first: &str, rest: &str| [first.to_owned(), rest.repeat(9_999)].concat().into_bytes();
    let found = |value: &[u8]| from(ClientIpFrom::XForwardedFor, "10.0.0.1", &[("x-forwarded-for", value)]);
    assert_eq!(found(&ends("203.0.113.1", ",10.1.1.1")).as_deref(), Some("203.0.113.1"));
    assert_eq!(found(&ends("10.3.3.3", ",10.1.1.1")).as_deref(), Some("10.3.3.3"));
    assert_eq!(found(&ends("6.6.6.6", ",203.0.113.1")).as_deref(), Some("203.0.113.1"));
    assert_eq!(found(&ends("junk", ",10.1.1.1")), None);
    assert_eq!(found(&ends("", ",")), None);
}

#[test]
fn options_name_where_it_is_said() {
    let header = |name| ClientIpFrom::Header(HeaderName::from_static(name));
    let cases = [
        ("xff", Ok(ClientIpFrom::XForwardedFor)),
        ("forwarded", Ok(ClientIpFrom::Forwarded)),
        ("x-real-ip", Ok(header("x-real-ip"))),
        ("proxy-protocol", Ok(ClientIpFrom::ProxyProtocol)),
        ("header:CF-Connecting-IP", Ok(header("cf-connecting-ip"))),
        ("header:", Err(())),
        ("header:a b", Err(())),
        ("XFF", Err(())),
        ("", Err(())),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse().map_err(|_: String| ()), expected, "{text}");
    }
}

#[test]
fn a_trusted_peer_says_whether_the_client_came_by_https() {
    let cases: [(Fields, bool); 8] = [
        (&[("x-forwarded-proto", b"https")], true),
        (&[("x-forwarded-proto", b"HTTPS, http")], true),
        (&[("x-forwarded-proto", b"http, https")], false),
        (&[("x-forwarded-proto", b"http"), ("forwarded", b"proto=https")], false),
        (&[("forwarded", b"for=203.0.113.1;Proto=\"https\", for=10.1.1.1;proto=http")], true),
        (&[("forwarded", b"for=203.0.113.1, for=10.1.1.1;proto=https")], false),
        (&[("x-forwarded-proto", b"")], false),
        (&[], false),
    ];
    for (lines, expected) in cases {
        assert_eq!(ClientIp::came_by_https(&headers(lines)), expected, "{lines:?}");
    }
}
