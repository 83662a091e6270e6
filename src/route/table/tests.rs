//! Which route answers to what.

use std::time::Duration;

use super::*;
use crate::route::{BodyRules, Charge, Listing, Shape};

fn route(pattern: &str) -> Arc<Route> {
    Arc::new(Route {
        keep_bytes_max: None,
        refusals: Shape::X402,
        contract: None,
        settle: crate::route::SettleMoment::AfterUpstream,
        name: pattern.into(),
        description: Box::default(),
        mime_type: Box::default(),
        listing: Listing::Listed,
        pattern: pattern.parse().unwrap_or_else(|error| panic!("{pattern:?}: {error}")),
        upstream: Some("images".into()),
        charge: Charge::Free,
        class: None,
        free: None,
        body: BodyRules::default(),
        answer_timeout: Duration::from_secs(1),
    })
}

fn table(patterns: &[&str]) -> RouteTable {
    RouteTable::new(patterns.iter().map(|pattern| route(pattern)).collect()).unwrap()
}

/// What is found, in a line: the route's pattern, or the other outcomes by their names.
fn found(table: &RouteTable, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let (host, path) = target.split_at(target.find('/').unwrap());
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let host = (!host.is_empty()).then_some(host);
    match table.find(&method, host, &CanonicalPath::new(path.as_bytes()).unwrap()) {
        Found::Route(route) => route.name.to_string(),
        Found::Options { allow } => format!("options {allow}"),
        Found::MethodNotAllowed { allow } => format!("405 {allow}"),
        Found::OtherSpelling => "other spelling".to_owned(),
        Found::Nothing => "nothing".to_owned(),
    }
}

fn check(patterns: &[&str], rows: &[(&str, &str)]) {
    let mut backwards = patterns.to_vec();
    backwards.reverse();
    for patterns in [patterns, &backwards] {
        let table = table(patterns);
        for (request, expected) in rows {
            assert_eq!(found(&table, request), *expected, "{request} in {patterns:?}");
        }
    }
}

#[test]
fn the_more_specific_path_wins_segment_by_segment() {
    check(
        &["* /*", "* /v1/*", "* /v1/{id}", "* /v1/me", "* /v1/{id}/x", "* /v1/me/{part}"],
        &[
            ("GET /other", "* /*"),
            ("GET /v1", "* /*"),
            ("GET /v1/7", "* /v1/{id}"),
            ("GET /v1/me", "* /v1/me"),
            ("GET /v1/7/x", "* /v1/{id}/x"),
            ("GET /v1/7/y", "* /v1/*"),
            ("GET /v1/me/y", "* /v1/me/{part}"),
            ("GET /v1/me/x", "* /v1/me/{part}"),
            ("GET /v1/me/x/y", "* /v1/*"),
            ("GET /", "nothing"),
        ],
    );
}

#[test]
fn a_dead_end_goes_back_to_a_more_general_route() {
    check(
        &["* /a/b/c", "* /a/{x}/d", "* /{y}/b/e", "* /{z}/*"],
        &[
            ("GET /a/b/c", "* /a/b/c"),
            ("GET /a/b/d", "* /a/{x}/d"),
            ("GET /a/b/e", "* /{y}/b/e"),
            ("GET /a/b/f", "* /{z}/*"),
            ("GET /a", "nothing"),
        ],
    );
}

#[test]
fn a_star_takes_at_least_one_segment() {
    check(
        &["* /v1/*"],
        &[
            ("GET /v1/x", "* /v1/*"),
            ("GET /v1/x/", "* /v1/*"),
            ("GET /v1/x/y", "* /v1/*"),
            ("GET /v1/", "nothing"),
            ("GET /v1", "nothing"),
            ("GET /v12", "nothing"),
        ],
    );
}

#[test]
fn a_parameter_takes_exactly_one() {
    check(
        &["* /v1/{id}", "* /{root}/"],
        &[
            ("GET /v1/x", "* /v1/{id}"),
            ("GET /v1/x/y", "nothing"),
            ("GET /v1/", "* /{root}/"),
            ("GET /v2/", "* /{root}/"),
        ],
    );
}

#[test]
fn another_spelling_never_slips_through_to_a_more_general_route() {
    check(
        &["POST /v1/paid", "* /v1/images:make", "* /v1/done/", "* /v1/*", "* /*"],
        &[
            ("POST /v1/paid", "POST /v1/paid"),
            ("POST /v1/PAID", "other spelling"),
            ("POST /V1/paid", "other spelling"),
            ("POST /v1/paid/", "other spelling"),
            ("GET /v1/Paid", "other spelling"),
            ("GET /v1/done", "other spelling"),
            ("GET /v1/images%3Amake", "other spelling"),
            ("GET /v1/images:Make", "other spelling"),
            ("GET /V1/x", "other spelling"),
            ("GET /v1/done/", "* /v1/done/"),
            ("GET /v1/images:make", "* /v1/images:make"),
            ("GET /v1/a%3Ab", "* /v1/*"),
            ("GET /v1/paid/x", "* /v1/*"),
            ("GET /v2/PAID", "* /*"),
        ],
    );
}

