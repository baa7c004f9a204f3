//! Where requests come from, as an operator sets it (S5).

use crate::running::serin;
use crate::site::{HOST, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The published vectors of salt `shop/checkout`.
const ADDRESS: (&str, &str) = ("192.0.2.7", "bucket=162");

fn by_address() -> serde_json::Value {
    spec(&json!({"split": {"by": "ClientIP", "salt": "shop/checkout"}, "strategy": {"percentage": "16.3"}}))
}

#[test]
fn s5_options_say_whose_word_on_the_address_is_believed_and_where_it_stands() -> Result<()> {
    for (source, field) in [
        ("xff", ("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 127.0.0.2")),
        ("forwarded", ("Forwarded", "for=6.6.6.6, for=\"192.0.2.7:4711\";proto=https")),
        ("x-real-ip", ("X-Real-IP", "192.0.2.7")),
        ("header:True-Client-IP", ("True-Client-IP", "192.0.2.7")),
    ] {
        let site = Site::start_with(&by_address(), &["--trusted-proxies", "127.0.0.1,127.0.0.0/30", "--client-ip-from", source])?;
        site.reaches("Steady", "16.3")?;
        let answer = get(site.running.http, "/", &[("Host", HOST), field])?;
        let decision = answer.header("Serin-Decision").context("no decision")?;
        ensure!(decision.contains(ADDRESS.1) && answer.body == "v2\n", "{source}: {decision}");
        // A trusted proxy that says nothing is not its own client.
        let answer = get(site.running.http, "/", &[("Host", HOST)])?;
        ensure!(answer.status == 200, "{answer:?}");
        assert_eq!(site.running.metric(r#"serin_split_fallbacks_total{to="request"}"#)?, 1.0, "{source}");
        let mut explain = serin();
        explain.args(["explain", HOST, "--client-ip", ADDRESS.0, "-o", "json", "--admin", &site.running.admin.to_string()]);
        let told = String::from_utf8(explain.output()?.stdout)?;
        ensure!(told.contains("\"bucket\": 162"), "{told}");
    }
    Ok(())
}

#[test]
fn s5_a_balancer_that_speaks_the_proxy_protocol_gives_the_address() -> Result<()> {
    let site = Site::start_with(&by_address(), &["--trusted-proxies", "127.0.0.0/8", "--client-ip-from", "proxy-protocol"])?;
    site.reaches("Steady", "16.3")?;
    let ask = |before: &str| -> Result<String> {
        let mut stream = TcpStream::connect(site.running.http)?;
        let fields = "X-Forwarded-For: 6.6.6.6\r\nConnection: close";
        write!(stream, "{before}GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n")?;
    ensure!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(ADDRESS.1), "{answer}");
    let answer = ask("")?;
    ensure!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("the connection does not begin with a PROXY header\n"), "{answer}");
    assert_eq!(site.running.metric(r#"serin_errors_total{error="proxy-header-missing"}"#)?, 1.0);
    Ok(())
}

#[test]
fn options_that_name_no_source_are_refused_with_the_cure() -> Result<()> {
    let cases: [(&[&str], &str); 4] = [
        (&["--client-ip-from", "proxy"], "use xff, forwarded, x-real-ip, proxy-protocol or header:NAME"),
        (&["--client-ip-from", "header:"], "use xff, forwarded, x-real-ip, proxy-protocol or header:NAME"),
        (&["--trusted-proxies", "10.0.0.0/33"], "use a network, such as 10.0.0.0/8, or an address"),
        (&["--client-ip-from", "proxy-protocol"], "--client-ip-from is for --trusted-proxies"),
    ];
    for (options, told) in cases {
        for command in ["standalone", "controller"] {
            let folder: &[&str] = if command == "standalone" { &["--manifests", "/nowhere"] } else { &[] };
            let output = serin().arg(command).args(folder).args(options).output()?;
            let error = String::from_utf8(output.stderr)?;
            ensure!(!output.status.success() && error.contains(told), "{command} {options:?}: {error}");
        }
    }
    Ok(())
}
