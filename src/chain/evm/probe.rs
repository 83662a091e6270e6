//! Many calls in one round trip, none of which happens. `Probe.sol` is what the node runs.

use alloy::sol_types::{SolError, SolValue};
use alloy_primitives::{Address, Bytes, U256, hex};
use serde_json::json;

use super::abi::{Permit2, ProbeCall, ProbeResult, Proxy, UptoProxy};
use super::payment::Call;
use super::rpc::{Ask, Rpc, bytes, quantity};
use crate::chain::fault;
use crate::fault::Fault;
use crate::x402::ErrorReason;

/// At which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The last one.
    Latest,
    /// The last one that will not go away.
    Safe,
    /// This one.
    Number(u64),
}

/// What was found, all of it in one block.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The block's own clock, in Unix seconds.
    pub(super) timestamp: u64,
    /// Bytes of code of each subject.
    pub(super) code_sizes: Vec<u64>,
    /// One for each call, each of which has seen what those before it did.
    pub(super) results: Vec<Probed>,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    pub(super) ok: bool,
    pub(super) gas_used: u64,
    /// At most 132 bytes.
    pub(super) data: Bytes,
}

impl Probed {
    /// The word that was returned.
    pub(super) fn word(&self) -> Option<U256> {
        let word = self.data.get(..32).filter(|_| self.ok)?;
        Some(U256::from_be_slice(word))
    }

    /// Why a transfer that failed did so.
    pub(super) fn reason(&self) -> ErrorReason {
        if let Some(reason) = self.data.first_chunk::<4>().and_then(named) {
            return reason;
        }
        let text = alloy::sol_types::decode_revert_reason(&self.data).unwrap_or_default();
        let text = if text.is_empty() { String::from_utf8_lossy(&self.data) } else { text.into() };
        ErrorReason::from_revert(&text).unwrap_or(ErrorReason::TransactionState)
    }
}

impl At {
    fn tag(self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Safe => "safe".to_owned(),
            Self::Number(number) => format!("{number:#x}"),
        }
    }
}

impl Rpc {
    /// Makes the calls one after the other, as they would be made at `at`, and looks at the code
    /// of the subjects.
    pub(super) async fn probe(
        &self,
        at: At,
        calls: &[Call],
        subjects: &[Address],
        gas_each_max: u64,
    ) -> Result<Found, Fault> {
        let value = self.ask_for(question(at, calls, subjects, gas_each_max)?).await?;
        answer(&bytes(&value)?, calls.len(), subjects.len())
    }

    /// The same at the last block, and one more call that only `from` can make: it sees nothing of
    /// what the others did.
    pub(super) async fn probe_and_as(
        &self,
        (from, call): (Address, &Call),
        calls: &[Call],
        subjects: &[Address],
        gas_each_max: u64,
    ) -> Result<Found, Fault> {
        let gas = format!("{gas_each_max:#x}");
        let last = json!({ "from": from, "to": call.to, "data": call.data, "gas": gas });
        let asks = [
            question(At::Latest, calls, subjects, gas_each_max)?,
            Ask::new("eth_estimateGas", json!([last])),
        ];
        let mut replies = self.ask(&asks).await?.into_iter();
        let (Some(found), Some(last)) = (replies.next(), replies.next()) else {
            return Err(fault("no answer"));
        };
        let refused = |error| fault("a node refused a question").caused_by(error);
        let found = bytes(&found.map_err(refused)?)?;
        let mut found = answer(&found, calls.len(), subjects.len())?;
        found.results.push(match last {
            Ok(gas) => Probed { ok: true, gas_used: quantity(&gas)?, data: Bytes::new() },
            Err(error) => match error.reverted() {
                Some(data) => Probed { ok: false, gas_used: 0, data: data.into() },
                None => return Err(refused(error)),
            },
        });
        Ok(found)
    }
}

/// The question of [`Rpc::probe`].
pub(super) fn question(
    at: At,
    calls: &[Call],
    subjects: &[Address],
    gas_each_max: u64,
) -> Result<Ask, Fault> {
    let calls: Vec<ProbeCall> = calls
        .iter()
        .map(|Call { to, data }| ProbeCall {
            target: *to,
            gasMax: U256::from(gas_each_max),
            data: data.clone(),
        })
        .collect();
    let mut code = hex::decode(CODE.trim()).map_err(|error| fault("its code").caused_by(error))?;
    code.extend((calls, subjects.to_vec()).abi_encode_params());
    let call = json!({ "data": hex::encode_prefixed(code) });
    Ok(Ask::new("eth_call", json!([call, at.tag()])))
}

