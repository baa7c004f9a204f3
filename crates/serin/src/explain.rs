//! `serin explain HOST/PATH`: which route, which release, which rule, which side.

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use serin_controller::client::AdminClient;
use serin_controller::explain::{Question, table_of};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The request: host, path and query, such as shop.example/cart?x=1.
    url: String,
    /// A header of it, as `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The originating address, as serin would have found it.
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// The other end of its connection, if that is not the originating address: a proxy in front of serin.
    #[arg(long, value_name = "IP")]
    peer: Option<IpAddr>,
    /// Asks the serin whose admin port this is, of what it serves now.
    #[arg(long, env = "SERIN_ADMIN_ADDRESS", value_name = "HOST:PORT", required_unless_present = "manifests")]
    admin: Option<String>,
    /// Asks files: objects as `kubectl get -o yaml` prints them, releases with their status.
    #[arg(long, value_name = "FOLDER", conflicts_with = "admin")]
    manifests: Option<PathBuf>,
    /// The whole answer, as JSON.
    #[arg(short, long, value_parser = ["json"])]
    output: Option<String>,
}

/// Asks, and prints the answer.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let question = options.question()?;
    let answer = match (&options.manifests, &options.admin) {
        (Some(folder), _) => {
            let explained = question.answer(&table_of(folder)?, Timestamp::now()).map_err(anyhow::Error::msg)?;
            serde_json::to_value(explained)?
        }
        (None, Some(address)) => AdminClient::new(address).explain(&question).await?,
        (None, None) => bail!("give --admin or --manifests"),
    };
    match options.output {
        Some(_) => println!("{}", serde_json::to_string_pretty(&flat(answer))?),
        None => lines(&answer).iter().for_each(|line| println!("{line}")),
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn question(&self) -> anyhow::Result<Question> {
        let rest = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://")).unwrap_or(&self.url);
        let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let field = |text: &String| {
            let (name, value) = text.split_once(':').with_context(|| format!("-H {text:?} is not of the form `Name: value`"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = self.headers.iter().map(field).collect::<anyhow::Result<_>>()?;
        Ok(Question { host: host.to_owned(), target, headers, client_ip: self.client_ip, peer: self.peer })
    }
}

/// The answer for a program: what the release decided stands beside the rest, and these keys are always there, null where there is nothing.
fn flat(mut answer: Value) -> Value {
    let decided = answer["release"].take();
    for key in ["rule", "identity", "fallback", "bucket", "k", "side"] {
        answer[key] = Value::Null;
    }
    for (name, value) in decided.as_object().into_iter().flatten() {
        answer[if name == "name" { "release" } else { name }] = value.clone();
    }
    answer
}

/// The answer for a person.
fn lines(answer: &Value) -> Vec<String> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let mut lines = Vec::new();
    let mut say = |what: &str, how: String| lines.push(format!("{what:<9}{how}"));
    say("request", format!("{}{}", text("/host").unwrap_or_default(), text("/path").unwrap_or_default()));
    if let Some(object) = text("/route/object") {
        let (host, path) = (text("/route/host").unwrap_or_default(), text("/route/path").unwrap_or_default());
        say("route", format!("{object}, host {host}, path {path}"));
        if let Some(policy) = text("/author/policy") {
            let groups: Vec<_> = answer["author"]["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let consumer = text("/author/consumer").unwrap_or("without a name");
            let of = if groups.is_empty() { String::new() } else { format!(" of {}", groups.join(", ")) };
            say("consumer", format!("{consumer}{of}, by AuthPolicy {policy}"));
        }
        if answer["unchecked"] == true {
            let why = "a key or a password decides, which this port does not check: ask files that have the Secret, with --manifests";
            say("consumer", why.to_owned());
            return lines;
        }
        match answer.get("release") {
            Some(release) => {
                say("release", format!("{} ({})", text("/release/name").unwrap_or_default(), text("/release/id").unwrap_or_default()));
                say("rule", rule(release));
            }
            None => say("release", "none decides".to_owned()),
        }
    }
    if let Some(backend) = text("/backend") {
        let side = text("/release/side").map(|side| format!("{side}: ")).unwrap_or_default();
        say("goes to", format!("{side}{backend}, path {}", text("/forwardedPath").unwrap_or_default()));
    }
    if let Some(failure) = text("/failure") {
        say("answer", format!("serin's own: {failure}"));
    }
    lines
}

fn rule(release: &Value) -> String {
    let number = |name: &str| release[name].as_u64().unwrap_or_default();
    let share = format!("buckets below {} of {} are the canary's", number("k"), number("buckets"));
    let identity = release["identity"].as_str().unwrap_or_default();
    let instead = if release["fallback"] == true { ", in place of the identity that is missing" } else { "" };
    match release["rule"].as_str() {
        Some("override") => format!("override {} of the spec, from 0", number("overrideIndex")),
        Some("group") => "the groups in force".to_owned(),
        Some("rollback") => "rolled back: all go to stable".to_owned(),
        Some("unavailable") => "the canary has no ready endpoint: stable takes its place".to_owned(),
        _ if release["issued"] == true => format!("a random identity would be issued as a cookie: {share}"),
        _ if identity == "request" => format!("each request takes its turn{instead}: {share}"),
        _ => {
            format!("bucket {} by {identity}{instead}, salt {:?}: {share}", number("bucket"), release["salt"].as_str().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn question(arguments: &[&str]) -> anyhow::Result<Question> {
        Line::try_parse_from([&["explain", "--manifests", "."], arguments].concat())?.options.question()
    }

    #[test]
    fn a_request_is_read_from_its_url_and_fields() -> anyhow::Result<()> {
        let asked = question(&["http://shop.example/cart?x=1", "-H", "X-User: alice", "--client-ip", "192.0.2.7"])?;
        assert_eq!((asked.host.as_str(), asked.target.as_str()), ("shop.example", "/cart?x=1"));
        assert_eq!(asked.headers, [("X-User".to_owned(), "alice".to_owned())]);
        assert_eq!(question(&["shop.example"])?.target, "/");
        assert_eq!(question(&["shop.example?x"])?.target, "/?x");
        assert!(question(&["shop.example", "-H", "X-User"]).is_err());
        Ok(())
    }

    #[test]
    fn an_answer_names_route_release_rule_bucket_and_threshold() {
        let answer = json!({
            "host": "shop.example", "path": "/", "route": {"object": "Ingress/shop/shop", "host": "*", "path": "Prefix /"},
            "release": {"name": "shop/checkout", "id": "0123456789", "side": "canary", "rule": "bucket", "identity": "ip", "fallback": true,
                "salt": "shop/checkout", "bucket": 42, "k": 100, "buckets": 1000},
            "backend": "shop/checkout-v2:80", "forwardedPath": "/",
        });
        let expected = [
            "request  shop.example/",
            "route    Ingress/shop/shop, host *, path Prefix /",
            "release  shop/checkout (0123456789)",
            "rule     bucket 42 by ip, in place of the identity that is missing, salt \"shop/checkout\": buckets below 100 of 1000 are the canary's",
            "goes to  canary: shop/checkout-v2:80, path /",
        ];
        assert_eq!(lines(&answer), expected);
    }
}
