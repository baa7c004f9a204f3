//! Whatever a file holds: no panic, and what comes out is YAML that serin reads as what was meant.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serin_import::{File, Imported, Options, kong};

fn import(text: &str, all: bool) -> Result<Imported, serin_import::ImportError> {
    kong::import(&[File { name: "kong.yaml", text }], &Options { namespace: None, all })
}

/// The names of Kong's members, and some that are none.
const NAMES: [&str; 40] = [
    "_format_version",
    "_plugin_configs",
    "_config",
    "services",
    "routes",
    "plugins",
    "consumers",
    "consumer_groups",
    "upstreams",
    "targets",
    "apis",
    "acls",
    "data",
    "next",
    "id",
    "name",
    "host",
    "port",
    "path",
    "url",
    "upstream_url",
    "hosts",
    "paths",
    "service",
    "route",
    "consumer",
    "config",
    "percentage",
    "start",
    "duration",
    "steps",
    "hash",
    "groups",
    "upstream_host",
    "upstream_port",
    "upstream_uri",
    "target",
    "weight",
    "upstream",
    "username",
];
const TEXTS: [&str; 22] = [
    "canary",
    "checkout",
    "checkout.shop.svc",
    "a.b.c.svc.cluster.local",
    ".svc",
    "..",
    "localhost",
    "1.2.3.4:80",
    "[::1]:80",
    "[",
    "::",
    "~/x",
    "/v2?x#y",
    "allow",
    "header",
    "none",
    "nan",
    "-1",
    "1e400",
    "${{ env \"X\" }}",
    "line\nbreak\r\u{2028}\u{85}\0",
    "größe \u{1f980}",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..200_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z.\\-:/~ ]{0,300}".prop_map(Value::from),
    ]
}

/// Any tree of Kong's words.
fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

/// A configuration that is right, but for one member anywhere.
fn mangled() -> impl Strategy<Value = Value> {
    let whole = json!({
        "_format_version": "3.0",
        "services": [{"id": "1", "name": "checkout", "host": "v1.shop", "port": 80, "routes": [{"name": "r", "hosts": ["shop.example"],
            "paths": ["/a"], "plugins": [{"name": "canary", "config": {"percentage": 10, "upstream_host": "v2.shop"}}]}],
            "plugins": [{"name": "canary", "instance_name": "i", "enabled": true, "config": {"hash": "header", "hash_header": "X-A", "start": 0,
            "duration": 60, "steps": 10, "upstream_port": 81, "upstream_uri": "/v2", "canary_by_header_name": "X-C", "upstream_fallback": true}}]}],
        "consumers": [{"username": "alice", "acls": [{"group": "testers"}], "keyauth_credentials": [{"key": "never-told"}]}],
        "upstreams": [{"name": "v1.shop", "hash_on": "cookie", "hash_on_cookie": "c", "targets": [{"target": "10.0.0.1:80", "weight": 100},
            {"target": "10.0.0.2:80", "weight": 1}]}, {"name": "v2.shop", "targets": [{"target": "10.0.0.3:80"}]}],
        "plugins": [{"name": "canary", "service": "checkout", "consumer": {"id": "alice"}, "config": {"hash": "allow", "groups": ["testers"],
            "upstream_host": "example.com"}},
            {"name": "key-auth", "service": "checkout", "config": {"key_names": ["apikey"], "key_in_query": false}},
            {"name": "basic-auth", "route": "r", "config": {"realm": "shop", "anonymous": "alice"}}]
    });
    (tree(), any::<prop::sample::Index>()).prop_map(move |(value, index)| {
        let mut whole = whole.clone();
        let mut pointers = Vec::new();
        collect(&whole, String::new(), &mut pointers);
        if let Some(place) = whole.pointer_mut(&pointers[index.index(pointers.len())]) {
            *place = value;
        }
        whole
    })
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{at}/{index}"), pointers)),
        Value::Object(members) => members.iter().for_each(|(name, member)| collect(member, format!("{at}/{name}"), pointers)),
        _ => {}
    }
    pointers.push(at);
}

/// What came out is YAML, as many objects as were counted, and releases are ones that an API server takes.
fn check(text: &str, all: bool) -> Result<(), TestCaseError> {
    let Ok(imported) = import(text, all) else { return Ok(()) };
    let printed = imported.to_string();
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
    let objects: Vec<_> = documents.into_iter().filter(|document| !document.is_null()).collect();
    prop_assert_eq!(objects.len(), imported.documents.len(), "{}", printed);
    for object in &objects {
        let findings = serin_api::findings(object["kind"].as_str().unwrap_or_default(), object).unwrap_or_default();
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.reason == serin_api::reason::INVALID_SPEC).collect();
        prop_assert!(wrong.is_empty(), "{:?}\n{}", wrong, object);
    }
    for note in &imported.notes {
        let line = note.to_string();
        prop_assert!(!line.contains(char::is_control) && !line.contains("never-told"), "{:?}", line);
        prop_assert!(line.ends_with(['.', '?']), "{:?}", line);
    }
    prop_assert!(!printed.contains("never-told"), "{}", printed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_tree_of_kongs_words_is_read_without_panic(value in tree(), all: bool) {
        check(&value.to_string(), all)?;
    }

    #[test]
    fn a_configuration_with_one_member_mangled_gives_releases_that_are_valid(value in mangled(), all: bool) {
        check(&value.to_string(), all)?;
    }

    #[test]
    fn any_text_is_read_without_panic(text: String, all: bool) {
        check(&text, all)?;
    }
}

#[test]
fn a_file_of_something_else_is_an_error_that_names_file_and_cure() {
    for (text, expected) in [
        ("kind: [", "kong.yaml: "),
        ("7", "kong.yaml: document 1 is no object: give declarative configuration"),
        ("{apiVersion: v1, kind: Service}", "kong.yaml: document 1 is an object of Kubernetes: give declarative"),
        ("{greeting: hello}", "kong.yaml: document 1 is no entity of Kong that is known here: give"),
        ("[7]", "kong.yaml: document 1 is a list of something else: give"),
    ] {
        let error = import(text, false).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
