//! The short lists: the priced URLs, and what an agent reads first.

use serde_json::{Value, json};

use super::price::{Price, networks, sentence};
use super::{HOW_TO_PAY, OPENAPI, Told, WELL_KNOWN};
use crate::route::{Charge, Route, Terms, Tier};
use crate::x402::Network;

/// The URLs that are priced, but those with a part that the client chooses.
pub(super) fn resources(told: Told<'_>) -> Value {
    let mut urls: Vec<&str> = Vec::new();
    for route in told.routes {
        let terms = route.charge.terms(Tier::Otherwise);
        if let Some(Terms { resource, .. }) = terms.filter(|_| route.pattern.path.is_fixed())
            && !urls.contains(&&*resource.url)
        {
            urls.push(&resource.url);
        }
    }
    let openapi = format!("{}{OPENAPI}", told.origin);
    let instructions = format!("{HOW_TO_PAY} Every operation, with its price: {openapi}");
    json!({ "version": 1, "resources": urls, "instructions": instructions })
}

/// The API in Markdown. Source: llmstxt.org.
pub(super) fn for_agents(told: Told<'_>) -> String {
    let mut text = format!("# {}\n", line(told.title));
    if !told.about.description.is_empty() {
        text.push_str(&format!("\n> {}\n", line(&told.about.description)));
    }
    let (free, paid): (Vec<&Route>, Vec<&Route>) =
        told.routes.iter().partition(|route| !route.charge.is_priced());
    if !paid.is_empty() {
        text.push_str(&format!("\n{HOW_TO_PAY}\n\n## Paid\n\n"));
    }
    for route in paid {
        let on: Vec<String> = networks(route).into_iter().map(named).collect();
        let price = Price::of(route);
        let by_rule = matches!(route.charge, Charge::ByRequest(_));
        let rules = sentence(route).filter(|_| by_rule || matches!(price, Price::Between(..)));
        let rules = rules.map(|rules| format!(". {rules}")).unwrap_or_default();
        let entry = entry(told, route);
        text.push_str(&format!("{entry}{price} on {}{rules}\n", on.join(", ")));
    }
    if !free.is_empty() {
        text.push_str("\n## Free\n\n");
    }
    for route in free {
        text.push_str(&format!("{}free\n", entry(told, route)));
    }
    let origin = told.origin;
    text.push_str(&format!(
        "\n## Machine-readable\n\n- [OpenAPI]({origin}{OPENAPI}): every operation, its schema and \
         its price\n- [Priced URLs]({origin}{WELL_KNOWN}): for crawlers\n"
    ));
    text
}

/// What a route is, up to its price.
fn entry(told: Told<'_>, route: &Route) -> String {
    let pattern = &route.pattern;
    let origin = match (&pattern.host, told.origin.split_once("://")) {
        (Some(host), Some((scheme, _))) => format!("{scheme}://{host}"),
        (Some(host), None) => format!("https://{host}"),
        (None, _) => told.origin.to_owned(),
    };
    let described = line(&route.description);
    let between = if described.is_empty() { "" } else { ", " };
    let (methods, path) = (pattern.methods, &pattern.path);
    let described = described.trim_end_matches('.');
    format!("- [{methods} {path}]({origin}{path}): {described}{between}")
}

fn named(network: &Network) -> String {
    match network.known() {
        Some(known) => format!("{} ({network})", known.name),
        None => network.to_string(),
    }
}

/// A text as one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
