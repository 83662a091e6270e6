//! What a transaction has done, read from its events and never from its status alone.

use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;

use super::abi::{Proxy, Token};
use super::rpc::{address, bytes, hash, quantity};
use crate::chain::evm::Sought;
use crate::chain::fault;
use crate::fault::Fault;
use crate::x402::AssetTransferMethod;
use crate::x402::permit2::{EXACT_PROXY, UPTO_PROXY};

/// A transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) transaction: B256,
    pub(super) block: u64,
    pub(super) block_hash: B256,
    pub(super) logs: Vec<Log>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
}

impl Receipt {
    /// Reads what a node says of a transaction: nothing while it is in no block.
    pub(super) fn read(value: &Value) -> Result<Option<Self>, Fault> {
        if value.is_null() {
            return Ok(None);
        }
        let field = |name: &str| value.get(name).unwrap_or(&Value::Null);
        let logs = field("logs").as_array().ok_or_else(|| fault("a receipt without events"))?;
        Ok(Some(Self {
            transaction: hash(field("transactionHash"))?,
            block: quantity(field("blockNumber"))?,
            block_hash: hash(field("blockHash"))?,
            logs: logs.iter().map(Log::read).collect::<Result<_, _>>()?,
        }))
    }

    /// Which of these payments it has moved.
    pub(super) fn moved(&self, sought: &[&Sought]) -> Vec<bool> {
        let after = matched(&self.logs, sought, Neighbour::After);
        let before = matched(&self.logs, sought, Neighbour::Before);
        let count = |found: &[bool]| found.iter().filter(|moved| **moved).count();
        if count(&before) > count(&after) { before } else { after }
    }

    /// How often it has moved, by Permit2, as much as a payment and between the same two.
    pub(super) fn transfers_of(&self, sought: &Sought) -> usize {
        sealed(&self.logs, sought).len()
    }
}

impl Log {
    pub(super) fn read(value: &Value) -> Result<Self, Fault> {
        let field = |name: &str| value.get(name).unwrap_or(&Value::Null);
        let topics = field("topics").as_array().ok_or_else(|| fault("an event without topics"))?;
        Ok(Self {
            address: address(field("address"))?,
            topics: topics.iter().map(hash).collect::<Result<_, _>>()?,
            data: bytes(field("data"))?,
        })
    }

    fn uses(&self, sought: &Sought) -> bool {
        let identity = &sought.identity;
        let topics =
            [Token::AuthorizationUsed::SIGNATURE_HASH, identity.payer.into_word(), identity.nonce];
        self.topics == topics
    }

    /// Whether it is one of the proxies' word that Permit2 has just moved money.
    fn seals(&self) -> bool {
        let seals = [Proxy::Settled::SIGNATURE_HASH, Proxy::SettledWithPermit::SIGNATURE_HASH];
        let proxies = [EXACT_PROXY, UPTO_PROXY];
        proxies.contains(&self.address) && self.topics.first().is_some_and(|it| seals.contains(it))
    }

    fn is_transfer_of(&self, asset: Address) -> bool {
        let transfer = Token::Transfer::SIGNATURE_HASH;
        self.address == asset && self.topics.first() == Some(&transfer)
    }

    pub(super) fn pays(&self, sought: &Sought) -> bool {
        let identity = &sought.identity;
        let (payer, payee) = (identity.payer.into_word(), sought.pay_to.into_word());
        let value = U256::from(sought.amount.units()).to_be_bytes::<32>();
        self.topics == [Token::Transfer::SIGNATURE_HASH, payer, payee] && **self.data == value
    }
}

/// On which side of its `AuthorizationUsed` an asset puts the `Transfer`.
#[derive(Clone, Copy)]
enum Neighbour {
    /// As USDC does.
    After,
    Before,
}

