//! What is told of requests: metrics and the access log.

use crate::support::{Client, Origin, publish, release_of, serve, settings};
use serin_proxy::{AccessLog, Proxy, Settings};
use serin_routing::upstream::Upstream;
use serin_routing::{Config, Policies, Table};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// A log in memory.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log after these requests.
fn logged(form: AccessLog, requests: &[&str]) -> Vec<String> {
    let (origin, lines) = (Origin::saying("hello"), Lines::default());
    let settings = Settings { access_log: form, ..settings() };
    let proxy = Proxy::start_logging_to(settings, Box::new(lines.clone())).expect("a proxy");
    publish(&proxy, release_of(&[origin.address], &[origin.address], 100, 100));
    for request in requests {
        Client::of(&proxy).send(request).response();
    }
    drop(proxy);
    lines.text().replace(&origin.address.to_string(), "ORIGIN").lines().map(str::to_owned).collect()
}

const GOOD: &str = "GET /a?b=%22c%22 HTTP/1.1\r\nHost: Shop.example:80\r\nConnection: close\r\n\r\n";

#[test]
fn text_log_says_how_each_request_went() {
    let lines = logged(AccessLog::Text, &[GOOD, "GET / HTTP/1.1\r\n\r\n"]);
    let (time, rest) = lines[0].split_once(' ').expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    let (before, after) = rest.split_once(" duration=0.").expect("a duration below a second");
    assert_eq!(
        before,
        r#"client=127.0.0.1 consumer=- method="GET" host="shop.example" path="/a?b=%22c%22" protocol=HTTP/1.1 status=200 grpc_status=- bytes=5"#
    );
    assert_eq!(&after[6..], " release=shop/checkout side=canary rule=bucket bucket=0 k=100 upstream=ORIGIN error=-");
    assert!(lines[1].contains(" protocol=- status=400 ") && lines[1].ends_with(" upstream=- error=host-missing"), "{}", lines[1]);
}

#[test]
fn json_log_says_the_same() {
    let lines = logged(AccessLog::Json, &[GOOD]);
    let mut line: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    let fields = line.as_object_mut().expect("an object");
    assert!(fields.remove("time").is_some() && fields.remove("duration").is_some());
    let expected = serde_json::json!({
        "client": "127.0.0.1", "consumer": null, "method": "GET", "host": "shop.example", "path": "/a?b=%22c%22",
        "protocol": "HTTP/1.1", "status": 200, "grpc_status": null, "bytes": 5,
        "release": "shop/checkout", "side": "canary", "rule": "bucket", "bucket": 0, "k": 100, "upstream": "ORIGIN", "error": null,
    });
    assert_eq!(line, expected);
}

#[test]
fn nobody_writes_lines_of_their_own() {
    for form in [AccessLog::Text, AccessLog::Json] {
        let lines = logged(
            form,
            &["GET /%0a%22x%22=\\ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /a'|{}^ HTTP/1.1\r\nHost: a\r\n\r\n"],
        );
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}

fn release_with_a_policy(origin: &Origin) -> Config {
    let mut config = release_of(&[origin.address], &[origin.address], 100, 50);
    config.backends[0].upstream = Some(Arc::new(Upstream { namespace: "shop".into(), name: "checkout".into(), ..Upstream::default() }));
    config
}

#[test]
fn metrics_have_the_names_that_dashboards_know() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), release_with_a_policy(&origin));
    let mut client = Client::of(&proxy);
    for _ in 0..100 {
        client.get("/");
    }
    client.get("/%00");
    let text = proxy.counters().text();
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(names.join("\n"), include_str!("../metrics.txt").trim_end(), "tests/metrics.txt");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    let canary = r#"serin_requests_total{namespace="shop",release="checkout",side="canary",code_class="2xx"} 50"#;
    assert!(line(canary).is_some(), "{text}");
    assert!(line(r#"serin_errors_total{error="path-control"} 1"#).is_some(), "{text}");
    assert!(line("serin_request_duration_seconds_count").is_some_and(|line| line.ends_with(" 50")), "{text}");
}

#[test]
fn metrics_are_whole_before_anything_went_wrong() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), release_with_a_policy(&origin));
    let names = |text: &str| text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(names(&proxy.counters().text()), 14, "no error, and no request of a release");
    Client::of(&proxy).get("/");
    assert_eq!(names(&proxy.counters().text()), include_str!("../metrics.txt").lines().count() - 1, "all but the errors");
}

#[test]
fn counts_of_a_release_only_grow_over_epochs() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), release_of(&[origin.address], &[], 100, 0));
    let mut client = Client::of(&proxy);
    let mut policies = Policies::default();
    for epoch in 0..40 {
        let mut config = release_of(&[origin.address], &[], 100, 0);
        config.releases[0].traffic = serin_routing::config::Traffic::RolledBack { epoch };
        crate::support::wait_for(proxy.publish(Arc::new(Table::new(&config, &mut policies))));
        client.get("/");
        let rows = proxy.counters().snapshot();
        assert_eq!(rows.iter().map(|row| row.counts.requests).sum::<u64>(), epoch + 1);
        assert!(rows.len() <= 32, "{} rows", rows.len());
    }
}
