//! `serin simulate`: what a log comes to, beside what the proxy that wrote it did.

use crate::running::{address, serin};
use crate::site::{HOST, PATIENCE, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::manifests::{ingress, release, service};
use serin_testkit::origin::Origin;
use serin_testkit::process::Process;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// Exit code, output and error output of `serin simulate` on the files of a folder.
fn simulate(folder: &Path, arguments: &[&str]) -> Result<(i32, String, String)> {
    let output = serin().current_dir(folder).args(["simulate", "--log", "access.log"]).args(arguments).output()?;
    Ok((output.status.code().context("it was killed")?, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

#[test]
fn simulate_says_of_a_log_what_the_proxy_that_wrote_it_did() -> Result<()> {
    for form in ["text", "json"] {
        let (stable, canary) = (Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?, Origin::start((Ipv4Addr::LOCALHOST, 0), "v2")?);
        let folder = tempfile::tempdir()?;
        let by_parameter = spec(&json!({"split": {"by": "QueryParam", "name": "user"}, "strategy": {"percentage": 30}}));
        let objects = service("shop", "checkout", &[stable.address()])
            + &service("shop", "checkout-v2", &[canary.address()])
            + &ingress("shop", "shop", HOST, "/", "checkout")
            + &release("shop", "checkout", &by_parameter);
        fs::write(folder.path().join("objects.yaml"), objects)?;
        let mut command = serin();
        command.arg("standalone").arg("--manifests").arg(folder.path());
        command.args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", form]);
        let process = Process::start("serin standalone", command, &folder.path().join("process.log"))?;
        let http = eventually("it is Steady", PATIENCE, || {
            let (http, admin) = (address(&process.log(), "http")?, address(&process.log(), "admin")?);
            let release: Value = serde_json::from_str(&get(admin, "/v1/releases/shop/checkout", &[("Host", "localhost")])?.body)?;
            ensure!(release["status"]["phase"] == "Steady" && release["status"]["replicas"]["programmed"] == 1, "{release:#}");
            Ok(http)
        })?;
        let asked: Vec<String> = (0..300).map(|n| format!("/?user={}", n % 60)).collect();
        let mut canaries = 0_usize;
        for target in &asked {
            canaries += usize::from(get(http, target, &[("Host", HOST)])?.body == "v2\n");
        }
        let logged = eventually("the log has them all", PATIENCE, || {
            let log = process.log();
            let lines: Vec<String> = log.lines().filter(|line| line.contains("/?user=")).map(str::to_owned).collect();
            ensure!(lines.len() == asked.len(), "{} lines", lines.len());
            Ok(lines)
        })?;
        fs::write(folder.path().join("access.log"), logged.join("\n"))?;
        let (code, told, errors) = simulate(folder.path(), &["objects.yaml"])?;
        assert_eq!((code, errors.as_str()), (0, ""));
        ensure!(told.contains(&format!("({canaries} of 300)")) && told.contains("of 60)"), "the proxy sent {canaries} on:\n{told}");
        ensure!(told.contains("300 requests by buckets, 0 by overrides, 0 of others"), "{told}");
        let (_, told, _) = simulate(folder.path(), &["objects.yaml", "--at", "0,100"])?;
        ensure!(told.contains("0 % (0 of 60)") && told.contains("100 % (300 of 300)"), "{told}");
    }
    Ok(())
}

#[test]
fn simulate_counts_the_consumers_that_serins_own_log_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let line = |n: usize| {
        let who = format!("t client=10.0.0.1 consumer=\"user-{}\" method=\"GET\" host=\"shop.example\"", n % 50);
        format!("{who} path=\"/\" status=200 bytes=5\n")
    };
    alone(folder.path(), &json!({"by": "Consumer"}), &(0..500).map(line).collect::<String>())?;
    let (code, told, _) = simulate(folder.path(), &["release.yaml"])?;
    ensure!(code == 0 && told.contains("of 50)") && !told.contains("Skewed: "), "{told}");
    Ok(())
}

/// A release alone, split by this.
fn alone(folder: &Path, split: &Value, log: &str) -> Result<()> {
    let strategy = json!({"linear": {}});
    fs::write(folder.join("release.yaml"), release("shop", "checkout", &spec(&json!({"split": split, "strategy": strategy}))))?;
    Ok(fs::write(folder.join("access.log"), log)?)
}

fn combined(client: &str, user: &str, count: usize) -> String {
    format!("{client} - {user} [10/Oct/2026:13:55:36 +0000] \"GET /cart HTTP/1.1\" 200 5 \"-\" \"curl\"\n").repeat(count)
}

#[test]
fn s7_a_log_of_few_addresses_is_said_to_be_skewed_with_the_cure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = combined("192.0.2.1", "alice", 700) + &combined("192.0.2.2", "bob", 300);
    alone(folder.path(), &json!({"by": "ClientIP"}), &log)?;
    let (code, told, _) = simulate(folder.path(), &["release.yaml"])?;
    assert_eq!(code, 0, "{told}");
    for line in [
        "the busiest (\"192.0.2.1\") makes 70 % of them",
        "Skewed: All requests come from 2 addresses, most of all 192.0.2.1, so 1 % of users is ",
        "Set split.by to Request, set trusted-proxies, or split by a header or cookie.",
        "The files have no Ingress, so every request of the log took part.",
    ] {
        ensure!(told.contains(line), "no {line:?} in:\n{told}");
    }
    alone(folder.path(), &json!({"by": "Request"}), &log)?;
    let (_, told, _) = simulate(folder.path(), &["release.yaml", "--at", "10"])?;
    ensure!(told.contains("10 % (100 of 1000)") && !told.contains("Skewed"), "{told}");
    Ok(())
}

#[test]
fn s7_a_log_with_a_heavy_hitter_shows_shares_of_users_and_of_requests_apart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log: String = (0..400).map(|n| combined("192.0.2.1", &format!("user-{n}"), 1)).collect();
    alone(folder.path(), &json!({"by": "Header", "name": "X-User"}), &(log + &combined("192.0.2.1", "heavy-hitter", 400)))?;
    let (_, told, _) = simulate(folder.path(), &["release.yaml", "--identity", "user", "--at", "10"])?;
    // WEIGHT, BUCKETS, USERS as `S % (N of 401)` and REQUESTS as `S % (N of 800)`.
    let row = told.lines().find(|line| line.contains("of 401)")).with_context(|| told.clone())?;
    let shares: Vec<f64> = row.split(" % ").map(|part| part.rsplit(' ').next().unwrap_or_default().parse().unwrap_or(f64::NAN)).collect();
    let [weight, users, requests, ..] = shares[..] else { anyhow::bail!("{row}") };
    println!("{row}");
    ensure!(weight == 10.0 && (6.0..14.0).contains(&users), "{row}");
    ensure!((requests - users).abs() > 2.5 && row.contains("of 800)"), "{row}");
    ensure!(told.contains("the busiest makes 50 % of them") && !told.contains("Skewed"), "{told}");
    Ok(())
}

#[test]
fn the_field_of_the_identity_is_chosen_and_who_lacks_it_is_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let users: String = (0..500).map(|n| combined("192.0.2.1", &format!("user-{n}"), 2)).collect();
    alone(folder.path(), &json!({"by": "Header", "name": "X-User"}), &(users + &combined("192.0.2.9", "-", 10)))?;
    let (_, told, _) = simulate(folder.path(), &["release.yaml", "--identity", "user", "--at", "50"])?;
    ensure!(told.contains("10 requests had no such identity and were split by ip") && told.contains("of 501)"), "{told}");
    Ok(())
}

#[test]
fn lines_of_another_form_are_named_and_the_rest_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = combined("192.0.2.1", "-", 1) + "no such line\n\0\n" + &"x".repeat(100_000) + "\n" + &combined("192.0.2.2", "-", 1);
    alone(folder.path(), &json!({"by": "ClientIP"}), &log)?;
    let (code, told, errors) = simulate(folder.path(), &["release.yaml"])?;
    assert_eq!(code, 0);
    ensure!(errors.starts_with("access.log:2: no line of an access log that is known here; 4 of 6"), "{errors}");
    ensure!(told.contains("2 requests by buckets"), "{told}");
    for (arguments, error) in [
        (&["nothing.yaml"][..], "error: nothing.yaml: "),
        (&["release.yaml", "--at", "101"], "error: --at 101: it must be 0 to 100"),
        (&["release.yaml", "--release", "other"], "error: the files have no such CanaryRelease"),
    ] {
        let (code, _, errors) = simulate(folder.path(), arguments)?;
        ensure!(code == 1 && errors.starts_with(error), "{errors}");
    }
    Ok(())
}
