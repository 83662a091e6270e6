//! A request that a route should take, and other spellings of its path that it should not.

use bytes::Bytes;
use serde_json::Value;

use super::knock::Request;
use crate::route::pattern::{End, PathPattern, Segment};
use crate::route::{Methods, Route, Verb};

/// The request of a route: its own words where a document has an example, else what its rules let
/// through.
pub(super) fn request_of(route: &Route) -> Request {
    let mut terms = route.charge.all();
    let info = terms.find_map(|terms| terms.declared.bazaar.as_ref()?.get("info")?.get("input"));
    let verb = verb_of(route.pattern.methods);
    let mut target = path_of(&route.pattern.path);
    if let Some(query) = info.and_then(|input| input.get("queryParams")?.as_object()) {
        let pairs = query.iter().map(|(name, value)| (name, text_of(value)));
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        target.push_str(if pairs.is_empty() { "" } else { "?" });
        target.push_str(&pairs.join("&"));
    }
    let takes_body = matches!(verb, Verb::Post | Verb::Put | Verb::Patch);
    let example = info.and_then(|input| input.get("body"));
    let kind = route.body.types.first().map_or("application/json", |kind| kind);
    let body = match (takes_body, example) {
        (false, _) => String::new(),
        (true, Some(Value::String(text))) => text.clone(),
        (true, Some(json)) => json.to_string(),
        (true, None) => "{}".to_owned(),
    };
    let typed = ("Content-Type".to_owned(), kind.to_owned());
    let headers = if takes_body { vec![typed] } else { Vec::new() };
    let host = route.pattern.host.as_deref().unwrap_or("localhost").to_owned();
    Request { method: verb.name(), target, host, headers, body: Bytes::from(body) }
}

fn verb_of(methods: Methods) -> Verb {
    let Methods::Listed(set) = methods else { return Verb::Get };
    let usual = Verb::ALL.into_iter().filter(|verb| !matches!(verb, Verb::Head | Verb::Options));
    let listed = usual.into_iter().find(|verb| set.has(*verb));
    listed.unwrap_or_else(|| if set.has(Verb::Head) { Verb::Head } else { Verb::Options })
}

fn path_of(path: &PathPattern) -> String {
    let text = |segment: &Segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Param(_) => "/1".to_owned(),
    };
    let all: String = path.segments.iter().map(text).collect();
    match path.end {
        End::Bare if all.is_empty() => "/".to_owned(),
        End::Bare => all,
        End::Slash => format!("{all}/"),
        End::Rest => format!("{all}/selftest"),
    }
}

/// A value as it stands in a query, if it needs no escapes.
fn text_of(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let escape =
        |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

/// Other spellings of a path that some server takes for the same.
pub(super) fn spelled(target: &str) -> Vec<String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let rest = path.strip_prefix('/').unwrap_or(path);
    let first = rest.bytes().next().unwrap_or(b'/');
    let coded = format!("/%{first:02x}{}", rest.get(1..).unwrap_or_default());
    let slash = path.rfind('/').filter(|place| *place > 0);
    let cut = |with: &str| {
        slash
            .and_then(|place| path.split_at_checked(place))
            .map(|(head, tail)| format!("{head}{with}{}", tail.strip_prefix('/').unwrap_or(tail)))
    };
    let mut all = vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/selftest/..{path}"),
        format!("/%2e{path}"),
        coded,
        format!("{path}%00"),
        format!("{path};a=b"),
        format!("{path}/."),
        format!("{path}/selftest/.."),
        format!("{path}%3f"),
        format!("{path}#"),
    ];
    all.extend(["%2f", "%2F", "\\", "%5c", "//", "/./"].into_iter().filter_map(cut));
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    all.into_iter().map(|path| format!("{path}{query}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Pattern;

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        let pattern: Pattern = pattern.parse().unwrap();
        let told = format!("{} {}", verb_of(pattern.methods).name(), path_of(&pattern.path));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_pattern_has_an_example() {
        check("POST /v1/images", "POST /v1/images");
        check("HEAD,GET /v1/{id}/x/", "GET /v1/1/x/");
        check("/*", "GET /selftest");
        check("OPTIONS /", "OPTIONS /");
    }

    #[test]
    fn no_spelling_is_the_path_itself() {
        for target in ["/", "/a", "/v1/images?q=1", "/a/b/"] {
            let all = spelled(target);
            assert!(all.len() >= 11, "{all:?}");
            assert!(!all.iter().any(|other| other == target), "{all:?}");
        }
        assert!(spelled("/v1/a").contains(&"/v1%2fa".to_owned()));
        assert!(spelled("/v1/a").contains(&"/%761/a".to_owned()));
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(text_of(&Value::from("a b&c")), "a%20b%26c");
        assert_eq!(text_of(&Value::from(7)), "7");
    }
}
