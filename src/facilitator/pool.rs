//! Everyone who verifies and settles, by name, each asked only while its circuits let it be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::health::{Asked, Change, Circuit, Health, Pass, Question, Sign};
use super::{Facilitator, Order, Outcome, Verdict};
use crate::clock::{Clock, UnixMillis};
use crate::fault::{Fault, Reach, Retry, Side};
use crate::x402::{Account, Offer};

/// All facilitators of a configuration.
#[derive(Debug)]
pub struct Pool {
    members: HashMap<Arc<str>, Arc<Member>>,
    /// Those of configurations before: for exchanges that began with them, and for looking back.
    gone: HashMap<Arc<str>, Arc<Member>>,
}

/// One facilitator and its health.
#[derive(Debug)]
pub struct Member {
    name: Arc<str>,
    facilitator: Facilitator,
    health: Health,
}

/// Nobody can be asked now. Nothing moved.
#[derive(Debug)]
pub struct Away {
    /// What broke last.
    pub fault: Fault,
    /// When somebody may be there again.
    pub retry_after: Duration,
}

impl Away {
    /// For a fault that has no better moment of its own.
    pub fn new(fault: Fault) -> Self {
        Self { fault, retry_after: RETRY_AFTER }
    }
}

impl Pool {
    /// These, all circuits closed.
    pub fn new(facilitators: HashMap<Arc<str>, Facilitator>) -> Self {
        let member = |(name, facilitator): (Arc<str>, Facilitator)| {
            let health = Health::default();
            (Arc::clone(&name), Arc::new(Member { name, facilitator, health }))
        };
        Self { members: facilitators.into_iter().map(member).collect(), gone: HashMap::new() }
    }

    /// After a reload: those that `stay`, with their health, and these, all circuits closed. Who
    /// is in neither is asked by nobody but exchanges that began with it.
    pub fn reloaded(
        &self,
        stay: impl Fn(&str) -> bool,
        fresh: HashMap<Arc<str>, Facilitator>,
    ) -> Self {
        let Self { mut members, .. } = Self::new(fresh);
        let mut gone = self.gone.clone();
        for (name, member) in &self.members {
            let to = if stay(name) { &mut members } else { &mut gone };
            to.insert(Arc::clone(name), Arc::clone(member));
        }
        gone.retain(|name, _| !members.contains_key(name));
        Self { members, gone }
    }

    fn get(&self, name: &Arc<str>) -> Option<&Member> {
        self.members.get(name).or_else(|| self.gone.get(name)).map(|member| &**member)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// Ours, never: nobody has it.
    pub fn member(&self, name: &str) -> Result<&Arc<Member>, Fault> {
        let unknown = || Fault::new(Side::Ours, Retry::Never, "no facilitator has this name");
        self.members.get(name).or_else(|| self.gone.get(name)).ok_or_else(unknown)
    }

    /// All of the configuration of now, in no order.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// Whether this very one is of the configuration of now.
    pub fn has(&self, member: &Arc<Member>) -> bool {
        self.members.get(&member.name).is_some_and(|here| Arc::ptr_eq(here, member))
    }

    /// Of these names, in their order, those that settle this offer and may be asked this now.
    ///
    /// Where none of them lists the offer, all are taken: a list may lag behind, and who cannot
    /// settle says so.
    pub fn in_turn(
        &self,
        names: &[Arc<str>],
        offer: &Offer,
        asked: Asked,
        now: UnixMillis,
    ) -> Vec<&Member> {
        let named: Vec<&Member> = names.iter().filter_map(|name| self.get(name)).collect();
        let some_list_it = named.iter().any(|member| member.facilitator.settles(offer));
        let fits = |member: &&Member| {
            let settles = !some_list_it || member.facilitator.settles(offer);
            settles && member.health.wait(asked, now).is_none()
        };
        named.into_iter().filter(fits).collect()
    }

    /// Who pays the fee of a payment for an offer that has to say so, and those of these names who
    /// would sign for it: the first that is ready decides, or the first that has said anything.
    pub fn fee_payer(&self, names: &[Arc<str>], offer: &Offer) -> Option<(Account, Vec<Arc<str>>)> {
        let named = names.iter().filter_map(|name| self.get(name));
        let said: Vec<(&Member, Account)> = named
            .filter_map(|member| Some((member, member.facilitator.fee_payer(offer)?)))
            .collect();
        let ready = said.iter().find(|(member, _)| member.facilitator.ready().is_ok());
        let (_, fee_payer) = *ready.or(said.first())?;
        let signers = said.iter().filter(|(_, key)| *key == fee_payer);
        Some((fee_payer, signers.map(|(member, _)| Arc::clone(&member.name)).collect()))
    }

    /// That none of these could be asked, and when to come back.
    pub fn away(&self, names: &[Arc<str>], last: Option<Fault>, now: UnixMillis) -> Away {
        let members = names.iter().filter_map(|name| self.get(name));
        let wait = |member: &Member| member.health.wait_of_everyone(Question::Verify, now);
        let waits = members.map(|member| wait(member).unwrap_or(RETRY_AFTER));
        let fault = last.unwrap_or_else(circuit_open);
        Away { fault, retry_after: waits.min().unwrap_or(RETRY_AFTER) }
    }
}

impl Member {
    /// Its name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Itself, past its circuits: to look back at payments, and for what it says of itself.
    pub fn facilitator(&self) -> &Facilitator {
        &self.facilitator
    }

