//! A wallet that pays for the routes of a plan, well or badly as the test says.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256, address, hex};
use serde_json::{Value, json};
use tollgate::x402::payload::{OutgoingExact, OutgoingExtensions};
use tollgate::x402::permit2::{Approval, EXACT_PROXY, PERMIT2, Permit, UPTO_PROXY};
use tollgate::x402::{Authorization, Eip712Domain, Form, SignedAuthorization};

use super::dialect::{Base64, Keys, write};

/// Whom the routes pay.
pub const PAY_TO: Address = address!("0x00000000000000000000000000000000000Ca5e0");
/// What the routes cost, in atomic units: $0.05.
pub const PRICE: u64 = 50_000;
/// USDC on Base Sepolia.
pub const ASSET: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
/// Base Sepolia in version 2.
pub const NETWORK: &str = "eip155:84532";
/// Base Sepolia in version 1.
pub const NETWORK_V1: &str = "base-sepolia";

/// Where else a wallet pays: the chain and the asset.
#[derive(Clone, Copy)]
pub struct Place {
    pub name: &'static str,
    pub chain_id: u64,
    /// What the asset calls itself.
    pub token: &'static str,
    pub asset: Address,
}

/// USDC on Polygon Amoy.
pub const AMOY: Place = Place {
    name: "polygon-amoy",
    chain_id: 80_002,
    token: "USDC",
    asset: address!("0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582"),
};

/// USDC on Base.
pub const BASE: Place = Place {
    name: "base",
    chain_id: 8453,
    token: "USD Coin",
    asset: address!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
};

/// USDC on Polygon.
pub const POLYGON: Place = Place {
    name: "polygon",
    chain_id: 137,
    token: "USD Coin",
    asset: address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
};

/// USDC on Base Sepolia.
pub const SEPOLIA: Place =
    Place { name: NETWORK_V1, chain_id: 84_532, token: "USDC", asset: ASSET };

/// A key with money.
pub struct Wallet(PrivateKeySigner);

/// A signed payment, to be written in one version or the other.
#[derive(Clone, Debug)]
pub struct Payment {
    pub signed: SignedAuthorization,
    /// The terms that a version 2 client echoes.
    pub accepted: Value,
    extensions: Option<Value>,
    scheme: &'static str,
    network_v1: &'static str,
}

impl Wallet {
    /// The wallet of this number; others have other keys.
    pub fn new(number: u8) -> Self {
        Self(PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap())
    }

    pub fn address(&self) -> Address {
        self.0.address()
    }

    /// Its signature under a text, as a wallet shows it to a person. Source: EIP-191.
    pub fn says(&self, text: &str) -> String {
        hex::encode_prefixed(self.0.sign_message_sync(text.as_bytes()).unwrap().as_bytes())
    }

    /// A good payment with a nonce of its own.
    pub fn pays(&self) -> Payment {
        self.signs(|_| {})
    }

    /// A payment that is signed after a change.
    pub fn signs(&self, change: impl FnOnce(&mut Authorization)) -> Payment {
        self.signs_at(SEPOLIA, change)
    }

    /// A good payment of so many atomic units, at any place.
    pub fn pays_at(&self, place: Place, amount: u64) -> Payment {
        let payment = self.signs_at(place, |signed| signed.value = U256::from(amount));
        payment.then(|payment| payment.accepted["amount"] = amount.to_string().into())
    }

    /// A good payment of so many atomic units.
    pub fn pays_units(&self, amount: u64) -> Payment {
        self.pays_at(SEPOLIA, amount)
    }

    fn signs_at(&self, place: Place, change: impl FnOnce(&mut Authorization)) -> Payment {
        let domain = Eip712Domain::new(place.token, "2", place.chain_id, place.asset);
        let extra = json!({ "name": place.token, "version": "2" });
        self.sign(&domain, (place, extra), change)
    }

    /// A good payment by Permit2, with a nonce of its own.
    pub fn permits(&self, token: Address) -> Payment {
        self.signs_permit(token, |_| {})
    }

    /// A payment by Permit2 that is signed after a change.
    pub fn signs_permit(&self, token: Address, change: impl FnOnce(&mut Authorization)) -> Payment {
        let extra = json!({ "assetTransferMethod": "permit2" });
        let place = Place { asset: token, ..SEPOLIA };
        self.sign(&Eip712Domain::permit2(place.chain_id), (place, extra), |authorization| {
            authorization.form =
                Form::Permit2(Permit { token, spender: EXACT_PROXY, facilitator: None });
            change(authorization);
        })
    }

    /// A good payment by `upto` for this offer of a 402.
    pub fn permits_up_to(&self, offer: &Value) -> Payment {
        self.signs_up_to(offer, |_| {})
    }

