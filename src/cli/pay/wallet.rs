//! The payer's key, and the one payment that is signed with it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::choice::Payable;
use super::demand::Demand;
use super::error::PayError;
use crate::clock::UnixMillis;
use crate::x402::payload::{OutgoingExact, OutgoingExtensions};
use crate::x402::permit2::{Approval, PERMIT2, Permit};
use crate::x402::{
    AssetTransferMethod, Authorization, Eip712Domain, Form, PaymentIdentity, Signed,
    SignedAuthorization, Version, encoding,
};

/// A private key. Never printed.
pub struct Wallet(PrivateKeySigner);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set.
    #[error("there is no key to pay with: set {0}, or name another with --key-env or --key-file")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the key file {0} cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    /// Not 32 bytes of hex, or no key of the curve. What it is instead is not said.
    #[error("{0} does not hold a private key of 64 hex digits")]
    NotAKey(String),
}

/// A signed payment, ready to send; the same one every time it is sent.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Name of the header.
    pub header: &'static str,
    /// Value of the header: base64 of JSON.
    pub value: String,
    /// What was signed.
    pub identity: PaymentIdentity,
    /// Unix seconds after which nobody can take it.
    pub valid_before: u64,
}

impl Wallet {
    /// Reads the key from the file, else from the environment variable.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load(variable: &str, file: Option<&Path>) -> Result<Self, KeyError> {
        let (text, place) = match file {
            Some(path) => {
                let text = crate::bounded::read_text(path)
                    .map_err(|cause| KeyError::Unreadable(path.to_owned(), cause))?;
                (text, path.display().to_string())
            }
            None => {
                let text = std::env::var(variable);
                (text.map_err(|_| KeyError::NotSet(variable.to_owned()))?, variable.to_owned())
            }
        };
        Self::from_hex(text.trim()).ok_or(KeyError::NotAKey(place))
    }

    /// The wallet of a key in hex, with or without `0x`.
    pub fn from_hex(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Signs the one payment for an offer.
    ///
    /// It is good from the beginning of time, so that a clock that runs ahead of the chain's does
    /// no harm, until as long after `now` as the server asks, within `VALID_SECONDS_MAX`.
    ///
    /// # Errors
    /// `Machine`: no random number can be had.
    pub fn pay(
        &self,
        payable: &Payable<'_>,
        demand: &Demand,
        now: UnixMillis,
    ) -> Result<Payment, PayError> {
        let mut nonce = B256::ZERO;
        getrandom::fill(nonce.as_mut_slice()).map_err(|cause| PayError::Machine(cause.into()))?;
        let timeout = payable.offer.max_timeout_seconds.min(VALID_SECONDS_MAX);
        let valid_before = now.seconds().saturating_add(timeout);
        let form = payable.form();
        let authorization = Authorization {
            from: self.address(),
            to: payable.pay_to,
            value: U256::from(payable.amount.units()),
            valid_after: U256::ZERO,
            valid_before: U256::from(valid_before),
            nonce,
            form,
        };
        let signed = self.sign(payable, authorization)?;
        let (header, value) = payable.header(demand, &signed.into())?;
        let contract = match form {
            Form::Eip3009 => payable.asset,
            Form::Permit2(_) => PERMIT2,
        };
        let network = payable.known.network();
        let (contract, payer) = (contract.into(), self.address().into());
        let identity = PaymentIdentity { network, contract, payer, nonce };
        Ok(Payment { header, value, identity, valid_before })
    }

    fn sign(
        &self,
        payable: &Payable<'_>,
        authorization: Authorization,
    ) -> Result<SignedAuthorization, PayError> {
        let cannot = || PayError::Machine("this wallet pays on EVM networks".into());
        let known = payable.known.evm().ok_or_else(cannot)?;
        let of_asset = Eip712Domain::new(
            known.eip712_name,
            known.eip712_version,
            known.chain_id,
            payable.asset,
        );
        let domain = match authorization.form {
            Form::Eip3009 => of_asset,
            Form::Permit2(_) => Eip712Domain::permit2(known.chain_id),
        };
        let approval = payable.approval.map(|nonce| Approval {
            owner: authorization.from,
            token: payable.asset,
            spender: PERMIT2,
            value: authorization.value,
            nonce,
            deadline: authorization.valid_before,
            signature: Box::default(),
        });
        let approval = approval.map(|approval| {
            let signature = self.sign_hash(approval.signing_hash(&of_asset))?;
            Ok::<_, PayError>(Box::new(Approval { signature, ..approval }))
        });
        let approval = approval.transpose()?;
        let signature = self.sign_hash(domain.signing_hash(&authorization))?;
        Ok(SignedAuthorization { authorization, signature, approval })
    }

    fn sign_hash(&self, hash: B256) -> Result<Box<[u8]>, PayError> {
        let signature = self.0.sign_hash_sync(&hash);
        Ok(signature.map_err(|cause| PayError::Machine(cause.into()))?.as_bytes().into())
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wallet").field(&self.address()).finish()
    }
}