    /// Its circuits.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Asks whether a payment could be settled now, if its circuit is not open.
    ///
    /// # Errors
    /// As [`Facilitator::verify`]; facilitator, later: the circuit is open.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order, clock: &Clock) -> Result<Verdict, Fault> {
        let payer = order.payer();
        let entered = self.health.enter(Question::Verify.of(payer), clock.now());
        let pass = entered.map_err(|_wait| circuit_open())?;
        let said = self.facilitator.verify(order, clock.now()).await;
        let sign = said.as_ref().map_or_else(|fault| sign_of(fault, payer), |_| Sign::Well);
        self.tell(pass.over(sign, clock.now()));
        said
    }

    /// Leave to ask it to settle, for [`Member::settle`]; nothing while its circuit is open.
    pub fn to_settle(&self, order: &Order, now: UnixMillis) -> Option<Pass<'_>> {
        self.health.enter(Question::Settle.of(order.payer()), now).ok()
    }

    /// Asks it to move the money. As [`Facilitator::settle`].
    ///
    /// # Cancel safety
    /// As [`Facilitator::settle`].
    pub async fn settle(&self, pass: Pass<'_>, order: &Order, clock: &Clock) -> Outcome {
        let outcome = self.facilitator.settle(order, clock.now()).await;
        let sign = match &outcome {
            Outcome::Settled { .. } | Outcome::Rejected(_) => Sign::Well,
            Outcome::NotSent(fault) | Outcome::Unknown { fault, .. } => {
                sign_of(fault, order.payer())
            }
        };
        self.tell(pass.over(sign, clock.now()));
        outcome
    }

    /// One line for each circuit that is not closed.
    pub fn open_circuits(&self, now: UnixMillis) -> impl Iterator<Item = String> {
        let stands = move |question| (question, self.health.circuit(question, now));
        let open = Question::ALL.into_iter().map(stands).filter(|(_, c)| *c != Circuit::Closed);
        open.map(|(question, circuit)| {
            format!("facilitator {}: {} circuit {}", self.name, question.name(), circuit.name())
        })
    }

    fn tell(&self, change: Option<Change>) {
        let Some(Change { question, circuit, wait }) = change else { return };
        let (name, question) = (&*self.name, question.name());
        let (state, wait_ms) = (circuit.name(), u64::try_from(wait.as_millis()).unwrap_or(0));
        match circuit {
            Circuit::Closed => tracing::info!(facilitator = name, question, state, "it answers"),
            Circuit::HalfOpen | Circuit::Open => {
                tracing::warn!(facilitator = name, question, state, wait_ms, "it is not asked");
            }
        }
    }
}

/// What a fault with a payment of this payer says of whoever was asked.
fn sign_of(fault: &Fault, payer: Account) -> Sign {
    if let (Side::Facilitator, Some(pause)) = (fault.side(), fault.pause()) {
        return Sign::Pause(pause);
    }
    match (fault.side(), fault.reach()) {
        (Side::Facilitator | Side::Chain, Reach::Everyone) => Sign::Faulty,
        (Side::Facilitator | Side::Chain, Reach::OnePayer) => Sign::FaultyFor(payer),
        (Side::Facilitator | Side::Chain, Reach::OnePayment)
        | (Side::Upstream | Side::Ledger | Side::Ours, _) => Sign::Neither,
    }
}

fn circuit_open() -> Fault {
    Fault::new(Side::Facilitator, Retry::Later, "it was faulty lately and is not asked for now")
}

/// When nothing better is known: as long as a person waits before trying again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
