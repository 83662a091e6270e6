//! The extension `sign-in-with-x`: a wallet says who it is, in a message that it signs.
//!
//! Source: x402 extension `sign-in-with-x`; npm `@x402/extensions` 2.27; EIP-4361.

pub mod offer;
mod reason;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use alloy_primitives::{Address, B256, eip191_hash_message, hex};
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

use super::evm::signed_by;
use super::svm::signature_of;
use super::{Account, Network, encoding};

pub use reason::SignInReason;

/// What a wallet says of itself, and its signature. Nothing is proven yet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// Host, and port where it is not the scheme's, of whom it is said to.
    pub domain: Box<str>,
    /// The wallet.
    pub address: Account,
    /// For the person who signs.
    #[serde(default)]
    pub statement: Option<Box<str>>,
    /// What it is to let in to.
    pub uri: Box<str>,
    version: Box<str>,
    /// The network whose signatures these are.
    pub chain_id: Network,
    #[serde(rename = "type")]
    kind: Kind,
    /// Different in each message of a wallet.
    pub nonce: Box<str>,
    /// When it was asked for. RFC 3339, as the other moments.
    pub issued_at: Box<str>,
    /// From when on it is void.
    #[serde(default)]
    pub expiration_time: Option<Box<str>>,
    /// Until when it is void.
    #[serde(default)]
    pub not_before: Option<Box<str>>,
    #[serde(default)]
    request_id: Option<Box<str>>,
    #[serde(default)]
    resources: Option<Vec<Box<str>>>,
    /// Hex on EVM networks, base58 on Solana.
    signature: Box<str>,
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// As text, by a key of Ethereum or by a contract.
    Eip191,
    /// By a key of Solana.
    Ed25519,
}

/// What a contract is asked about: whether it takes this for its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByContract {
    /// The contract.
    pub wallet: Address,
    /// Of the message, as it is signed.
    pub hash: B256,
    /// Its signature.
    pub signature: Box<[u8]>,
}

impl SignIn {
    /// Reads the value of a header.
    ///
    /// # Errors
    /// `Malformed`: longer than [`SIGN_IN_BYTES_MAX`], not what this extension sends, or with a
    /// line break, which would make two messages of one text.
    pub fn read(header: &[u8]) -> Result<Self, SignInReason> {
        let malformed = SignInReason::Malformed;
        if header.len() > SIGN_IN_BYTES_MAX {
            return Err(malformed);
        }
        let json = encoding::decode(header).map_err(|_| malformed)?;
        let read: Self = serde_json::from_slice(&json).map_err(|_| malformed)?;
        let kind = match (read.address, read.chain_id.chain_id()) {
            (Account::Evm(_), Some(_)) => Kind::Eip191,
            (Account::Svm(_), None) if read.chain_id.is_solana() => Kind::Ed25519,
            _ => return Err(SignInReason::Chain),
        };
        let fits = read.kind == kind && *read.version == *VERSION;
        let plain = read.texts().all(|text| !text.chars().any(char::is_control));
        if fits && plain { Ok(read) } else { Err(malformed) }
    }

    /// All that stands in the message as the client has sent it.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let optional = [&self.statement, &self.expiration_time, &self.not_before, &self.request_id];
        [&self.domain, &self.uri, &self.nonce, &self.issued_at]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(self.resources.iter().flatten())
            .map(|text| &**text)
    }

    /// The text that is signed, as npm's client writes it on either kind of network.
    ///
    /// Source: EIP-4361; `formatSIWEMessage`, `formatSIWSMessage`.
    pub fn message(&self) -> String {
        let evm = self.kind == Kind::Eip191;
        let chain = if evm { "Ethereum" } else { "Solana" };
        let (domain, address) = (&self.domain, &self.address);
        let mut text =
            format!("{domain} wants you to sign in with your {chain} account:\n{address}\n\n");
        // What Solana's message leaves out when it is empty, Ethereum's leaves out when it is not
        // there.
        let told = |text: &&str| evm || !text.is_empty();
        match self.statement.as_deref().filter(told) {
            Some(statement) => push(&mut text, format_args!("{statement}\n\n")),
            None if evm => text.push('\n'),
            None => {}
        }
        let reference = self.chain_id.as_str().split_once(':').map_or("", |(_, behind)| behind);
        let (uri, nonce, issued) = (&self.uri, &self.nonce, &self.issued_at);
        push(&mut text, format_args!("URI: {uri}\nVersion: {VERSION}\nChain ID: {reference}\n"));
        push(&mut text, format_args!("Nonce: {nonce}\nIssued At: {issued}"));
        let moments =
            [("Expiration Time", &self.expiration_time), ("Not Before", &self.not_before)];
        for (name, moment) in moments {
            if let Some(moment) = moment.as_deref().filter(|moment| !moment.is_empty()) {
                push(&mut text, format_args!("\n{name}: {moment}"));
            }
        }
        if let Some(id) = self.request_id.as_deref().filter(told) {
            push(&mut text, format_args!("\nRequest ID: {id}"));
        }
        if let Some(resources) = self.resources.as_deref().filter(|all| evm || !all.is_empty()) {
            text.push_str("\nResources:");
            for resource in resources {
                push(&mut text, format_args!("\n- {resource}"));
            }
        }
        text
    }

    /// Whether the wallet's own key has signed, in the one form that its chain's signatures have.
    ///
    /// # Errors
    /// `Signature`: it has not. Perhaps the wallet is a contract; see [`SignIn::by_contract`].
    pub fn prove(&self) -> Result<(), SignInReason> {
        let proven = match self.address {
            Account::Evm(address) => self.bytes().and_then(|signature| {
                signed_by(&signature, eip191_hash_message(self.message()), address).ok()
            }),
            Account::Svm(key) => signature_of(&self.signature).and_then(|signature| {
                let key = VerifyingKey::from_bytes(key.as_array()).ok()?;
                key.verify_strict(self.message().as_bytes(), &signature.into()).ok()
            }),
        };
        proven.ok_or(SignInReason::Signature)
    }

    /// What its contract is asked, should the wallet be one; nothing where none can be.
    pub fn by_contract(&self) -> Option<ByContract> {
        let wallet = self.address.evm()?;
        let hash = eip191_hash_message(self.message());
        Some(ByContract { wallet, hash, signature: self.bytes()?.into() })
    }

    /// Its signature on an EVM network.
    fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(self.signature.strip_prefix("0x")?).ok()
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _never = text.write_fmt(what);
}

/// Bytes of the longest header that is read: that of a contract wallet which is still to be
/// deployed has some 3 KiB.
pub const SIGN_IN_BYTES_MAX: usize = 8 * 1024;

/// Of the message. Source: CAIP-122.
const VERSION: &str = "1";
