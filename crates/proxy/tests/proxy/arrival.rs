//! Where requests come from (S5): what trusted proxies say of it in fields or by the PROXY protocol, and what nobody else may say.

use crate::support::{Client, Message, Origin, release_of, serve, settings};
use serin_proxy::{ClientIp, ClientIpFrom, Proxy, Settings, Timeouts};
use serin_routing::config::By;
use std::time::Duration;

/// Buckets of salt `shop/checkout` of 1000, as published.
const BUCKETS: [(&str, u32); 2] = [("192.0.2.7", 162), ("2001:db8::1", 709)];

/// A release by address behind proxies of this network.
fn serving(origin: &Origin, trusted: &str, from: ClientIpFrom) -> Proxy {
    serving_within(origin, trusted, from, Timeouts::default())
}

fn serving_within(origin: &Origin, trusted: &str, from: ClientIpFrom, timeouts: Timeouts) -> Proxy {
    let mut config = release_of(&[origin.address], &[origin.address], 1000, 163);
    config.releases[0].by = By::ClientIp;
    let client_ip = ClientIp { trusted: vec![trusted.parse().expect("a CIDR")], from };
    serve(Settings { client_ip, timeouts, decision_header: true, ..settings() }, config)
}

fn behind_balancer(origin: &Origin) -> Proxy {
    serving(origin, "127.0.0.0/8", ClientIpFrom::ProxyProtocol)
}

/// The bucket that decided.
fn bucket(response: &Message) -> Option<u32> {
    let (_, after) = response.field("serin-decision")?.split_once("bucket=")?;
    after.split(';').next()?.parse().ok()
}

/// How often no usable address was there.
fn missing(proxy: &Proxy) -> u64 {
    proxy.counters().snapshot().iter().map(|row| row.counts.fallbacks.to_request).sum()
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a length").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0, 80];
const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 5\r\n\r\nPROXY";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn s5_a_proxy_header_gives_the_address_of_all_requests_of_its_connection_and_takes_no_byte_of_theirs() {
    let origin = Origin::saying("ok");
    let proxy = behind_balancer(&origin);
    let v6 = ["2001:db8::1", "2001:db8::2"].map(|ip| ip.parse::<std::net::Ipv6Addr>().expect("an address").octets()).concat();
    let headers = [
        (V1.as_bytes().to_vec(), BUCKETS[0]),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n".to_vec(), BUCKETS[1]),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 80\r\n".to_vec(), BUCKETS[0]),
        (v2(0x21, 0x11, &V4), BUCKETS[0]),
        (v2(0x21, 0x11, &[&V4[..], &[4, 1, 0], &[0; 256]].concat()), BUCKETS[0]),
        (v2(0x21, 0x21, &[&v6[..], &[0, 1, 0, 80]].concat()), BUCKETS[1]),
    ];
    for (header, (ip, expected)) in headers {
        for piece in [usize::MAX, 1, 13] {
            let bytes = [&header, POST.as_bytes(), GET.as_bytes()].concat();
            let mut client = Client::of(&proxy);
            for piece in bytes.chunks(piece.min(bytes.len())) {
                client.send(piece);
            }
            for _ in 0..2 {
                let response = client.response();
                assert_eq!((response.status(), bucket(&response)), (200, Some(expected)), "{header:02x?}");
            }
            let heard = origin.heard();
            assert_eq!(heard.iter().map(|request| request.field("x-forwarded-for")).collect::<Vec<_>>(), [Some(ip), Some(ip)]);
            assert_eq!((heard[0].text(), heard[1].text()), ("PROXY", ""));
            origin.forget();
        }
    }
    assert_eq!(missing(&proxy), 0);
}

#[test]
fn s5_a_balancers_own_connection_has_no_clients_address() {
    let origin = Origin::saying("ok");
    let proxy = behind_balancer(&origin);
    let without = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &V4),
        v2(0x21, 0x00, &[]),
        v2(0x21, 0x31, &[0; 216]),
    ];
    for (before, header) in without.iter().enumerate() {
        assert_eq!(missing(&proxy), before as u64);
        assert_eq!(Client::of(&proxy).send(header).send(POST).response().status(), 200);
        assert_eq!(origin.heard()[before].field("x-forwarded-for"), Some("unknown"));
    }
    assert_eq!(missing(&proxy), without.len() as u64);
}

