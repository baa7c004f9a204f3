//! What `serin explain` says agrees with the proxy for every rule, every way to split and every way to learn who asks: online, and from files.

use crate::running::{Running, serin};
use crate::site::PATIENCE;
use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use serin_controller::explain::{Question, table_of};
use serin_testkit::ask::{get_after, post};
use serin_testkit::manifests::{document, ingress, release, service};
use serin_testkit::origin::Origin;
use serin_testkit::{eventually, long};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use tempfile::TempDir;

/// What each release is called, and its spec but for the scope: a Service, a host and a release of one name.
fn releases() -> Vec<(&'static str, Value)> {
    let by = |split: Value, percentage: u32| json!({"split": split, "strategy": {"percentage": percentage}});
    let named = |by: &str, name: &str| json!({"by": by, "name": name});
    let mut header = by(named("Header", "X-User"), 37);
    header["overrides"] = json!([
        {"cookie": {"name": "canary"}},
        {"header": {"name": "X-Canary"}},
        {"header": {"name": "X-Team", "regex": "^(pay|check)"}, "to": "Canary"},
        {"header": {"name": "X-Team", "exact": "legal"}, "to": "Stable"},
        {"consumerGroups": ["staff"], "to": "Canary"},
    ]);
    let unavailable = |when: &str| {
        let mut spec = by(named("Header", "X-User"), 90);
        spec["canary"] = json!({"service": "nothing", "whenUnavailable": when});
        spec
    };
    let mut path = by(named("Header", "X-User"), 50);
    path["canary"] = json!({"service": "next", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}});
    vec![
        ("header", header),
        ("cookie", by(named("Cookie", "user"), 50)),
        ("query", by(named("QueryParam", "user"), 50)),
        ("address", by(json!({"by": "ClientIP"}), 50)),
        ("consumer", by(json!({"by": "Consumer"}), 50)),
        ("claim", by(named("Claim", "plan"), 50)),
        ("request", by(json!({"by": "Request"}), 50)),
        ("weights", json!({"split": {"by": "Consumer"}, "strategy": {"weights": {"stable": 2, "canary": 1}}})),
        ("admitted", json!({"strategy": {"steps": [{"groups": ["testers"]}, {"pause": true}, {"weight": 100}]}})),
        ("allow", json!({"strategy": {"groups": {"allow": ["testers"]}}})),
        ("deny", json!({"strategy": {"groups": {"deny": ["testers"]}}})),
        ("aborted", by(named("Header", "X-User"), 50)),
        ("unavailable", unavailable("Stable")),
        ("fails", unavailable("Fail")),
        ("path", path),
    ]
}

/// Services and hosts without a release: of the second nobody gets in without a credential.
const PLAIN: [&str; 2] = ["plain", "closed"];

/// What the tokens are signed with.
const SHARED: &[u8] = b"0123456789abcdef0123456789abcdef";

/// How a request says where it comes from (S5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    ForwardedFor,
    ProxyProtocol,
}

struct World {
    by: By,
    _origins: [Origin; 2],
    folder: TempDir,
    running: Running,
}

impl World {
    fn start(by: By) -> Result<Self> {
        let start = |label| Origin::start((Ipv4Addr::LOCALHOST, 0), label);
        let origins = [start("v1")?, start("v2")?];
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("objects.yaml"), objects(&origins))?;
        let all = releases().into_iter().map(|(name, spec)| release("shop", name, &whole(name, &spec)));
        fs::write(folder.path().join("releases.yaml"), all.collect::<String>())?;
        let from = if by == By::ForwardedFor { "xff" } else { "proxy-protocol" };
        let options = ["--trusted-proxies", "127.0.0.0/8", "--client-ip-from", from].map(str::to_owned);
        let running = Running::start_with(folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", &options)?;
        let world = Self { by, _origins: origins, folder, running };
        let abort = serin().args(["abort", "aborted", "-n", "shop", "--admin", &world.running.admin.to_string()]).output()?;
        ensure!(abort.status.success(), "{abort:?}");
        for (name, _) in releases() {
            eventually(&format!("{name} is served"), PATIENCE, || {
                let release = world.release(name)?;
                let phase = release["status"]["phase"].as_str().unwrap_or_default();
                let wanted = match name {
                    "admitted" => "Paused",
                    "aborted" => "Aborted",
                    _ => "Steady",
                };
                ensure!(phase == wanted && release["status"]["replicas"]["programmed"] == 1, "{}", release["status"]);
                Ok(())
            })?;
        }
        Ok(world)
    }

