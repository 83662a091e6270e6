//! What is true: the chain itself, its mempool, and how far each node follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use tokio::time::Instant;

use super::block::{Block, Deed, Item, Tx};
use super::token::{Key, Law, State};
use crate::facilitator::scripted::Dice;
use crate::x402::{Offer, SignedAuthorization};

/// What a chain is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    pub(crate) chain_id: u64,
    pub(crate) nodes: usize,
    /// Unix seconds of the first block that counts.
    pub(crate) since: u64,
    /// Blocks that make a payment settled for the gateways.
    pub(crate) confirmations: u64,
    pub(crate) has_multicall: bool,
    /// Whether nodes know the word `safe`.
    pub(crate) knows_safe: bool,
}

/// The chain, its mempool and its nodes.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(super) nature: Nature,
    pub(super) law: Law,
    blocks: Vec<Arc<Block>>,
    /// What whoever makes blocks knows of.
    pool: Pool,
    deeds: Vec<Deed>,
    pub(super) nodes: Vec<Place>,
    base_fee: u128,
    /// Every transaction that was in a block of any branch, and what it moved there.
    history: BTreeMap<B256, BTreeSet<Key>>,
    /// What was moved so deep that it was believed, in a block that was taken back.
    taken_back: BTreeSet<Key>,
    branches: u64,
    began: Instant,
}

pub(super) type Pool = BTreeMap<(Address, u64), Arc<Tx>>;

/// Where a node stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) pool: Pool,
    pub(super) follows: bool,
    pub(super) answers: bool,
}

impl Ground {
    /// A chain on which these have so much of an asset.
    pub(crate) fn new(nature: Nature, rich: &[(Address, Address, u64)]) -> Self {
        let law = Law { has_multicall: nature.has_multicall, ..Law::default() };
        let began = nature.since - BLOCKS_BEFORE * BLOCK_SECONDS;
        let money =
            |(asset, of, value): &(Address, Address, u64)| ((*asset, *of), U256::from(*value));
        let state = State { balances: rich.iter().map(money).collect(), ..State::default() };
        let mut blocks = vec![Arc::new(Block::first(FIRST, began, state))];
        for passed in 1..=BLOCKS_BEFORE {
            let last = blocks.last().unwrap();
            let next = last.next(&law, (began + passed * BLOCK_SECONDS, GWEI, 0), Vec::new());
            blocks.push(Arc::new(next));
        }
        let place =
            || Place { blocks: blocks.clone(), pool: Pool::new(), follows: true, answers: true };
        let nodes = (0..nature.nodes).map(|_| place()).collect();
        Self {
            nature,
            law,
            nodes,
            blocks,
            pool: Pool::new(),
            deeds: Vec::new(),
            base_fee: GWEI,
            history: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            branches: 0,
            began: Instant::now(),
        }
    }

    /// A payer has signed this; before that, nobody's signature is good here.
    pub(crate) fn sign(&mut self, offer: &Offer, signed: &SignedAuthorization) {
        self.law.sign(offer, signed);
    }

    /// The chain's own time, which goes with tokio's clock.
    pub(crate) fn now(&self) -> u64 {
        self.nature.since + self.began.elapsed().as_secs()
    }

    pub(crate) fn does(&mut self, deed: Deed) {
        self.deeds.push(deed);
    }

    pub(crate) fn set_base_fee(&mut self, gwei: u128) {
        self.base_fee = gwei * GWEI;
    }

    /// One more block, with some of what waits or with nothing.
    pub(crate) fn mine(&mut self, timestamp: u64, dice: &mut Dice) {
        let timestamp = timestamp.max(self.head().timestamp + 1);
        let items = if dice.below(6) == 0 { Vec::new() } else { self.items(dice) };
        self.branches += 1;
        let branch = (timestamp, self.base_fee, self.branches);
        let next = self.head().next(&self.law, branch, items);
        for mined in &next.mined {
            self.history.entry(mined.hash).or_default().extend(mined.moved.iter().copied());
        }
        tracing::debug!(number = next.number, timestamp, mined = ?next.mined, "a block");
        self.blocks.push(Arc::new(next));
        let state = Arc::clone(&self.head().state);
        self.pool.retain(|(sender, nonce), _| *nonce >= state.nonce(*sender));
        for at in 0..self.nodes.len() {
            if self.nodes[at].follows {
                self.catch_up(at);
            }
        }
    }

