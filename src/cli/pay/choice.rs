//! Which offer of a 402 is paid, and why the others are not.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, U256};

use super::demand::{Demand, Offer};
use crate::fault::printable;
use crate::x402::requirements::{SCHEME_EXACT, SCHEME_UPTO};
use crate::x402::{
    AmountError, AssetTransferMethod, AtomicAmount, KnownNetwork, Network, NetworkError, Version,
};

/// What the payer agrees to before the server is asked.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The most that is paid for one answer.
    pub price_max: Price,
    /// The only network that is paid on; any known one when not given.
    pub network: Option<Network>,
}

/// An offer that keeps to the terms, with what is known of its network.
#[derive(Clone, Copy, Debug)]
pub struct Payable<'a> {
    /// The offer.
    pub offer: &'a Offer,
    /// Its network.
    pub known: &'static KnownNetwork,
    /// Contract of USDC there.
    pub asset: Address,
    /// How the money is moved.
    pub method: AssetTransferMethod,
    /// Under `upto`: who alone may settle it, for any part of the amount.
    pub facilitator: Option<Address>,
    /// Number of the approval for Permit2 that comes along, if one does.
    pub approval: Option<U256>,
    /// Who is paid.
    pub pay_to: Address,
    /// Atomic units of the asset.
    pub amount: AtomicAmount,
}

/// Why an offer is not paid. The server is not believed about what money is worth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpayable {
    /// Not one of ours.
    #[error("its scheme is `{0}`; only `exact` is paid here")]
    Scheme(String),
    /// Another way of moving the money than is known.
    #[error("it wants the transfer method `{0}`; EIP-3009 is paid here, and Permit2 in version 2")]
    Method(String),
    /// Not the one that `--network` names.
    #[error("its network is {0}, not the one asked for")]
    OtherNetwork(String),
    /// Not built in, so the worth of its money is not known.
    #[error("its network {0} is not known here")]
    UnknownNetwork(String),
    /// Not an EVM network, for which there is no key here.
    #[error("its network {0} is not an EVM network; this command signs for those")]
    OtherKind(String),
    /// Not USDC, so neither decimals nor worth are known.
    #[error("its asset {0} is not the USDC of that network, so its worth is not known")]
    UnknownAsset(String),
    /// A signature under this name would not settle.
    #[error("it names the asset's domain `{offered}`, on that network it is `{known}`")]
    Domain {
        /// Name and version of the offer.
        offered: String,
        /// Name and version on the chain.
        known: String,
    },
    /// An address that is none.
    #[error("it wants to be paid at `{0}`, which is no address")]
    PayTo(String),
    /// Not a number of atomic units.
    #[error("its amount `{0}` is not a number")]
    Amount(String),
    /// More than `--max-price`.
    #[error("it asks {price}, more than the {price_max} allowed; --max-price raises that")]
    TooDear {
        /// Of the offer.
        price: Price,
        /// Allowed.
        price_max: Price,
    },
}

impl Terms {
    /// The first offer that keeps to the terms.
    ///
    /// # Errors
    /// Every offer with the reason why it is not paid.
    pub fn choose<'a>(&self, demand: &'a Demand) -> Result<Payable<'a>, Vec<Unpayable>> {
        let mut refused = Vec::new();
        for offer in &demand.offers {
            match self.judge(offer, demand.version) {
                Ok(payable) => return Ok(payable),
                Err(why) => refused.push(why),
            }
        }
        Err(refused)
    }

    fn judge<'a>(&self, offer: &'a Offer, version: Version) -> Result<Payable<'a>, Unpayable> {
        let facilitator = facilitator(offer)?;
        let unknown = || Unpayable::UnknownNetwork(offer.network.clone());
        let network = network_named(&offer.network).map_err(|_| unknown())?;
        if self.network.as_ref().is_some_and(|only| *only != network) {
            return Err(Unpayable::OtherNetwork(offer.network.clone()));
        }
        let known = network.known().ok_or_else(unknown)?;
        let asset = known_asset(offer, known)?;
        let method = method(offer, version)?;
        if facilitator.is_some() && method != AssetTransferMethod::Permit2 {
            return Err(Unpayable::Scheme(offer.scheme.clone()));
        }
        let pay_to = offer.pay_to.parse().map_err(|_| Unpayable::PayTo(offer.pay_to.clone()))?;
        let amount = offer.amount.parse().map_err(|_| Unpayable::Amount(offer.amount.clone()))?;
        if !self.price_max.covers(amount, known) {
            let price = Price::of(amount, known);
            return Err(Unpayable::TooDear { price, price_max: self.price_max.clone() });
        }
        Ok(Payable { offer, known, asset, method, facilitator, approval: None, pay_to, amount })
    }
}

