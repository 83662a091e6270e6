//! An offer as the server keeps it, and the identity of a payment.

use std::fmt;
use std::hash::{Hash, Hasher};

use alloy_primitives::{Address, B256};

use super::permit2::PERMIT2;
use super::requirements::{AssetTransferMethod, EvmExtra, Extra, ExtraV1, SCHEME_UPTO};
use super::svm::{NOBODY, SvmDue};
use super::{
    Account, Eip712Domain, Form, Network, PaymentRequirements, PaymentRequirementsV1, Signed,
    Version,
};

/// One way to pay for a route, in both versions' words, with the domains hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In the words of version 2.
    pub requirements: PaymentRequirements,
    /// In the words of version 1, which has none for Permit2. Its `resource` is the route's own
    /// URL.
    pub v1: Option<PaymentRequirementsV1>,
    /// What signatures are checked under.
    pub domains: Domains,
}

/// What signatures for an offer are checked under, by the kind of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domains {
    /// On an EVM network.
    Evm(EvmDomains),
    /// On Solana: nothing but what is signed, which names its block.
    Svm,
}

/// What signatures for an offer on an EVM network are checked under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvmDomains {
    /// The asset's domain, or Permit2's.
    pub payments: Eip712Domain,
    /// What approvals for Permit2 are checked under, where they are paid for: the asset's domain.
    pub approvals: Option<Eip712Domain>,
}

impl Domains {
    /// Those of an EVM network.
    pub fn evm(&self) -> Option<&EvmDomains> {
        match self {
            Self::Evm(domains) => Some(domains),
            Self::Svm => None,
        }
    }
}

impl Offer {
    /// What makes a payment for this offer itself.
    pub fn identity(&self, payment: &Signed) -> PaymentIdentity {
        let (contract, payer, nonce) = match payment {
            Signed::Evm(signed) => {
                let contract = match signed.authorization.form {
                    Form::Eip3009 => self.requirements.asset,
                    Form::Permit2(_) => PERMIT2.into(),
                };
                (contract, signed.authorization.from.into(), signed.authorization.nonce)
            }
            Signed::Svm(signed) => {
                (signed.transfer().mint.into(), signed.payer().into(), signed.hash())
            }
        };
        let network = self.requirements.network.clone();
        PaymentIdentity { network, contract, payer, nonce }
    }

    /// How it moves the asset on an EVM network; nothing on another.
    pub fn method(&self) -> Option<AssetTransferMethod> {
        self.requirements.extra.evm().map(|EvmExtra { method, .. }| *method)
    }

    /// The domains that signatures are checked under on an EVM network; nothing on another.
    pub fn evm(&self) -> Option<&EvmDomains> {
        self.domains.evm()
    }

    /// Whether its amount is the most that is paid, and not what is paid.
    pub fn is_upto(&self) -> bool {
        *self.requirements.scheme == *SCHEME_UPTO
    }

    /// Whether nobody can pay it before it is known who pays the fee: on Solana that account signs
    /// too, and under `upto` the payer names who settles.
    pub fn awaits_fee_payer(&self) -> bool {
        match &self.requirements.extra {
            Extra::Svm(extra) => extra.fee_payer == NOBODY,
            Extra::Evm(extra) => self.is_upto() && extra.facilitator.is_none(),
        }
    }

    /// The same offer whose fee this account pays, where an offer says so; any other as it is.
    pub fn paid_by(&self, fee_payer: Account) -> Self {
        let (mut offer, is_upto) = (self.clone(), self.is_upto());
        match (&mut offer.requirements.extra, fee_payer.svm()) {
            (Extra::Svm(extra), Some(fee_payer)) => {
                extra.fee_payer = fee_payer;
                if let Some(ExtraV1::Svm(extra)) = offer.v1.as_mut().map(|v1| &mut v1.extra) {
                    extra.fee_payer = fee_payer;
                }
            }
            (Extra::Evm(extra), None) if is_upto => extra.facilitator = Some(fee_payer),
            (Extra::Evm(_), _) | (Extra::Svm(_), None) => {}
        }
        offer
    }

    /// What a payment must do on Solana; nothing on another network.
    pub fn svm(&self) -> Option<SvmDue<'_>> {
        let due = &self.requirements;
        let (Some(asset), Some(pay_to), Extra::Svm(extra)) =
            (due.asset.svm(), due.pay_to.svm(), &due.extra)
        else {
            return None;
        };
        Some(SvmDue { asset, pay_to, amount: due.amount, extra })
    }

    /// Whether this is the kind of payment that it takes.
    pub fn takes(&self, payment: &Signed) -> bool {
        match payment {
            Signed::Evm(signed) => {
                let (method, form) = (signed.authorization.method(), signed.authorization.form);
                self.method() == Some(method) && self.is_upto() == form.facilitator().is_some()
            }
            Signed::Svm(_) => self.domains == Domains::Svm,
        }
    }

    /// Whether the payer has signed this payment, with a key and for this network.
    pub fn proves(&self, payment: &Signed) -> bool {
        match (payment, &self.domains) {
            (Signed::Evm(signed), Domains::Evm(domains)) => signed.prove(&domains.payments).is_ok(),
            (Signed::Svm(signed), Domains::Svm) => signed.prove().is_ok(),
            (Signed::Evm(_), Domains::Svm) | (Signed::Svm(_), Domains::Evm(_)) => false,
        }
    }

    /// Its network as a version of the protocol names it; version 1 has no name for some.
    pub fn network_in(&self, version: Version) -> &str {
        match (version, &self.v1) {
            (Version::V1, Some(v1)) => &v1.network,
            (Version::V1, None) | (Version::V2, _) => self.requirements.network.as_str(),
        }
    }
}

/// What makes two payments the same: what was signed, never how it was written.
///
/// Displayed as `eip155:8453/0xcontract/0xpayer/0xnonce`, in lower case, or as
/// `solana:…/mint/payer/0xhash`. Where a chain's own code has it, accounts are that chain's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentIdentity<A = Account> {
    /// CAIP-2 network.
    pub network: Network,
    /// Who takes each number of a payer once: the asset itself, or [`PERMIT2`] for all assets.
    pub contract: A,
    /// Who pays.
    pub payer: A,
    /// The payer's own number for this payment; on Solana the hash of the message.
    pub nonce: B256,
}

/// By payer and number: half of it, and there are no more that share both than networks and assets.
impl<A: AsRef<[u8]>> Hash for PaymentIdentity<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.payer.as_ref());
        state.write(self.nonce.as_slice());
    }
}

impl PaymentIdentity<Address> {
    /// How its money is moved.
    pub fn method(&self) -> AssetTransferMethod {
        match self.contract {
            PERMIT2 => AssetTransferMethod::Permit2,
            _ => AssetTransferMethod::Eip3009,
        }
    }
}

impl PaymentIdentity {
    /// The same on an EVM network; nothing on another.
    pub fn evm(&self) -> Option<PaymentIdentity<Address>> {
        let (contract, payer) = (self.contract.evm()?, self.payer.evm()?);
        Some(PaymentIdentity { network: self.network.clone(), contract, payer, nonce: self.nonce })
    }
}

impl fmt::Display for PaymentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (contract, payer) = (self.contract.folded(), self.payer.folded());
        write!(f, "{}/{contract}/{payer}/{:#x}", self.network, self.nonce)
    }
}
