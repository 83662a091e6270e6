//! A payer on Solana: it pays what a 402 offers there, well or badly as the test says.

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use tollgate::x402::svm::build::{Draft, signed};
use tollgate::x402::svm::programs::TOKEN;
use tollgate::x402::svm::wire::Message;
use tollgate::x402::svm::{Pubkey, SvmDue, SvmExtra, signature_text};
use tollgate::x402::{AtomicAmount, encoding};

use super::dialect::{Base64, Keys, write};

/// Solana devnet in version 2.
pub const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
/// Solana in version 2.
pub const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
/// Whoever pays the fees there, if nothing else is said.
pub const FEE_PAYER: &str = "FB8JyB1HPQh4WW77RMF9o4B9bcy9NJoCCSSUHfh4jhhP";
/// Solana devnet in version 1.
pub const DEVNET_V1: &str = "solana-devnet";
/// The section of `gateway.toml` in which devnet is settled like the network of the plan.
pub const SECTION: &str = "[networks.solana-devnet]\n\
     pay_to = \"8izNrokeuYU5o8gxzcSV5g7w1NJifoBuqXXpfYhYUueU\"\nfacilitator = \"peer\"";

/// A key with money.
pub struct Payer(SigningKey);

/// A transaction that its payer has signed.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Base64.
    pub transaction: String,
    /// What it accepts.
    offer: Value,
}

impl Payer {
    /// The payer of this number; others have other keys.
    pub fn new(number: u8) -> Self {
        Self(SigningKey::from_bytes(&[number; 32]))
    }

    pub fn address(&self) -> String {
        Pubkey::new_from_array(self.0.verifying_key().to_bytes()).to_string()
    }

    /// Its signature under a text, in base58.
    pub fn says(&self, text: &str) -> String {
        signature_text(&self.0.sign(text.as_bytes()).to_bytes())
    }

    /// Pays an offer, as a 402 of version 2 has it.
    pub fn pays(&self, offer: &Value) -> Transfer {
        self.signs(offer, |_| {})
    }

    /// A payment that is signed after a change.
    pub fn signs(&self, offer: &Value, change: impl FnOnce(&mut Message)) -> Transfer {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = |value: &Value| text(value).parse::<Pubkey>().unwrap();
        let extra = SvmExtra { fee_payer: key(&offer["extra"]["feePayer"]), memo: None };
        let amount: AtomicAmount = text(&offer["amount"]).parse().unwrap();
        let due = SvmDue {
            asset: key(&offer["asset"]),
            pay_to: key(&offer["payTo"]),
            amount,
            extra: &extra,
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random).unwrap();
        let nonce = alloy_primitives::hex::encode(random);
        let payer = key(&self.address().into());
        let (program, decimals, blockhash) = (TOKEN, 6, [7; 32]);
        let draft = Draft { due, payer, program, decimals, blockhash, nonce: &nonce };
        let mut message = draft.message().unwrap();
        change(&mut message);
        let bytes = signed(message, &self.0).encode();
        Transfer { transaction: encoding::encode(&bytes), offer: offer.clone() }
    }
}

impl Transfer {
    /// As the value of `PAYMENT-SIGNATURE`.
    pub fn v2(&self) -> String {
        let payload = json!({ "transaction": self.transaction });
        let json = json!({ "x402Version": 2, "accepted": self.offer, "payload": payload });
        write(&json, Keys::AsIs, Base64::Standard)
    }

    /// As the value of `X-PAYMENT`.
    pub fn v1(&self) -> String {
        let payload = json!({ "transaction": self.transaction });
        let json = json!({
            "x402Version": 1, "scheme": "exact", "network": DEVNET_V1, "payload": payload,
        });
        write(&json, Keys::AsIs, Base64::Standard)
    }
}