#[test]
fn a_path_may_be_listed_with_and_without_its_final_slash() {
    check(&["* /a", "* /a/", "* /"], &[("GET /a", "* /a"), ("GET /a/", "* /a/"), ("GET /", "* /")]);
}

#[test]
fn literals_may_be_escaped_where_they_must() {
    check(
        &["* /%C3%A9", "* /{x}"],
        &[("GET /%C3%A9", "* /%C3%A9"), ("GET /%C3%A8", "* /{x}"), ("GET /%20", "* /{x}")],
    );
}

#[test]
fn the_method_is_matched_after_the_path() {
    check(
        &["POST /v1/a", "* /v1/*"],
        &[
            ("POST /v1/a", "POST /v1/a"),
            ("GET /v1/a", "405 POST, OPTIONS"),
            ("TRACE /v1/a", "405 POST, OPTIONS"),
            ("PROPFIND /v1/b", "405 GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("DELETE /v1/b", "* /v1/*"),
        ],
    );
}

#[test]
fn routes_share_a_path_by_their_methods() {
    check(
        &["GET /a", "PUT,POST /a", "* /a", "HEAD /b", "GET /b"],
        &[
            ("GET /a", "GET /a"),
            ("POST /a", "PUT,POST /a"),
            ("PATCH /a", "* /a"),
            ("HEAD /b", "HEAD /b"),
        ],
    );
}

#[test]
fn head_is_served_by_get() {
    check(
        &["GET /a", "* /a", "POST /b"],
        &[("HEAD /a", "GET /a"), ("HEAD /b", "405 POST, OPTIONS")],
    );
}

#[test]
fn options_is_ours_unless_a_route_lists_it() {
    check(
        &["POST /a", "* /b", "OPTIONS,GET /c", "GET /d", "POST /d"],
        &[
            ("OPTIONS /a", "options POST, OPTIONS"),
            ("OPTIONS /b", "options GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("OPTIONS /c", "OPTIONS,GET /c"),
            ("OPTIONS /d", "options GET, HEAD, POST, OPTIONS"),
            ("OPTIONS /e", "nothing"),
        ],
    );
}

#[test]
fn a_route_with_the_host_goes_before_one_without() {
    check(
        &["* api.example.com/v1/*", "* /v1/a", "* [::1]/v1/a", "* /v2"],
        &[
            ("GET api.example.com/v1/a", "* api.example.com/v1/*"),
            ("GET API.Example.COM:8402/v1/a", "* api.example.com/v1/*"),
            ("GET api.example.com./v1/a", "* api.example.com/v1/*"),
            ("GET api.example.com.:80/v1/a", "* api.example.com/v1/*"),
            ("GET api.example.com/v2", "* /v2"),
            ("GET api.example.com/v3", "nothing"),
            ("GET example.com/v1/a", "* /v1/a"),
            ("GET [::1]:80/v1/a", "* [::1]/v1/a"),
            ("GET [::1]/v1/a", "* [::1]/v1/a"),
            ("GET /v1/a", "* /v1/a"),
        ],
    );
    let long = format!("GET {}/v1/a", "a".repeat(300));
    assert_eq!(found(&table(&["* a/v1/a", "* /v1/a"]), &long), "* /v1/a");
}

#[test]
fn two_routes_for_one_request_are_a_conflict() {
    let conflict = |first: &str, second: &str| {
        RouteTable::new(vec![route("* /z"), route(first), route(second)]).map(drop)
    };
    let rows = [
        ("GET /a", "GET,POST /a", Some(Clash::Same)),
        ("* /a", "* /a", Some(Clash::Same)),
        ("GET /a/{x}", "GET /a/{y}", Some(Clash::Same)),
        ("GET a.com/*", "GET A.com/*", Some(Clash::Same)),
        ("GET /a", "POST /A", Some(Clash::Spelling)),
        ("GET /a@b", "POST /a%40b", Some(Clash::Spelling)),
        ("GET /a", "GET a.com/a", None),
        ("GET /a", "* /a", None),
        ("GET /a/{x}", "GET /a/*", None),
        ("GET /A/x", "GET /a/y", None),
    ];
    for (first, second, clash) in rows {
        let expected = clash.map(|clash| {
            let (first, second) = (first.into(), second.into());
            RouteConflict { first, second, clash }
        });
        assert_eq!(conflict(first, second).err(), expected, "{first} {second}");
    }
}

#[test]
fn long_paths_are_looked_up_without_going_deep() {
    let table = table(&["* /a/*", "* /{x}/b"]);
    let path = format!("GET /a{}", "/b".repeat(4000));
    assert_eq!(found(&table, &path), "* /a/*");
    let path = format!("GET /a/{}", "B%40".repeat(1000));
    assert_eq!(found(&table, &path), "* /a/*");
}
