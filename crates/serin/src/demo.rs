//! The whole story on one screen: a release walks from 0 to 100 % and is promoted, or its canary begins to fail and it is rolled back.
//!
//! Nothing is staged: the manifests are files, the proxy, the counters and the decisions are those of `serin standalone`, and what is
//! said of the users is what they saw.

mod load;
mod origin;
mod screen;

use anyhow::Context;
use load::{Load, Seen};
use origin::Origin;
use screen::{Frame, Screen};
use serde_json::Value;
use serin_controller::admin::Name;
use serin_controller::client::AdminClient;
use serin_controller::standalone::{self, Standalone};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The host that the demo's users ask for.
const HOST: &str = "shop.example";
/// Between two looks at the release.
const LOOK: Duration = Duration::from_millis(250);
/// The demo is over by then, whatever happened.
const LIMIT: Duration = Duration::from_secs(58);
/// From this weight on the canary of `--fail` fails.
const FAILS_AT: f64 = 40.0;
/// How long users are watched after a rollback.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What came of it.
struct Outcome {
    phase: String,
    message: String,
    seen: Seen,
    took: Duration,
    /// Answers of the canary after the rollback was served, errors among all answers.
    after_rollback: Option<(u64, u64)>,
}

/// Runs the story. Exit code 0 when it went as announced, else 1.
pub(crate) async fn run(fail: bool) -> anyhow::Result<ExitCode> {
    let (stable, canary) = (Origin::start("v1").await?, Origin::start("v2").await?);
    let manifests = manifests(stable.address, canary.address);
    let folder = tempfile::tempdir().context("a folder for the manifests")?;
    std::fs::write(folder.path().join("demo.yaml"), &manifests)?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = standalone::Settings { admin: any_port, ..standalone::Settings::new(folder.path(), any_port) };
    let standalone = standalone::start(settings).await?;

    println!("{}", introduction(&standalone, fail));
    let outcome = tell(&standalone, &canary, fail).await?;
    println!("{}", ending(&outcome, &manifests));
    let well = outcome.went_well(fail);
    if !well {
        println!("This is not what was announced.");
    }
    standalone.stop(Duration::ZERO, Duration::from_secs(1)).await;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn tell(standalone: &Standalone, canary: &Origin, fail: bool) -> anyhow::Result<Outcome> {
    let client = AdminClient::new(&standalone.admin().to_string());
    let name = Name { namespace: "shop".into(), name: "checkout".into() };
    let (load, start) = (Load::start(standalone.http()), Instant::now());
    let (mut screen, mut broken, mut rolled_back) = (Screen::new(), false, None::<(Instant, Seen)>);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let (release, seen) = (client.release(&name).await?, load.seen());
        let frame = Frame { release: &release, seen: &seen, elapsed: start.elapsed(), broken };
        screen.show(&frame)?;
        let phase = frame.text("/status/phase").to_owned();
        if fail && !broken && frame.text("/status/weight").parse::<f64>().is_ok_and(|weight| weight >= FAILS_AT) {
            broken = true;
            canary.fail();
            screen.say("checkout-v2 starts to answer 500 now.")?;
        }
        if phase == "Aborted" && rolled_back.is_none() {
            rolled_back = Some((Instant::now(), seen.clone()));
        }
        let over = match &rolled_back {
            Some((since, _)) => since.elapsed() >= AFTERMATH,
            None => matches!(phase.as_str(), "Promoted" | "Completed"),
        };
        if over || start.elapsed() >= LIMIT {
            let after_rollback = rolled_back.map(|(_, then)| (seen.canary - then.canary, seen.errors - then.errors));
            let message = frame.text("/status/message").to_owned();
            return Ok(Outcome { phase, message, seen, took: start.elapsed(), after_rollback });
        }
    }
}

impl Outcome {
    fn went_well(&self, fail: bool) -> bool {
        match (fail, self.after_rollback) {
            // The look that saw the rollback may have been answered before answers under way were.
            (true, Some((canary, errors))) => self.phase == "Aborted" && self.seen.lost == 0 && canary <= 2 && errors <= 2,
            (true, None) => false,
            (false, _) => self.phase == "Promoted" && self.seen.moved_back == 0 && self.seen.errors == 0 && self.seen.lost == 0,
        }
    }
}

fn introduction(standalone: &Standalone, fail: bool) -> String {
    let (http, admin) = (standalone.http(), standalone.admin());
    let story = if fail {
        "checkout-v2 is released by steps and starts to fail on the way: its error rate against stable's aborts the release."
    } else {
        "checkout-v2 is released by steps, judged at each by its error rate against stable's, and promoted."
    };
    format!(
        "{story}\n{users} users and one heavy hitter ask the whole time. While it runs, try in another terminal:\n\n  \
         curl -i -H 'Host: {HOST}' -H '{header}: you' http://{http}/checkout\n  \
         serin watch --admin {admin}\n",
        users = load::USERS,
        header = load::USER_HEADER,
    )
}

fn ending(outcome: &Outcome, manifests: &str) -> String {
    let seen = &outcome.seen;
    let share = 100.0 * seen.canary as f64 / (seen.canary + seen.stable).max(1) as f64;
    let sides = match outcome.after_rollback {
        Some((canary, _)) => format!("after the rollback the canary answered {canary} requests"),
        None => format!("{} of them ever moved back from the canary to stable", none_or(seen.moved_back)),
    };
    let (phase, message, took) = (&outcome.phase, &outcome.message, outcome.took.as_secs());
    format!(
        "\n{phase} after {took} s. {message}\n\
         Users: {users}; {sides}. Requests: {stable} to stable, {canary} to the canary ({share:.1} %), {errors} answered 5xx, {lost} lost.\n\n\
         This is what ran, as files of a folder:\n\n{manifests}\n\
         Next: put your own addresses in, then `serin standalone --manifests FOLDER`, and `serin watch --admin 127.0.0.1:9901`.",
        users = load::USERS + 1,
        stable = seen.stable,
        canary = seen.canary,
        errors = seen.errors,
        lost = seen.lost,
    )
}

fn none_or(n: usize) -> String {
    if n == 0 { "none".to_owned() } else { n.to_string() }
}

fn manifests(stable: SocketAddr, canary: SocketAddr) -> String {
    include_str!("demo/manifests.yaml").replace("STABLE", &stable.to_string()).replace("CANARY", &canary.to_string())
}

/// A text of a release's status, `-` when it has none yet.
fn text<'a>(release: &'a Value, pointer: &str) -> &'a str {
    release.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or("-")
}