/// The payments whose money has moved. No transfer counts for two.
fn matched(logs: &[Log], sought: &[&Sought], side: Neighbour) -> Vec<bool> {
    let mut taken = vec![false; logs.len()];
    let mut moved = |wanted: &Sought| {
        let transfers = match wanted.identity.method() {
            AssetTransferMethod::Eip3009 => used(logs, wanted, side).into_iter().collect(),
            AssetTransferMethod::Permit2 => sealed(logs, wanted),
        };
        let free = transfers.into_iter().find(|at| taken.get(*at) == Some(&false));
        match free.and_then(|at| taken.get_mut(at)) {
            Some(taken) => {
                *taken = true;
                true
            }
            None => false,
        }
    };
    sought.iter().map(|wanted| moved(wanted)).collect()
}

/// The transfer that was asked for, right beside the use of its authorization.
///
/// The same authorization can be used for a transfer to somebody else, as
/// `receiveWithAuthorization`; a use alone proves nothing.
fn used(logs: &[Log], wanted: &Sought, side: Neighbour) -> Option<usize> {
    let own = logs.iter().enumerate().filter(|(_, log)| log.address == wanted.asset);
    let own: Vec<(usize, &Log)> = own.collect();
    let at = own.iter().position(|(_, log)| log.uses(wanted))?;
    let beside = match side {
        Neighbour::After => at.checked_add(1),
        Neighbour::Before => at.checked_sub(1),
    };
    let (at, log) = own.get(beside?)?;
    log.pays(wanted).then_some(*at)
}