impl Payable<'_> {
    fn form(&self) -> Form {
        match self.method {
            AssetTransferMethod::Eip3009 => Form::Eip3009,
            AssetTransferMethod::Permit2 => Form::Permit2(Permit::of(self.asset, self.facilitator)),
        }
    }

    /// Name and value of the header that carries a payment, in the words of the demand's version.
    fn header(&self, demand: &Demand, signed: &Signed) -> Result<(&'static str, String), PayError> {
        let payload = OutgoingExact::from(signed);
        let encoded = match demand.version {
            Version::V1 => encoding::encode_json(&PayloadV1 {
                x402_version: Version::V1,
                scheme: &self.offer.scheme,
                network: &self.offer.network,
                payload,
            }),
            Version::V2 => encoding::encode_json(&PayloadV2 {
                x402_version: Version::V2,
                resource: demand.resource_object.as_deref(),
                accepted: &self.offer.raw,
                payload,
                extensions: extensions(demand, signed),
            }),
        };
        let value = encoded.map_err(|cause| PayError::Machine(cause.into()))?;
        let header = match demand.version {
            Version::V1 => "X-PAYMENT",
            Version::V2 => "PAYMENT-SIGNATURE",
        };
        Ok((header, value))
    }
}

/// Unlike what a gateway sends on, a client's payment echoes the server's own bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadV2<'a> {
    x402_version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a RawValue>,
    accepted: &'a RawValue,
    payload: OutgoingExact<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Echo<'a>>,
}

/// The server's extensions, and in the place of one of them the payer's own.
#[derive(Serialize)]
#[serde(untagged)]
enum Echo<'a> {
    Same(&'a RawValue),
    With(BTreeMap<String, Box<RawValue>>),
}

/// The server's extensions are echoed; an approval that comes along is one of them.
fn extensions<'a>(demand: &'a Demand, signed: &Signed) -> Option<Echo<'a>> {
    let same = demand.extensions.as_deref().filter(|raw| raw.get().len() <= ECHO_MAX);
    let ours =
        signed.evm().and_then(OutgoingExtensions::of).and_then(|ours| to_raw_value(&ours).ok());
    let read = |raw: &RawValue| {
        serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw.get()).unwrap_or_default()
    };
    let Some(ours) = ours else { return same.map(Echo::Same) };
    let mut all = same.map(read).unwrap_or_default();
    all.extend(read(&ours));
    Some(Echo::With(all))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadV1<'a> {
    x402_version: Version,
    scheme: &'a str,
    network: &'a str,
    payload: OutgoingExact<'a>,
}

/// Longest time that a payment can be taken, whatever the server asks for.
const VALID_SECONDS_MAX: u64 = 3600;
/// Longest extensions that are echoed, in bytes: servers cut headers at 8 to 16 KiB.
const ECHO_MAX: usize = 4096;
