//! How the asset of a network is moved: `transfer_method` and `gas_sponsoring`.

use std::ops::Range;

use crate::x402::AssetTransferMethod;
use crate::x402::requirements::{AssetDomain, EvmExtra, Extra};
use crate::x402::svm::SvmExtra;

use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};

/// How the asset of a network is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// By itself, under its own domain.
    Eip3009(AssetDomain),
    /// By Permit2, which its owner has approved before.
    Permit2(Option<AssetDomain>),
    /// By Permit2; an approval by EIP-2612, under the asset's own domain, may come along, and
    /// whoever settles pays for it.
    Sponsored(AssetDomain),
    /// By a token program of Solana, with this memo if there must be one.
    Token(Option<Box<str>>),
}

/// What approves Permit2 at the cost of whoever settles.
#[derive(Clone, Copy)]
pub(super) enum GasSponsoring {
    Eip2612,
}

impl Transfer {
    /// What an offer says of it.
    pub fn extra(&self) -> Extra {
        let evm = |method| {
            let (domain, facilitator) = (self.domain().cloned(), None);
            Extra::Evm(EvmExtra { method, domain, facilitator })
        };
        match self {
            Self::Eip3009(_) => evm(AssetTransferMethod::Eip3009),
            Self::Permit2(_) | Self::Sponsored(_) => evm(AssetTransferMethod::Permit2),
            Self::Token(memo) => Extra::Svm(SvmExtra::of_nobody(memo.clone())),
        }
    }

    /// Its name in the protocol on EVM networks.
    pub fn method(&self) -> Option<AssetTransferMethod> {
        match self {
            Self::Eip3009(_) => Some(AssetTransferMethod::Eip3009),
            Self::Permit2(_) | Self::Sponsored(_) => Some(AssetTransferMethod::Permit2),
            Self::Token(_) => None,
        }
    }

    /// What it is called where an operator looks.
    pub(super) fn shown(&self) -> &'static str {
        match self {
            Self::Eip3009(_) => "eip3009",
            Self::Token(_) => "the token program of its mint",
            Self::Permit2(_) => "permit2, not offered in version 1; payers approve it themselves",
            Self::Sponsored(_) => {
                "permit2, not offered in version 1; approvals by EIP-2612 are paid for"
            }
        }
    }

    /// The asset's domain, as far as it is known.
    pub fn domain(&self) -> Option<&AssetDomain> {
        match self {
            Self::Eip3009(domain) | Self::Sponsored(domain) => Some(domain),
            Self::Permit2(domain) => domain.as_ref(),
            Self::Token(_) => None,
        }
    }
}

/// What was typed.
pub(super) struct Typed {
    pub(super) method: Option<Text<AssetTransferMethod>>,
    pub(super) sponsoring: Option<Text<GasSponsoring>>,
}

/// Reads both keys, for an asset of this domain. `span` is the section's.
pub(super) fn transfer(
    Typed { method, sponsoring }: Typed,
    domain: Option<AssetDomain>,
    span: &Range<usize>,
    reader: &mut Reader<'_>,
) -> Option<Transfer> {
    let method = match method {
        Some(typed) => reader.take(typed)?,
        None => AssetTransferMethod::default(),
    };
    let sponsoring_span = sponsoring.as_ref().map(|typed| typed.span.clone());
    let sponsoring = match sponsoring {
        Some(typed) => Some(reader.take(typed)?),
        None => None,
    };
    let missing = |reader: &mut Reader<'_>| {
        reader.wrong(span.clone(), Mistake::missing_key("eip712"));
        None
    };
    match (method, sponsoring, domain) {
        (AssetTransferMethod::Eip3009, Some(GasSponsoring::Eip2612), _) => {
            let beside = "without `transfer_method = \"permit2\"`";
            let mistake = Mistake::Meaningless { key: "gas_sponsoring", beside };
            reader.wrong(sponsoring_span.unwrap_or_else(|| span.clone()), mistake);
            None
        }
        (AssetTransferMethod::Eip3009, None, Some(domain)) => Some(Transfer::Eip3009(domain)),
        (AssetTransferMethod::Permit2, None, domain) => Some(Transfer::Permit2(domain)),
        (AssetTransferMethod::Permit2, Some(GasSponsoring::Eip2612), Some(domain)) => {
            Some(Transfer::Sponsored(domain))
        }
        (AssetTransferMethod::Eip3009, None, None)
        | (AssetTransferMethod::Permit2, Some(GasSponsoring::Eip2612), None) => missing(reader),
    }
}

impl Written for AssetTransferMethod {
    const EXPECTED: &'static str = "\"eip3009\" or \"permit2\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "eip3009" => Ok(Self::Eip3009),
            "permit2" => Ok(Self::Permit2),
            _ => Err(Mistake::not("a way to move an asset", text, Self::EXPECTED)),
        }
    }
}

impl Written for GasSponsoring {
    const EXPECTED: &'static str = "\"eip2612\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "eip2612" => Ok(Self::Eip2612),
            _ => Err(Mistake::not("a way to approve Permit2", text, Self::EXPECTED)),
        }
    }
}