    /// A payment by `upto` for this offer of a 402 that is signed after a change.
    pub fn signs_up_to(&self, offer: &Value, change: impl FnOnce(&mut Authorization)) -> Payment {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let named = text(&offer["extra"]["facilitatorAddress"]).parse().unwrap();
        let (token, amount) = (text(&offer["asset"]), text(&offer["amount"]));
        let place = (SEPOLIA, offer["extra"].clone());
        let payment = self.sign(&Eip712Domain::permit2(SEPOLIA.chain_id), place, |authorization| {
            let (token, facilitator) = (token.parse().unwrap(), Some(named));
            authorization.form = Form::Permit2(Permit { token, spender: UPTO_PROXY, facilitator });
            authorization.value = amount.parse().unwrap();
            change(authorization);
        });
        payment.then(|payment| payment.accepted = offer.clone())
    }

    /// The approval by EIP-2612 that a payment needs, under this domain and number.
    pub fn approves(&self, payment: &Payment, domain: &Eip712Domain, nonce: u64) -> Approval {
        let Authorization { from, value, valid_before, form, .. } = payment.signed.authorization;
        let Form::Permit2(Permit { token, .. }) = form else { panic!("Permit2 is not asked") };
        let mut approval = Approval {
            owner: from,
            token,
            spender: PERMIT2,
            value,
            nonce: U256::from(nonce),
            deadline: valid_before,
            signature: Box::default(),
        };
        let hash = approval.signing_hash(domain);
        approval.signature = self.0.sign_hash_sync(&hash).unwrap().as_bytes().into();
        approval
    }

    fn sign(
        &self,
        domain: &Eip712Domain,
        (place, extra): (Place, Value),
        change: impl FnOnce(&mut Authorization),
    ) -> Payment {
        let now = unix_seconds();
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).unwrap();
        let mut authorization = Authorization {
            from: self.address(),
            to: PAY_TO,
            value: U256::from(PRICE),
            valid_after: U256::from(now - 600),
            valid_before: U256::from(now + 600),
            nonce: nonce.into(),
            form: Form::Eip3009,
        };
        change(&mut authorization);
        let hash = domain.signing_hash(&authorization);
        let signature = self.0.sign_hash_sync(&hash).unwrap().as_bytes().into();
        let signed = SignedAuthorization { authorization, signature, approval: None };
        let (scheme, network_v1, accepted) = ("exact", place.name, accepted(place, extra));
        Payment { signed, accepted, extensions: None, scheme, network_v1 }
    }
}

/// The terms of a route as version 2 writes them.
fn accepted(place: Place, extra: Value) -> Value {
    json!({
        "scheme": "exact",
        "network": format!("eip155:{}", place.chain_id),
        "amount": PRICE.to_string(),
        "asset": place.asset,
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 300,
        "extra": extra,
    })
}

impl Payment {
    /// Changes something after the signature was made.
    pub fn then(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Names what it buys.
    pub fn named(mut self, id: &str) -> Self {
        let info = json!({ "required": false, "id": id });
        self.extensions = Some(json!({ "payment-identifier": { "info": info } }));
        self
    }

    /// Says that it is for another scheme and network, in both versions.
    pub fn on(mut self, scheme: &'static str, network: (&'static str, &'static str)) -> Self {
        self.accepted["scheme"] = scheme.into();
        self.accepted["network"] = network.1.into();
        (self.scheme, self.network_v1) = (scheme, network.0);
        self
    }

    /// The other signature that the same key has over the same hash.
    pub fn high_s(mut self) -> Self {
        high_s(&mut self.signed.signature);
        self
    }

    /// As the value of `PAYMENT-SIGNATURE`.
    pub fn v2(&self) -> String {
        write(&self.json_v2(), Keys::AsIs, Base64::Standard)
    }

    /// As the value of `X-PAYMENT`.
    pub fn v1(&self) -> String {
        write(&self.json_v1(), Keys::AsIs, Base64::Standard)
    }

    pub fn json_v2(&self) -> Value {
        let mut json =
            json!({ "x402Version": 2, "accepted": self.accepted, "payload": self.payload() });
        if let Some(extensions) = &self.extensions {
            json["extensions"] = extensions.clone();
        }
        if let Some(approval) = OutgoingExtensions::of(&self.signed) {
            let approval = serde_json::to_value(approval).unwrap();
            json["extensions"]["eip2612GasSponsoring"] = approval["eip2612GasSponsoring"].clone();
        }
        json
    }

    pub fn json_v1(&self) -> Value {
        json!({
            "x402Version": 1,
            "scheme": self.scheme,
            "network": self.network_v1,
            "payload": self.payload(),
        })
    }

    /// Hex digits of the signature.
    pub fn signature(&self) -> String {
        hex::encode(&self.signed.signature)
    }

    /// `0x` and the hex digits of the nonce.
    pub fn nonce(&self) -> String {
        self.signed.authorization.nonce.to_string()
    }

    fn payload(&self) -> Value {
        serde_json::to_value(OutgoingExact::from(&self.signed)).unwrap()
    }
}

/// Makes of a signature the other one of the same key over the same hash.
pub fn high_s(signature: &mut [u8]) {
    let s = U256::from_be_slice(&signature[32..64]);
    signature[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    signature[64] ^= 27 ^ 28;
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The order of secp256k1.
const ORDER: U256 = U256::from_limbs([
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
]);
