//! Says what a configuration means, route by route, down to the 402.

mod beside;

use std::io::{self, Write};
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::discovery::{LLMS, OPENAPI, Serve, WELL_KNOWN};
use crate::facilitator::chain::{self, RpcUrl, evm, svm};
use crate::facilitator::http::Auth;
use crate::ledger::{Keep, LedgerUrl};
use crate::limit::{By, Rate, Store};
use crate::route::upstream::{
    Balance, Bundled, Health, Http, Kind, Origin, Servers, Upstream, Work,
};
use crate::route::usage::Missing;
use crate::route::{
    AskedBy, BodyRules, CanonicalPath, Challenge, Charge, Found, Route, RouteTable, Shape, Terms,
    Tier,
};
use crate::x402::{AssetTransferMethod, PaymentRequired, PaymentRequiredV1, encoding};

use self::beside::{the_authority, the_included, the_traces};
use super::sign_in::lets_in;
use super::{Check, Config, FacilitatorSettings};

/// Writes what each route charges, where it goes and the 402 it would send, and then the warnings.
pub(super) fn explain(config: &Config, out: &mut impl Write) -> io::Result<()> {
    the_gateway(config, out)?;
    for route in &config.routes {
        writeln!(out, "\n{}", route.pattern)?;
        if *route.name != *route.pattern.to_string() {
            row(out, "name", &route.name)?;
        }
        match &route.charge {
            Charge::Free => row(out, "price", "free")?,
            Charge::Exact(terms) => the_terms(config, terms, out)?,
            Charge::ByRequest(tariff) => {
                for rule in &tariff.rules {
                    row(out, "where", &rule.when.to_string())?;
                    the_terms(config, &rule.terms, out)?;
                }
                row(out, "otherwise", "")?;
                the_terms(config, &tariff.otherwise, out)?;
            }
        }
        the_rest(config, route, out)?;
        if let Some(terms) = route.charge.terms(Tier::Otherwise) {
            if terms.offers.len() < terms.wanted.len() {
                writeln!(out, "    {}", awaited(terms))?;
            }
            if !terms.offers.is_empty() {
                the_402(&terms.challenge, out)?;
            }
        }
    }
    for warning in &config.warnings {
        writeln!(out, "\nwarning: {warning}")?;
    }
    let (routes, warnings) = (config.routes.len(), config.warnings.len());
    writeln!(out, "\n{}, {}, no mistakes", counted(routes, "route"), counted(warnings, "warning"))
}

fn the_gateway(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let server = &config.server;
    the_included(&config.included, out)?;
    row(out, "listen", &format!("{}; operators {}", server.listen, server.admin))?;
    if let Some(Check { listen, asked_by }) = &config.check {
        row(out, "asked", &format!("{listen}, by {}", asked_by.name()))?;
    }
    for certificate in &config.certificates {
        row(out, "TLS", &listed(certificate.names.iter().map(ToString::to_string)))?;
    }
    if let Some(acme) = &config.acme {
        the_authority(acme, out)?;
    }
    for bypass in &config.bypasses {
        row(out, "free for", &bypass.name)?;
    }
    if config.block.sizes() != (0, 0) {
        let (ranges, payers) = config.block.sizes();
        let (ranges, payers) = (counted(ranges, "address block"), counted(payers, "payer"));
        row(out, "turns away", &format!("{ranges}, {payers}"))?;
    }
    row(out, "public URL", server.public_url.as_deref().unwrap_or("none: no route is priced"))?;
    row(out, "agents", &found(config))?;
    if config.dashboard.is_some() {
        let page = format!("http://{}{}", server.admin, crate::dashboard::PATH);
        row(out, "dashboard", &page)?;
    }
    if let Some(traces) = &config.traces {
        the_traces(traces, out)?;
    }
    row(out, "ledger", &format!("{}; {}", config.ledger, kept(config)))?;
    let limit =
        |rate: Option<_>| rate.map_or("off".to_owned(), |rate: Rate| format!("{rate} by address"));
    let (unpaid, refused) = (limit(config.limits.unpaid), limit(config.limits.refused));
    row(out, "limits", &format!("unpaid requests {unpaid}; refused payments {refused}"))?;
    let Some(Store { url, replicas, .. }) = &config.limits.store else { return Ok(()) };
    let parts = match replicas.get() {
        1 => "while it is away each gateway has all of them".to_owned(),
        count => format!("while it is away each of {count} gateways has its part"),
    };
    row(out, "  shared", &format!("in {url}; {parts}"))
}

