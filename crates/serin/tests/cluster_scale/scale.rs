//! Status, new routes, memory and restarts at that size.

use crate::apply::{Applied, Applier};
use crate::figures::Figures;
use crate::objects::{self, PATHS, SPARE, host};
use crate::replica::{Client, Replica};
use crate::site::{ADDRESS, HOSTS, SOON, Site};
use crate::watch::Watch;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::origin::Origin;
use serin_testkit::{eventually, long};
use std::time::{Duration, Instant};

/// How much there is, and how long what may take.
struct Form {
    ingresses: usize,
    teams: usize,
    releases: usize,
    /// New routes that are timed.
    new_routes: usize,
    /// From the answer to an apply to a status that is right.
    settled: Duration,
    /// From the answer to an apply to the first request that is served, 99 of 100.
    served: Duration,
    /// From the start of a replica to Ready.
    ready: Duration,
}

/// What the issue asks for, of the binary as it is shipped.
const FULL: Form = Form {
    ingresses: 1_000,
    teams: 20,
    releases: 100,
    new_routes: 150,
    settled: Duration::from_secs(2),
    served: Duration::from_millis(50),
    ready: Duration::from_secs(3),
};

/// A tenth, by a binary that is not optimised, on a machine that does other things too.
const SHORT: Form = Form {
    ingresses: 100,
    teams: 2,
    releases: 10,
    new_routes: 20,
    settled: Duration::from_secs(20),
    served: Duration::from_secs(5),
    ready: Duration::from_secs(30),
};

/// What took longer than it may: all is measured before the test fails.
#[derive(Debug, Default)]
struct Missed(Vec<String>);

impl Missed {
    fn unless(&mut self, met: bool, what: String) {
        if !met {
            println!("MISSED: {what}");
            self.0.push(what);
        }
    }
}

/// Status writes an Ingress; in either form.
const WRITES: f64 = 1.2;
/// So many applies are on their way where all are sent at once.
const AT_ONCE: usize = 16;

fn is_settled(object: &Value) -> bool {
    let status = &object["status"];
    if object["kind"] == "Ingress" {
        return status["loadBalancer"]["ingress"] == json!([{"ip": ADDRESS}]);
    }
    let is_true = |of: &str| {
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == of && condition["status"] == "True")
    };
    let is_current = status["observedGeneration"] == object["metadata"]["generation"];
    is_current && is_running(object) && ["Accepted", "ResolvedRefs", "Programmed"].into_iter().all(is_true)
}

fn is_running(release: &Value) -> bool {
    release["status"]["phase"] == "Progressing"
}

/// From each answer to the status that is right, once all are.
fn settled(watch: &Watch, applied: &[Applied]) -> Result<Figures> {
    let lags = eventually("each status is right", SOON, || {
        let lag = |applied: &Applied| {
            let seen = watch.of(&applied.name).with_context(|| format!("{:?} was not seen", applied.name))?;
            let settled = seen.settled.with_context(|| format!("{:?}: {}", applied.name, seen.object["status"]))?;
            Ok(settled.saturating_duration_since(applied.answered))
        };
        applied.iter().map(lag).collect::<Result<Vec<_>>>()
    })?;
    Figures::new(lags)
}

