//! The chain's contracts: assets, Permit2 with x402's proxy, Multicall3, what runs the probe.

use std::collections::{BTreeMap, BTreeSet};

use alloy::sol_types::{Revert, SolCall, SolError, SolEvent, SolValue};
use alloy_primitives::{Address, B256, Bytes, U256, hex};

use super::super::abi::{ByKey, Multicall3, Permit2, ProbeCall, ProbeResult, Proxy, Token};
use super::super::payment::{Call, MULTICALL3, Payment};
use super::super::receipt::Log;
use crate::x402::permit2::{EXACT_PROXY, PERMIT2};
use crate::x402::{Offer, SignedAuthorization};

/// An authorization: who keeps its number, the payer, the payer's number.
pub(crate) type Key = (Address, Address, B256);

/// What makes this authorization itself on the chain.
pub(crate) fn key(offer: &Offer, signed: &SignedAuthorization) -> Key {
    let identity = offer.identity(&signed.clone().into()).evm().unwrap();
    (identity.contract, identity.payer, identity.nonce)
}

/// What never changes: whose signatures there are.
#[derive(Debug, Default)]
pub(super) struct Law {
    /// The one call that each signature is good for.
    pub(super) signed: BTreeMap<Key, Call>,
    pub(super) assets: BTreeSet<Address>,
    /// From then on it is good for nothing.
    pub(super) ends: BTreeMap<Key, U256>,
    pub(super) has_multicall: bool,
}

impl Law {
    pub(super) fn sign(&mut self, offer: &Offer, signed: &SignedAuthorization) {
        let asset = offer.requirements.asset.evm().unwrap();
        let call = Payment::new(asset, &offer.evm().unwrap().payments, signed).transfer();
        self.assets.insert(asset);
        self.signed.insert(key(offer, signed), call);
        self.ends.insert(key(offer, signed), signed.authorization.window().end);
    }

    /// Whether a payment's window has closed.
    pub(super) fn is_over(&self, key: &Key, clock: u64) -> bool {
        self.ends.get(key).is_some_and(|end| U256::from(clock) >= *end)
    }

    fn code_size(&self, address: Address) -> U256 {
        let there = match address {
            MULTICALL3 => self.has_multicall,
            PERMIT2 | EXACT_PROXY => true,
            other => self.assets.contains(&other),
        };
        U256::from(if there { 1_000 } else { 0 })
    }

    /// Whether this call is the one that was signed.
    fn is_signed(&self, key: &Key, data: &[u8]) -> bool {
        self.signed.get(key).is_some_and(|call| *call.data == *data)
    }
}

/// What the chain knows at one block.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) balances: BTreeMap<(Address, Address), U256>,
    /// Used or cancelled.
    pub(super) spent: BTreeMap<Key, ()>,
    /// Assets and owners of which Permit2 may take nothing.
    pub(super) denied: BTreeSet<(Address, Address)>,
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
        if to == EXACT_PROXY {
            return self.settle(law, clock, data);
        }
        if let (PERMIT2, Ok(call)) = (to, Permit2::nonceBitmapCall::abi_decode(data)) {
            return Ok(word(self.bitmap(call.owner, call.word)));
        }
        if !law.assets.contains(&to) {
            return Ok(Done::default());
        }
        if let Ok(call) = Token::allowanceCall::abi_decode(data) {
            let denied = self.denied.contains(&(to, call.owner)) || call.spender != PERMIT2;
            return Ok(word(if denied { U256::ZERO } else { U256::MAX }));
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
        if !law.is_signed(&key, data) {
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
        let used = Log { address: asset, topics: used, data: Bytes::new() };
        let logs = vec![used, paid(asset, (call.from, call.to), call.value)];
        Ok(Done { returned: Bytes::new(), logs, moved: vec![key] })
    }

    /// What x402's proxy does, and Permit2 behind it.
    fn settle(&mut self, law: &Law, clock: u64, data: &[u8]) -> Result<Done, Reverted> {
        let call = Proxy::settleCall::abi_decode(data).map_err(|_| revert("no such function"))?;
        let (asset, value) = (call.permit.permitted.token, call.permit.permitted.amount);
        let (owner, to) = (call.owner, call.witness.to);
        let key = (PERMIT2, owner, call.permit.nonce.into());
        let clock = U256::from(clock);
        if clock < call.witness.validAfter {
            return Err(Proxy::PaymentTooEarly {}.abi_encode().into());
        }
        if clock > call.permit.deadline {
            let expired = Permit2::SignatureExpired { signatureDeadline: call.permit.deadline };
            return Err(expired.abi_encode().into());
        }
        if self.spent.contains_key(&key) {
            return Err(Permit2::InvalidNonce {}.abi_encode().into());
        }
        if !law.is_signed(&key, data) {
            return Err(Permit2::InvalidSigner {}.abi_encode().into());
        }
        if self.denied.contains(&(asset, owner)) || self.balance(asset, owner) < value {
            return Err(revert("TRANSFER_FROM_FAILED"));
        }
        self.spent.insert(key, ());
        self.gives(asset, (owner, to), value);
        let settled = vec![Proxy::Settled::SIGNATURE_HASH];
        let settled = Log { address: EXACT_PROXY, topics: settled, data: Bytes::new() };
        let logs = vec![paid(asset, (owner, to), value), settled];
        Ok(Done { returned: Bytes::new(), logs, moved: vec![key] })
    }

    /// One word of the numbers that Permit2 keeps for an owner.
    fn bitmap(&self, owner: Address, word: U256) -> U256 {
        let numbers = self.spent.keys().filter(|(by, of, _)| (*by, *of) == (PERMIT2, owner));
        let numbers = numbers.map(|(.., nonce)| U256::from_be_bytes(nonce.0));
        let of_word = numbers.filter(|number| *number >> 8_usize == word);
        of_word.fold(U256::ZERO, |bits, number| bits | U256::ONE << usize::from(number.byte(0)))
    }

    /// Takes an authorization out of the world without a transfer.
    pub(super) fn cancel(&mut self, (asset, payer, nonce): Key) -> Vec<Log> {
        let spent = self.spent.insert((asset, payer, nonce), ()).is_some();
        // Permit2 tells a whole word, which nobody here looks for.
        if spent || asset == PERMIT2 {
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
    if to == EXACT_PROXY {
        let call = Proxy::settleCall::abi_decode(data);
        let key = call.map(|call| vec![(PERMIT2, call.owner, call.permit.nonce.into())]);
        return key.unwrap_or_default();
    }
    let call = ByKey::transferWithAuthorizationCall::abi_decode(data);
    call.map(|call| vec![(to, call.from, call.nonce)]).unwrap_or_default()
}

fn paid(asset: Address, (from, to): (Address, Address), value: U256) -> Log {
    let topics = vec![Token::Transfer::SIGNATURE_HASH, from.into_word(), to.into_word()];
    Log { address: asset, topics, data: value.to_be_bytes_vec().into() }
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