/// What agents find, and what a route hides from them.
fn found(config: &Config) -> String {
    let pages = [OPENAPI, WELL_KNOWN, LLMS];
    match config.discovery.serve {
        Serve::Off => "find no documents".to_owned(),
        Serve::Always => format!("find {}", pages.join(", ")),
        Serve::UnlessRouted => {
            // The routes were put into a table before, and did not clash.
            let forwarded = config.routes.iter().filter(|route| route.upstream.is_some()).cloned();
            let table = RouteTable::new(forwarded.collect()).ok();
            let is_routed = |page: &&str| {
                let path = CanonicalPath::new(page.as_bytes()).ok();
                let found = table.as_ref().zip(path);
                let found = found.map(|(table, path)| table.find(&Method::GET, None, &path));
                !matches!(found, None | Some(Found::Nothing))
            };
            let (routed, open): (Vec<_>, Vec<_>) = pages.into_iter().partition(is_routed);
            let open = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
            match &*routed {
                [] => format!("find {open}"),
                _ => format!("find {open}; routes have {}", routed.join(", ")),
            }
        }
    }
}

/// How long payments are kept.
fn kept(config: &Config) -> String {
    match (&config.ledger, config.keep) {
        (LedgerUrl::Memory, _) => "forgets all when it ends".to_owned(),
        (_, Keep::Forever) => "keeps payments for ever".to_owned(),
        (_, Keep::For(length)) => {
            let days = usize::try_from(length.as_secs() / (24 * 3600)).unwrap_or(usize::MAX);
            format!("keeps payments {}", counted(days, "day"))
        }
    }
}

fn the_terms(config: &Config, terms: &Terms, out: &mut impl Write) -> io::Result<()> {
    for offered in &terms.wanted {
        let offer = &offered.offer.requirements;
        let network = config.networks.values().find(|network| {
            network.network == offer.network
                && network.asset == offer.asset
                && network.pay_to == offer.pay_to
                && (offered.usage.is_some() || network.transfer.method() == offered.offer.method())
        });
        let name = network.map_or("", |network| &*network.name);
        let price = offer.amount.to_decimal(offered.decimals);
        let rate = offered.usage.as_ref().map(|usage| usage.shown(offered.decimals));
        let rate = rate.map(|rate| format!("{rate}, up to ")).unwrap_or_default();
        row(out, "price", &format!("{rate}${price} on {name} ({})", offer.network))?;
        if let Some(usage) = &offered.usage {
            let otherwise = match usage.missing {
                Missing::Nothing => "nothing",
                Missing::Max => "the maximum",
            };
            let read = format!("{}; an answer without it costs {otherwise}", usage.from);
            row(out, "  read from", &read)?;
        }
        let asset = offer.asset;
        let asset_name = offer
            .extra
            .evm()
            .and_then(|evm| evm.domain.as_ref())
            .map(|domain| format!("{} ", domain.name));
        row(out, "  asset", &format!("{}{asset}", asset_name.unwrap_or_default()))?;
        if offered.usage.is_some() {
            row(out, "  moved by", "permit2 and `upto`, not offered in version 1")?;
        } else if let Some(network) = network
            && network.transfer.method() == Some(AssetTransferMethod::Permit2)
        {
            row(out, "  moved by", network.transfer.shown())?;
        }
        row(out, "  pay to", &offer.pay_to.to_string())?;
        for (at, name) in offered.facilitators.iter().enumerate() {
            row(out, if at == 0 { "  by" } else { "  else by" }, &facilitator(config, name))?;
        }
        if let Some(risk) = offered.risk {
            let most = risk.to_decimal(offered.decimals);
            row(out, "  at risk", &format!("up to ${most} of each payer, answered first"))?;
        }
    }
    Ok(())
}

