//! Gateways, clients and a chain on their way from one seed.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::simulation::{Served, visit};
use super::checks::Checks;
use super::gateway::{CHAIN_ID, Gateway, Site, clock};
use super::signed::{FRESH, PAYMENTS, Signed, signatures};
use super::wallet::{NOW, VALID_BEFORE};
use crate::chain::evm::tests::{BLOCK_SECONDS, Chance, Deed, Ground, Nature, Power, Shared};
use crate::facilitator::scripted::Dice;
use crate::ledger::tests::simulated::Books;
use crate::ledger::{ExchangeId, Holder};
use crate::payment::Payments;
use crate::refusal::Refusal;
use crate::x402::{Offer, SignedAuthorization};

/// Where clients find a gateway, as long as it lives.
type Door = (Payments, Arc<Power>);

/// What a client was told.
pub(super) struct Answer {
    pub(super) signed: Signed,
    pub(super) result: Result<Served, Refusal>,
    /// Whether, when it was told so, the payment had moved or could still move.
    pub(super) moves: bool,
}

impl Answer {
    fn now(signed: &Signed, result: Result<Served, Refusal>, ground: &Shared) -> Self {
        let ground = ground.lock();
        let moves = ground.mover(&signed.key).is_some() || ground.may_still_move(&signed.key);
        Self { signed: signed.clone(), result, moves }
    }
}

