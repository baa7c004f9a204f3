//! `serin simulate --log ACCESS_LOG FILE...`: which share of users and of requests a release would send to the canary.

mod line;
mod request;
mod say;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use line::Reader;
use request::Logged;
use serde_json::json;
use serin_api::Release;
use serin_api::release::{Step, Strategy, WHOLE};
use serin_compiler::{AnyRelease, Objects, Options as CompilerOptions, compile};
use serin_controller::explain::objects_of;
use serin_controller::standalone::manifests::{Manifest, parse, read};
use serin_rollout::Plan;
use serin_routing::path::canonical;
use serin_routing::{Policies, Table};
use serin_split::{Identity, Policy, Served, Tally, decide_issuing};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The longest line that is read.
const LONGEST: u64 = 64 * 1024;
/// The busiest identity is called by its name while there are at most so many.
const NAMED: usize = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Manifests: the release, and its Ingress where not all requests of the log are the release's.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// serin's own access log, as text or JSON, or one in the Common or Combined format.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Percentages. Default: those of the strategy, else 1,5,10,25,50,100.
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',')]
    at: Vec<String>,
    /// The field of the log that holds what the split goes by: client, user, agent, referer, or any of a JSON log.
    #[arg(long, value_name = "FIELD")]
    identity: Option<String>,
    /// The host of lines that have none.
    #[arg(long)]
    host: Option<String>,
    /// One release, when the files have several.
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
}

/// The release that is asked about.
struct Asked {
    release: Release,
    plan: Plan,
    objects: Objects,
    /// Whether the files say which requests are the release's.
    routed: bool,
}

/// What the log comes to at one threshold.
struct Trial {
    table: Table,
    policy: Arc<Policy>,
    k: u32,
    tally: Tally,
}

/// The log as a whole.
#[derive(Debug, Default)]
struct Counts {
    lines: u64,
    /// Lines of no form that is known, and the first of them.
    unread: u64,
    first_unread: u64,
    /// Requests that another release, or none, decides.
    others: u64,
    names: HashMap<u64, String>,
}