    /// What goes into the next block: of each signer what is next and pays enough.
    fn items(&mut self, dice: &mut Dice) -> Vec<Item> {
        let mut items: Vec<Item> = self.deeds.drain(..).map(Item::Deed).collect();
        let state = Arc::clone(&self.head().state);
        let mut next: BTreeMap<Address, u64> = BTreeMap::new();
        for ((sender, nonce), tx) in &self.pool {
            let expected = next.entry(*sender).or_insert_with(|| state.nonce(*sender));
            if nonce == expected && tx.fee >= self.base_fee && dice.below(8) > 0 {
                *expected += 1;
                items.push(Item::Tx(Arc::clone(tx)));
            }
        }
        if dice.below(2) == 0 {
            // A stranger may be before or behind us.
            let deeds = items.iter().take_while(|item| matches!(item, Item::Deed(_))).count();
            items.rotate_left(deeds);
        }
        items
    }

    /// A node learns of the chain as it is.
    pub(crate) fn catch_up(&mut self, at: usize) {
        let (place, blocks) = (&mut self.nodes[at], &self.blocks);
        place.blocks.truncate(blocks.len());
        while let Some(last) = place.blocks.last()
            && !Arc::ptr_eq(last, &blocks[place.blocks.len() - 1])
        {
            place.blocks.pop();
        }
        place.blocks.extend(blocks[place.blocks.len()..].iter().cloned());
        let state = &blocks.last().unwrap().state;
        place.pool.retain(|(sender, nonce), _| *nonce >= state.nonce(*sender));
    }

    /// The chain takes its last blocks back and goes on without them. What was in them waits
    /// again, or is forgotten.
    pub(crate) fn reorganize(&mut self, depth: u64, timestamp: u64, dice: &mut Dice) {
        let height = self.head().number;
        tracing::debug!(height, depth, "blocks are taken back");
        let kept = self.blocks.len() - usize::try_from(depth).unwrap();
        let gone = self.blocks.split_off(kept);
        for block in &gone {
            let believed = height - block.number + 1 >= self.nature.confirmations;
            for mined in &block.mined {
                if believed {
                    self.taken_back.extend(mined.moved.iter().copied());
                }
                match (&mined.item, dice.below(3)) {
                    (_, 0) => {}
                    (Item::Tx(tx), _) => {
                        self.pool.entry(tx.place()).or_insert_with(|| Arc::clone(tx));
                    }
                    (Item::Deed(deed), _) => self.deeds.push(*deed),
                }
            }
        }
        for behind in (0..=depth).rev() {
            self.mine(timestamp.saturating_sub(behind), dice);
        }
    }

    /// A transaction comes from a node to whoever makes blocks.
    pub(super) fn spread(&mut self, tx: &Arc<Tx>) {
        if tx.nonce < self.head().state.nonce(tx.sender) {
            return;
        }
        let there = self.pool.get(&tx.place());
        if there.is_none_or(|there| tx.replaces(there)) {
            self.pool.insert(tx.place(), Arc::clone(tx));
        }
    }

    /// A node forgets what waits, and perhaps everybody does.
    pub(crate) fn forgets(&mut self, at: usize, everybody: bool) {
        self.nodes[at].pool.clear();
        if everybody {
            self.pool.clear();
            self.nodes.iter_mut().for_each(|place| place.pool.clear());
        }
    }

    /// Whether a node learns of new blocks.
    pub(crate) fn set_following(&mut self, at: usize, follows: bool) {
        self.nodes[at].follows = follows;
        if follows {
            self.catch_up(at);
        }
    }

    /// Whether a node is there at all.
    pub(crate) fn set_answering(&mut self, at: usize, answers: bool) {
        self.nodes[at].answers = answers;
    }

    /// The transaction that has moved a payment on the chain as it is.
    pub(crate) fn mover(&self, key: &Key) -> Option<B256> {
        self.blocks.iter().rev().find_map(|block| block.mover(key))
    }

    /// Whether this transaction has moved a payment in any block there ever was.
    pub(crate) fn has_moved(&self, transaction: B256, key: &Key) -> bool {
        self.history.get(&transaction).is_some_and(|moved| moved.contains(key))
    }

    /// Whether its movement was taken back after it had been deep enough.
    pub(crate) fn was_taken_back(&self, key: &Key) -> bool {
        self.taken_back.contains(key)
    }

    /// Whether a transaction that waits somewhere could still move a payment.
    pub(crate) fn may_still_move(&self, key: &Key) -> bool {
        let state = &self.head().state;
        let pools = self.nodes.iter().map(|place| &place.pool).chain([&self.pool]);
        let mut waiting = pools.flat_map(|pool| pool.values());
        let alive = |tx: &Arc<Tx>| tx.nonce >= state.nonce(tx.sender) && tx.pays.contains(key);
        let good = !state.spent.contains_key(key) && !self.law.is_over(key, self.head().timestamp);
        good && waiting.any(alive)
    }

    fn head(&self) -> &Arc<Block> {
        self.blocks.last().unwrap()
    }
}

const FIRST: u64 = 1_000;
/// More than lie below a block that stays.
const BLOCKS_BEFORE: u64 = 70;
pub(crate) const BLOCK_SECONDS: u64 = 2;
const GWEI: u128 = 1_000_000_000;
