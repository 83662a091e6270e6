//! What Permit2 may take of a payer, before it pays and after it was refused.

use std::time::Duration;

use alloy_primitives::{Address, U256};

use super::choice::Payable;
use super::client::Answer;
use super::demand::Demand;
use super::error::PayError;
use crate::chain::evm::{Approved, Reader, RpcUrl};
use crate::x402::{AssetTransferMethod, ErrorReason};

/// A payment that Permit2 may not take, and what its payer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unapproved {
    /// Whose money it is.
    pub payer: Address,
    /// Contract of the asset.
    pub asset: Address,
    /// Atomic units.
    pub amount: U256,
    /// Whether there is another way than the payer's own transaction.
    pub otherwise: Otherwise,
}

/// What else a payer can do whom nobody lets Permit2 pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing.
    Nothing,
    /// The server takes an approval that comes along; to sign one takes a look at the chain.
    NameANode,
}

/// Looks at the chain, where a node is given, whether Permit2 may take what is paid. If not, an
/// approval comes along where the server takes one.
///
/// # Errors
/// `Chain`: no node answers. `NotApproved`: nobody can take it.
pub(super) async fn looked_up<'a>(
    payable: Payable<'a>,
    demand: &Demand,
    payer: Address,
    node: Option<&RpcUrl>,
) -> Result<Payable<'a>, PayError> {
    let (AssetTransferMethod::Permit2, Some(node), Some(known)) =
        (payable.method, node, payable.known.evm())
    else {
        return Ok(payable);
    };
    let reader = Reader::new(known.chain_id, vec![node.clone()], NODE_TIMEOUT, 1);
    let reader = reader.map_err(|cause| PayError::Machine(cause.into()))?;
    let Approved { allowance, next } =
        reader.approved(payable.asset, payer).await.map_err(PayError::Chain)?;
    let amount = U256::from(payable.amount.units());
    match next.filter(|_| demand.sponsors_approvals()) {
        _ if allowance >= amount => Ok(payable),
        Some(number) => Ok(Payable { approval: Some(number), ..payable }),
        None => Err(PayError::NotApproved(Unapproved {
            payer,
            asset: payable.asset,
            amount,
            otherwise: Otherwise::Nothing,
        })),
    }
}

/// The same, as the server found it.
pub(super) fn refused(
    answer: &Answer,
    payable: &Payable<'_>,
    demand: &Demand,
    payer: Address,
) -> Option<Unapproved> {
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    let missing =
        !answer.status.is_success() && text.contains(ErrorReason::AllowanceRequired.code());
    let by_permit2 = payable.method == AssetTransferMethod::Permit2;
    (by_permit2 && missing).then(|| Unapproved {
        payer,
        asset: payable.asset,
        amount: U256::from(payable.amount.units()),
        otherwise: match payable.approval {
            None if demand.sponsors_approvals() => Otherwise::NameANode,
            None | Some(_) => Otherwise::Nothing,
        },
    })
}

const NODE_TIMEOUT: Duration = Duration::from_secs(10);