/// What is offered once it is known who settles.
fn awaited(terms: &Terms) -> &'static str {
    match terms.is_by_usage() {
        true => "`upto` once the facilitator has said from which address it settles",
        false => "on Solana once the facilitator has said who pays the fee",
    }
}

fn facilitator(config: &Config, name: &str) -> String {
    match config.facilitators.get(name) {
        Some(FacilitatorSettings::Simulated(_)) => format!("{name}: simulated, no real money"),
        Some(FacilitatorSettings::Http(settings)) => match &settings.auth {
            Auth::None => format!("{name}: {}", settings.url),
            auth => format!("{name}: {}, {}", settings.url, auth.kind()),
        },
        Some(FacilitatorSettings::Chain(settings)) => {
            let nodes = listed(settings.rpc().iter().map(RpcUrl::shown));
            match settings {
                chain::Settings::Evm(evm::Settings { signers, bounds, .. }) => {
                    let signers = signers.iter().map(|key| key.address().to_checksum(None));
                    let (signers, deep) = (listed(signers), bounds.confirmations);
                    format!("{name}: our signer {signers} by {nodes}, {deep} deep")
                }
                chain::Settings::Svm(svm::Settings { fee_payer, bounds, .. }) => {
                    let (fee_payer, deep) = (fee_payer.address(), bounds.depth.name());
                    format!("{name}: our fee payer {fee_payer} by {nodes}, {deep}")
                }
            }
        }
        None => name.to_string(),
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn the_rest(config: &Config, route: &Route, out: &mut impl Write) -> io::Result<()> {
    if let Some(name) = &route.class
        && let Some(class) = config.limits.classes.get(name)
    {
        let by = match class.by {
            By::Ip => "address",
            By::Payer => "payer",
        };
        row(out, "limit", &format!("{name}: {} by {by}", class.rate))?;
    }
    if let Some(rate) = route.free {
        row(out, "free first", &format!("{rate} by address"))?;
    }
    if let Some(within) = lets_in(route) {
        let paths = if route.pattern.path.is_fixed() { "" } else { ", to all of its paths" };
        let within = shown(within);
        row(out, "sign in", &format!("a wallet that has paid, for {within} after that{paths}"))?;
    }
    if route.refusals == Shape::Assistant {
        row(out, "refusals", "as the published assistant API")?;
    }
    let Some(name) = &route.upstream else { return asked_about(config, route, out) };
    row(out, "body", &body(&route.body, config.server.body_bytes_max))?;
    let Some(upstream) = config.upstreams.get(name) else { return Ok(()) };
    let (place, wait) = (place(upstream), shown(route.answer_timeout));
    row(out, "upstream", &format!("{name}: {place}, answers within {wait}"))?;
    if let Kind::Servers(servers) = &upstream.kind {
        the_servers(servers, out)?;
    }
    for (name, secret) in &upstream.headers {
        row(out, "  header", &format!("{name}: … ({})", secret.source()))?;
    }
    Ok(())
}

/// What somebody else forwards, and what is lost by that.
fn asked_about(config: &Config, route: &Route, out: &mut impl Write) -> io::Result<()> {
    row(out, "forwarded", "by the proxy that asks; the body is not seen here")?;
    if !route.charge.is_priced() {
        return Ok(());
    }
    if config.check.is_some_and(|check| check.asked_by == AskedBy::ExtProc) {
        let wait = shown(route.answer_timeout);
        row(out, "answers", &format!("within {wait}, as the proxy tells of them; none is kept"))?;
    } else {
        row(out, "settled", "before it is forwarded: an API that fails is paid all the same,")?;
        row(out, "", "and whoever comes back with the payment gets 409, no answer is kept")?;
    }
    Ok(())
}

fn the_servers(servers: &Servers, out: &mut impl Write) -> io::Result<()> {
    if let Some(Health { path, every, timeout, .. }) = &servers.health {
        let (every, timeout) = (shown(*every), shown(*timeout));
        let what = path.as_deref().map_or("a connection".to_owned(), |path| format!("GET {path}"));
        row(out, "  health", &format!("{what} within {timeout}, every {every}"))?;
    }
    let Some(tls) = &servers.tls else { return Ok(()) };
    if !tls.authorities.is_empty() {
        let count = counted(tls.authorities.len(), "certificate");
        row(out, "  trusts", &format!("only whom {count} of its own vouch for"))?;
    }
    if tls.shown.is_some() {
        row(out, "  shows", "a certificate of its own")?;
    }
    Ok(())
}

fn body(rules: &BodyRules, bytes_max: u64) -> String {
    let types = match &*rules.types {
        [] => "any type".to_owned(),
        types => types.join(", "),
    };
    format!("{types}; at most {}", size(rules.bytes_max.unwrap_or(bytes_max)))
}

fn place(upstream: &Upstream) -> String {
    match &upstream.kind {
        Kind::Servers(Servers { origins, tls, balance, .. }) => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let urls = origins.iter().map(|Origin { host, port }| match host.contains(':') {
                true => format!("{scheme}://[{host}]:{port}"),
                false => format!("{scheme}://{host}:{port}"),
            });
            let http = match upstream.http {
                Http::One => "",
                Http::Two => " by HTTP/2",
            };
            let balance = match balance {
                Balance::RoundRobin if origins.len() == 1 => String::new(),
                balance => format!(" ({})", balance.name()),
            };
            format!("{}{http}{balance}", listed(urls))
        }
        Kind::Bundled { service, work } => bundled(*service, work),
    }
}

fn bundled(service: Bundled, work: &Work) -> String {
    let model = work.model.as_ref().map(|model| format!(", by {}", model.display()));
    let parallel = match (work.parallel, &work.model) {
        (Some(parallel), _) => format!("{parallel} at once"),
        (None, None) => "one per core at once".to_owned(),
        (None, Some(_)) => "as many at once as its model allows".to_owned(),
    };
    let memory = work.memory_mb.map(|count| format!(" in {count}MB"));
    let (model, memory) = (model.unwrap_or_default(), memory.unwrap_or_default());
    format!("{}{model}, bundled, {parallel}{memory} and {} waiting", service.name(), work.queue)
}

/// The answer to a request without payment, as it goes over the wire and as it is read.
fn the_402(challenge: &Challenge, out: &mut impl Write) -> io::Result<()> {
    let header = String::from_utf8_lossy(&challenge.header);
    writeln!(out, "  without payment:")?;
    writeln!(out, "    HTTP/1.1 402 Payment Required")?;
    writeln!(out, "    Content-Type: application/json")?;
    writeln!(out, "    Cache-Control: no-store")?;
    writeln!(out, "    PAYMENT-REQUIRED: {header}")?;
    writeln!(out, "  its header, decoded, for version 2:")?;
    let decoded = encoding::decode(&challenge.header).unwrap_or_default();
    json::<PaymentRequired>(out, &decoded)?;
    writeln!(out, "  its body, the terms for version 1:")?;
    json::<PaymentRequiredV1>(out, &challenge.body)
}

/// An object of the protocol, its keys in the protocol's order.
fn json<T: DeserializeOwned + Serialize>(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let object: T = serde_json::from_slice(bytes)?;
    for line in serde_json::to_string_pretty(&object)?.lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn row(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {name:<10} {value}")
}

/// In the largest unit that says it whole.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % 1_000_000 == 0 => format!("{}MB", bytes / 1_000_000),
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}

/// In the largest unit that says it whole.
fn shown(length: Duration) -> String {
    match length.as_millis() {
        millis if millis % 86_400_000 == 0 => format!("{}d", millis / 86_400_000),
        millis if millis % 3_600_000 == 0 => format!("{}h", millis / 3_600_000),
        millis if millis % 60_000 == 0 => format!("{}m", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
        [ledger]
        url = "memory:"
        [networks.base-sepolia]
        pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        facilitator = "dev"
        [facilitators.dev.simulated]
        [traces]
        endpoint = "https://collector.example/otlp/"
        headers = { x-key = { env = "KEY" } }
        sample = "2.5%"
        trusted_parents = ["10.0.0.0/8"]
        [limits.class]
        ai = { rate = "60/min", by = "payer" }
        [upstreams.api]
        url = "https://api.example.com"
        headers = { authorization = { env = "KEY" }, x-plain = "hunter2" }
        [upstreams.old]
        url = "http://127.0.0.1:1"
        [upstreams.photos]
        bundled = "background-removal"
        [upstreams.more-photos]
        bundled = "background-removal"
        parallel = 3
        queue = 4
        memory = "4GB"
        [upstreams.several]
        urls = ["http://a", "http://[::1]:9000"]
        balance = "hash-ip"
        health = { path = "/healthz" }
        [[routes]]
        match = "POST /v1/images"
        upstream = "api"
        price = "$0.05"
        networks = ["base-sepolia"]
        class = "ai"
        sign_in = "24h"
        body = { types = ["image/png"], max = "2MB" }
        timeout = "1500ms"
        [[routes]]
        name = "docs"
        match = "GET /docs/*"
        upstream = "api"
        price = "free"
        [[routes]]
        match = "POST /photos"
        upstream = "photos"
        price = "free"
        [[routes]]
        match = "POST /more-photos"
        upstream = "more-photos"
        price = "free"
        [[routes]]
        match = "POST /several"
        upstream = "several"
        price = "free"
    "#;

    fn checked() -> String {
        let env = |_: &str| Some("hunter2".to_owned());
        let config = Config::parse(TEXT, Path::new("gateway.toml"), &env).unwrap();
        let mut out = Vec::new();
        explain(&config, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_says_what_each_route_means() {
        let said = checked();
        for line in [
            "  limits     unpaid requests 30/min by address; refused payments 30/min by address",
            "  traces     2.5% to https://collector.example/otlp/v1/traces, as tollgate",
            "    header   x-key: … (env KEY)",
            "    kept as  said by 10.0.0.0/8",
            "POST /v1/images",
            "  price      $0.05 on base-sepolia (eip155:84532)",
            "    asset    USDC 0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "    pay to   0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "    by       dev: simulated, no real money",
            "  limit      ai: 60/min by payer",
            "  sign in    a wallet that has paid, for 1d after that",
            "  body       image/png; at most 2MB",
            "  upstream   api: https://api.example.com:443, answers within 1500ms",
            "    header   authorization: … (env KEY)",
            "    HTTP/1.1 402 Payment Required",
            "          \"network\": \"eip155:84532\",",
            "          \"maxAmountRequired\": \"50000\",",
            "GET /docs/*",
            "  name       docs",
            "  price      free",
            "  upstream   photos: background-removal, bundled, one per core at once and 16 \
             waiting, answers within 1m",
            "  upstream   more-photos: background-removal, bundled, 3 at once in 4000MB and 4 \
             waiting, answers within 1m",
            "  upstream   several: http://a:80, http://[::1]:9000 (hash-ip), answers within 1m",
            "    health   GET /healthz within 2s, every 5s",
            "warning: gateway.toml:18:20: no route uses upstream `old`",
            "5 routes, 1 warning, no mistakes",
        ] {
            assert!(said.lines().any(|said| said == line), "{line}\n---\n{said}");
        }
    }

    #[test]
    fn it_shows_no_secret() {
        assert!(!checked().contains("hunter2"));
    }

    #[test]
    fn lengths_of_time_are_short() {
        for (millis, text) in [(86_400_000, "1d"), (7_200_000, "2h")] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
        }
        for (millis, text) in [(60_000, "1m"), (90_000, "90s"), (1_500, "1500ms")] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
        }
    }
}
