//! One route, asked, paid and attacked as clients would.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::SelftestError;
use super::books::{Books, Bought};
use super::example::{request_of, spelled};
use super::forge;
use super::knock::{Answer, Origins, Request};
use super::report::{Report, Wrong};
use super::stand_in::{Asked, StandIn};
use crate::cli::pay::{Demand, Payable, Payment, Receipt, Terms, Unpayable, Wallet};
use crate::clock::Clock;
use crate::route::{OfferedBy, Route, SettleMoment};
use crate::x402::Network;

/// Where trials take place.
pub(super) struct Place<'a> {
    pub(super) gateway: SocketAddr,
    pub(super) upstream: &'a StandIn,
    pub(super) origins: &'a Arc<Origins>,
    pub(super) clock: Clock,
}

/// The trial of one route.
pub(super) struct Trial<'a> {
    route: &'a Route,
    place: &'a Place<'a>,
    request: Request,
}

/// What became of the first payment.
enum Sale {
    Sold,
    /// The request was refused before any money was looked at.
    Screened(u16),
}

impl<'a> Trial<'a> {
    pub(super) fn of(route: &'a Route, place: &'a Place<'a>) -> Self {
        Self { route, place, request: request_of(route) }
    }

    pub(super) async fn run(
        &self,
        report: &mut Report<impl Write>,
        books: &mut Books,
    ) -> Result<(), SelftestError> {
        let Request { method, target, .. } = &self.request;
        report.heading(&format!("route {}: {method} {target}", self.route.name))?;
        self.place.upstream.take();
        if !self.route.charge.is_priced() {
            return Ok(report.check("it is free, and reaches its upstream", self.free().await)?);
        }
        let demand = self.unpaid().await;
        let found = demand.as_ref().map(drop).map_err(Wrong::clone);
        report.check("without payment it is 402, and its upstream hears nothing", found)?;
        let Ok(demand) = demand else { return Ok(()) };
        report.check("the 402 offers what the configuration says", self.offers(&demand))?;
        report.check("no other spelling of its path opens it", self.spellings().await)?;
        report.check("no header that a client may send opens it", self.claims().await)?;
        for network in self.networks() {
            let terms = Terms { price_max: any_price()?, network: Some(network.clone()) };
            match terms.choose(&demand) {
                Ok(payable) => self.paid((&payable, &demand), report, books).await?,
                Err(reasons) => {
                    let name = network.known().map_or(network.as_str(), |known| known.name);
                    report.skip(&format!("payments on {name}"), &why(&reasons))?;
                }
            }
        }
        Ok(())
    }

    async fn free(&self) -> Result<(), Wrong> {
        let answer = self.send(&self.request).await?;
        let asked = self.place.upstream.take();
        match &*asked {
            // What a document screens is none of a selftest's business where it is free.
            [] if (400..=422).contains(&answer.status) => Ok(()),
            [one] if one.target == self.request.target && answer.status < 300 => Ok(()),
            _ => Err(format!("it is answered {}, {} times asked", answer.status, asked.len())),
        }
    }

    async fn unpaid(&self) -> Result<Demand, Wrong> {
        let answer = self.refused(&self.request).await?;
        if answer.status != 402 {
            return Err(format!("it is answered {}", answer.status));
        }
        let header = answer.headers.get("payment-required").map(http::HeaderValue::as_bytes);
        Demand::read(header, &answer.body).map_err(|error| error.to_string())
    }

    /// Each offer is one of the configuration, of any of the route's prices.
    fn offers(&self, demand: &Demand) -> Result<(), Wrong> {
        if demand.offers.is_empty() || demand.unread > 0 {
            return Err("an offer cannot be read".to_owned());
        }
        let all: Vec<&OfferedBy> = self
            .route
            .charge
            .all()
            .flat_map(|terms| terms.offers.iter().chain(&terms.wanted))
            .collect();
        for offer in &demand.offers {
            let known = all.iter().map(|by| &by.offer.requirements).any(|wanted| {
                wanted.network.as_str() == offer.network
                    && wanted.amount.to_string() == offer.amount
                    && wanted.pay_to.to_string() == offer.pay_to
                    && wanted.asset.to_string() == offer.asset
            });
            if !known {
                return Err(format!("{} to {} is not of it", offer.amount, offer.pay_to));
            }
        }
        Ok(())
    }

    async fn spellings(&self) -> Result<(), Wrong> {
        for target in spelled(&self.request.target) {
            let status = self.refused(&self.request.to(target.clone())).await?.status;
            if !(400..=499).contains(&status) {
                return Err(format!("{target} is answered {status}"));
            }
        }
        Ok(())
    }

    async fn claims(&self) -> Result<(), Wrong> {
        for (name, value) in CLAIMS {
            let status = self.refused(&self.request.with(name, value)).await?.status;
            if !(400..=499).contains(&status) {
                return Err(format!("with {name} it is answered {status}"));
            }
        }
        Ok(())
    }

