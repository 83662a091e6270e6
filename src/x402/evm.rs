//! The `exact` scheme on EVM networks: what a payer authorizes, what is signed of it and by whom.

use std::ops::Range;

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use serde::{Serialize, Serializer};

use super::permit2::{Approval, Permit};
use super::requirements::AssetTransferMethod;

/// What a payer authorizes. Written as EIP-3009 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// Atomic units of the asset.
    #[serde(serialize_with = "decimal")]
    pub value: U256,
    /// Unix seconds; the moment from which the transfer executes, or the last before it: see
    /// [`Authorization::window`].
    #[serde(serialize_with = "decimal")]
    pub valid_after: U256,
    /// Unix seconds; the last moment at which the transfer executes, or the first after it.
    #[serde(serialize_with = "decimal")]
    pub valid_before: U256,
    /// Chosen by the payer; each one of a payer is taken once.
    pub nonce: B256,
    /// Who is told to move the money.
    #[serde(skip)]
    pub form: Form,
}

/// The two forms of an authorization, by who is told to move the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `TransferWithAuthorization` of EIP-3009: the asset itself is told.
    Eip3009,
    /// `PermitWitnessTransferFrom`: Permit2 is told, through x402's proxy.
    Permit2(Permit),
}

impl Form {
    /// Who alone may have it moved, and less than the authorized value; nothing: anybody, and all.
    pub fn facilitator(&self) -> Option<Address> {
        match self {
            Self::Eip3009 => None,
            Self::Permit2(permit) => permit.facilitator,
        }
    }
}

/// An authorization and the signature that came with it. Nothing is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAuthorization {
    /// What was signed.
    pub authorization: Authorization,
    /// 65 bytes, `r ‖ s ‖ v`, for a key; anything else for a contract wallet.
    pub signature: Box<[u8]>,
    /// What lets Permit2 have the money in the first place, if that came along.
    pub approval: Option<Box<Approval>>,
}

/// The EIP-712 domain of a contract, hashed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eip712Domain {
    separator: B256,
}

/// Why a signature does not prove a payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("the signature has {0} bytes, an account's has 65")]
    Length(usize),
    /// `v` is none of 0, 1, 27, 28.
    #[error("the signature's recovery byte is {0}")]
    RecoveryByte(u8),
    /// `s` is in the upper half of the curve order: the twin of a canonical signature.
    #[error("the signature's s is not the canonical one")]
    HighS,
    /// No key has this signature over this hash.
    #[error("no key has made this signature")]
    NoKey,
    /// Another key than the payer's.
    #[error("the signature is another account's")]
    OtherAccount,
}

impl Authorization {
    /// The Unix seconds at which a block may execute it; the end is not one of them.
    ///
    /// Source: EIP-3009; x402ExactPermit2Proxy (`PaymentTooEarly`), Permit2 (`SignatureExpired`).
    pub fn window(&self) -> Range<U256> {
        match self.form {
            Form::Eip3009 => self.valid_after.saturating_add(U256::ONE)..self.valid_before,
            Form::Permit2(_) => self.valid_after..self.valid_before.saturating_add(U256::ONE),
        }
    }

    /// How it moves the asset.
    pub fn method(&self) -> AssetTransferMethod {
        match self.form {
            Form::Eip3009 => AssetTransferMethod::Eip3009,
            Form::Permit2(_) => AssetTransferMethod::Permit2,
        }
    }
}

impl Eip712Domain {
    /// The domain `{name, version, chainId, verifyingContract}`. Source: EIP-712.
    pub fn new(name: &str, version: &str, chain_id: u64, contract: Address) -> Self {
        Self::of(name, Some(version), chain_id, contract)
    }

    /// The same; some have no version.
    pub(super) fn of(name: &str, version: Option<&str>, chain_id: u64, contract: Address) -> Self {
        let domain = alloy::sol_types::Eip712Domain::new(
            Some(name.to_owned().into()),
            version.map(|version| version.to_owned().into()),
            Some(U256::from(chain_id)),
            Some(contract),
            None,
        );
        Self { separator: domain.separator() }
    }

    /// The hash of the domain, as a contract's `DOMAIN_SEPARATOR` tells it.
    pub fn word(&self) -> U256 {
        self.separator.into()
    }

    /// The hash that the payer signs.
    pub fn signing_hash(&self, authorization: &Authorization) -> B256 {
        self.hash(match &authorization.form {
            Form::Eip3009 => transfer_hash(authorization),
            Form::Permit2(permit) => permit.struct_hash(authorization),
        })
    }

    /// The hash that is signed of a struct.
    pub(super) fn hash(&self, message: B256) -> B256 {
        let mut signed = [0_u8; 66];
        let (prefix, rest) = signed.split_at_mut(2);
        let (domain, hash) = rest.split_at_mut(32);
        prefix.copy_from_slice(&[0x19, 0x01]);
        domain.copy_from_slice(self.separator.as_slice());
        hash.copy_from_slice(message.as_slice());
        keccak256(signed)
    }
}

impl SignedAuthorization {
    /// Proves that the payer named in the authorization signed it.
    ///
    /// # Errors
    /// Each [`SignatureError`] is a signature that the asset's contract refuses, or a stricter one.
    pub fn prove(&self, domain: &Eip712Domain) -> Result<(), SignatureError> {
        let hash = domain.signing_hash(&self.authorization);
        signed_by(&self.signature, hash, self.authorization.from)
    }
}

