//! What may stand in `match`, and where a mistake is said to be.

use super::*;

fn reads(text: &str, shown: &str) {
    let pattern: Pattern = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(pattern.to_string(), shown);
    assert_eq!(shown.parse::<Pattern>().unwrap(), pattern, "shown as it is read");
}

fn fails(text: &str, flaw: PatternFlaw, wrong: &str) {
    let error = text.parse::<Pattern>().unwrap_err();
    assert_eq!((error.flaw, &text[error.span]), (flaw, wrong), "{text:?}");
}

#[test]
fn patterns_read_as_they_are_written() {
    reads("POST /v1/remove-background", "POST /v1/remove-background");
    reads("GET,POST api.example.com/v1/{id}", "GET,POST api.example.com/v1/{id}");
    reads("POST,GET API.Example.com/", "GET,POST api.example.com/");
    reads("* /v1/*", "* /v1/*");
    reads("/healthz", "* /healthz");
    reads("localhost/*", "* localhost/*");
    reads("[::1]/a/", "* [::1]/a/");
    reads("GET /v1/images:generate/%C3%A9", "GET /v1/images:generate/%C3%A9");
    reads("OPTIONS /{a}/b/{c_1}/", "OPTIONS /{a}/b/{c_1}/");
}

#[test]
fn methods_are_upper_case_names_of_what_is_served() {
    fails("FETCH /a", PatternFlaw::Method, "FETCH");
    fails("GET,post /a", PatternFlaw::Method, "post");
    fails("TRACE /a", PatternFlaw::Method, "TRACE");
    fails("GET,GET /a", PatternFlaw::MethodTwice, "GET");
    fails("GET, POST /a", PatternFlaw::Method, "");
    fails("GET,* /a", PatternFlaw::Method, "*");
    fails(" /a", PatternFlaw::Method, "");
}

#[test]
fn a_target_is_one_word_with_a_path() {
    fails("", PatternFlaw::NoPath, "");
    fails("POST", PatternFlaw::NoPath, "POST");
    fails("POST v1", PatternFlaw::NoPath, "v1");
    fails("POST  /v1", PatternFlaw::Shape, " ");
    fails("POST /v1 ", PatternFlaw::Shape, " ");
}

#[test]
fn a_host_is_a_name() {
    fails("GET https://a.com/v1", PatternFlaw::Host, "https:");
    fails("GET a.com:80/v1", PatternFlaw::Host, "a.com:80");
    fails("GET *.a.com/v1", PatternFlaw::Host, "*.a.com");
    fails("GET a..com/v1", PatternFlaw::Host, "a..com");
    fails("GET [::x]/v1", PatternFlaw::Host, "[::x]");
}

#[test]
fn a_parameter_is_a_whole_segment() {
    for wrong in ["{}", "{a", "a}", "{a}b", "x{a}", "{a-b}", "{a}{b}"] {
        fails(&format!("GET /v1/{wrong}/x"), PatternFlaw::Param, wrong);
    }
    fails("GET /{a}/{a}", PatternFlaw::ParamTwice, "{a}");
}

#[test]
fn a_star_stands_at_the_end() {
    fails("GET /*/a", PatternFlaw::Star, "*");
    fails("GET /a*", PatternFlaw::Star, "*");
    fails("GET /a/**", PatternFlaw::Star, "*");
}

#[test]
fn literals_are_what_a_request_can_have() {
    fails("GET /a//b", PatternFlaw::Path(Flaw::EmptySegment), "/");
    fails("GET /a/../b", PatternFlaw::Path(Flaw::DotSegment), ".");
    fails("GET /a?b", PatternFlaw::Path(Flaw::Byte), "?");
    fails("GET /é", PatternFlaw::Path(Flaw::Byte), "é");
    fails("GET /%70aid", PatternFlaw::Path(Flaw::NeedlessEscape), "%");
    fails("GET /a;b", PatternFlaw::Path(Flaw::Byte), ";");
}

#[test]
fn patterns_are_bounded() {
    assert!(format!("/{}", "a".repeat(SEGMENT_BYTES_MAX)).parse::<Pattern>().is_ok());
    assert!(format!("/{}", "a".repeat(SEGMENT_BYTES_MAX + 1)).parse::<Pattern>().is_err());
    assert!("/a".repeat(SEGMENTS_MAX).parse::<Pattern>().is_ok());
    assert!("/a".repeat(SEGMENTS_MAX + 1).parse::<Pattern>().is_err());
    assert!("/a".repeat(PATTERN_BYTES_MAX).parse::<Pattern>().is_err());
}

#[test]
fn a_fixed_path_has_no_parameters() {
    let fixed = |text: &str| text.parse::<Pattern>().unwrap().path.is_fixed();
    assert!(fixed("/a/b/") && fixed("GET /"));
    assert!(!fixed("/a/{b}") && !fixed("/a/*"));
}

#[test]
fn paths_have_one_shape_when_they_differ_in_names_alone() {
    let paths = ["/a/{b}", "/a/{c}", "/a/b", "/a/{b}/", "/{a}/{b}", "/a", ""];
    for (one, other) in paths.iter().flat_map(|one| paths.map(|other| (one, other))) {
        let renamed =
            [*one, other] == ["/a/{b}", "/a/{c}"] || [*one, other] == ["/a/{c}", "/a/{b}"];
        assert_eq!(shape(one) == shape(other), *one == other || renamed, "{one} {other}");
    }
    assert_eq!(shape("/a/{b}"), "/a/{}");
}
