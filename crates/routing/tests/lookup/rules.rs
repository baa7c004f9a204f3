use super::{route, table, taken};

/// Each: the routes, then requests and the route that takes them (`-`: none).
fn check(routes: &[&str], requests: &[(&str, &str, &str)]) {
    let forward = table(routes.iter().map(|r| route(r)));
    let backward = table(routes.iter().rev().map(|r| route(r)));
    for (host, path, expected) in requests {
        assert_eq!(taken(&forward, host, path).unwrap_or("-"), *expected, "{host}{path} of {routes:?}");
        assert_eq!(taken(&backward, host, path).unwrap_or("-"), *expected, "{host}{path} of {routes:?}, reversed");
    }
}

#[test]
fn path_types_are_those_of_the_table_in_the_ingress_docs() {
    for (kind, routes, path, expected) in [
        ("Prefix", &["* /"][..], "/any/path", "* /"),
        ("Exact", &["* =/foo"], "/foo", "* =/foo"),
        ("Exact", &["* =/foo"], "/bar", "-"),
        ("Exact", &["* =/foo"], "/foo/", "-"),
        ("Exact", &["* =/foo/"], "/foo", "-"),
        ("Prefix", &["* /foo"], "/foo", "* /foo"),
        ("Prefix", &["* /foo"], "/foo/", "* /foo"),
        ("Prefix", &["* /foo/"], "/foo", "* /foo/"),
        ("Prefix", &["* /foo/"], "/foo/", "* /foo/"),
        ("Prefix", &["* /aaa/bb"], "/aaa/bbb", "-"),
        ("Prefix", &["* /aaa/bbb"], "/aaa/bbb", "* /aaa/bbb"),
        ("Prefix", &["* /aaa/bbb/"], "/aaa/bbb", "* /aaa/bbb/"),
        ("Prefix", &["* /aaa/bbb"], "/aaa/bbb/", "* /aaa/bbb"),
        ("Prefix", &["* /aaa/bbb"], "/aaa/bbb/ccc", "* /aaa/bbb"),
        ("Prefix", &["* /aaa/bbb"], "/aaa/bbbxyz", "-"),
        ("Prefix", &["* /", "* /aaa"], "/aaa/ccc", "* /aaa"),
        ("Prefix", &["* /", "* /aaa"], "/ccc", "* /"),
        ("Prefix", &["* /", "* /aaa", "* /aaa/bbb"], "/aaa/bbb", "* /aaa/bbb"),
        ("Mixed", &["* =/foo", "* /foo"], "/foo", "* =/foo"),
        ("Mixed", &["* =/foo", "* /foo"], "/foo/", "* /foo"),
    ] {
        let table = table(routes.iter().map(|r| route(r)));
        assert_eq!(taken(&table, "a.example", path).unwrap_or("-"), expected, "{kind}: {path} of {routes:?}");
    }
}

#[test]
fn exact_host_goes_before_wildcard_before_any() {
    check(
        &["a.example /", "*.example /", "* /"],
        &[("a.example", "/x", "a.example /"), ("b.example", "/x", "*.example /"), ("example", "/x", "* /"), ("", "/", "* /")],
    );
}

#[test]
fn host_goes_before_path() {
    check(&["a.example /", "* =/x"], &[("a.example", "/x", "a.example /"), ("b.example", "/x", "* =/x"), ("b.example", "/y", "-")]);
}

#[test]
fn wildcard_takes_exactly_one_label() {
    check(
        &["*.foo.com /"],
        &[("bar.foo.com", "/", "*.foo.com /"), ("baz.bar.foo.com", "/", "-"), ("foo.com", "/", "-"), (".foo.com", "/", "-")],
    );
}

#[test]
fn path_that_a_host_does_not_have_falls_to_the_next_host() {
    check(
        &["a.example /api", "*.example /web", "* /", "default /"],
        &[
            ("a.example", "/api/1", "a.example /api"),
            ("a.example", "/web", "*.example /web"),
            ("a.example", "/other", "* /"),
            ("b.example", "/api", "* /"),
        ],
    );
}

#[test]
fn default_backend_takes_what_is_left() {
    check(&["a.example /api", "default /"], &[("a.example", "/", "default /"), ("b.example", "/api", "default /")]);
    check(&["a.example /api"], &[("a.example", "/", "-"), ("b.example", "/api", "-")]);
}

#[test]
fn one_host_and_path_given_twice_does_not_depend_on_the_order() {
    let mut second = route("a.example /x");
    second.object = "a.example /x, again".into();
    let forward = table([route("a.example /x"), second.clone()]);
    let backward = table([second, route("a.example /x")]);
    assert_eq!(taken(&forward, "a.example", "/x"), Some("a.example /x"));
    assert_eq!(taken(&backward, "a.example", "/x"), Some("a.example /x"));
}

#[test]
fn path_of_many_elements_is_one_walk() {
    let deep = "/a".repeat(100_000);
    let table = table([route("* /a"), route(&format!("* ={deep}"))]);
    assert_eq!(taken(&table, "h", &format!("{deep}/b")), Some("* /a"));
}
