//! The contracts of the chain: assets with EIP-3009, Multicall3, and what runs the probe.

use std::collections::BTreeMap;

use alloy::sol_types::{Revert, SolCall, SolError, SolEvent, SolValue};
use alloy_primitives::{Address, B256, Bytes, U256, hex};

use super::super::abi::{ByKey, Multicall3, ProbeCall, ProbeResult, Token};
use super::super::payment::{MULTICALL3, Payment};
use super::super::receipt::Log;
use crate::x402::{Offer, SignedAuthorization};

/// An authorization: the asset, the payer, the payer's number.
pub(crate) type Key = (Address, Address, B256);

/// What makes this authorization itself on the chain.
pub(crate) fn key(offer: &Offer, signed: &SignedAuthorization) -> Key {
    let authorization = &signed.authorization;
    (offer.requirements.asset, authorization.from, authorization.nonce)
}

/// What never changes: whose signatures there are.
#[derive(Debug, Default)]
pub(super) struct Law {
    /// The one call that each signature is good for.
    pub(super) signed: BTreeMap<Key, Bytes>,
    /// From then on it is good for nothing.
    pub(super) ends: BTreeMap<Key, U256>,
    pub(super) has_multicall: bool,
}

impl Law {
    pub(super) fn sign(&mut self, offer: &Offer, signed: &SignedAuthorization) {
        let asset = offer.requirements.asset;
        let call = Payment::new(asset, &offer.domain, signed).transfer();
        self.signed.insert(key(offer, signed), call.data);
        self.ends.insert(key(offer, signed), signed.authorization.valid_before);
    }

    /// Whether a payment's window has closed.
    pub(super) fn is_over(&self, key: &Key, clock: u64) -> bool {
        self.ends.get(key).is_some_and(|end| U256::from(clock) >= *end)
    }

    fn is_asset(&self, address: Address) -> bool {
        self.signed.keys().any(|(asset, ..)| *asset == address)
    }

    fn code_size(&self, address: Address) -> U256 {
        let there = self.is_asset(address) || (address == MULTICALL3 && self.has_multicall);
        U256::from(if there { 1_000 } else { 0 })
    }
}

/// What the chain knows at one block.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) balances: BTreeMap<(Address, Address), U256>,
    /// Used or cancelled.
    pub(super) spent: BTreeMap<Key, ()>,
    /// Of signers.
    pub(super) nonces: BTreeMap<Address, u64>,
}

/// What a call has done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) returned: Bytes,
    pub(super) logs: Vec<Log>,
    /// The payments it has moved.
    pub(super) moved: Vec<Key>,
}

/// Why a call was reverted, as it says.
type Reverted = Bytes;

impl State {
    pub(super) fn nonce(&self, signer: Address) -> u64 {
        self.nonces.get(&signer).copied().unwrap_or_default()
    }

    pub(super) fn balance(&self, asset: Address, of: Address) -> U256 {
        self.balances.get(&(asset, of)).copied().unwrap_or_default()
    }

    /// Makes a call at this time; one that is reverted changes nothing.
    pub(super) fn call(
        &mut self,
        law: &Law,
        clock: u64,
        (to, data): (Address, &[u8]),
    ) -> Result<Done, Reverted> {
        if to == MULTICALL3 && law.has_multicall {
            return self.aggregate(law, clock, data);
        }
        if !law.is_asset(to) {
            return Ok(Done::default());
        }
        if let Ok(call) = Token::balanceOfCall::abi_decode(data) {
            return Ok(word(self.balance(to, call.owner)));
        }
        if let Ok(call) = Token::authorizationStateCall::abi_decode(data) {
            let spent = self.spent.contains_key(&(to, call.authorizer, call.nonce));
            return Ok(word(U256::from(u8::from(spent))));
        }
        self.transfer(law, clock, (to, data))
    }

    fn aggregate(&mut self, law: &Law, clock: u64, data: &[u8]) -> Result<Done, Reverted> {
        let call = Multicall3::aggregate3Call::abi_decode(data).map_err(|_| revert("calls"))?;
        let mut all = Done::default();
        for call in call.calls {
            match self.call(law, clock, (call.target, &call.callData)) {
                Ok(done) => {
                    all.logs.extend(done.logs);
                    all.moved.extend(done.moved);
                }
                Err(_) if call.allowFailure => {}
                Err(_) => return Err(revert("Multicall3: call failed")),
            }
        }
        Ok(all)
    }