    fn release(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.running.ask(&format!("/v1/releases/shop/{name}"))?.body)?)
    }

    /// The same objects as a cluster would print them, releases with their status.
    fn printed(&self) -> Result<TempDir> {
        let folder = tempfile::tempdir()?;
        fs::copy(self.folder.path().join("objects.yaml"), folder.path().join("objects.yaml"))?;
        for (name, _) in releases() {
            fs::write(folder.path().join(format!("{name}.json")), self.release(name)?.to_string())?;
        }
        Ok(folder)
    }

    /// What the proxy did: the words of its decision header, else what it or the origin answered.
    fn done(&self, question: &Question) -> Result<String> {
        let own = question.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = [("Host", question.host.as_str())].into_iter().chain(own).collect();
        let before = match (self.by, question.client_ip) {
            (By::ForwardedFor, _) => String::new(),
            (By::ProxyProtocol, None) => "PROXY UNKNOWN\r\n".to_owned(),
            (By::ProxyProtocol, Some(IpAddr::V4(client))) => format!("PROXY TCP4 {client} 192.0.2.1 4711 80\r\n"),
            (By::ProxyProtocol, Some(IpAddr::V6(client))) => format!("PROXY TCP6 {client} 2001:db8::1 4711 80\r\n"),
        };
        let answer = get_after(&before, self.running.http, &question.target, &headers)?;
        Ok(answer.header("Serin-Decision").map_or_else(|| answer.body.trim_end().to_owned(), str::to_owned))
    }
}

fn whole(name: &str, spec: &Value) -> Value {
    let mut whole = json!({"scope": {"service": name}, "canary": {"service": "next"}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    whole
}

/// Services, routes, and who asks: by key, by token or by the headers of a proxy.
fn objects(origins: &[Origin; 2]) -> String {
    let [stable, canary] = origins;
    let mut text = service("shop", "next", &[canary.address()]) + &service("shop", "nothing", &[]);
    for name in releases().iter().map(|(name, _)| *name).chain(PLAIN) {
        text += &service("shop", name, &[stable.address()]);
        text += &ingress("shop", name, &format!("{name}.example"), "/", name);
    }
    let policy = |name: &str, scope: Value, anonymous: &str| {
        let jwt = json!({"jwt": {
            "issuer": "https://id.example", "audiences": ["shop"], "jwks": {"secretRef": {"name": "jwks", "key": "jwks.json"}},
            "consumerClaim": "sub", "groupsClaim": "groups",
        }});
        let headers = json!({"consumer": "X-Auth-Request-User", "groups": "X-Auth-Request-Groups", "from": ["127.0.0.0/8"]});
        document(&json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "AuthPolicy", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"scope": scope, "methods": [{"keyAuth": {"headers": ["apikey"]}}, jwt, {"trustedHeaders": headers}], "anonymous": anonymous}
        }))
    };
    let keys = json!({"keys": [{"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SHARED)}]}).to_string();
    text += &secret("jwks", "jwks.json", &keys);
    text += &policy("everyone", json!({"all": true}), "Allow");
    text += &policy("closed", json!({"service": "closed"}), "Deny");
    for (name, group) in [("alice", "testers"), ("bob", "staff")] {
        let key = json!({"keyAuth": {"secretRef": {"name": name, "key": "key"}}});
        text += &document(&json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "Consumer", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"groups": [group], "credentials": [key]}
        }));
        text += &secret(name, "key", &format!("key-of-{name}"));
    }
    text
}

