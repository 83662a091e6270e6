//! A wallet that signs in, well or badly as the test says.

use serde_json::{Value, json};
use tollgate::x402::SignIn;

use super::client::Answer;
use super::dialect::{Base64, Keys, write};
use super::solana::Payer;
use super::wallet::Wallet;

/// What a 402 offers to be signed.
#[derive(Clone, Debug)]
pub struct Offered {
    pub info: Value,
    pub chains: Vec<Value>,
}

/// What a wallet sends, as JSON.
#[derive(Clone, Debug)]
pub struct Proof(pub Value);

impl Offered {
    /// What this 402 offers, if it does.
    pub fn of(answer: &Answer) -> Option<Self> {
        assert_eq!(answer.status, 402, "{answer:?}");
        let required = answer.object("payment-required");
        let offered = required["extensions"].get("sign-in-with-x")?;
        assert!(offered["schema"]["required"].is_array(), "{offered}");
        let chains = offered["supportedChains"].as_array().unwrap().clone();
        Some(Self { info: offered["info"].clone(), chains })
    }

    /// Signed as it is.
    pub fn signed(&self, wallet: &Wallet) -> Proof {
        self.signed_after(wallet, |_| {})
    }

    /// Signed after a change.
    pub fn signed_after(&self, wallet: &Wallet, change: impl FnOnce(&mut Value)) -> Proof {
        let mut said = self.said("eip191", wallet.address().to_string());
        change(&mut said);
        let signature = wallet.says(&message(&said));
        said["signature"] = signature.into();
        Proof(said)
    }

    /// Signed as it is, on Solana.
    pub fn signed_on_solana(&self, payer: &Payer) -> Proof {
        let mut said = self.said("ed25519", payer.address());
        let signature = payer.says(&message(&said));
        said["signature"] = signature.into();
        Proof(said)
    }

    /// For the first chain of this kind, as npm's client chooses.
    fn said(&self, kind: &str, address: String) -> Value {
        let chain = self.chains.iter().find(|chain| chain["type"] == kind).unwrap();
        let mut said = self.info.clone();
        said["chainId"] = chain["chainId"].clone();
        said["type"] = kind.into();
        said["address"] = address.into();
        said["signature"] = "0x".into();
        said
    }
}

impl Proof {
    /// Changes something after the signature was made.
    pub fn then(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.0);
        self
    }

    /// As the value of `SIGN-IN-WITH-X`.
    pub fn header(&self) -> String {
        write(&self.0, Keys::AsIs, Base64::Standard)
    }
}

/// The text that is signed; what npm's client signs is in `tests/vectors`.
fn message(said: &Value) -> String {
    let value = write(said, Keys::AsIs, Base64::Standard);
    // What cannot be read is signed as something else, and refused before that is looked at.
    SignIn::read(value.as_bytes()).map_or_else(|_| json!(said).to_string(), |read| read.message())
}
