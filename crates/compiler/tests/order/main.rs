//! What is compiled depends on the objects that are there, and on nothing else: not on the order in which they came, not on what was
//! there before, and not on a bad object beside them.

mod kept;
mod objects;

use objects::{Kind, Object, class, object, younger_ingress};
use proptest::prelude::*;
use serin_compiler::{Compiled, Objects, Options, compile};
use serin_routing::config::Traffic;
use std::collections::{BTreeMap, BTreeSet};

/// Something that a watch says.
#[derive(Debug, Clone)]
enum Event {
    Apply(Object),
    Delete(Object),
}

type Stored = BTreeMap<(Kind, String), Object>;

const OPTIONS: Options = Options {
    own_namespace: String::new(),
    standalone: false,
    classes: BTreeSet::new(),
    external_hosts: Vec::new(),
    outbound: Vec::new(),
    default_tls_secret: None,
    api_server: Vec::new(),
};

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![4 => object().prop_map(Event::Apply), 1 => object().prop_map(Event::Delete)];
    prop::collection::vec(event, 0..60).prop_map(|events| [vec![Event::Apply(class())], events].concat())
}

/// What an API server has after these events.
fn stored(events: &[Event]) -> Stored {
    let mut stored = Stored::new();
    for event in events {
        match event {
            Event::Apply(object) => stored.insert(object.id(), object.clone()),
            Event::Delete(object) => stored.remove(&object.id()),
        };
    }
    stored
}

fn listed(stored: &Stored) -> Objects {
    let mut cache = Objects::default();
    for kind in Kind::ALL {
        kind.replace(&mut cache, stored.values().filter(|object| object.kind == kind).cloned().collect());
    }
    cache
}

/// Each route in words: object, host and path, where it sends, and which releases it has.
fn routes(compiled: &Compiled) -> BTreeSet<String> {
    let config = &compiled.config;
    let backend = |index: Option<usize>| index.map(|index| &config.backends[index]);
    let route = |r: &serin_routing::config::Route| {
        let releases: Vec<_> = r
            .releases
            .iter()
            .map(|applied| (&config.releases[applied.release].name, backend(applied.stable), backend(applied.canary)))
            .collect();
        format!("{} {:?} {:?} {:?} {releases:?}", r.object, r.host, r.path, backend(r.backend))
    };
    config.routes.iter().map(route).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_events_give_what_a_fresh_list_gives(events in events()) {
        let mut cache = Objects::default();
        for event in &events {
            match event {
                Event::Apply(object) => object.apply(&mut cache),
                Event::Delete(object) => object.delete(&mut cache),
            };
        }
        prop_assert_eq!(compile(&cache, &OPTIONS), compile(&listed(&stored(&events)), &OPTIONS));
    }

    #[test]
    fn order_of_arrival_decides_nothing(
        (one, other) in events().prop_map(|events| stored(&events).into_values().collect::<Vec<_>>())
            .prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
    ) {
        let [one, other] = [one, other].map(|objects| {
            let mut cache = Objects::default();
            for object in objects {
                object.apply(&mut cache);
            }
            compile(&cache, &OPTIONS)
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn change_that_does_not_matter_changes_nothing(events in events(), last in object()) {
        let mut cache = listed(&stored(&events));
        let before = compile(&cache, &OPTIONS);
        let after = if last.apply(&mut cache) { compile(&listed(&stored(&[events, vec![Event::Apply(last.clone())]].concat())), &OPTIONS) } else { before };
        prop_assert_eq!(after, compile(&cache, &OPTIONS), "what was kept of the last compilation is as it was, or gone");
        prop_assert!(!last.apply(&mut cache), "the same object twice");
    }

    #[test]
    fn config_is_in_order_and_points_only_at_what_it_has(events in events()) {
        let config = compile(&listed(&stored(&events)), &OPTIONS).config;
        let places: Vec<_> = config.routes.iter().map(|r| (&r.host, &r.path)).collect();
        prop_assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", places);
        let targets = config.routes.iter().flat_map(|r| r.releases.iter().flat_map(|applied| [applied.stable, applied.canary]).chain([r.backend])).flatten();
        prop_assert_eq!(targets.collect::<BTreeSet<_>>(), (0..config.backends.len()).collect::<BTreeSet<_>>());
        prop_assert!(config.routes.iter().flat_map(|r| &r.releases).all(|applied| applied.release < config.releases.len()));
        for backend in &config.backends {
            prop_assert!(backend.ready.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", backend);
            prop_assert!(backend.draining.iter().all(|address| !backend.ready.contains(address)), "{:?}", backend);
        }
    }

    #[test]
    fn replica_serves_no_more_than_status_says(events in events()) {
        let stored = stored(&events);
        for release in compile(&listed(&stored), &OPTIONS).config.releases {
            let object = &stored[&(Kind::CanaryRelease, format!("{}/{}", release.namespace, release.name))].value;
            prop_assert_eq!(&object["spec"]["enabled"], true, "a disabled release decides nothing");
            let Traffic::Segment { segment, cap } = release.traffic else { continue };
            let phase = object["status"]["phase"].as_str().unwrap_or_default();
            prop_assert!(["Progressing", "Paused", "Steady", "Promoted"].contains(&phase), "{}", phase);
            prop_assert!(object["metadata"]["annotations"]["serin.dev/abort"].is_null(), "an abort that status has not recorded");
            // The first revision that is seen of a workload completes an identity that began without one.
            let completes = object["spec"]["workloads"]["canary"].is_object();
            prop_assert!(segment.release == release.id || completes, "{:?} is not of {}", segment, release.id);
            prop_assert_eq!(&object["status"]["traffic"]["release"], segment.release.as_str());
            prop_assert_eq!(&object["status"]["traffic"]["to"], segment.to);
            prop_assert!(release.buckets == segment.buckets && cap <= segment.buckets);
        }
    }

    #[test]
    fn younger_ingress_takes_no_route_from_another(events in events(), intruder in younger_ingress()) {
        let mut cache = listed(&stored(&events));
        let before = routes(&compile(&cache, &OPTIONS));
        intruder.apply(&mut cache);
        let after = routes(&compile(&cache, &OPTIONS));
        prop_assert!(before.is_subset(&after), "{:#?}\nwas\n{:#?}", after, before);
    }
}
