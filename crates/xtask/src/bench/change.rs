//! How long a change takes from the file to the first answer, with thousands of routes beside it.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::peers::{HOST, RELEASE, local, standalone};
use super::process::Process;
use super::request;
use super::rounds::median;

/// Paths of Ingresses that are there before.
const ROUTES: usize = 3000;
/// Paths of one Ingress.
const PATHS: usize = 10;
/// Ingresses of one file.
const INGRESSES: usize = 10;
const REPEATS: usize = 21;

/// Writes one more Ingress again and again; milliseconds until its route answers, median and worst.
pub(super) fn measure(serin: &Path, folder: &Path) -> Result<String> {
    let manifests = folder.join("routes");
    fs::create_dir(&manifests)?;
    fs::write(manifests.join("release.yaml"), RELEASE)?;
    for file in 0..ROUTES / PATHS / INGRESSES {
        let text: String = (0..INGRESSES).map(|nth| ingress(&format!("i{file}-{nth}"), HOST, PATHS)).collect();
        fs::write(manifests.join(format!("routes-{file:03}.yaml")), text)?;
    }
    let (address, admin) = (local(18110), local(19110));
    let mut process = Process::start("routes", standalone(serin, &manifests, address, admin), folder, address)?;
    let served = |host: &str| request::get(address, host, "/", 1).is_ok_and(|answer| request::is_ok(&answer));
    process.wait_for("its first table is served", Duration::from_secs(60), || served(HOST))?;
    let mut times = Vec::new();
    let before = Tables::of(admin)?;
    for nth in 0..REPEATS {
        let (name, draft) = (format!("new{nth}"), folder.join("draft.yaml"));
        // A host of its own: at the old one another route would answer.
        let host = format!("{name}.example");
        ensure!(served(HOST) && !served(&host), "{host} is served before its file is there");
        fs::write(&draft, ingress(&name, &host, 1))?;
        let start = Instant::now();
        fs::rename(&draft, manifests.join(format!("{name}.yaml")))?;
        while !served(&host) {
            ensure!(start.elapsed() < Duration::from_secs(10), "{host} is not served within 10 s");
            sleep(Duration::from_micros(200));
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // The next one comes at another moment of serin's own turn.
        sleep(Duration::from_millis(300 + 17 * nth as u64));
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    let after = Tables::of(admin)?;
    let built = after.number - before.number;
    Ok(format!(
        "at {ROUTES} routes: from a file to the first answer of its route: median {:.0} ms, worst {worst:.0} ms of {REPEATS}; \
         to build a table and swap it: mean {:.0} ms of {built}",
        median(times),
        (after.seconds - before.seconds) * 1e3 / built
    ))
}

/// What serin counts of its tables.
struct Tables {
    number: f64,
    seconds: f64,
}

impl Tables {
    fn of(admin: SocketAddr) -> Result<Self> {
        let metrics = request::get(admin, "serin", "/metrics", 1)?;
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).with_context(|| format!("/metrics has no {name}"))
        };
        Ok(Self { number: value("serin_table_version")?, seconds: value("serin_table_publish_seconds_total")? })
    }
}

fn ingress(name: &str, host: &str, paths: usize) -> String {
    let mut text = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  rules:\n  - host: {host}\n    http:\n      paths:\n"
    );
    for nth in 0..paths {
        let path = if nth == 0 && paths == 1 { "/".to_owned() } else { format!("/{name}/{nth}") };
        let backend = "{service: {name: checkout, port: {number: 80}}}";
        // Writing into a String does not fail.
        let _ = writeln!(text, "      - {{path: {path}, pathType: Prefix, backend: {backend}}}");
    }
    text
}