/// The transfers like the one that was asked for, each with the proxy's word right behind it.
///
/// Events of Permit2 tell no number: whoever asks knows that it is this payment's transaction.
fn sealed(logs: &[Log], wanted: &Sought) -> Vec<usize> {
    let of_both = |log: &Log| log.is_transfer_of(wanted.asset) || log.seals();
    let both: Vec<(usize, &Log)> =
        logs.iter().enumerate().filter(|(_, log)| of_both(log)).collect();
    let pairs = both.iter().zip(both.iter().skip(1));
    let found =
        pairs.filter(|((_, one), (_, next))| !one.seals() && one.pays(wanted) && next.seals());
    found.map(|((at, _), _)| *at).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clock::UnixMillis;
    use crate::x402::permit2::PERMIT2;
    use crate::x402::{AtomicAmount, Network, PaymentIdentity};

    pub(in crate::chain::evm) fn sought(nonce: u8) -> Sought {
        Sought {
            identity: PaymentIdentity {
                network: Network::eip155(84532),
                contract: Address::repeat_byte(0x11),
                payer: Address::repeat_byte(0x33),
                nonce: B256::repeat_byte(nonce),
            },
            asset: Address::repeat_byte(0x11),
            amount: AtomicAmount::new(50_000),
            pay_to: Address::repeat_byte(0x22),
            valid_before: 1_800_000_000,
            since: UnixMillis::new(1_700_000_000_000),
            transaction: None,
        }
    }

    fn used(nonce: u8) -> Log {
        let Sought { identity, asset, .. } = sought(nonce);
        let topics = vec![
            Token::AuthorizationUsed::SIGNATURE_HASH,
            identity.payer.into_word(),
            identity.nonce,
        ];
        Log { address: asset, topics, data: Bytes::new() }
    }

    fn paid(to: u8, amount: u64) -> Log {
        let Sought { identity, asset, .. } = sought(1);
        let topics = vec![
            Token::Transfer::SIGNATURE_HASH,
            identity.payer.into_word(),
            Address::repeat_byte(to).into_word(),
        ];
        Log { address: asset, topics, data: U256::from(amount).to_be_bytes_vec().into() }
    }

    #[track_caller]
    fn check(logs: Vec<Log>, nonces: &[u8], expected: &[bool]) {
        let receipt = Receipt { transaction: B256::ZERO, block: 1, block_hash: B256::ZERO, logs };
        let sought: Vec<Sought> = nonces.iter().copied().map(sought).collect();
        assert_eq!(receipt.moved(&sought.iter().collect::<Vec<_>>()), expected);
    }

    #[test]
    fn each_payment_is_read_from_its_own_events() {
        let logs = vec![used(1), paid(0x22, 50_000), used(3), paid(0x22, 50_000)];
        check(logs, &[1, 2, 3], &[true, false, true]);
    }

    #[test]
    fn a_token_that_transfers_first_is_read_as_well() {
        let logs = vec![paid(0x22, 50_000), used(1), paid(0x22, 50_000), used(2)];
        check(logs, &[1, 2], &[true, true]);
    }

    #[test]
    fn a_use_for_another_payee_or_amount_moves_nothing() {
        check(vec![used(1), paid(0x44, 50_000)], &[1], &[false]);
        check(vec![used(1), paid(0x22, 49_999)], &[1], &[false]);
        check(vec![used(1)], &[1], &[false]);
        check(vec![paid(0x22, 50_000)], &[1], &[false]);
        check(vec![], &[1], &[false]);
    }

    #[test]
    fn one_transfer_pays_for_one() {
        check(vec![used(1), used(2), paid(0x22, 50_000)], &[1, 2], &[false, true]);
        check(vec![used(1), paid(0x22, 50_000)], &[1, 1], &[true, false]);
    }

    #[test]
    fn another_assets_events_between_do_not_matter_and_do_not_count() {
        let foreign = |log: Log| Log { address: Address::repeat_byte(0x99), ..log };
        check(vec![used(1), foreign(paid(0x44, 1)), paid(0x22, 50_000)], &[1], &[true]);
        check(vec![used(1), foreign(paid(0x22, 50_000))], &[1], &[false]);
        check(vec![foreign(used(1)), paid(0x22, 50_000)], &[1], &[false]);
    }

    fn permitted(nonce: u8) -> Sought {
        let mut sought = sought(nonce);
        sought.identity.contract = PERMIT2;
        sought
    }

    fn seal() -> Log {
        let topics = vec![Proxy::Settled::SIGNATURE_HASH];
        Log { address: EXACT_PROXY, topics, data: Bytes::new() }
    }

    #[track_caller]
    fn check_permits(logs: Vec<Log>, sought: &[Sought], expected: &[bool]) {
        let receipt = Receipt { transaction: B256::ZERO, block: 1, block_hash: B256::ZERO, logs };
        assert_eq!(receipt.moved(&sought.iter().collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_permit_has_moved_what_the_proxy_seals() {
        let one = [permitted(1)];
        check_permits(vec![paid(0x22, 50_000), seal()], &one, &[true]);
        let approved = Log { topics: vec![B256::repeat_byte(9)], ..paid(0x22, 1) };
        check_permits(vec![approved.clone(), paid(0x22, 50_000), approved, seal()], &one, &[true]);
        check_permits(vec![paid(0x22, 50_000)], &one, &[false]);
        check_permits(vec![seal(), paid(0x22, 50_000)], &one, &[false]);
        check_permits(vec![paid(0x22, 49_999), seal()], &one, &[false]);
        check_permits(vec![paid(0x44, 50_000), seal()], &one, &[false]);
        check_permits(vec![paid(0x22, 50_000), paid(0x44, 1), seal()], &one, &[false]);
        let forged = Log { address: Address::repeat_byte(0x11), ..seal() };
        check_permits(vec![paid(0x22, 50_000), forged], &one, &[false]);
    }

    #[test]
    fn permits_and_authorizations_in_one_transaction_are_told_apart() {
        let logs = vec![used(1), paid(0x22, 50_000), paid(0x22, 50_000), seal()];
        check_permits(logs, &[sought(1), permitted(2)], &[true, true]);
        let logs = vec![used(1), paid(0x22, 50_000), paid(0x44, 1), seal()];
        check_permits(logs, &[sought(1), permitted(2)], &[true, false]);
    }

    #[test]
    fn a_receipt_is_read_from_a_nodes_words() {
        let word = format!("{:#x}", B256::repeat_byte(7));
        let value = serde_json::json!({
            "transactionHash": word, "blockNumber": "0x10", "blockHash": word, "status": "0x0",
            "logs": [{ "address": "0x1111111111111111111111111111111111111111",
                       "topics": [word], "data": "0x" }],
        });
        let receipt = Receipt::read(&value).unwrap().unwrap();
        assert_eq!((receipt.block, receipt.logs.len()), (16, 1));
        assert_eq!(Receipt::read(&Value::Null).unwrap(), None);
        assert!(Receipt::read(&serde_json::json!({ "logs": [] })).is_err());
    }
}
