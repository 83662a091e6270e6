//! A wallet that has paid for a route lately is let in again, by what it signs.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::prove::{SKEW_MAX, SignedBy};
use super::{Payments, is_brought};
use crate::clock::{UnixMillis, date};
use crate::digest::Digesting;
use crate::facilitator::Facilitator;
use crate::fault::Fault;
use crate::ledger::Wanted;
use crate::ledger::answers::Seen;
use crate::route::Terms;
use crate::x402::sign_in::{ByContract, SignIn, offer};
use crate::x402::{Account, Network, SignInReason};

/// The request header that carries a sign-in. Source: x402 extension `sign-in-with-x`.
pub static SIGN_IN_HEADER: HeaderName = HeaderName::from_static("sign-in-with-x");

/// What somebody signs in to.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// Name of the route.
    pub route: &'a str,
    /// What it costs otherwise.
    pub terms: &'a Terms,
    /// The URL that its 402 names to this request.
    pub url: &'a str,
    /// How long ago a payment may be.
    pub within: Duration,
}

/// What a wallet has said, of the right thing, to us, a short while ago; it has signed it, or may
/// be a contract that is still to be asked.
#[derive(Debug)]
pub struct Said {
    sign_in: SignIn,
    by: SignedBy,
}

/// A wallet that has paid and has signed. Its sign-in is not used up.
#[derive(Debug)]
pub struct Recognised(SignIn);

/// A wallet that is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The wallet.
    pub payer: Account,
    /// The CAIP-2 network that it has signed for.
    pub network: Network,
}

/// Why a wallet is not let in.
#[derive(Debug)]
pub enum NotLetIn {
    /// It is refused.
    Refused(SignInReason),
    /// The ledger does not tell.
    Ledger(Fault),
    /// The wallet is a contract, and its chain does not tell.
    Chain(Fault),
}

/// Whether a request wants to be let in by a sign-in. One that brings a payment does not.
pub fn signs_in(headers: &HeaderMap) -> bool {
    headers.contains_key(&SIGN_IN_HEADER) && !is_brought(headers)
}

impl Said {
    /// Reads and judges what can be judged without asking anyone; the signature comes last.
    ///
    /// # Errors
    /// The first reason that applies.
    ///
    /// Source: x402 extension `sign-in-with-x`, verification logic. The URL has to be this one, and
    /// not only of this origin.
    pub fn of(
        headers: &HeaderMap,
        entrance: &Entrance<'_>,
        now: UnixMillis,
    ) -> Result<Self, SignInReason> {
        let mut values = headers.get_all(&SIGN_IN_HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(SignInReason::Malformed);
        };
        let sign_in = SignIn::read(value.as_bytes())?;
        let Entrance { terms, url, .. } = *entrance;
        let mut offered = terms.wanted.iter().map(|by| &by.offer.requirements.network);
        if !offered.any(|network| *network == sign_in.chain_id) {
            return Err(SignInReason::Chain);
        }
        if *sign_in.domain != *offer::domain(url) {
            return Err(SignInReason::Domain);
        }
        // A URL that is too long for a 402 is named there by its route's pattern.
        if *sign_in.uri != *url && sign_in.uri != terms.resource.url {
            return Err(SignInReason::Uri);
        }
        judge_times(&sign_in, now)?;
        let by = match sign_in.prove() {
            Ok(()) => SignedBy::Key,
            Err(_) if sign_in.by_contract().is_some() => SignedBy::Contract,
            Err(reason) => return Err(reason),
        };
        Ok(Self { sign_in, by })
    }

    /// What it was signed with.
    pub fn signed_by(&self) -> SignedBy {
        self.by
    }

    /// Who says so.
    pub fn payer(&self) -> Account {
        self.sign_in.address
    }
}