#[test]
fn status_routes_and_restarts_keep_their_times_with_many_ingresses_and_releases() -> Result<()> {
    let (form, mut missed) = (if long() { FULL } else { SHORT }, Missed::default());
    let site = Site::new()?;
    let origins = (200..202).map(|outside| Origin::start((site.cluster.outside(outside), 0), "v1")).collect::<Result<Vec<_>>>()?;
    site.cluster.apply(&objects::base(form.teams, &origins.iter().map(Origin::address).collect::<Vec<_>>()))?;
    let mut replicas = HOSTS.into_iter().map(|host| site.replica(host)).collect::<Result<Vec<_>>>()?;
    eventually("all are ready", SOON, || replicas.iter().try_for_each(Replica::is_ready))?;
    site.until_led()?;
    print_memory("without a route", &replicas)?;
    let watch = Watch::start(&site.cluster.kubeconfig(), is_settled)?;
    let applier = Applier::new(&site.cluster.kubeconfig())?;
    let ingresses = objects::ingresses(form.ingresses, form.teams);

    let began = Instant::now();
    let applied = applier.at_once(&ingresses, AT_ONCE)?;
    let took = began.elapsed();
    let lags = settled(&watch, &applied)?;
    let all = watch_end(&watch, &applied)?;
    println!("{} Ingresses applied {AT_ONCE} at once in {took:.2?}: status {lags} from each answer", applied.len());
    println!("  the last status came {:.2?} after the last answer", all.saturating_duration_since(began + took));

    (0..form.teams).try_for_each(|team| applier.delete_ingresses(&objects::team_name(team)))?;
    eventually("they are gone", SOON, || {
        let left = watch.count("Ingress", |_| true);
        ensure!(left == 0, "{left} are left");
        Ok(())
    })?;
    let before = site.status_writes("ingresses")?;
    let began = Instant::now();
    let applied = applier.in_turn(&ingresses)?;
    let took = began.elapsed();
    let lags = settled(&watch, &applied)?;
    println!("{} Ingresses applied in turn in {took:.2?}: status {lags} from each answer", applied.len());
    missed.unless(lags.max() <= form.settled, format!("status of an Ingress took {:?}", lags.max()));

    applier.in_turn(&objects::spare_ingresses(form.teams))?;
    let began = Instant::now();
    let applied = applier.in_turn(&objects::releases(form.releases, form.teams))?;
    let took = began.elapsed();
    let lags = settled(&watch, &applied)?;
    println!("{} releases applied in turn in {took:.2?}: status {lags} from each answer", applied.len());
    println!("  their first conditions {}", told(&watch, &applied)?);
    all_are_served(&replicas, &ingresses)?;

    let (served, lags) = new_routes(&form, &replicas, &applier, &watch)?;
    missed.unless(served <= form.served, format!("a new route took {served:?} (p99)"));
    missed.unless(lags.max() <= form.settled, format!("status of a further Ingress took {:?}", lags.max()));
    let lags = new_releases(&form, &applier, &watch)?;
    missed.unless(lags.max() <= form.settled, format!("status of a further release took {:?}", lags.max()));
    let written = site.status_writes("ingresses")? - before;
    let there = form.ingresses + form.new_routes + SPARE;
    let an_ingress = written / as_f64(there);
    println!("{written} status writes of {there} Ingresses: {an_ingress:.3} each");
    ensure!(
        written >= as_f64(watch.writes("Ingress")),
        "the API server counted {written} writes, and a watch saw {}",
        watch.writes("Ingress")
    );
    missed.unless(an_ingress <= WRITES, format!("{an_ingress} status writes an Ingress"));
    print_memory(&format!("with {} routes and {} releases", there * PATHS.len(), form.releases + SPARE), &replicas)?;
    let running = watch.count("CanaryRelease", |seen| is_running(&seen.object));
    ensure!(running == form.releases + SPARE, "{running} of {} releases are running", form.releases + SPARE);

    for (host, replica) in HOSTS.into_iter().zip(&mut replicas) {
        replica.process.sigkill()?;
        let started = Instant::now();
        *replica = site.replica(host)?;
        eventually("it is ready again", SOON, || replica.is_ready())?;
        let took = started.elapsed();
        println!("ready {took:.2?} after its start, {:.1} MiB", replica.memory()?);
        all_are_served(std::slice::from_ref(replica), &ingresses)?;
        missed.unless(took <= form.ready, format!("a replica was ready after {took:?}"));
    }
    ensure!(missed.0.is_empty(), "{:#?}", missed.0);
    Ok(())
}

/// From each answer to the first conditions.
fn told(watch: &Watch, applied: &[Applied]) -> Result<Figures> {
    let lag = |applied: &Applied| Some(watch.of(&applied.name)?.told?.saturating_duration_since(applied.answered));
    Figures::new(applied.iter().filter_map(lag))
}

/// Applies a release for each Service that had none, one after the other.
fn new_releases(form: &Form, applier: &Applier, watch: &Watch) -> Result<Figures> {
    let mut all = Vec::new();
    for release in objects::spare_releases(form.teams) {
        let applied = applier.one(&release)?;
        settled(watch, std::slice::from_ref(&applied))?;
        all.push(applied);
    }
    let lags = settled(watch, &all)?;
    println!("further releases, one at a time: status {lags} from each answer, first conditions {}", told(watch, &all)?);
    Ok(lags)
}