/// The answer to [`question`].
pub(super) fn answer(bytes: &[u8], calls: usize, subjects: usize) -> Result<Found, Fault> {
    type Answer = (U256, Vec<U256>, Vec<ProbeResult>);
    let (timestamp, sizes, results) = Answer::abi_decode_params(bytes)
        .map_err(|error| fault("a node's answer cannot be read").caused_by(error))?;
    if sizes.len() != subjects || results.len() != calls {
        return Err(fault("a node's answer is not to this question"));
    }
    let probed = |ProbeResult { ok, gasUsed, data }: ProbeResult| Probed {
        ok,
        gas_used: gasUsed.saturating_to(),
        data,
    };
    Ok(Found {
        timestamp: timestamp.saturating_to(),
        code_sizes: sizes.into_iter().map(|size| size.saturating_to()).collect(),
        results: results.into_iter().map(probed).collect(),
    })
}

/// The reason in an error of Permit2 or of x402's proxy, by its selector.
fn named(selector: &[u8; 4]) -> Option<ErrorReason> {
    match *selector {
        Permit2::InvalidNonce::SELECTOR => Some(ErrorReason::DuplicateSettlement),
        Permit2::SignatureExpired::SELECTOR => Some(ErrorReason::ValidBefore),
        Proxy::PaymentTooEarly::SELECTOR => Some(ErrorReason::ValidAfter),
        UptoProxy::UnauthorizedFacilitator::SELECTOR => Some(ErrorReason::Facilitator),
        Permit2::InvalidSigner::SELECTOR
        | Permit2::InvalidSignature::SELECTOR
        | Permit2::InvalidSignatureLength::SELECTOR
        | Permit2::InvalidContractSignature::SELECTOR => Some(ErrorReason::Signature),
        _ => None,
    }
}

/// What `Probe.sol` compiles to; the end-to-end tests compare.
const CODE: &str = include_str!("probe.hex");

#[cfg(test)]
mod tests {
    use alloy::sol_types::Revert;

    use super::*;

    #[test]
    fn reverts_are_reasons() {
        for (text, reason) in [
            ("FiatTokenV2: authorization is used or canceled", ErrorReason::DuplicateSettlement),
            ("FiatTokenV2: authorization is expired", ErrorReason::ValidBefore),
            ("ERC20: transfer amount exceeds balance", ErrorReason::InsufficientFunds),
            ("FiatTokenV2: invalid signature", ErrorReason::Signature),
            ("Pausable: paused", ErrorReason::TransactionState),
        ] {
            let data = Revert { reason: text.to_owned() }.abi_encode().into();
            assert_eq!(Probed { ok: false, gas_used: 1, data }.reason(), reason, "{text}");
        }
        for (data, reason) in [
            (Permit2::InvalidNonce {}.abi_encode(), ErrorReason::DuplicateSettlement),
            (
                Permit2::SignatureExpired { signatureDeadline: U256::ONE }.abi_encode(),
                ErrorReason::ValidBefore,
            ),
            (Permit2::InvalidContractSignature {}.abi_encode(), ErrorReason::Signature),
            (Proxy::PaymentTooEarly {}.abi_encode(), ErrorReason::ValidAfter),
        ] {
            assert_eq!(Probed { ok: false, gas_used: 1, data: data.into() }.reason(), reason);
        }
        let silent = Probed { ok: false, gas_used: 1, data: Bytes::new() };
        assert_eq!(silent.reason(), ErrorReason::TransactionState);
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let bytes = (U256::from(7), vec![U256::ONE], Vec::<ProbeResult>::new()).abi_encode_params();
        assert_eq!(answer(&bytes, 0, 1).unwrap().timestamp, 7);
        assert!(answer(&bytes, 1, 1).is_err() && answer(&bytes, 0, 0).is_err());
        assert!(answer(&[], 0, 0).is_err() && answer(&[0xff; 96], 0, 0).is_err());
    }
}