pub(super) struct World {
    site: Site,
    /// The first ones are fought over, the others are for the end.
    signed: Vec<Signed>,
    gateways: Vec<Gateway>,
    /// Where clients find the gateways now.
    doors: Arc<Mutex<Vec<Door>>>,
    tell: mpsc::UnboundedSender<Answer>,
    told: mpsc::UnboundedReceiver<Answer>,
    checks: Checks,
    reorganized_max: u64,
    exchanges: Arc<Mutex<u128>>,
    dice: Dice,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (nodes, gateways) = (1 + size(dice.below(3)), 1 + size(dice.below(2)));
        let nature = Nature {
            chain_id: CHAIN_ID,
            nodes,
            since: NOW.seconds(),
            confirmations: 1 + dice.below(4),
            has_multicall: dice.below(4) > 0,
            knows_safe: dice.below(3) > 0,
        };
        let faults = [0, 20, 80, 200][size(dice.below(4))];
        let signatures = signatures();
        let money = |(offer, signed): &(Arc<Offer>, SignedAuthorization)| {
            let (asset, payer) =
                (offer.requirements.asset.evm().unwrap(), signed.authorization.from);
            [(asset, payer, 150_000), (asset, STRANGER, u64::MAX)]
        };
        let rich: Vec<_> = signatures.iter().flat_map(money).collect();
        let mut ground = Ground::new(nature, &rich);
        signatures.iter().for_each(|(offer, signed)| ground.sign(offer, signed));
        let signed = signatures.iter().map(Signed::of).collect();
        let ground = Arc::new(Mutex::new(ground));
        let site = Site {
            books: Books::new(seed ^ 1, faults / 4),
            chance: Arc::new(Chance::new(seed ^ 2)),
            nodes,
            facilitators: 1 + size(dice.below(2)),
            confirmations: nature.confirmations,
            faults,
            clock: clock(Duration::from_millis(dice.below(3_000))),
            ground: Arc::clone(&ground),
        };
        tokio::spawn(make_blocks(Arc::clone(&ground), Dice(seed ^ 3)));
        let gateways: Vec<Gateway> =
            (0..gateways).map(|number| Gateway::start(number, &site)).collect();
        let doors = gateways.iter().map(Gateway::door).collect();
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            checks: Checks::new(Arc::clone(&ground)),
            doors: Arc::new(Mutex::new(doors)),
            reorganized_max: dice.below(4),
            exchanges: Arc::default(),
            site,
            signed,
            gateways,
            tell,
            told,
            dice,
        }
    }

    /// Lets one thing happen and some time pass, and looks whether a promise was broken.
    pub(super) async fn step(&mut self) {
        let thing = self.dice.below(20);
        tracing::debug!(thing, now = now_of(&self.site.ground), "a step");
        match thing {
            0..=7 => {
                for _ in 0..=self.dice.below(3) {
                    self.visitor();
                }
            }
            8 | 9 if self.reorganized_max > 0 => {
                let depth = 1 + self.dice.below(self.reorganized_max);
                let now = now_of(&self.site.ground);
                self.site.ground.lock().reorganize(depth, now, &mut self.dice);
            }
            10 => {
                let gwei = [1, 1, 3, 20, 90, 200][size(self.dice.below(6))];
                self.site.ground.lock().set_base_fee(gwei);
            }
            11..=13 => self.trouble_a_node(),
            14 | 15 => self.change_a_payers_mind(),
            16 | 17 => self.trouble_a_gateway(),
            18 => {
                let instance = self.gateways[0].instance;
                let holder = if self.dice.below(2) == 0 { Holder::Gone } else { Holder::Lives };
                self.site.books.set_lease(instance, holder);
            }
            _ => sleep(Duration::from_secs(self.dice.below(40))).await,
        }
        sleep(Duration::from_millis(self.dice.below(4_000))).await;
        self.listen().await;
    }

    async fn listen(&mut self) {
        while let Ok(answer) = self.told.try_recv() {
            self.checks.answer(answer);
        }
        for signed in &self.signed {
            self.checks.books(&self.site.books, signed);
        }
    }

    /// A client with one of few payments, who may come back with it.
    fn visitor(&mut self) {
        let signed = self.signed[size(self.dice.below(PAYMENTS))].clone();
        let mut dice = Dice(self.dice.below(u64::MAX));
        let (doors, tell) = (Arc::clone(&self.doors), self.tell.clone());
        let (exchanges, ground) = (Arc::clone(&self.exchanges), Arc::clone(&self.site.ground));
        let visits = tokio::spawn(async move {
            for _ in 0..=dice.below(3) {
                let (payments, power) = {
                    let doors = doors.lock();
                    doors[any(&mut dice, doors.len())].clone()
                };
                let exchange = {
                    let mut last = exchanges.lock();
                    *last += 1;
                    ExchangeId::new(*last)
                };
                let (fails, takes) = (dice.below(8) == 0, dice.below(2_000));
                let upstream = async {
                    sleep(Duration::from_millis(takes)).await;
                    if fails { Err(Refusal::UpstreamUnavailable) } else { Ok(()) }
                };
                let presented = signed.presented.clone();
                let result = visit(&payments, presented, (exchange, PAID), upstream).await;
                if !power.is_off() {
                    let _over = tell.send(Answer::now(&signed, result, &ground));
                }
                let pause = [100, 2_000, 30_000, 200_000][size(dice.below(4))];
                sleep(Duration::from_millis(dice.below(pause))).await;
            }
        });
        if self.dice.below(3) == 0 {
            let patience = Duration::from_millis(self.dice.below(10_000));
            let leaves = visits.abort_handle();
            tokio::spawn(async move {
                sleep(patience).await;
                leaves.abort();
            });
        }
    }

    fn trouble_a_node(&mut self) {
        let mut ground = self.site.ground.lock();
        let (at, luck) = (any(&mut self.dice, self.site.nodes), self.dice.below(2) == 0);
        match self.dice.below(4) {
            0 => ground.forgets(at, luck),
            1 => ground.set_answering(at, luck),
            _ => ground.set_following(at, luck),
        }
    }

    fn change_a_payers_mind(&mut self) {
        let signed = &self.signed[size(self.dice.below(PAYMENTS))];
        let mut ground = self.site.ground.lock();
        let (asset, (_, payer, _)) = (signed.asset, signed.key);
        let value = U256::from(self.dice.below(200_000));
        match self.dice.below(8) {
            0 => ground.does(Deed::Cancels(signed.key)),
            1 => {
                self.checks.is_sent_by_a_stranger(signed.key);
                ground.does(Deed::Sends(signed.key));
            }
            2 | 3 => ground.does(Deed::Gives { asset, from: payer, to: STRANGER, value }),
            4 => ground.does(Deed::Denies { asset, owner: payer }),
            5 => ground.does(Deed::Allows { asset, owner: payer }),
            _ => ground.does(Deed::Gives { asset, from: STRANGER, to: payer, value }),
        }
    }

    /// A gateway dies at one of its next writes; one that is dead is started again.
    fn trouble_a_gateway(&mut self) {
        let number = any(&mut self.dice, self.gateways.len());
        if self.gateways[number].power.is_off() {
            return self.restart(number);
        }
        tracing::debug!(number, "a gateway will die");
        let (acts, after) = (1 + self.dice.below(30), self.dice.below(2) == 0);
        self.gateways[number].power.ends(acts, after);
    }

    fn restart(&mut self, number: usize) {
        let gateway = &mut self.gateways[number];
        gateway.restart(&self.site);
        self.doors.lock()[number] = gateway.door();
    }

    /// The weather clears, time passes, and everything comes to an end.
    pub(super) async fn end(&mut self) {
        {
            let mut ground = self.site.ground.lock();
            ground.set_base_fee(1);
            for at in 0..self.site.nodes {
                ground.set_following(at, true);
                ground.set_answering(at, true);
            }
        }
        self.site.chance.clears();
        self.site.books.clears();
        for number in 0..self.gateways.len() {
            self.restart_if_dead(number);
        }
        self.everybody_can_still_pay().await;
        let over = Duration::from_secs(VALID_BEFORE - NOW.seconds() + 300);
        for _ in 0..over.as_secs() / 10 {
            sleep(Duration::from_secs(10)).await;
            self.listen().await;
        }
        let doors: Vec<Door> = self.doors.lock().clone();
        for signed in &self.signed[..size(PAYMENTS)] {
            self.checks.the_end(&self.site.books, signed);
            for (payments, _) in &doors {
                let upstream = async { panic!("served after its window") };
                let exchange = ExchangeId::new(u128::MAX);
                let presented = signed.presented.clone();
                let result = visit(payments, presented, (exchange, PAID), upstream).await;
                self.checks.answer(Answer::now(signed, result, &self.site.ground));
            }
        }
    }

    fn restart_if_dead(&mut self, number: usize) {
        let gateway = &self.gateways[number];
        if gateway.power.is_off() || self.dice.below(2) == 0 {
            self.restart(number);
        } else {
            gateway.power.ends(u64::MAX, false);
            self.site.books.set_lease(gateway.instance, Holder::Lives);
        }
    }

    /// No signer is stuck: new payments go through at each gateway, more than may be in flight.
    async fn everybody_can_still_pay(&mut self) {
        let fresh = self.signed[size(PAYMENTS)..].to_vec();
        for signed in &fresh {
            let (asset, (_, payer, _)) = (signed.asset, signed.key);
            let (from, value) = (STRANGER, U256::from(1_000_000));
            let mut ground = self.site.ground.lock();
            ground.does(Deed::Gives { asset, from, to: payer, value });
            ground.does(Deed::Allows { asset, owner: payer });
        }
        let doors: Vec<Door> = self.doors.lock().clone();
        let mut fresh = fresh.iter();
        for (payments, _) in doors {
            let mut served = 0;
            for signed in fresh.by_ref().take(size(FRESH)) {
                served += usize::from(self.pays(&payments, signed).await);
            }
            assert!(served >= 3, "a signer is stuck: {served} of {FRESH} went through");
        }
    }

    /// Whether a payment goes through in good time. An earlier life's transaction may have taken
    /// its nonce; it then waits for the end of its window.
    async fn pays(&mut self, payments: &Payments, signed: &Signed) -> bool {
        for _ in 0..40 {
            sleep(Duration::from_secs(2)).await;
            *self.exchanges.lock() += 1;
            let exchange = ExchangeId::new(*self.exchanges.lock());
            let presented = signed.presented.clone();
            let result = visit(payments, presented, (exchange, PAID), async { Ok(()) }).await;
            let code = result.as_ref().err().map(|refusal| refusal.row().code);
            self.checks.answer(Answer::now(signed, result, &self.site.ground));
            match code {
                None | Some("payment_used") => return true,
                Some("outcome_unknown") => return false,
                Some(_) => {}
            }
        }
        false
    }
}

async fn make_blocks(ground: Shared, mut dice: Dice) {
    loop {
        sleep(Duration::from_secs(BLOCK_SECONDS)).await;
        let now = now_of(&ground);
        ground.lock().mine(now, &mut dice);
    }
}

/// The chain's own time, by the simulation's clock.
fn now_of(ground: &Shared) -> u64 {
    ground.lock().now()
}

/// One of so many.
fn any(dice: &mut Dice, count: usize) -> usize {
    size(dice.below(u64::try_from(count).unwrap()))
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// What is asked for.
const PAID: &str = "paid";
const STRANGER: Address = Address::repeat_byte(0x99);