impl Payable<'_> {
    /// The price, for people.
    pub fn price(&self) -> Price {
        Price::of(self.amount, self.known)
    }
}

/// A price in dollars of USDC, such as `$0.05`; the sign may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price(Box<str>);

impl Price {
    fn of(amount: AtomicAmount, known: &KnownNetwork) -> Self {
        Self(amount.to_decimal(known.decimals).into())
    }

    fn covers(&self, amount: AtomicAmount, known: &KnownNetwork) -> bool {
        AtomicAmount::from_decimal(&self.0, known.decimals).is_ok_and(|most| amount <= most)
    }
}

impl FromStr for Price {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let number = text.strip_prefix('$').unwrap_or(text);
        AtomicAmount::from_decimal(number, USDC_DECIMALS).map(|_| Self(number.into()))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// What an offer asks for: in dollars where its USDC is known, else in the server's own words.
pub(super) fn in_words(offer: &Offer) -> String {
    let network = network_named(&offer.network).ok();
    let known = network.as_ref().and_then(Network::known);
    let priced = known.filter(|known| known_asset(offer, known).is_ok()).and_then(|known| {
        let amount = offer.amount.parse().ok()?;
        Some(format!("{} USDC on {}", Price::of(amount, known), known.name))
    });
    priced.unwrap_or_else(|| {
        let [amount, asset, network] =
            [&offer.amount, &offer.asset, &offer.network].map(|text| printable(text));
        format!("{amount} units of {asset} on {network}")
    })
}

/// Reads a network by its name in version 1, or by CAIP-2.
///
/// # Errors
/// Neither.
pub(super) fn network_named(text: &str) -> Result<Network, NetworkError> {
    KnownNetwork::named(text).map_or_else(|| text.parse(), |known| Ok(known.network()))
}

/// The USDC contract of a network, when the offer means it and names its domain rightly.
fn known_asset(offer: &Offer, known: &KnownNetwork) -> Result<Address, Unpayable> {
    if known.evm().is_none() {
        return Err(Unpayable::OtherKind(offer.network.clone()));
    }
    let unknown = || Unpayable::UnknownAsset(offer.asset.clone());
    let asset: Address = offer.asset.parse().map_err(|_| unknown())?;
    let evm = known.evm().filter(|_| known.usdc.parse() == Ok(asset));
    let known = evm.ok_or_else(unknown)?;
    let extra = &offer.extra;
    let name = extra.name.as_deref().unwrap_or(known.eip712_name);
    let version = extra.version.as_deref().unwrap_or(known.eip712_version);
    if name == known.eip712_name && version == known.eip712_version {
        return Ok(asset);
    }
    let offered = format!("{name} {version}");
    let known = format!("{} {}", known.eip712_name, known.eip712_version);
    Err(Unpayable::Domain { offered, known })
}

/// Who may have less moved than is signed, under `upto`; nothing under `exact`.
fn facilitator(offer: &Offer) -> Result<Option<Address>, Unpayable> {
    let unknown = || Unpayable::Scheme(offer.scheme.clone());
    match &*offer.scheme {
        SCHEME_EXACT => Ok(None),
        SCHEME_UPTO => {
            let named = offer.extra.facilitator.as_deref().and_then(|text| text.parse().ok());
            named.map(Some).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

/// How the money is moved. Version 1 has no words for Permit2.
fn method(offer: &Offer, version: Version) -> Result<AssetTransferMethod, Unpayable> {
    match (offer.extra.method.as_deref(), version) {
        (None | Some(METHOD_EIP3009), _) => Ok(AssetTransferMethod::Eip3009),
        (Some(METHOD_PERMIT2), Version::V2) => Ok(AssetTransferMethod::Permit2),
        (Some(other), _) => Err(Unpayable::Method(other.to_owned())),
    }
}

const METHOD_EIP3009: &str = "eip3009";
const METHOD_PERMIT2: &str = "permit2";
const USDC_DECIMALS: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(change: impl FnOnce(&mut serde_json::Value)) -> Demand {
        let mut offer = serde_json::json!({
            "scheme": "exact", "network": "eip155:84532", "amount": "50000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
            "maxTimeoutSeconds": 300, "extra": {"name": "USDC", "version": "2"}
        });
        change(&mut offer);
        let body = serde_json::json!({"x402Version": 2, "accepts": [offer]});
        Demand::from_json(body.to_string().as_bytes()).unwrap()
    }

    fn terms(price_max: &str) -> Terms {
        Terms { price_max: price_max.parse().unwrap(), network: None }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut serde_json::Value), expected: &str) {
        let demand = offer(change);
        let [why] = terms("$0.10").choose(&demand).unwrap_err().try_into().unwrap();
        assert!(why.to_string().contains(expected), "{why}");
    }

    #[test]
    fn an_offer_within_the_terms_is_taken() {
        let demand = offer(|_| {});
        let payable = terms("0.05").choose(&demand).unwrap();
        assert_eq!((payable.known.name, payable.amount.units()), ("base-sepolia", 50_000));
        assert_eq!(payable.price().to_string(), "$0.05");
    }

    #[test]
    fn a_millionth_above_the_price_is_too_dear() {
        let demand = offer(|o| o["amount"] = "50001".into());
        let [why] = terms("$0.05").choose(&demand).unwrap_err().try_into().unwrap();
        let told = "it asks $0.050001, more than the $0.05 allowed; --max-price raises that";
        assert_eq!(why.to_string(), told);
    }

    #[test]
    fn what_is_not_known_is_not_paid() {
        refused(|o| o["scheme"] = "upto".into(), "scheme is `upto`");
        refused(|o| o["network"] = "eip155:1".into(), "eip155:1 is not known");
        refused(
            |o| o["network"] = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".into(),
            "not an EVM network",
        );
        refused(|o| o["network"] = "here be dragons".into(), "not known");
        refused(|o| o["asset"] = format!("0x{}", "11".repeat(20)).into(), "not the USDC");
        refused(|o| o["asset"] = "USDC".into(), "not the USDC");
        refused(|o| o["payTo"] = "somebody".into(), "no address");
        refused(|o| o["amount"] = "1e3".into(), "not a number");
        refused(|o| o["extra"]["assetTransferMethod"] = "erc7710".into(), "`erc7710`");
    }

    #[test]
    fn permit2_is_paid_in_version_2() {
        let by_permit2 = |version: u8| {
            let mut offer: serde_json::Value =
                serde_json::from_str(offer(|_| {}).offers[0].raw.get()).unwrap();
            offer["extra"] = serde_json::json!({"assetTransferMethod": "permit2"});
            let demand = serde_json::json!({"x402Version": version, "accepts": [offer]});
            Demand::from_json(demand.to_string().as_bytes()).unwrap()
        };
        let demand = by_permit2(2);
        let payable = terms("1").choose(&demand).unwrap();
        assert_eq!(payable.method, AssetTransferMethod::Permit2);
        assert!(terms("1").choose(&by_permit2(1)).is_err());
    }

    #[test]
    fn a_domain_that_would_not_settle_is_not_signed() {
        refused(|o| o["extra"]["name"] = "USD Coin".into(), "it is `USDC 2`");
        refused(|o| o["extra"]["version"] = "1".into(), "domain `USDC 1`");
    }

    #[test]
    fn a_domain_left_out_is_the_known_one() {
        assert!(terms("1").choose(&offer(|o| o["extra"] = serde_json::Value::Null)).is_ok());
    }

    #[test]
    fn the_network_asked_for_is_the_only_one() {
        let only = |name| Terms { network: network_named(name).ok(), ..terms("1") };
        assert!(only("base-sepolia").choose(&offer(|_| {})).is_ok());
        assert!(only("eip155:84532").choose(&offer(|_| {})).is_ok());
        assert!(only("base").choose(&offer(|_| {})).is_err());
    }

    #[test]
    fn a_price_is_dollars() {
        for text in ["", "$", "0,10", "-1", "$0.0000001", "10 $"] {
            assert!(text.parse::<Price>().is_err(), "{text:?}");
        }
    }
}