/// Whether an account's own key made a signature, in the one canonical form, over a hash.
pub(super) fn signed_by(
    signature: &[u8],
    hash: B256,
    account: Address,
) -> Result<(), SignatureError> {
    let bytes: &[u8; 65] =
        signature.try_into().map_err(|_| SignatureError::Length(signature.len()))?;
    let [.., v] = bytes;
    if !matches!(v, 0 | 1 | 27 | 28) {
        return Err(SignatureError::RecoveryByte(*v));
    }
    let signature = Signature::from_raw_array(bytes).map_err(|_| SignatureError::NoKey)?;
    if signature.normalize_s().is_some() {
        return Err(SignatureError::HighS);
    }
    let signer =
        signature.recover_address_from_prehash(&hash).map_err(|_| SignatureError::NoKey)?;
    if signer == account { Ok(()) } else { Err(SignatureError::OtherAccount) }
}

fn transfer_hash(authorization: &Authorization) -> B256 {
    let words: [[u8; 32]; 7] = [
        TYPE_HASH.0,
        authorization.from.into_word().0,
        authorization.to.into_word().0,
        authorization.value.to_be_bytes(),
        authorization.valid_after.to_be_bytes(),
        authorization.valid_before.to_be_bytes(),
        authorization.nonce.0,
    ];
    keccak256(words.as_flattened())
}

/// keccak256 of EIP-3009's `TransferWithAuthorization(address from,address to,uint256 value,
/// uint256 validAfter,uint256 validBefore,bytes32 nonce)`.
const TYPE_HASH: B256 =
    alloy_primitives::b256!("7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");

pub(super) fn decimal<S: Serializer>(number: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
mod tests {
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use alloy::sol_types::SolStruct;

    use super::*;

    alloy::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }

    fn signer() -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap()
    }

    fn authorization() -> Authorization {
        Authorization {
            from: signer().address(),
            to: Address::repeat_byte(0x22),
            value: U256::from(50_000),
            valid_after: U256::ZERO,
            valid_before: U256::from(1_800_000_000_u64),
            nonce: B256::repeat_byte(0x33),
            form: Form::Eip3009,
        }
    }

    fn domain() -> Eip712Domain {
        Eip712Domain::new("USDC", "2", 84532, Address::repeat_byte(0x44))
    }

    fn signed() -> SignedAuthorization {
        let authorization = authorization();
        let hash = domain().signing_hash(&authorization);
        let signature = signer().sign_hash_sync(&hash).unwrap().as_bytes().into();
        SignedAuthorization { authorization, signature, approval: None }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut SignedAuthorization), expected: Result<(), SignatureError>) {
        let mut signed = signed();
        change(&mut signed);
        assert_eq!(signed.prove(&domain()), expected);
    }

    #[test]
    fn the_hash_is_the_one_of_alloys_own_struct() {
        let ours = authorization();
        let theirs = TransferWithAuthorization {
            from: ours.from,
            to: ours.to,
            value: ours.value,
            validAfter: ours.valid_after,
            validBefore: ours.valid_before,
            nonce: ours.nonce,
        };
        let domain = alloy::sol_types::eip712_domain! {
            name: "USDC", version: "2", chain_id: 84532,
            verifying_contract: Address::repeat_byte(0x44),
        };
        let expected = theirs.eip712_signing_hash(&domain);
        assert_eq!(super::tests::domain().signing_hash(&ours), expected);
    }

    #[test]
    fn the_payers_signature_proves() {
        check(|_| {}, Ok(()));
    }

    #[test]
    fn both_spellings_of_the_recovery_byte_prove() {
        check(|s| s.signature[64] -= 27, Ok(()));
        check(
            |s| s.signature[64] += 8,
            Err(SignatureError::RecoveryByte(signed().signature[64] + 8)),
        );
    }

    #[test]
    fn any_changed_field_is_another_accounts_signature() {
        check(|s| s.authorization.value += U256::ONE, Err(SignatureError::OtherAccount));
        check(|s| s.authorization.nonce = B256::ZERO, Err(SignatureError::OtherAccount));
        check(|s| s.authorization.to = Address::ZERO, Err(SignatureError::OtherAccount));
    }

    #[test]
    fn the_high_s_twin_is_refused() {
        let twin = |s: &mut SignedAuthorization| {
            let order = alloy_primitives::uint!(
                0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256
            );
            let flipped = order - U256::from_be_slice(&s.signature[32..64]);
            s.signature[32..64].copy_from_slice(&flipped.to_be_bytes::<32>());
            s.signature[64] ^= 27 ^ 28;
        };
        check(twin, Err(SignatureError::HighS));
    }

    #[test]
    fn other_lengths_are_no_accounts_signature() {
        check(|s| s.signature = s.signature[..64].into(), Err(SignatureError::Length(64)));
        check(|s| s.signature = Box::default(), Err(SignatureError::Length(0)));
    }

    #[test]
    fn zeros_are_no_signature() {
        let zeros = |s: &mut SignedAuthorization| s.signature[..64].fill(0);
        check(zeros, Err(SignatureError::NoKey));
    }
}
