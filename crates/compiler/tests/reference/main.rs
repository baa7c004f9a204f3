//! 100,000 random cases: which release decides a request, which side it takes, and why, by the compiled table and by a reference that
//! reads the rules one after the other, as design and ARCHITECTURE.md state them. The reference shares no code that decides with the
//! product: it works on what was made up, never on objects, table or policy.

mod naive;
mod request;
mod world;

use naive::Answer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use request::{Request, request};
use serin_compiler::{Objects, Options, compile};
use serin_routing::{Policies, Table};
use serin_split::{Identity, Rule, Side, decide};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use world::{OWN, World, world};

/// Each world is asked so many times.
const REQUESTS: usize = 40;
const WORLDS: u32 = 2_500;

/// What the product makes of a world.
fn table(world: &World) -> Table {
    let mut objects = Objects::default();
    world.apply(&mut objects);
    let options = Options { own_namespace: OWN.to_owned(), standalone: true, ..Options::default() };
    Table::new(&compile(&objects, &options).config, &mut Policies::default())
}

/// What the product says of a request.
fn product(table: &Table, request: &Request) -> Option<Answer> {
    let route = table.lookup(request.host, request.path)?;
    let Some(applied) = route.decider(request) else { return Some(Answer::of_the_route()) };
    let release = &applied.release;
    let decision = decide(&release.policy, &release.served(request.now), request);
    let served = applied.serving(decision.side, |_| true);
    let rule = match decision.rule {
        _ if served != decision.side => "unavailable".to_owned(),
        Rule::Rollback => "rollback".to_owned(),
        Rule::Override(index) => format!("override {index}"),
        Rule::Group => "group".to_owned(),
        Rule::Bucket => "bucket".to_owned(),
    };
    let identity = decision.identity.map(|identity| match identity {
        Identity::Value { kind, .. } => kind.name(),
        Identity::Request | Identity::Issued => "request",
    });
    Some(Answer {
        release: Some(format!("{}/{}", release.namespace, release.name)),
        canary: served == Side::Canary,
        rule,
        identity,
        fallback: decision.fallback,
        bucket: decision.bucket.map(|bucket| (bucket, release.policy.buckets())),
        k: decision.k,
    })
}

/// The buckets of the turns that a release has given: none comes twice before all have come (S6).
#[derive(Default)]
struct Walks(BTreeMap<String, BTreeSet<u32>>);

impl Walks {
    fn take(&mut self, answer: &Answer) -> bool {
        let (Some(release), Some((bucket, buckets))) = (&answer.release, answer.bucket) else { return false };
        let walk = self.0.entry(release.clone()).or_default();
        if walk.len() == buckets as usize {
            walk.clear();
        }
        bucket < buckets && walk.insert(bucket)
    }
}

#[test]
fn table_decides_100_000_random_cases_as_the_reference_does() {
    let met: RefCell<BTreeMap<String, usize>> = RefCell::default();
    let mut runner = TestRunner::new(Config { cases: WORLDS, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&(world(), prop::collection::vec(request(), REQUESTS)), |(world, requests)| {
        let (table, mut walks) = (table(&world), Walks::default());
        for request in &requests {
            let seen = product(&table, request);
            // Whose turn it is is chance, and so an argument of the reference.
            let turn = seen.as_ref().filter(|seen| seen.identity == Some("request")).and_then(|seen| Some(seen.bucket?.0));
            let expected = naive::answer(&world, request, turn);
            prop_assert_eq!(&seen, &expected, "of {:?}", request);
            if let Some(answer) = expected.as_ref().filter(|answer| answer.identity == Some("request")) {
                prop_assert!(walks.take(answer), "a bucket had two turns: {:?}", answer);
            }
            let sort = expected.map_or("no route".to_owned(), |answer| answer.sort());
            *met.borrow_mut().entry(sort).or_default() += 1;
        }
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    let met = met.into_inner();
    println!("{met:#?}");
    assert_eq!(met.values().sum::<usize>(), WORLDS as usize * REQUESTS);
    for sort in naive::SORTS {
        let count: usize = met.iter().filter(|(name, _)| name.contains(sort)).map(|(_, count)| count).sum();
        assert!(count > 200, "{sort}: only {count} cases");
    }
}