/// Reads the files, then the log, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let asked = Asked::of(options)?;
    let mut trials = asked.trials(&options.at)?;
    let log = File::open(&options.log).with_context(|| options.log.display().to_string())?;
    let counts = replay(BufReader::new(log), options, &asked, &mut trials).with_context(|| options.log.display().to_string())?;
    if counts.unread > 0 {
        let (log, first) = (options.log.display(), counts.first_unread);
        eprintln!("{log}:{first}: no line of an access log that is known here; {} of {} are like it", counts.unread, counts.lines);
    }
    print!("{}", say::text(&asked, &counts, &trials));
    Ok(if trials.iter().any(|trial| trial.tally.requests > 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Asked {
    fn of(options: &Options) -> anyhow::Result<Self> {
        let mut manifests = Vec::new();
        for path in &options.files {
            manifests.extend(parse(path, &read(path)?)?);
        }
        let wanted = |manifest: &&Manifest| {
            manifest.key.kind == "CanaryRelease" && options.release.as_ref().is_none_or(|name| *name == manifest.key.name)
        };
        let found: Vec<_> = manifests.iter().filter(wanted).collect();
        let manifest = match found.as_slice() {
            [one] => *one,
            [] => bail!("the files have no such CanaryRelease"),
            _ => bail!("the files have several CanaryReleases: name one with --release"),
        };
        let parsed = serin_api::parse_value(&manifest.object);
        let name = || format!("{}: {}", manifest.path.display(), manifest.key);
        let Some(release) = parsed.release.clone() else {
            let findings: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
            bail!("{}: {}", name(), findings.join(" "));
        };
        if matches!(release.strategy, Strategy::Groups(_)) {
            bail!("{}: spec.strategy.groups: a log does not say who is in a group. Give another strategy", name());
        }
        let id = parsed.id(None).with_context(|| format!("{}: it has no identity", name()))?;
        let mut objects = objects_of(manifests.iter())?;
        // As if it were under way; at which weight, each trial says.
        let moment = Timestamp::UNIX_EPOCH.to_string();
        let mut object = manifest.object.clone();
        object["spec"]["enabled"] = true.into();
        object["metadata"]["annotations"] = json!({});
        object["status"] = json!({"phase": "Steady", "traffic": {
            "buckets": release.split.buckets, "from": 0, "to": 0, "floor": 0, "epoch": 1, "release": id,
            "startsAt": moment, "endsAt": moment, "until": moment,
        }});
        objects.apply(AnyRelease(object));
        let routed = manifests.iter().any(|manifest| manifest.key.kind == "Ingress");
        Ok(Self { plan: Plan::of(&release, &id), release, objects, routed })
    }

    /// One for each percentage, each with turns of its own.
    fn trials(&self, at: &[String]) -> anyhow::Result<Vec<Trial>> {
        let config = compile(&self.objects, &CompilerOptions { standalone: true, ..CompilerOptions::default() }).config;
        let trial = |k| {
            let table = Table::new(&config, &mut Policies::default());
            let found = table.releases().iter().find(|found| self.is(found)).context("the release decides nothing: see serin check")?;
            Ok(Trial { policy: Arc::clone(&found.policy), table, k, tally: Tally::default() })
        };
        self.thresholds(at)?.into_iter().map(trial).collect()
    }

    fn is(&self, release: &serin_routing::Release) -> bool {
        release.namespace == self.release.namespace && release.name == self.release.name
    }

    fn thresholds(&self, at: &[String]) -> anyhow::Result<Vec<u32>> {
        let plan = &self.plan;
        let mut thresholds: Vec<u32> = match (&self.release.strategy, plan.fixed_k()) {
            _ if !at.is_empty() => {
                let percent = |text: &String| {
                    serin_api::parse::percent_of_text(text)
                        .with_context(|| format!("--at {text}: it must be 0 to 100, with at most four decimals"))
                };
                at.iter().map(|text| percent(text).map(|share| plan.k_of(share))).collect::<anyhow::Result<_>>()?
            }
            (_, Some(k)) => vec![k],
            (Strategy::Steps(_), None) => {
                let share = |step| if let Step::Weight { share, .. } = step { Some(share) } else { None };
                (0..plan.stages()).filter_map(|index| plan.stage(index)).filter_map(share).map(|share| plan.k_of(share)).collect()
            }
            (_, None) => [1, 5, 10, 25, 50, 100].map(|percent| plan.k_of(WHOLE / 100 * percent)).into(),
        };
        thresholds.sort_unstable();
        thresholds.dedup();
        Ok(thresholds)
    }

    /// Whether the release decides this request.
    fn takes(&self, table: &Table, logged: &Logged) -> bool {
        let decides = || {
            let path = canonical(logged.path().as_bytes()).ok()?;
            let decider = table.lookup(&logged.host, &path)?.decider(&logged.facts())?;
            Some(self.is(&decider.release))
        };
        !self.routed || decides().unwrap_or(false)
    }
}

/// Has every trial decide every request of the log.
fn replay(mut log: impl BufRead, options: &Options, asked: &Asked, trials: &mut [Trial]) -> std::io::Result<Counts> {
    let (reader, mut counts, mut line) = (Reader::new(), Counts::default(), Vec::new());
    let (by, identity) = (&asked.release.split.by, options.identity.as_deref());
    loop {
        line.clear();
        if log.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(counts);
        }
        counts.lines += 1;
        let read = reader.read(&String::from_utf8_lossy(&line));
        let Some(logged) = read.and_then(|line| Logged::of(&line, by, options.host.as_deref(), identity)) else {
            counts.unread += 1;
            counts.first_unread = if counts.unread == 1 { counts.lines } else { counts.first_unread };
            continue;
        };
        if !trials.first().is_some_and(|trial| asked.takes(&trial.table, &logged)) {
            counts.others += 1;
            continue;
        }
        let mut identity = None;
        for trial in trials.iter_mut() {
            let served = Served { k: trial.k, groups: None, rolled_back: false };
            // What a random cookie would have been, any other text can stand for.
            let decision = decide_issuing(&trial.policy, &served, &logged.facts(), || counts.lines.to_string());
            trial.tally.add(&decision);
            identity = decision.identity;
        }
        // At whatever threshold, it is the same one.
        if let Some(Identity::Value { kind, hash }) = identity
            && counts.names.len() < NAMED
            && !counts.names.contains_key(&hash)
            && let Some(name) = logged.name(kind)
        {
            counts.names.insert(hash, name);
        }
    }
}
