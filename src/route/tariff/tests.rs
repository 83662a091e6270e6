//! Requests held against rules: which terms they are for, and which have two readings.

use std::sync::Arc;

use super::*;
use crate::refusal::Refusal;
use crate::route::Declared;
use crate::x402::Identifying;

fn field(json: &str) -> Result<Option<String>, FieldError> {
    let field: Field = "mode".parse().unwrap();
    field.of(json.as_bytes()).map(|found| found.map(String::from))
}

#[test]
fn a_field_is_text_a_whole_number_true_or_false() {
    for (json, expected) in [
        (r#"{"mode":"expert"}"#, Some("expert")),
        (r#" {"a":[{"mode":1}],"mode":"e\u0078pert","z":{}} "#, Some("expert")),
        (r#"{"m\u006fde":"x"}"#, Some("x")),
        (r#"{"mode":true}"#, Some("true")),
        (r#"{"mode":10}"#, Some("10")),
        (r#"{"mode":-3}"#, Some("-3")),
        (r#"{"mode":null}"#, None),
        (r#"{"other":"mode"}"#, None),
        ("{}", None),
    ] {
        assert_eq!(field(json), Ok(expected.map(str::to_owned)), "{json}");
    }
}

#[test]
fn a_field_with_two_readings_has_none() {
    for json in [
        r#"{"mode":"fast","mode":"expert"}"#,
        r#"{"mode":"fast","Mode":"expert"}"#,
        r#"{"MODE":"expert"}"#,
        r#"{"mode":"fast","m\u006fde":"expert"}"#,
        r#"{"mode":1.0}"#,
        r#"{"mode":1e1}"#,
        r#"{"mode":["expert"]}"#,
        r#"{"mode":{"expert":1}}"#,
        r#"{"mode":99999999999999999999}"#,
        "[]",
        "\"mode\"",
    ] {
        assert_eq!(field(json), Err(FieldError::TwoReadings), "{json}");
    }
    let sign: Field = "kiss".parse().unwrap();
    for json in [r#"{"kiſs":1}"#, "{\"\u{212a}iss\":1}"] {
        assert_eq!(sign.of(json.as_bytes()), Err(FieldError::TwoReadings), "{json}");
    }
}

#[test]
fn what_is_no_json_has_no_field() {
    for json in ["mode=expert", "{\"mode\":", "{} {}", "{'mode':1}", "\u{feff}{}", "{\"mode\":1,}"]
    {
        assert_eq!(field(json), Err(FieldError::NotJson), "{json}");
    }
}

#[test]
fn a_field_stands_within_others() {
    let field: Field = "options.quality".parse().unwrap();
    let of = |json: &str| field.of(json.as_bytes()).map(|found| found.map(String::from));
    assert_eq!(of(r#"{"options":{"quality":"high"}}"#), Ok(Some("high".to_owned())));
    assert_eq!(of(r#"{"options":null,"quality":"high"}"#), Ok(None));
    assert_eq!(of(r#"{"options":"high"}"#), Err(FieldError::TwoReadings));
    assert_eq!(of(r#"{"options":{},"Options":{}}"#), Err(FieldError::TwoReadings));
    for name in ["", ".", "a.", "a b", "a.b.c.d.e.f.g.h.i"] {
        assert!(name.parse::<Field>().is_err(), "{name}");
    }
}

#[test]
fn a_deep_body_is_walked_over() {
    let deep = format!("{{\"a\":{}{},\"mode\":\"x\"}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(field(&deep), Ok(Some("x".to_owned())));
}

#[test]
fn a_part_of_a_query_is_read_as_any_server_would() {
    let of = |query: &str| {
        let found = query::value(query.as_bytes(), "hd").map_err(drop);
        found.map(|found| found.map(|value| String::from_utf8(value).unwrap()))
    };
    for (query, expected) in [
        ("hd=true", Some("true")),
        ("a=b&hd=t%72ue&c", Some("true")),
        ("%68d=a+b", Some("a b")),
        ("hd", Some("")),
        ("hdx=1&xhd=1&h_d=1", None),
        ("", None),
    ] {
        assert_eq!(of(query), Ok(expected.map(str::to_owned)), "{query}");
    }
    for query in [
        "hd=a&hd=b",
        "hd[]=a",
        "hd[0]=a",
        "HD=a",
        "+hd=a",
        "hd%00=a",
        "hd=%",
        "hd=%z1",
        "a;hd=b",
        "hd=a;b",
        "%ff=1",
        "hd+=a",
    ] {
        assert_eq!(of(query), Err(()), "{query}");
    }
}

#[test]
fn a_header_counts_as_it_reaches_the_upstream() {
    let name = HeaderName::from_static("x-tier");
    let check = |headers: &[(&'static str, &'static str)], expected: Result<Option<&str>, ()>| {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let expected = expected.map(|value| value.map(str::as_bytes));
        assert_eq!(header_value(&map, &name), expected, "{headers:?}");
    };
    check(&[("x-tier", " gold ")], Ok(Some("gold")));
    check(&[("x-tier-2", "gold")], Ok(None));
    check(&[("x-tier", "gold"), ("x-tier", "iron")], Err(()));
    check(&[("x-tier", "gold"), ("x_tier", "iron")], Err(()));
    check(&[("x_tier", "gold")], Err(()));
    check(&[("x-tier", "gold"), ("connection", "close, X-Tier")], Err(()));
    let mut dashed = HeaderMap::new();
    dashed.append("x-tier", "gold".parse().unwrap());
    assert_eq!(header_value(&dashed, &HeaderName::from_static("x_tier")), Err(()));
}

#[test]
fn json_says_so_and_is_neither_packed_nor_in_another_alphabet() {
    let check = |headers: &[(&'static str, &'static str)], good: bool| {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        assert_eq!(is_plain_json(&map), good, "{headers:?}");
    };
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"; q=1",
        "application/vnd.api+json",
    ] {
        check(&[("content-type", good)], true);
    }
    check(&[], false);
    for bad in [
        "application/x-www-form-urlencoded",
        "text/json",
        "application/json; charset=utf-7",
        "application/json; charset*=utf-7''utf-7",
        "multipart/form-data; boundary=x",
    ] {
        check(&[("content-type", bad)], false);
    }
    let json = ("content-type", "application/json");
    check(&[json, ("content-encoding", "identity")], true);
    check(&[json, ("content-encoding", "br")], false);
}

/// Terms that no request can be told, told apart by their resource.
fn terms(name: &str) -> Terms {
    let challenge = super::super::Challenge { header: "".into(), fresh: None, body: "".into() };
    Terms {
        resource: crate::x402::Resource {
            url: name.into(),
            description: "".into(),
            mime_type: "".into(),
        },
        wanted: Vec::new(),
        offers: Vec::new(),
        declared: Declared { identifying: Identifying::Off, bazaar: None, sign_in: None },
        honoured: Vec::new(),
        challenge,
        instructions: None,
        url: super::super::ResourceUrl::Fixed { path: "/".into() },
        ready: std::sync::OnceLock::new(),
        ready_page: std::sync::OnceLock::new(),
    }
}

#[test]
fn the_first_rule_that_is_met_counts() {
    let rule = |when, name: &str| PriceRule { when, terms: terms(name) };
    let body = |is: &str| When::Body { field: "mode".parse().unwrap(), is: is.into() };
    let tariff = Arc::new(Tariff {
        rules: vec![
            rule(When::Method(Verb::Get), "get"),
            rule(When::Query { name: "hd".into(), is: "1".into() }, "hd"),
            rule(body("expert"), "expert"),
            rule(body("fast"), "fast"),
        ],
        otherwise: terms("otherwise"),
    });
    assert!(tariff.reads_body());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let check = |method: Method, query: &str, body: &str, expected: &str| {
        let (query, body) = (Some(query.as_bytes()), body.as_bytes());
        let asked = Asked { method: &method, query, headers: &headers, body };
        let tier = tariff.tier(&asked);
        let told = match &tier {
            Ok(tier) => &*tariff.terms(*tier).resource.url,
            Err(Refusal::RequestMalformed(_)) => "malformed",
            Err(_) => "other",
        };
        assert_eq!(told, expected);
    };
    check(Method::GET, "hd=1", r#"{"mode":"expert"}"#, "get");
    check(Method::POST, "hd=1", r#"{"mode":"expert"}"#, "hd");
    check(Method::POST, "hd=2", r#"{"mode":"expert"}"#, "expert");
    check(Method::POST, "", r#"{"mode":"fast"}"#, "fast");
    check(Method::POST, "", r#"{"mode":"other"}"#, "otherwise");
    check(Method::POST, "", "", "otherwise");
    check(Method::POST, "hd=1&hd=2", r#"{"mode":"fast"}"#, "malformed");
    check(Method::POST, "", "mode=expert", "malformed");
    assert_eq!(tariff.all().count(), 5);
}