fn judge_times(sign_in: &SignIn, now: UnixMillis) -> Result<(), SignInReason> {
    let read = |text: &str| date::read(text).ok_or(SignInReason::Malformed);
    let optional = |text: &Option<Box<str>>| text.as_deref().map(read).transpose();
    let issued = read(&sign_in.issued_at)?;
    if issued > now.plus(SKEW_MAX) {
        return Err(SignInReason::TooEarly);
    }
    if issued.plus(LIFETIME) < now {
        return Err(SignInReason::TooOld);
    }
    if optional(&sign_in.expiration_time)?.is_some_and(|end| end <= now) {
        return Err(SignInReason::Expired);
    }
    if optional(&sign_in.not_before)?.is_some_and(|start| now < start) {
        return Err(SignInReason::NotYet);
    }
    Ok(())
}

impl Payments {
    /// Looks for a payment of the wallet, on any network whose keys are the same; a contract must
    /// have paid on the network that it signs for, because elsewhere its address may be somebody
    /// else's. It is asked only once it has paid, so that nobody makes us ask at will.
    ///
    /// # Errors
    /// Why it is not let in.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn recognise(
        &self,
        said: Said,
        entrance: &Entrance<'_>,
        now: UnixMillis,
    ) -> Result<Recognised, NotLetIn> {
        let Said { sign_in, by } = said;
        let asked = match by {
            SignedBy::Key => None,
            SignedBy::Contract => sign_in.by_contract(),
        };
        let wanted = Wanted {
            payer: sign_in.address,
            route: entrance.route,
            since: now.minus(entrance.within),
            network: asked.as_ref().map(|_| &sign_in.chain_id),
        };
        let paid = self.ledger().has_paid(&wanted).await.map_err(NotLetIn::Ledger)?;
        let reason = match (&asked, paid) {
            (None, true) => return Ok(Recognised(sign_in)),
            (None, false) => SignInReason::NotPaid,
            // Whether it has paid is nobody's to hear who has proven nothing.
            (Some(_), false) => SignInReason::Signature,
            (Some(asked), true) => {
                let signed = self.wallet_signed(asked, entrance.terms, &sign_in.chain_id).await;
                match signed.map_err(NotLetIn::Chain)? {
                    true => return Ok(Recognised(sign_in)),
                    false => SignInReason::Signature,
                }
            }
        };
        Err(NotLetIn::Refused(reason))
    }

    /// Lets a wallet in whose sign-in has not let anybody in before.
    ///
    /// # Errors
    /// Why it is not let in.
    ///
    /// # Cancel safety
    /// The sign-in may be used up.
    pub async fn let_in(
        &self,
        recognised: Recognised,
        now: UnixMillis,
    ) -> Result<SignedIn, NotLetIn> {
        let Recognised(sign_in) = recognised;
        let id = Digesting::of(&[sign_in.address.as_slice(), sign_in.nonce.as_bytes()]).end();
        match self.answers.use_up(&id, USED_FOR, now).await.map_err(NotLetIn::Ledger)? {
            Seen::First => Ok(SignedIn { payer: sign_in.address, network: sign_in.chain_id }),
            Seen::Before => Err(NotLetIn::Refused(SignInReason::Used)),
        }
    }

    /// Whether a contract takes this for its signature; one that nobody can ask does not.
    async fn wallet_signed(
        &self,
        asked: &ByContract,
        terms: &Terms,
        network: &Network,
    ) -> Result<bool, Fault> {
        if let Some(reader) = self.reader(network) {
            return reader.is_signed(asked).await;
        }
        let pool = self.pool();
        let here = terms.wanted.iter().filter(|by| by.offer.requirements.network == *network);
        for name in here.flat_map(|by| &*by.facilitators) {
            let member = pool.member(name).ok();
            if let Some(Facilitator::Chain(chain)) = member.map(|member| member.facilitator()) {
                return chain.is_signed(asked).await;
            }
        }
        Ok(false)
    }
}

/// How long a sign-in lets somebody in after it was asked for. Source: x402 extension
/// `sign-in-with-x`.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long one that was used is remembered: longer than it is taken by a gateway whose clock is
/// minutes behind.
const USED_FOR: Duration = Duration::from_secs(15 * 60);
