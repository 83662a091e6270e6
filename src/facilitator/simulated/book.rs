//! What a simulated chain remembers: who holds what, and which nonces are used.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize, Serializer};

use super::super::Trace;
use crate::x402::svm::wire::Signature;
use crate::x402::svm::{signature_of, signature_text};
use crate::x402::{Account, AtomicAmount, ErrorReason, Network, PaymentIdentity};

/// One executed transfer; on disk, one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// Its hash on the simulated chain.
    #[serde(with = "as_text")]
    pub transaction: TransferId,
    /// CAIP-2 network.
    pub network: Network,
    /// Contract of the asset.
    #[serde(serialize_with = "folded")]
    pub asset: Account,
    /// Who took the nonce, if not the asset itself.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "some_folded")]
    pub contract: Option<Account>,
    /// Who paid.
    #[serde(serialize_with = "folded")]
    pub from: Account,
    /// Who was paid.
    #[serde(serialize_with = "folded")]
    pub to: Account,
    /// Atomic units.
    pub value: AtomicAmount,
    /// The payer's own number for this payment.
    pub nonce: B256,
    /// Unix seconds; from then on the authorization could not execute again.
    pub valid_before: u64,
}

/// What a transfer is called on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferId {
    /// The hash of a transaction.
    Evm(B256),
    /// The signature of whoever pays the fee.
    Svm(Signature),
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(hash) => write!(f, "{hash:#x}"),
            Self::Svm(signature) => f.write_str(&signature_text(signature)),
        }
    }
}

/// A text that names no transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a transfer")]
pub struct TransferIdError;

impl FromStr for TransferId {
    type Err = TransferIdError;

    fn from_str(text: &str) -> Result<Self, TransferIdError> {
        let id = match text.starts_with("0x") {
            true => text.parse().ok().map(Self::Evm),
            false => signature_of(text).map(Self::Svm),
        };
        id.ok_or(TransferIdError)
    }
}

/// A [`TransferId`] as it is displayed.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::TransferId;

    pub(super) fn serialize<S: Serializer>(id: &TransferId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TransferId, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

fn folded<S: Serializer>(account: &Account, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&account.folded())
}

fn some_folded<S: Serializer>(account: &Option<Account>, to: S) -> Result<S::Ok, S::Error> {
    match account {
        Some(account) => folded(account, to),
        None => to.serialize_none(),
    }
}

/// The chain cannot remember another nonce or account.
#[derive(Debug, thiserror::Error)]
#[error("{nonces} nonces and {accounts} accounts are remembered")]
pub(super) struct Full {
    nonces: usize,
    accounts: usize,
}

/// Balances and used nonces, in memory.
pub(super) struct Book {
    /// Of an account that has not moved yet.
    balance: AtomicAmount,
    /// Of those that start with something else.
    balances: BTreeMap<Account, AtomicAmount>,
    moved: HashMap<Purse, AtomicAmount>,
    used: HashMap<PaymentIdentity, Used>,
    latest: VecDeque<Transfer>,
    count: u64,
    memory: Memory,
    swept: u64,
    nonces_max: usize,
}

/// Whether every nonce that was ever used is still remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Whole,
    Swept,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Purse {
    network: Network,
    asset: Account,
    owner: Account,
}

struct Used {
    transaction: TransferId,
    valid_before: u64,
}

impl Book {
    pub(super) fn new(balance: AtomicAmount, balances: BTreeMap<Account, AtomicAmount>) -> Self {
        Self {
            balance,
            balances,
            moved: HashMap::new(),
            used: HashMap::new(),
            latest: VecDeque::new(),
            count: 0,
            memory: Memory::Whole,
            swept: 0,
            nonces_max: USED_NONCES_MAX,
        }
    }

    /// The same book with room for fewer nonces.
    #[cfg(test)]
    fn of_nonces(mut self, nonces_max: usize) -> Self {
        self.nonces_max = nonces_max;
        self
    }

    /// Whether the asset's contract would execute this transfer now.
    pub(super) fn judge(
        &self,
        identity: &PaymentIdentity,
        asset: Account,
        due: AtomicAmount,
    ) -> Result<(), ErrorReason> {
        if self.used.contains_key(identity) {
            return Err(ErrorReason::DuplicateSettlement);
        }
        if self.balance(&identity.network, asset, identity.payer) < due {
            return Err(ErrorReason::InsufficientFunds);
        }
        Ok(())
    }

    /// Makes sure that one more transfer can be remembered, forgetting what has expired.
    ///
    /// An expired authorization fails its window, so its nonce is no longer needed to refuse it.
    /// Sweeps at most once a second, however often it is asked.
    pub(super) fn make_room(&mut self, now: u64) -> Result<(), Full> {
        if self.used.len() >= self.nonces_max && now > self.swept {
            let before = self.used.len();
            self.used.retain(|_, used| used.valid_before > now);
            self.swept = now;
            if self.used.len() < before {
                self.memory = Memory::Swept;
            }
        }
        // A transfer moves at most two accounts that have not moved before.
        if self.used.len() >= self.nonces_max || self.moved.len() + 2 > ACCOUNTS_MAX {
            return Err(Full { nonces: self.used.len(), accounts: self.moved.len() });
        }
        Ok(())
    }

