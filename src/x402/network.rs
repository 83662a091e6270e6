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

    /// Whether it is a cluster of Solana. Source: CAIP-30.
    pub fn is_solana(&self) -> bool {
        self.0.starts_with(SOLANA)
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

/// What is built in about a network and its USDC.
#[derive(Debug)]
pub struct KnownNetwork {
    /// The name in `gateway.toml` and in x402 version 1.
    pub name: &'static str,
    /// The CAIP-2 name, as in x402 version 2.
    pub caip2: &'static str,
    /// What there is to know of its kind.
    pub kind: KnownKind,
    /// Contract or mint of USDC.
    pub usdc: &'static str,
    /// Decimals of USDC there.
    pub decimals: u8,
    /// Whether its money is real.
    pub worth: Worth,
    /// Where a person looks a transaction up: the hash goes at the end.
    pub explorer: Option<&'static str>,
}

/// What there is to know of a network's kind.
#[derive(Debug)]
pub enum KnownKind {
    /// An EVM network.
    Evm(KnownEvm),
    /// A cluster of Solana.
    Svm,
}

/// What is built in about an EVM network only.
#[derive(Debug)]
pub struct KnownEvm {
    /// Chain id of EIP-155.
    pub chain_id: u64,
    /// EIP-712 domain name of USDC there; a wrong one verifies nowhere.
    pub eip712_name: &'static str,
    /// EIP-712 domain version of USDC there.
    pub eip712_version: &'static str,
}

impl KnownNetwork {
    /// What is built in about it as an EVM network, if it is one.
    pub fn evm(&self) -> Option<&KnownEvm> {
        match &self.kind {
            KnownKind::Evm(evm) => Some(evm),
            KnownKind::Svm => None,
        }
    }

    /// The built-in network of this name in `gateway.toml`.
    pub fn named(name: &str) -> Option<&'static Self> {
        NETWORKS.iter().find(|known| known.name == name)
    }

    /// Its CAIP-2 chain id.
    pub fn network(&self) -> Network {
        Network(self.caip2.into())
    }
}

const SOLANA: &str = "solana:";

/// The built-in networks. Source: Circle's list of USDC contracts; domain names from the chain;
/// CAIP-30, the first 32 characters of a cluster's genesis hash.
pub static NETWORKS: [KnownNetwork; 6] = [
    KnownNetwork {
        name: "base",
        caip2: "eip155:8453",
        kind: KnownKind::Evm(KnownEvm {
            chain_id: 8453,
            eip712_name: "USD Coin",
            eip712_version: "2",
        }),
        usdc: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        decimals: 6,
        worth: Worth::Mainnet,
        explorer: Some("https://basescan.org/tx/"),
    },
    KnownNetwork {
        name: "base-sepolia",
        caip2: "eip155:84532",
        kind: KnownKind::Evm(KnownEvm {
            chain_id: 84532,
            eip712_name: "USDC",
            eip712_version: "2",
        }),
        usdc: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        decimals: 6,
        worth: Worth::Testnet,
        explorer: Some("https://sepolia.basescan.org/tx/"),
    },
    KnownNetwork {
        name: "polygon",
        caip2: "eip155:137",
        kind: KnownKind::Evm(KnownEvm {
            chain_id: 137,
            eip712_name: "USD Coin",
            eip712_version: "2",
        }),
        usdc: "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        decimals: 6,
        worth: Worth::Mainnet,
        explorer: Some("https://polygonscan.com/tx/"),
    },
    KnownNetwork {
        name: "polygon-amoy",
        caip2: "eip155:80002",
        kind: KnownKind::Evm(KnownEvm {
            chain_id: 80002,
            eip712_name: "USDC",
            eip712_version: "2",
        }),
        usdc: "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
        decimals: 6,
        worth: Worth::Testnet,
        explorer: Some("https://amoy.polygonscan.com/tx/"),
    },
    KnownNetwork {
        name: "solana",
        caip2: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        kind: KnownKind::Svm,
        usdc: "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        decimals: 6,
        worth: Worth::Mainnet,
        explorer: Some("https://explorer.solana.com/tx/"),
    },
    KnownNetwork {
        name: "solana-devnet",
        caip2: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        kind: KnownKind::Svm,
        usdc: "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        decimals: 6,
        worth: Worth::Testnet,
        // It names the cluster behind the transaction.
        explorer: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x402::Account;

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
            let chain_id = known.evm().map(|evm| evm.chain_id);
            assert_eq!(known.network().chain_id(), chain_id, "{}", known.name);
            assert!(std::ptr::eq(known.network().known().unwrap(), known));
            assert!(std::ptr::eq(KnownNetwork::named(known.name).unwrap(), known));
            let usdc: Account = known.usdc.parse().unwrap();
            assert_eq!(usdc.to_string(), known.usdc, "{}", known.name);
            assert_eq!(usdc.evm().is_some(), known.evm().is_some(), "{}", known.name);
        }
    }
}