fn secret(name: &str, key: &str, value: &str) -> String {
    let metadata = json!({"name": name, "namespace": "shop"});
    document(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: value}}))
}

/// A token with these claims beside those that it needs, as a client sends it.
fn token(more: &Value) -> String {
    let mut claims = json!({"iss": "https://id.example", "aud": "shop", "exp": 4_102_444_800_u64});
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SHARED), signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Requests that differ in all that can matter, the same in each run: a linear congruential generator chooses.
fn questions(number: u64, by: By) -> impl Iterator<Item = Question> {
    let hosts: Vec<String> = releases().iter().map(|(name, _)| *name).chain(PLAIN).map(|name| format!("{name}.example")).collect();
    let mut state = 11_u64;
    (0..number).map(move |nth| {
        let mut choose = |texts: &[&str]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            texts[(state >> 33) as usize % texts.len()].to_owned()
        };
        let user = format!("user-{nth}");
        let cookie = format!("a=b; user={user}");
        let tokens = [
            json!({"sub": "dora", "plan": format!("plan-{nth}"), "groups": ["testers"]}),
            json!({"plan": nth}),
            json!({"sub": user}),
            json!({"sub": "dora", "plan": "gold", "exp": 1_000_000_000}),
        ];
        let [dora, nobody, planless, expired] = tokens.map(|claims| token(&claims));
        let mut headers = Vec::new();
        for (name, values) in [
            ("X-User", &[user.as_str(), &user, &user, ""][..]),
            ("X-Team", &["", "", "payments", "legal"]),
            ("X-Canary", &["", "", "", "never"]),
            ("Cookie", &["", &cookie, &cookie, "a=b; canary=always"]),
            ("apikey", &["", "", "", "key-of-alice", "key-of-bob", "key-of-nobody"]),
            ("Authorization", &["", "", &dora, &nobody, &planless, &expired]),
            ("X-Auth-Request-User", &["", "", "carol", &user]),
            ("X-Auth-Request-Groups", &["", "", "testers", "staff, others"]),
        ] {
            headers.extend(Some((name.to_owned(), choose(values))).filter(|(_, value)| !value.is_empty()));
        }
        // Every peer is the test, and trusted: the address is what that proxy says, and without a usable word it is missing.
        let address = choose(match by {
            By::ForwardedFor => &["", "junk", "198.51.100.7", "2001:db8::7", "203.0.113.9"],
            By::ProxyProtocol => &["", "198.51.100.7", "2001:db8::7", "127.0.0.9", "127.0.0.9"],
        });
        let client_ip = address.parse().ok();
        // A PROXY header names the other end of the connection, too.
        let peer = if by == By::ForwardedFor { Some(IpAddr::from(Ipv4Addr::LOCALHOST)) } else { client_ip };
        if !address.is_empty() {
            headers.push(("X-Forwarded-For".to_owned(), format!("192.0.2.1, {address}")));
        }
        let host = hosts[nth as usize % hosts.len()].clone();
        let target = choose(&["/", "/cart?user=u1&x=1", "/cart?user=u2", "/a/../b?user=%C3%A9+1", "/a%20b"]);
        Question { host, target, headers, client_ip, peer }
    })
}