    /// Moves the money of a transfer and uses its nonce up.
    pub(super) fn enter(&mut self, transfer: Transfer) {
        let Transfer { network, asset, from, to, value, .. } = &transfer;
        // Only a journal from before a lower starting balance can take an account below zero.
        let balance = self.moving(network, *asset, *from);
        *balance = balance.checked_sub(*value).unwrap_or(AtomicAmount::ZERO);
        let balance = self.moving(network, *asset, *to);
        *balance = balance.checked_add(*value).unwrap_or(AtomicAmount::new(u128::MAX));

        let identity = PaymentIdentity {
            network: network.clone(),
            contract: transfer.contract.unwrap_or(*asset),
            payer: *from,
            nonce: transfer.nonce,
        };
        let Transfer { transaction, valid_before, .. } = transfer;
        self.used.insert(identity, Used { transaction, valid_before });
        self.count = self.count.saturating_add(1);
        if self.latest.len() == TRANSFERS_KEPT_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(transfer);
    }

    /// What became of a payment, as far as is remembered.
    pub(super) fn trace(&self, identity: &PaymentIdentity) -> Trace {
        match (self.used.get(identity), self.memory) {
            (Some(used), _) => Trace::Moved { transaction: used.transaction.to_string().into() },
            (None, Memory::Whole) => Trace::NotMoved,
            (None, Memory::Swept) => Trace::CannotTell,
        }
    }

    pub(super) fn balance(
        &self,
        network: &Network,
        asset: Account,
        owner: Account,
    ) -> AtomicAmount {
        let account = Purse { network: network.clone(), asset, owner };
        let at_start = || self.balances.get(&owner).copied().unwrap_or(self.balance);
        self.moved.get(&account).copied().unwrap_or_else(at_start)
    }

    /// Transfers since the beginning.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn transfers(&self) -> Vec<Transfer> {
        self.latest.iter().cloned().collect()
    }

    fn moving(&mut self, network: &Network, asset: Account, owner: Account) -> &mut AtomicAmount {
        let account = Purse { network: network.clone(), asset, owner };
        let at_start = || self.balances.get(&owner).copied().unwrap_or(self.balance);
        self.moved.entry(account).or_insert_with(at_start)
    }
}

/// Nonces that are remembered at once; about 250 bytes each. When none has expired, no more
/// transfers are taken: 3,300 a second for five minutes.
pub const USED_NONCES_MAX: usize = 1_000_000;

/// Accounts whose balance is not the one they started with.
const ACCOUNTS_MAX: usize = 1_000_000;

/// Transfers that can be listed without reading the journal.
pub const TRANSFERS_KEPT_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;

    fn transfer(number: usize, valid_before: u64) -> Transfer {
        Transfer {
            transaction: TransferId::Evm(B256::left_padding_from(&number.to_be_bytes())),
            network: Network::eip155(84532),
            asset: Address::repeat_byte(1).into(),
            contract: None,
            from: Address::repeat_byte(2).into(),
            to: Address::repeat_byte(3).into(),
            value: AtomicAmount::new(1),
            nonce: B256::left_padding_from(&number.to_be_bytes()),
            valid_before,
        }
    }

    fn identity(transfer: &Transfer) -> PaymentIdentity {
        PaymentIdentity {
            network: transfer.network.clone(),
            contract: transfer.asset,
            payer: transfer.from,
            nonce: transfer.nonce,
        }
    }

    #[test]
    fn a_full_book_forgets_what_has_expired_and_then_cannot_tell() {
        let mut book = Book::new(AtomicAmount::new(1_000_000), BTreeMap::new()).of_nonces(3);
        [100, 101, 102].into_iter().enumerate().for_each(|(n, end)| book.enter(transfer(n, end)));
        let gone = identity(&transfer(0, 0));

        assert!(book.make_room(99).is_err(), "nothing has expired");
        assert!(matches!(book.trace(&gone), Trace::Moved { .. }));
        assert!(book.make_room(99).is_err(), "once a second is enough");
        assert!(book.make_room(100).is_ok(), "one has");
        assert_eq!(book.trace(&gone), Trace::CannotTell);
        assert!(matches!(book.trace(&identity(&transfer(1, 0))), Trace::Moved { .. }));
    }

    #[test]
    fn the_latest_transfers_can_be_listed() {
        let mut book = Book::new(AtomicAmount::new(1_000_000), BTreeMap::new());
        (0..TRANSFERS_KEPT_MAX + 1).for_each(|number| book.enter(transfer(number, 100)));
        let transfers = book.transfers();
        assert_eq!(transfers.len(), TRANSFERS_KEPT_MAX);
        assert_eq!(transfers[0], transfer(1, 100));
    }

    #[test]
    fn paying_oneself_moves_nothing() {
        let mut book = Book::new(AtomicAmount::new(5), BTreeMap::new());
        let mut own = transfer(1, 100);
        own.to = own.from;
        book.enter(own.clone());
        assert_eq!(book.balance(&own.network, own.asset, own.from), AtomicAmount::new(5));
    }
}