    async fn paid(
        &self,
        on: (&Payable<'_>, &Demand),
        report: &mut Report<impl Write>,
        books: &mut Books,
    ) -> Result<(), SelftestError> {
        let (name, price) = (on.0.known.name, on.0.price());
        let sale = self.buys(on, books).await;
        if let Ok(Sale::Screened(status)) = sale {
            let why = format!("its requests are screened: {status}; no example of one is known");
            return Ok(report.skip(&format!("payments on {name}"), &why)?);
        }
        let what = format!("{price} on {name} buys one answer, with a receipt");
        report.check(&what, sale.map(drop))?;
        let what = format!("one payment on {name}, sent {AT_ONCE} times at once, buys one answer");
        report.check(&what, self.at_once(on, books).await)?;
        let what = format!("no forged payment on {name} buys one");
        report.check(&what, self.forgeries(on).await)?;
        let what = match self.route.settle {
            SettleMoment::AfterUpstream => "an upstream that fails costs nothing",
            SettleMoment::BeforeUpstream => "an upstream that fails owes an answer",
        };
        report.check(&format!("{what} on {name}"), self.failing(on, books).await)?;
        Ok(())
    }

    async fn buys(&self, on: (&Payable<'_>, &Demand), books: &mut Books) -> Result<Sale, Wrong> {
        let (wallet, payment) = self.signed(on)?;
        let request = self.request.with(payment.header, &payment.value);
        let answer = self.send(&request).await?;
        let asked = self.place.upstream.take();
        if asked.is_empty() && SCREENED.contains(&answer.status) {
            return Ok(Sale::Screened(answer.status));
        }
        let [one] = &*asked else {
            return Err(format!("{}; its upstream was asked {} times", answer.status, asked.len()));
        };
        self.forwarded(one, &wallet)?;
        if !(200..=299).contains(&answer.status) {
            return Err(format!("it is answered {}", answer.status));
        }
        let receipt = Receipt::of(&answer.headers).ok_or("there is no receipt")?;
        if !receipt.0.success {
            return Err("the receipt says that nothing was paid".to_owned());
        }
        self.enter(payment, request, books);
        Ok(Sale::Sold)
    }

    /// What the upstream heard: the very path, who paid, and nothing that could be paid with.
    fn forwarded(&self, asked: &Asked, wallet: &Wallet) -> Result<(), Wrong> {
        if asked.target != self.request.target {
            return Err(format!("its upstream was asked for {}", asked.target));
        }
        if let Some(name) = PROOFS.into_iter().find(|name| asked.has(name)) {
            return Err(format!("its upstream was sent {name}"));
        }
        let payer = wallet.address().to_string().to_ascii_lowercase();
        if asked.value("x-tollgate-payer") != Some(&payer) {
            return Err("its upstream was not told who paid".to_owned());
        }
        Ok(())
    }

    async fn at_once(&self, on: (&Payable<'_>, &Demand), books: &mut Books) -> Result<(), Wrong> {
        let (_, payment) = self.signed(on)?;
        let request = self.request.with(payment.header, &payment.value);
        let mut sends = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (request, gateway) = (request.clone(), self.place.gateway);
            let from = self.place.origins.next();
            sends.spawn(async move { request.send(gateway, from).await });
        }
        let mut statuses = Vec::new();
        while let Some(sent) = sends.join_next().await {
            let sent = sent.map_err(|error| error.to_string())?;
            statuses.push(sent.map_err(|error| error.to_string())?.status);
        }
        let asked = self.place.upstream.take().len();
        if asked != 1 {
            return Err(format!("its upstream was asked {asked} times"));
        }
        self.enter(payment, request, books);
        match statuses.iter().find(|status| !matches!(status, 200..=299 | 409 | 503)) {
            Some(odd) => Err(format!("one was answered {odd}")),
            None => Ok(()),
        }
    }

    async fn forgeries(&self, (payable, demand): (&Payable<'_>, &Demand)) -> Result<(), Wrong> {
        let all = forge::all(&wallet()?, payable, demand, self.place.clock.now())?;
        for forge::Forged { what, header, value } in all {
            let status = self.refused(&self.request.with(header, &value)).await?.status;
            if !(400..=499).contains(&status) {
                return Err(format!("one that {what} is answered {status}"));
            }
        }
        Ok(())
    }

    /// The first answer fails; the same payment buys the next one, from where it came before.
    async fn failing(&self, on: (&Payable<'_>, &Demand), books: &mut Books) -> Result<(), Wrong> {
        let (_, payment) = self.signed(on)?;
        let request = self.request.with(payment.header, &payment.value);
        let from = self.place.origins.next();
        self.place.upstream.fail(true);
        let failed = self.send_from(&request, from).await;
        self.place.upstream.fail(false);
        let failed = failed?;
        if failed.status < 500 {
            return Err(format!("it is answered {}", failed.status));
        }
        let settled = Receipt::of(&failed.headers).is_some_and(|receipt| receipt.0.success);
        if settled && self.route.settle == SettleMoment::AfterUpstream {
            return Err("it was paid".to_owned());
        }
        let again = self.send_from(&request, from).await?;
        self.place.upstream.take();
        if !(200..=299).contains(&again.status) {
            return Err(format!("the same payment is then answered {}", again.status));
        }
        self.enter(payment, request, books);
        Ok(())
    }

    /// A payment of a wallet that has paid nothing yet.
    fn signed(
        &self,
        (payable, demand): (&Payable<'_>, &Demand),
    ) -> Result<(Wallet, Payment), Wrong> {
        let wallet = wallet()?;
        let payment = wallet.pay(payable, demand, self.place.clock.now());
        Ok((wallet, payment.map_err(|error| error.to_string())?))
    }

    fn enter(&self, payment: Payment, request: Request, books: &mut Books) {
        let route = self.route.name.clone();
        books.enter(Bought { route, identity: payment.identity, request });
    }

    async fn send(&self, request: &Request) -> Result<Answer, Wrong> {
        self.send_from(request, self.place.origins.next()).await
    }

    async fn send_from(&self, request: &Request, from: Ipv4Addr) -> Result<Answer, Wrong> {
        request.send(self.place.gateway, from).await.map_err(|error| error.to_string())
    }

    /// Sends what no upstream may hear of.
    async fn refused(&self, request: &Request) -> Result<Answer, Wrong> {
        let answer = self.send(request).await?;
        match self.place.upstream.take().len() {
            0 => Ok(answer),
            _ => Err(format!("its upstream was asked, and the answer is {}", answer.status)),
        }
    }

    fn networks(&self) -> Vec<Network> {
        let mut networks: Vec<Network> = Vec::new();
        let all = self.route.charge.all().flat_map(|terms| &terms.wanted);
        for network in all.map(|by| &by.offer.requirements.network) {
            if !networks.contains(network) {
                networks.push(network.clone());
            }
        }
        networks
    }
}

/// Why this command cannot pay on a network: what is said of its own offers.
fn why(reasons: &[Unpayable]) -> String {
    let own = reasons.iter().find(|reason| !matches!(reason, Unpayable::OtherNetwork(_)));
    match own {
        Some(Unpayable::OtherKind(_)) => "this command signs on EVM networks only".to_owned(),
        Some(reason) => reason.to_string(),
        None => "nothing is offered there".to_owned(),
    }
}

fn any_price() -> Result<crate::cli::pay::Price, SelftestError> {
    Ok(PRICE_MAX.parse().map_err(std::io::Error::other)?)
}

/// A wallet that nobody has seen.
fn wallet() -> Result<Wallet, Wrong> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| error.to_string())?;
    let text = alloy_primitives::hex::encode(key);
    Wallet::from_hex(&text).ok_or_else(|| "no key can be made".to_owned())
}

/// Of each header what a client might say to be let in.
const CLAIMS: [(&str, &str); 9] = [
    ("X-Tollgate-Payer", "0x7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e7e"),
    ("X-Tollgate-Amount", "1000000000"),
    ("X-Original-URL", "/"),
    ("X-Rewrite-URL", "/"),
    ("X-HTTP-Method-Override", "OPTIONS"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "localhost"),
    ("PAYMENT-RESPONSE", "eyJzdWNjZXNzIjp0cnVlfQ=="),
    ("Authorization", "Bearer selftest"),
];
/// What a payment may come in.
const PROOFS: [&str; 3] = ["payment-signature", "x-payment", "x-payment-response"];
/// What a request may be refused with before its payment is looked at.
const SCREENED: [u16; 6] = [400, 411, 413, 415, 417, 422];
const AT_ONCE: usize = 8;
/// In dollars: more than anybody asks, of money that is not there.
const PRICE_MAX: &str = "1000000000000";

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::ExitCode;

    use super::*;
    use crate::config::Config;

    const PRICED: &str = r#"
        [ledger]
        url = "memory:"
        [server]
        public_url = "https://api.example.com"
        [networks.base-sepolia]
        pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        facilitator = "dev"
        [facilitators.dev.simulated]
        [upstreams.api]
        url = "http://127.0.0.1:1"
        [[routes]]
        match = "GET /a"
        upstream = "api"
        price = "$0.01"
        networks = ["base-sepolia"]
    "#;

    /// What a gateway is told of that lets everybody through.
    #[tokio::test]
    async fn an_open_gateway_fails_it() {
        let config = Config::parse(PRICED, Path::new("gateway.toml"), &|_| None).unwrap();
        let upstream = StandIn::start().await.unwrap();
        let origins = Arc::new(Origins::default());
        let clock = Clock::System;
        let gateway = upstream.address;
        let place = Place { gateway, upstream: &upstream, origins: &origins, clock };
        let (mut out, mut books) = (Vec::new(), Books::default());
        let mut report = Report::new(&mut out);
        let trial = Trial::of(&config.routes[0], &place);
        trial.run(&mut report, &mut books).await.unwrap();
        let failure = format!("{:?}", ExitCode::FAILURE);
        assert_eq!(format!("{:?}", report.end().unwrap()), failure);
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("its upstream was asked, and the answer is 200"), "{told}");
        for wrong in [
            trial.spellings().await,
            trial.claims().await,
            trial.refused(&trial.request).await.map(drop),
        ] {
            assert!(wrong.is_err_and(|wrong| wrong.contains("its upstream was asked")));
        }
    }
}
