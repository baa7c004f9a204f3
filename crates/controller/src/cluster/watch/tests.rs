use super::*;
use serde_json::json;

fn service(value: Value) -> DeserializeGuard<Service> {
    serde_json::from_value(value).unwrap()
}

fn whole(object: DeserializeGuard<Service>) -> (Key, Option<Service>) {
    read(object, Some)
}

#[test]
fn an_object_that_is_not_of_its_shape_is_as_absent_and_a_later_good_one_comes_through() {
    let bad = service(json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"ports": "none"}}));
    assert!(matches!(seen(Ok(Event::InitApply(bad.clone())), &whole), Seen::Nothing));
    assert!(matches!(seen(Ok(Event::Apply(bad)), &whole), Seen::Deleted(key) if key == ("shop".to_owned(), "a".to_owned())));
    let good = service(json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}));
    assert!(matches!(seen(Ok(Event::Apply(good)), &whole), Seen::Applied(..)));
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let annotations = json!({LAST_APPLIED: "{}", "serin.dev/endpoints": "x"});
    let object = json!({"metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}], "annotations": annotations}});
    let (_, kept) = read(service(object), Some);
    let metadata = kept.unwrap().metadata;
    assert!(metadata.managed_fields.is_none_or(|fields| fields.is_empty()));
    assert_eq!(metadata.annotations.unwrap().into_keys().collect::<Vec<_>>(), ["serin.dev/endpoints"]);
}

#[test]
fn only_the_api_servers_own_word_makes_a_kind_missing() {
    let answer = |code: u16| {
        let status = json!({"status": "Failure", "code": code, "message": "", "reason": ""});
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    };
    assert!(refused_with(&Error::InitialListFailed(answer(404)), 404));
    assert!(refused_with(&Error::WatchStartFailed(answer(404)), 404));
    for error in [answer(403), answer(500), kube::Error::TlsRequired] {
        assert!(!refused_with(&Error::InitialListFailed(error), 404));
    }
}

#[test]
fn waits_grow_and_end_at_two_seconds() {
    let waits: Vec<Duration> = Patience::default().take(20).collect();
    assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT), "{waits:?}");
    assert_eq!(waits.last(), Some(&LONGEST_WAIT));
    assert!(waits.first().is_some_and(|wait| *wait < Duration::from_secs(2)), "{waits:?}");
}

#[test]
fn a_past_that_the_api_server_forgot_is_listed_anew_without_waiting_and_other_errors_wait() {
    let told = |code: u16| {
        let status = json!({"status": "Failure", "code": code, "message": "", "reason": ""});
        Error::WatchError(serde_json::from_value(status).unwrap())
    };
    assert!(is_expired(&told(410)));
    assert!(!is_expired(&told(500)));
    assert!(!is_expired(&Error::NoResourceVersion));
}