    fn transfer(
        &mut self,
        law: &Law,
        clock: u64,
        (asset, data): (Address, &[u8]),
    ) -> Result<Done, Reverted> {
        let call = ByKey::transferWithAuthorizationCall::abi_decode(data);
        let call = call.map_err(|_| revert("no such function"))?;
        let key = (asset, call.from, call.nonce);
        if law.signed.get(&key).is_none_or(|signed| **signed != *data) {
            return Err(revert("FiatTokenV2: invalid signature"));
        }
        let clock = U256::from(clock);
        if clock <= call.validAfter {
            return Err(revert("FiatTokenV2: authorization is not yet valid"));
        }
        if clock >= call.validBefore {
            return Err(revert("FiatTokenV2: authorization is expired"));
        }
        if self.spent.contains_key(&key) {
            return Err(revert("FiatTokenV2: authorization is used or canceled"));
        }
        if self.balance(asset, call.from) < call.value {
            return Err(revert("ERC20: transfer amount exceeds balance"));
        }
        self.spent.insert(key, ());
        self.gives(asset, (call.from, call.to), call.value);
        let used =
            vec![Token::AuthorizationUsed::SIGNATURE_HASH, call.from.into_word(), call.nonce];
        let paid =
            vec![Token::Transfer::SIGNATURE_HASH, call.from.into_word(), call.to.into_word()];
        let data = call.value.to_be_bytes_vec().into();
        let logs = vec![
            Log { address: asset, topics: used, data: Bytes::new() },
            Log { address: asset, topics: paid, data },
        ];
        Ok(Done { returned: Bytes::new(), logs, moved: vec![key] })
    }

    /// Takes an authorization out of the world without a transfer.
    pub(super) fn cancel(&mut self, (asset, payer, nonce): Key) -> Vec<Log> {
        if self.spent.insert((asset, payer, nonce), ()).is_some() {
            return Vec::new();
        }
        let topics = vec![Token::AuthorizationCanceled::SIGNATURE_HASH, payer.into_word(), nonce];
        vec![Log { address: asset, topics, data: Bytes::new() }]
    }

    /// Moves as much of `value` as there is.
    pub(super) fn gives(&mut self, asset: Address, (from, to): (Address, Address), value: U256) {
        let value = value.min(self.balance(asset, from));
        *self.balances.entry((asset, from)).or_default() -= value;
        *self.balances.entry((asset, to)).or_default() += value;
    }

    /// What `Probe.sol` returns for its creation code with these arguments.
    pub(super) fn probe(&self, law: &Law, clock: u64, data: &[u8]) -> Option<Bytes> {
        let code = hex::decode(PROBE.trim()).ok()?;
        let arguments = data.strip_prefix(code.as_slice())?;
        let (calls, subjects) =
            <(Vec<ProbeCall>, Vec<Address>)>::abi_decode_params(arguments).ok()?;
        let mut state = self.clone();
        let results = calls.into_iter().map(|call| {
            let made = state.call(law, clock, (call.target, &call.data));
            let (ok, data) = match made {
                Ok(done) => (true, done.returned),
                Err(said) => (false, said),
            };
            ProbeResult { ok, gasUsed: U256::from(GAS_EACH), data }
        });
        let results: Vec<ProbeResult> = results.collect();
        let sizes: Vec<U256> = subjects.into_iter().map(|one| law.code_size(one)).collect();
        Some((U256::from(clock), sizes, results).abi_encode_params().into())
    }
}

/// The payments that a transaction would move.
pub(super) fn payments_in(to: Address, data: &[u8]) -> Vec<Key> {
    if to == MULTICALL3 {
        let calls = Multicall3::aggregate3Call::abi_decode(data).map(|call| call.calls);
        let calls = calls.unwrap_or_default().into_iter();
        return calls.flat_map(|call| payments_in(call.target, &call.callData)).collect();
    }
    let call = ByKey::transferWithAuthorizationCall::abi_decode(data);
    call.map(|call| vec![(to, call.from, call.nonce)]).unwrap_or_default()
}

fn word(value: U256) -> Done {
    Done { returned: value.to_be_bytes_vec().into(), ..Done::default() }
}

fn revert(reason: &str) -> Reverted {
    Revert { reason: reason.to_owned() }.abi_encode().into()
}

const PROBE: &str = include_str!("../probe.hex");
/// What a transfer takes.
pub(super) const GAS_EACH: u64 = 55_000;
