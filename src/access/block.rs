//! Who is turned away: addresses before anything else, payers before anybody is asked to settle.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::x402::Account;

/// Who is turned away.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// First and last address of each block, in order and apart from one another.
    addresses: Vec<(u128, u128)>,
    payers: HashSet<Account>,
}

impl Block {
    /// Turns away who comes from these blocks of addresses, and these payers.
    pub fn new(
        addresses: impl IntoIterator<Item = IpNet>,
        payers: impl IntoIterator<Item = Account>,
    ) -> Self {
        let ends = |net: IpNet| (number(net.network()), number(net.broadcast()));
        let mut sorted: Vec<_> = addresses.into_iter().map(ends).collect();
        sorted.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match apart.last_mut().filter(|before| first <= before.1) {
                Some(before) => before.1 = before.1.max(last),
                None => apart.push((first, last)),
            }
        }
        Self { addresses: apart, payers: payers.into_iter().collect() }
    }

    /// Whether whoever comes from there is turned away.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let address = number(address);
        // The last block that begins there or before is the only one that can hold it.
        let after = self.addresses.partition_point(|(first, _)| *first <= address);
        let before = self.addresses.get(..after).and_then(<[_]>::last);
        before.is_some_and(|(_, last)| address <= *last)
    }

    /// Whether payments of this payer are turned away.
    pub fn has_payer(&self, payer: &Account) -> bool {
        self.payers.contains(payer)
    }

    /// How many ranges of addresses and how many payers there are.
    pub fn sizes(&self) -> (usize, usize) {
        (self.addresses.len(), self.payers.len())
    }
}

/// IPv4 addresses are those that IPv6 has for them.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(blocks: &[&str], address: &str, blocked: bool) {
        let block = Block::new(blocks.iter().map(|text| text.parse().unwrap()), []);
        assert_eq!(block.has_address(address.parse().unwrap()), blocked, "{address} {blocks:?}");
    }

    #[test]
    fn an_address_is_in_one_of_the_blocks_or_in_none() {
        let blocks = ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7/32", "198.51.100.4/32"];
        for (address, blocked) in [
            ("203.0.113.0", true),
            ("203.0.113.255", true),
            ("203.0.114.0", false),
            ("203.0.112.255", false),
            ("198.51.100.4", true),
            ("198.51.100.5", false),
            ("::ffff:203.0.113.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::1", false),
        ] {
            check(&blocks, address, blocked);
        }
        check(&[], "203.0.113.9", false);
    }

    #[test]
    fn a_large_block_hides_no_small_one_and_none_behind_it() {
        let blocks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.1.0.0/16"];
        for (address, blocked) in
            [("10.1.3.1", true), ("10.255.0.1", true), ("11.0.0.1", false), ("11.1.0.1", true)]
        {
            check(&blocks, address, blocked);
        }
    }

    #[test]
    fn a_payer_is_one_account_in_any_spelling() {
        let payer: Account = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
        let block = Block::new([], ["0x70997970c51812dc3a010c7d01b50e0d17dc79c8".parse().unwrap()]);
        assert!(block.has_payer(&payer));
        assert!(!Block::default().has_payer(&payer));
        assert_eq!(block.sizes(), (0, 1));
    }
}
