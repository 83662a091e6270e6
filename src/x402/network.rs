//! Networks by their CAIP-2 name, and what is known of those that are built in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A CAIP-2 chain id, `namespace:reference`, such as `eip155:8453`.
///
/// Bounds: namespace 3 to 8 of `[-a-z0-9]`, reference 1 to 32 of `[-_a-zA-Z0-9]`. Source: CAIP-2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network(Arc<str>);

/// A text that is not a CAIP-2 chain id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a CAIP-2 network such as `eip155:8453`")]
pub struct NetworkError(String);

impl Network {
    /// The EVM network with this chain id.
    pub fn eip155(chain_id: u64) -> Self {
        Self(format!("eip155:{chain_id}").into())
    }

    /// `namespace:reference`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The chain id of an EVM network, nothing for another namespace.
    pub fn chain_id(&self) -> Option<u64> {
        self.0.strip_prefix("eip155:")?.parse().ok()
    }

    /// What is built in about this network.
    pub fn known(&self) -> Option<&'static KnownNetwork> {
        NETWORKS.iter().find(|known| known.caip2 == &*self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let fits = |part: &str, range: std::ops::RangeInclusive<usize>, allowed: fn(u8) -> bool| {
            range.contains(&part.len()) && part.bytes().all(allowed)
        };
        let namespace = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let reference = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        match text.split_once(':') {
            Some((left, right))
                if fits(left, 3..=8, namespace) && fits(right, 1..=32, reference) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(NetworkError(text.chars().take(48).collect())),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.as_str().to_owned()
    }
}

/// Whether money on a network is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Real money.
    Mainnet,
    /// Play money.
    Testnet,
}

/// What is built in about an EVM network and its USDC.
#[derive(Debug)]
pub struct KnownNetwork {
    /// The name in `gateway.toml` and in x402 version 1.
    pub name: &'static str,
    /// The CAIP-2 name, as in x402 version 2.
    pub caip2: &'static str,
    /// Chain id of EIP-155.
    pub chain_id: u64,
    /// Contract address of USDC.
    pub usdc: &'static str,
    /// EIP-712 domain name of USDC there; a wrong one verifies nowhere.
    pub eip712_name: &'static str,
    /// EIP-712 domain version of USDC there.
    pub eip712_version: &'static str,
    /// Decimals of USDC there.
    pub decimals: u8,
    /// Whether its money is real.
    pub worth: Worth,
    /// Where a person looks a transaction up: the hash goes at the end.
    pub explorer: &'static str,
}

impl KnownNetwork {
    /// The built-in network of this name in `gateway.toml`.
    pub fn named(name: &str) -> Option<&'static Self> {
        NETWORKS.iter().find(|known| known.name == name)
    }

    /// Its CAIP-2 chain id.
    pub fn network(&self) -> Network {
        Network(self.caip2.into())
    }
}

/// The built-in networks. Source: Circle's list of USDC contracts; domain names from the chain.
pub static NETWORKS: [KnownNetwork; 4] = [
    KnownNetwork {
        name: "base",
        caip2: "eip155:8453",
        chain_id: 8453,
        usdc: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        eip712_name: "USD Coin",
        eip712_version: "2",
        decimals: 6,
        worth: Worth::Mainnet,
        explorer: "https://basescan.org/tx/",
    },
    KnownNetwork {
        name: "base-sepolia",
        caip2: "eip155:84532",
        chain_id: 84532,
        usdc: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        eip712_name: "USDC",
        eip712_version: "2",
        decimals: 6,
        worth: Worth::Testnet,
        explorer: "https://sepolia.basescan.org/tx/",
    },
    KnownNetwork {
        name: "polygon",
        caip2: "eip155:137",
        chain_id: 137,
        usdc: "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        eip712_name: "USD Coin",
        eip712_version: "2",
        decimals: 6,
        worth: Worth::Mainnet,
        explorer: "https://polygonscan.com/tx/",
    },
    KnownNetwork {
        name: "polygon-amoy",
        caip2: "eip155:80002",
        chain_id: 80002,
        usdc: "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
        eip712_name: "USDC",
        eip712_version: "2",
        decimals: 6,
        worth: Worth::Testnet,
        explorer: "https://amoy.polygonscan.com/tx/",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_namespace_and_a_reference() {
        for text in ["eip155:8453", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "cosmos:a_b-C"] {
            assert_eq!(text.parse::<Network>().unwrap().as_str(), text);
        }
        for text in ["", "base", "eip155:", ":1", "ei:1", "EIP155:1", "eip155:8453 ", "eip155:1:2"]
        {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_table_agrees_with_itself() {
        for known in &NETWORKS {
            assert_eq!(known.network().chain_id(), Some(known.chain_id), "{}", known.name);
            assert!(std::ptr::eq(known.network().known().unwrap(), known));
            assert!(std::ptr::eq(KnownNetwork::named(known.name).unwrap(), known));
            let usdc = alloy_primitives::Address::parse_checksummed(known.usdc, None);
            assert!(usdc.is_ok(), "{}: {}", known.name, known.usdc);
        }
    }
}