#[test]
fn what_is_no_proxy_header_is_refused_and_nothing_of_it_goes_on() {
    let origin = Origin::saying("ok");
    let proxy = behind_balancer(&origin);
    let faults: [(Vec<u8>, &str); 14] = [
        (GET.into(), "proxy-header-missing"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0".to_vec(), "proxy-header-missing"),
        (b"\r\n\r\n\0\r\nQUIX\n!\x11\0\x0c".to_vec(), "proxy-header-missing"),
        (b"proxy TCP4 192.0.2.7 198.51.100.1 4711 80\r\n".to_vec(), "proxy-header-missing"),
        (b"PROXY \r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "proxy-header"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\nGET / HTTP/1.1\r\n".to_vec(), "proxy-header"),
        ([b"PROXY UNKNOWN ", &[b'x'; 91][..], b"\r\n"].concat(), "200"),
        ([b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat(), "proxy-header"),
        ([b"PROXY TCP4 ", &[b'1'; 9000][..]].concat(), "proxy-header"),
        (v2(0x21, 0x11, &V4[..11]), "proxy-header"),
        (v2(0x21, 0x11, &[&V4[..], &[4, 0xff, 0xff, 0]].concat()), "proxy-header"),
        (v2(0x21, 0x11, &[&V4[..], &[4, 16, 0], &[0; 4096]].concat()), "proxy-header"),
        (v2(0x21, 0x12, &V4), "proxy-header"),
        (v2(0x31, 0x11, &V4), "proxy-header"),
    ];
    for (bytes, label) in faults {
        origin.forget();
        let mut client = Client::of(&proxy);
        // A refusal may come before all of it is sent.
        let response = client.send([&bytes, GET.as_bytes()].concat()).response();
        if label == "200" {
            assert_eq!((response.status(), origin.count()), (200, 1));
            continue;
        }
        let name = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!((response.status(), response.field("connection"), origin.count()), (400, Some("close"), 0), "{name:?}");
        assert_eq!(client.rest(), b"", "{name:?}");
        assert!(proxy.counters().totals().failures.contains_key(label), "{name:?}: {label}");
    }
}

#[test]
fn a_second_proxy_header_is_no_http() {
    let origin = Origin::saying("ok");
    let proxy = behind_balancer(&origin);
    for first in [V1.as_bytes().to_vec(), v2(0x21, 0x11, &V4)] {
        for second in [b"PROXY TCP4 6.6.6.6 198.51.100.1 4711 80\r\n".to_vec(), v2(0x21, 0x11, &[6; 12]), v2(0x20, 0, &[])] {
            let mut client = Client::of(&proxy);
            let response = client.send([&first, &second, GET.as_bytes()].concat()).response();
            assert_eq!((response.status(), response.field("connection"), client.rest()), (400, Some("close"), Vec::new()));
        }
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_proxy_header_of_an_untrusted_peer_is_no_http() {
    let origin = Origin::saying("ok");
    for from in [ClientIpFrom::ProxyProtocol, ClientIpFrom::XForwardedFor] {
        let proxy = serving(&origin, "10.0.0.0/8", from);
        for header in [V1.as_bytes().to_vec(), v2(0x21, 0x11, &V4), v2(0x20, 0, &[])] {
            let response = Client::of(&proxy).send([&header, GET.as_bytes()].concat()).response();
            assert_eq!((response.status(), response.field("connection"), origin.count()), (400, Some("close"), 0));
        }
        // It speaks for itself.
        assert_eq!(Client::of(&proxy).send(POST).response().status(), 200);
        assert_eq!(origin.heard()[0].field("x-forwarded-for"), Some("127.0.0.1"));
        origin.forget();
    }
    // Nor is one of a trusted peer where fields are believed.
    let proxy = serving(&origin, "127.0.0.0/8", ClientIpFrom::XForwardedFor);
    assert_eq!(Client::of(&proxy).send(V1).send(GET).response().status(), 400);
}

#[test]
fn a_slow_proxy_header_is_408_and_a_silent_connection_is_closed() {
    let origin = Origin::saying("ok");
    let timeouts = Timeouts { header: Duration::from_millis(400), ..Timeouts::default() };
    let proxy = serving_within(&origin, "127.0.0.0/8", ClientIpFrom::ProxyProtocol, timeouts);
    let slow = [&b"PROXY"[..], b"PROXY TCP4 192.0.2.7", b"\r\n\r\n\0\r\nQUIT\n", &v2(0x21, 0x11, &V4)[..20]];
    for bytes in slow {
        let mut client = Client::of(&proxy);
        let response = client.send(bytes).response();
        assert_eq!((response.status(), client.rest()), (408, Vec::new()), "{bytes:?}");
    }
    assert_eq!(Client::of(&proxy).rest(), b"");
    // The head of the first request has what is left of the same time.
    assert_eq!(Client::of(&proxy).send(V1).send("GET /").response().status(), 408);
    for bytes in slow {
        let mut client = Client::of(&proxy);
        client.send(bytes).half_close();
        assert_eq!(client.response().status(), 400, "{bytes:?}");
    }
    let mut probe = Client::of(&proxy);
    probe.half_close();
    assert_eq!((probe.rest(), origin.count()), (Vec::new(), 0));
}

#[test]
fn s5_junk_in_a_list_is_nobodys_address_and_never_hides_what_the_trusted_proxy_wrote() {
    let origin = Origin::saying("ok");
    let proxy = serving(&origin, "127.0.0.0/8", ClientIpFrom::XForwardedFor);
    let mut client = Client::of(&proxy);
    let many = "6.6.6.6,".repeat(3_000);
    // What a client wrote, to which its proxy appends its address.
    for junk in ["6.6.6.6", "\"6.6.6.6", "\"", "\\", "unknown", "_hidden", "for=6.6.6.6", "[::1", "fe80::1%eth0", " , ,", "a b", &many] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {junk}, 192.0.2.7\r\n\r\n");
        let response = client.send(request).response();
        assert_eq!((response.status(), bucket(&response)), (200, Some(162)), "{junk:.40}");
    }
    assert_eq!(missing(&proxy), 0);
    // What a trusted proxy cannot have seen is nobody's.
    let last = ["unknown", "_hidden", "192.0.2.7:99999", "192.0.2.07", "fe80::1%eth0", "[192.0.2.7]", "192.0.2.7;", "\"192.0.2.7\""];
    for (before, junk) in last.iter().enumerate() {
        assert_eq!(missing(&proxy), before as u64, "{junk}");
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7, {junk}\r\n\r\n")).response();
    }
    assert_eq!(missing(&proxy), last.len() as u64);
}

#[test]
fn s5_each_source_is_read_and_no_other_one() {
    let origin = Origin::saying("ok");
    let all = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\n";
    for (option, own) in [
        ("xff", "X-Forwarded-For: 192.0.2.7"),
        ("forwarded", "Forwarded: for=\"192.0.2.7:4711\";proto=https"),
        ("x-real-ip", "X-Real-IP: 192.0.2.7"),
        ("header:CF-Connecting-IP", "CF-Connecting-IP: 192.0.2.7"),
    ] {
        let name = own.split_once(':').expect("a field").0;
        let others: String = all.split_inclusive('\n').filter(|line| !line.starts_with(name)).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{own}\r\n{others}\r\n");
        let from: ClientIpFrom = option.parse().expect("an option");
        let trusting = serving(&origin, "127.0.0.1/32", from.clone());
        assert_eq!(bucket(&Client::of(&trusting).send(&request).response()), Some(162), "{option}");
        // Of anybody else nothing is believed, and nothing goes on.
        origin.forget();
        let other = serving(&origin, "10.0.0.0/8", from);
        assert_ne!(bucket(&Client::of(&other).send(&request).response()), Some(162), "{option}");
        let heard = origin.heard();
        assert_eq!(heard[0].field(&name.to_ascii_lowercase()).filter(|value| value.contains("192.0.2.7")), None, "{option}");
    }
}