/// Applies further Ingresses, one after the other, and times each until every replica serves it. Gives how long 99 of 100 took, and their
/// statuses.
fn new_routes(form: &Form, replicas: &[Replica], applier: &Applier, watch: &Watch) -> Result<(Duration, Figures)> {
    let mut clients = replicas.iter().map(Client::to).collect::<Result<Vec<_>>>()?;
    let work = || replicas.iter().map(Work::of).collect::<Result<Vec<_>>>();
    let (before, began) = (work()?, Instant::now());
    let (mut from_sent, mut from_answer, mut from_event, mut slowest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut all = Vec::new();
    for nth in 0..form.new_routes {
        let ingress = objects::another(nth);
        let host = host(ingress["metadata"]["name"].as_str().unwrap_or_default());
        let (applied, served) = std::thread::scope(|scope| {
            let ask = |client| scope.spawn(|| Client::until_served(client, &host));
            let asked: Vec<_> = clients.iter_mut().map(ask).collect();
            let applied = applier.one(&ingress)?;
            let served = asked.into_iter().map(|asked| asked.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
            Ok::<_, anyhow::Error>((applied, served.collect::<Result<Vec<Instant>>>()?))
        })?;
        // The next one begins when this one's status is no load any more.
        settled(watch, std::slice::from_ref(&applied))?;
        let came = watch.of(&applied.name).context("it was not seen")?.came;
        from_sent.extend(served.iter().map(|at| at.duration_since(applied.sent)));
        from_answer.extend(served.iter().map(|at| at.saturating_duration_since(applied.answered)));
        from_event.extend(served.iter().map(|at| at.saturating_duration_since(came)));
        slowest.extend(served.iter().max().map(|at| at.saturating_duration_since(applied.answered)));
        all.push(applied);
    }
    let lags = settled(watch, &all)?;
    println!("further Ingresses, one at a time: status {lags} from each answer");
    let (answer, after) = (Figures::new(from_answer)?, work()?);
    println!("new route to traffic, each replica: {answer} from the answer to the apply");
    println!("  the slowest of the replicas: {} from the answer", Figures::new(slowest)?);
    println!("  {} from when the apply was sent, {} from the watch event", Figures::new(from_sent)?, Figures::new(from_event)?);
    let seconds = began.elapsed().as_secs_f64();
    for (before, after) in before.into_iter().zip(after) {
        let tables = after.tables - before.tables;
        println!(
            "  {tables} tables, {:.1} ms each to build and to bring to the workers; {:.1} % of a core",
            (after.publishing - before.publishing) * 1000.0 / tables,
            (after.processor - before.processor) * 100.0 / seconds
        );
    }
    Ok((answer.percentile(99), lags))
}

/// What a replica has done until now; times in seconds.
struct Work {
    tables: f64,
    publishing: f64,
    processor: f64,
}

impl Work {
    fn of(replica: &Replica) -> Result<Self> {
        Ok(Self {
            tables: replica.metric("serin_table_version")?,
            publishing: replica.metric("serin_table_publish_seconds_total")?,
            processor: replica.processor_time()?,
        })
    }
}

fn watch_end(watch: &Watch, applied: &[Applied]) -> Result<Instant> {
    let last = applied.iter().filter_map(|applied| watch.of(&applied.name)?.settled).max();
    last.context("nothing was applied")
}

/// Each route of each of these answers on each replica.
fn all_are_served(replicas: &[Replica], ingresses: &[Value]) -> Result<()> {
    for replica in replicas {
        let mut client = Client::to(replica)?;
        for ingress in ingresses {
            let host = host(ingress["metadata"]["name"].as_str().unwrap_or_default());
            for path in PATHS {
                let status = client.status(&host, path)?;
                ensure!(status == 200, "{host}{path}: {status}");
            }
        }
    }
    Ok(())
}

fn print_memory(when: &str, replicas: &[Replica]) -> Result<()> {
    let memory = replicas.iter().map(|replica| Ok(format!("{:.1} MiB", replica.memory()?))).collect::<Result<Vec<_>>>()?;
    println!("resident memory {when}: {}", memory.join(", "));
    Ok(())
}

/// Counts here are small.
fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::NAN, f64::from)
}
