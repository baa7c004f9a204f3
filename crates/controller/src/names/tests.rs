use super::*;
use serin_testkit::dns::Dns;

fn answer(addresses: &[&str], lives: u64) -> Result<Answer, String> {
    Ok(Answer { addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(), lives: Duration::from_secs(lives) })
}

#[test]
fn a_name_is_asked_for_again_when_its_answer_is_over_within_bounds() {
    let mut known = Known::default();
    let pauses = [30, 0, 100_000].map(|lives| known.hear(answer(&["192.0.2.1"], lives)).1.as_secs());
    assert_eq!(pauses, [30, 1, 300]);
}

#[test]
fn the_last_answer_is_kept_while_nobody_answers_and_not_when_the_name_is_gone() {
    let mut known = Known::default();
    let mut hear = |said| {
        let (Resolution { addresses, failure }, pause) = known.hear(said);
        (addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), failure, pause.as_secs())
    };
    let no_answer = || Err("no answer".to_owned());
    let failed = |addresses: &str, pause| (addresses.to_owned(), Some("no answer".to_owned()), pause);
    assert_eq!(hear(no_answer()), failed("", 1));
    assert_eq!(hear(answer(&["192.0.2.1", "192.0.2.2"], 5)), ("192.0.2.1 192.0.2.2".to_owned(), None, 5));
    for pause in [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30] {
        assert_eq!(hear(no_answer()), failed("192.0.2.1 192.0.2.2", pause));
    }
    assert_eq!(hear(answer(&["192.0.2.2"], 5)), ("192.0.2.2".to_owned(), None, 5));
    assert_eq!(hear(answer(&[], 0)), (String::new(), Some("the name does not exist, or has no address".to_owned()), 1));
}

#[tokio::test]
async fn the_dns_is_asked_for_the_names_that_are_wanted_and_for_no_others() {
    let dns = Dns::start(1).unwrap();
    let ip = |last| IpAddr::from([127, 0, 0, last]);
    dns.says("two.example", &[ip(3), ip(2)]);
    let mut names = Names::new(Resolver::new(&[dns.address()]));
    names.are(&BTreeSet::from(["two.example".to_owned(), "gone.example".to_owned()]));
    let mut first = BTreeMap::new();
    while first.len() < 2 {
        let Update::Host(name, resolution) = names.next().await else { panic!("only hosts are told") };
        first.insert(name, resolution.addresses);
    }
    let expected = [("gone.example".to_owned(), BTreeSet::new()), ("two.example".to_owned(), BTreeSet::from([ip(2), ip(3)]))];
    assert_eq!(first, BTreeMap::from(expected));
    names.are(&BTreeSet::from(["two.example".to_owned()]));
    dns.falls_silent(true);
    loop {
        let Update::Host(name, resolution) = names.next().await else { panic!("only hosts are told") };
        // What was on its way before may still come.
        if let Some(failure) = resolution.failure.filter(|_| name == "two.example") {
            assert!(failure.starts_with("no DNS server answers: "), "{failure}");
            assert_eq!(resolution.addresses.len(), 2);
            return;
        }
    }
}
