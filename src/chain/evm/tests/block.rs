//! One block after the other: transactions, what strangers do, and what both have done.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::super::receipt::Log;
use super::token::{GAS_EACH, Key, Law, State, payments_in};

/// A transaction of a signer.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) hash: B256,
    pub(super) sender: Address,
    pub(super) nonce: u64,
    pub(super) fee: u128,
    pub(super) tip: u128,
    pub(super) gas: u64,
    pub(super) to: Address,
    pub(super) input: Bytes,
    /// The payments it is for.
    pub(super) pays: Vec<Key>,
}

impl Tx {
    pub(super) fn place(&self) -> (Address, u64) {
        (self.sender, self.nonce)
    }

    /// Whether nodes take it in place of another.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        let more = |new: u128, old: u128| new >= old + old / 10 && new > old;
        more(self.fee, other.fee) && more(self.tip, other.tip)
    }
}

/// What somebody does who is none of our signers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// The payer cancels its authorization.
    Cancels(Key),
    /// Somebody sends the payer's authorization before us.
    Sends(Key),
    /// Somebody's money of this asset goes somewhere.
    Gives { asset: Address, from: Address, to: Address, value: U256 },
    /// An owner lets Permit2 take its asset.
    Allows { asset: Address, owner: Address },
    /// An owner does not any more.
    Denies { asset: Address, owner: Address },
}

/// What is in a block.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Tx(Arc<Tx>),
    Deed(Deed),
}

/// An item of a block and what it has done.
#[derive(Debug)]
pub(super) struct Mined {
    pub(super) item: Item,
    pub(super) hash: B256,
    pub(super) ok: bool,
    pub(super) logs: Vec<Log>,
    pub(super) moved: Vec<Key>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) timestamp: u64,
    pub(super) base_fee: u128,
    pub(super) state: Arc<State>,
    pub(super) mined: Vec<Mined>,
}

impl Block {
    pub(super) fn first(number: u64, timestamp: u64, state: State) -> Self {
        let (hash, base_fee) = (keccak256(number.to_be_bytes()), 0);
        Self { number, hash, timestamp, base_fee, state: Arc::new(state), mined: Vec::new() }
    }

    /// The block behind this one. `salt` makes those of two branches differ.
    pub(super) fn next(
        &self,
        law: &Law,
        (timestamp, base_fee, salt): (u64, u128, u64),
        items: Vec<Item>,
    ) -> Self {
        let mut state = (*self.state).clone();
        let mut name = self.hash.to_vec();
        name.extend(salt.to_be_bytes());
        let hash = keccak256(&name);
        let run = |(at, item): (usize, Item)| {
            let mut name = hash.to_vec();
            name.extend(at.to_be_bytes());
            item.run(law, timestamp, (&mut state, keccak256(&name)))
        };
        let mined: Vec<Mined> = items.into_iter().enumerate().map(run).collect();
        let number = self.number + 1;
        Self { number, hash, timestamp, base_fee, state: Arc::new(state), mined }
    }

    pub(super) fn find(&self, hash: B256) -> Option<&Mined> {
        self.mined.iter().find(|mined| mined.hash == hash)
    }

    /// The transaction that has moved a payment here.
    pub(super) fn mover(&self, key: &Key) -> Option<B256> {
        self.mined.iter().find(|mined| mined.moved.contains(key)).map(|mined| mined.hash)
    }
}

impl Mined {
    /// What the transaction said.
    pub(super) fn input(&self, law: &Law) -> Bytes {
        match &self.item {
            Item::Tx(tx) => tx.input.clone(),
            Item::Deed(Deed::Sends(key)) => {
                law.signed.get(key).map(|call| call.data.clone()).unwrap_or_default()
            }
            Item::Deed(_) => Bytes::new(),
        }
    }
}

impl Item {
    fn run(self, law: &Law, clock: u64, (state, name): (&mut State, B256)) -> Mined {
        match &self {
            Self::Tx(tx) => {
                *state.nonces.entry(tx.sender).or_default() += 1;
                let needed = GAS_BASE + GAS_EACH * u64::try_from(tx.pays.len()).unwrap();
                let done = match tx.gas >= needed {
                    true => state.call(law, clock, (tx.to, &tx.input)),
                    false => Err(Bytes::new()),
                };
                let hash = tx.hash;
                match done {
                    Ok(done) => {
                        Mined { item: self, hash, ok: true, logs: done.logs, moved: done.moved }
                    }
                    Err(_) => Mined { item: self, hash, ok: false, logs: vec![], moved: vec![] },
                }
            }
            Self::Deed(deed) => {
                let (logs, moved) = deed.run(law, clock, state);
                Mined { item: self, hash: name, ok: true, logs, moved }
            }
        }
    }
}

impl Deed {
    fn run(&self, law: &Law, clock: u64, state: &mut State) -> (Vec<Log>, Vec<Key>) {
        match self {
            Self::Cancels(key) => (state.cancel(*key), Vec::new()),
            Self::Sends(key) => {
                let done = law
                    .signed
                    .get(key)
                    .map(|call| state.call(law, clock, (call.to, &call.data)).unwrap_or_default());
                done.map(|done| (done.logs, done.moved)).unwrap_or_default()
            }
            Self::Gives { asset, from, to, value } => {
                state.gives(*asset, (*from, *to), *value);
                (Vec::new(), Vec::new())
            }
            Self::Allows { asset, owner } => {
                state.denied.remove(&(*asset, *owner));
                (Vec::new(), Vec::new())
            }
            Self::Denies { asset, owner } => {
                state.denied.insert((*asset, *owner));
                (Vec::new(), Vec::new())
            }
        }
    }
}

/// A transaction as it was sent.
pub(super) fn tx(raw: &[u8], chain_id: u64) -> Option<Tx> {
    use alloy::consensus::{Transaction as _, TxEnvelope};
    use alloy::eips::eip2718::Decodable2718 as _;
    let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718(&mut &*raw).ok()? else {
        return None;
    };
    let sender = signed.signature().recover_address_from_prehash(&signed.signature_hash()).ok()?;
    let sent = signed.tx();
    let to = sent.to().filter(|_| sent.chain_id == chain_id)?;
    Some(Tx {
        hash: *signed.hash(),
        sender,
        nonce: sent.nonce,
        fee: sent.max_fee_per_gas,
        tip: sent.max_priority_fee_per_gas,
        gas: sent.gas_limit,
        to,
        input: sent.input.clone(),
        pays: payments_in(to, &sent.input),
    })
}

const GAS_BASE: u64 = 21_000;
