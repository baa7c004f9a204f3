//! What the first table waits for.

use super::*;
use crate::update::Named;
use serde_json::json;

fn listed(engine: &mut Engine) {
    for update in [
        Update::Service(Delta::Listed(Vec::new())),
        Update::EndpointSlice(Delta::Listed(Vec::new())),
        Update::Ingress(Delta::Listed(Vec::new())),
        Update::IngressClass(Delta::Listed(Vec::new())),
        Update::BackendPolicy(Delta::Listed(Vec::new())),
        Update::CanaryRelease(Delta::Listed(Vec::new())),
    ] {
        engine.apply(update);
    }
}

/// Whether a table is built, as the loop asks for it.
fn serves(engine: &mut Engine) -> bool {
    let _ = engine.changed_secret_needs();
    engine.rebuild().is_some()
}

fn policy(jwks: &str) -> Value {
    let jwt = json!({"issuer": "i", "jwks": {"secretRef": {"name": jwks, "key": "key"}}});
    json!({"metadata": {"namespace": "shop", "name": "all"}, "spec": {"scope": {"all": true}, "methods": [{"jwt": jwt}]}})
}

#[test]
fn the_first_table_waits_until_each_secret_that_is_named_was_looked_for() {
    let mut engine = Engine::new(Options::default());
    listed(&mut engine);
    assert!(!serves(&mut engine), "AuthPolicies are not listed");
    engine.apply(Update::Consumer(Delta::Listed(Vec::new())));
    engine.apply(Update::AuthPolicy(Delta::Listed(vec![policy("jwks")])));
    assert!(!serves(&mut engine), "its Secret is not read");
    let named = Named { namespace: "shop".to_owned(), names: ["jwks".to_owned()].into() };
    engine.apply(Update::Secret(Arc::new(named), Delta::Listed(Vec::new())));
    assert!(serves(&mut engine), "that it is not there is known");
    engine.apply(Update::AuthPolicy(Delta::Applied(Box::new(policy("other")))));
    assert!(engine.changed_secret_needs().is_some_and(|needs| needs["shop"].contains("other")));
    assert!(engine.is_complete(), "later ones are not waited for: what they are for is closed");
}

#[test]
fn the_first_table_waits_until_each_key_set_that_is_named_was_tried() {
    let mut engine = Engine::new(Options::default());
    listed(&mut engine);
    let mut by_url = policy("jwks");
    by_url["spec"]["methods"][0]["jwt"]["jwks"] = json!({"url": "http://issuer.shop.svc/jwks"});
    engine.apply(Update::Consumer(Delta::Listed(Vec::new())));
    engine.apply(Update::AuthPolicy(Delta::Listed(vec![by_url])));
    assert!(engine.changed_key_sets().is_some_and(|needs| needs.urls.contains("http://issuer.shop.svc/jwks")));
    assert!(!serves(&mut engine), "it is not fetched");
    engine.apply(Update::KeySet("http://elsewhere.shop.svc/jwks".to_owned(), Err("nobody answers".to_owned())));
    assert!(!serves(&mut engine), "that is another one");
    engine.apply(Update::KeySet("http://issuer.shop.svc/jwks".to_owned(), Err("nobody answers".to_owned())));
    assert!(serves(&mut engine), "that nobody answers is known");
}

#[test]
fn consumers_that_cannot_be_read_are_waited_for_only_where_a_policy_needs_them() {
    for (policies, served) in [(Vec::new(), true), (vec![policy("jwks")], false)] {
        let mut engine = Engine::new(Options::default());
        listed(&mut engine);
        engine.apply(Update::AuthPolicy(Delta::Listed(policies)));
        engine.apply(Update::Consumer(Delta::Listed(Vec::new())));
        engine.apply(Update::Unreadable(Kind::Consumer));
        let named = Named { namespace: "shop".to_owned(), names: ["jwks".to_owned()].into() };
        engine.apply(Update::Secret(Arc::new(named), Delta::Listed(Vec::new())));
        assert_eq!(serves(&mut engine), served);
        engine.apply(Update::Consumer(Delta::Listed(Vec::new())));
        assert!(served || serves(&mut engine), "they can be read by now");
    }
}

#[test]
fn a_secret_that_a_watch_of_others_sees_is_not_taken_away_by_it() {
    let mut engine = Engine::new(Options::default());
    listed(&mut engine);
    engine.apply(Update::Consumer(Delta::Listed(Vec::new())));
    engine.apply(Update::AuthPolicy(Delta::Listed(vec![policy("jwks")])));
    assert!(engine.changed_secret_needs().is_some());
    let names =
        |names: &[&str]| Arc::new(Named { namespace: "shop".to_owned(), names: names.iter().map(|name| (*name).to_owned()).collect() });
    let gone = || Delta::Deleted(Name { namespace: "shop".to_owned(), name: "jwks".to_owned() });
    let secret: Secret = serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "jwks"}})).expect("a Secret");
    engine.apply(Update::Secret(names(&["jwks"]), Delta::Listed(vec![secret])));
    assert!(engine.rebuild().is_some());
    engine.apply(Update::Secret(names(&["a", "b"]), gone()));
    assert!(!engine.stale, "nothing changed");
    engine.apply(Update::Secret(names(&["jwks"]), gone()));
    assert!(engine.stale);
}