/// Whether an explanation says what the proxy did, and all that an answer must name; gives what decided.
fn agrees(explanation: &Value, done: &str) -> Result<String> {
    let Some(release) = explanation.get("release") else {
        let failure = explanation["failure"].as_str();
        ensure!(failure.unwrap_or("v1") == done, "{done} was done");
        return Ok(failure.unwrap_or("no release").to_owned());
    };
    let text = |name: &str| release[name].as_str().with_context(|| format!("no {name}"));
    let (name, rule, fallback) = (text("name")?, text("rule")?, release["fallback"].as_bool().context("no fallback")?);
    let k = release["k"].as_u64().context("no k")?;
    let by_turn = release["identity"] == "request";
    if by_turn {
        // Whose turn comes is not known before, and so neither whether the canary that has nobody would have been its.
        let (head, k) = (format!("release={name}; side="), format!("; k={k}"));
        let rule = ["; rule=bucket; bucket=", "; rule=unavailable; bucket="].iter().any(|rule| done.contains(rule));
        ensure!(done.starts_with(&head) && rule && done.ends_with(&k), "{done} was done");
    } else {
        let bucket = release["bucket"].as_u64().map(|bucket| format!("; bucket={bucket}")).unwrap_or_default();
        let said = format!("release={name}; side={}; rule={rule}{bucket}; k={k}", text("side")?);
        ensure!(said == done, "{done} was done, {said} is said");
    }
    if rule != "bucket" {
        return Ok(release["overrideIndex"].as_u64().map_or(rule.to_owned(), |index| format!("{rule} {index}")));
    }
    ensure!(by_turn || release["bucket"].is_u64(), "no bucket");
    Ok(format!("by {}{}", text("identity")?, if fallback { ", in place" } else { "" }))
}

#[test]
fn an_explanation_agrees_with_the_proxy_whatever_decides_online_and_from_files() -> Result<()> {
    agrees_by(By::ForwardedFor)
}

#[test]
fn an_explanation_agrees_with_the_proxy_behind_a_balancer_that_speaks_the_proxy_protocol() -> Result<()> {
    agrees_by(By::ProxyProtocol)
}

fn agrees_by(by: By) -> Result<()> {
    let world = World::start(by)?;
    let printed = world.printed()?;
    let table = table_of(printed.path())?;
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let number = if long() { 10_000 } else { 1_000 };
    for question in questions(number, by) {
        let done = world.done(&question)?;
        let answer = post(
            world.running.admin,
            "/v1/explain",
            &[("Host", "127.0.0.1"), ("Content-Type", "application/json")],
            &serde_json::to_string(&question)?,
        )?;
        ensure!(answer.status == 200, "{answer:?}");
        let online: Value = serde_json::from_str(&answer.body)?;
        let decided = agrees(&online, &done).with_context(|| format!("online: {question:?}: {online}"))?;
        let offline = serde_json::to_value(question.answer(&table, Timestamp::now()).map_err(anyhow::Error::msg)?)?;
        agrees(&offline, &done).with_context(|| format!("from files: {question:?}: {offline}"))?;
        *met.entry(decided).or_default() += 1;
    }
    println!("{number} requests: {met:#?}");
    for decided in [
        "rollback",
        "override 0",
        "override 1",
        "override 2",
        "override 3",
        "override 4",
        "group",
        "unavailable",
        "by header",
        "by cookie",
        "by query",
        "by ip",
        "by consumer",
        "by claim",
        "by request",
        "by ip, in place",
        "by consumer, in place",
        "by request, in place",
        "no release",
        "the credentials are wrong",
    ] {
        ensure!(met.contains_key(decided), "{decided} was not met: {met:?}");
    }
    Ok(())
}

#[test]
fn the_json_of_serin_explain_has_the_keys_of_a_decision_beside_each_other() -> Result<()> {
    let world = World::start(By::ForwardedFor)?;
    let explain = |arguments: &[&str]| -> Result<Value> {
        let output = serin().arg("explain").args(arguments).args(["-o", "json", "--admin", &world.running.admin.to_string()]).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let of = |answer: &Value| ["release", "rule", "identity", "fallback", "bucket", "k", "side"].map(|key| answer.get(key).cloned());
    let cookie = explain(&["cookie.example/", "--client-ip", "192.0.2.7"])?;
    let bucket = serin_split::place("shop/cookie", serin_split::Kind::Ip, b"192.0.2.7", 1_000).bucket;
    let side = if bucket < 500 { "canary" } else { "stable" };
    let expected = json!(["shop/cookie", "bucket", "ip", true, bucket, 500, side]);
    assert_eq!(json!(of(&cookie)), expected, "{cookie:#}");
    let plain = explain(&["plain.example/"])?;
    assert!(of(&plain).iter().all(|value| *value == Some(Value::Null)), "{plain:#}");
    Ok(())
}
