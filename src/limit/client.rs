//! Whose requests are counted together: client addresses and payers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// A client, for counting: an IPv4 address, or the /64 of an IPv6 address.
///
/// The /64 is what one customer gets, so a customer's every address counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(u128);

impl From<IpAddr> for ClientKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => Self(v6.to_bits() & NETWORK_OF_64),
        }
    }
}

impl From<ClientKey> for [u8; 16] {
    fn from(key: ClientKey) -> Self {
        key.0.to_be_bytes()
    }
}

/// The address, or the network of an IPv6 address: `203.0.113.9`, `2001:db8::/64`.
impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => v4.fmt(f),
            None => write!(f, "{address}/64"),
        }
    }
}

/// The address that a request comes from, behind the proxies that we trust.
///
/// `forwarded_for` are the values of `X-Forwarded-For` in the order of the request; a value that
/// is not text is given as `""`. They are believed only as far as trusted proxies wrote them: from
/// the right, the first address that is not a trusted proxy is the client. Where an entry cannot
/// be read, the hop before it is. At most [`HOPS_MAX`] entries are looked at.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.to_canonical();
    let entries = forwarded_for.rev().flat_map(|value| value.rsplit(','));
    for entry in entries.take(HOPS_MAX) {
        if !is_trusted(&client) {
            break;
        }
        match hop(entry.trim()) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// Some proxies add a port, and brackets around IPv6.
fn hop(entry: &str) -> Option<IpAddr> {
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || entry.parse().ok().map(|socket: SocketAddr| socket.ip());
    let address = entry.parse().ok();
    let address = address.or_else(|| in_brackets().map(IpAddr::V6)).or_else(with_port);
    address.map(|address: IpAddr| address.to_canonical())
}

/// Entries of `X-Forwarded-For` that are looked at, from the right.
pub const HOPS_MAX: usize = 16;

const NETWORK_OF_64: u128 = !0 << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded_for: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let peer = peer.parse().unwrap();
        let got = client_address(peer, forwarded_for.iter().copied(), &trusted);
        assert_eq!(got, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded_for:?}");
    }

    #[test]
    fn a_stranger_is_not_believed() {
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check("203.0.113.9", &["10.0.0.1"], "203.0.113.9");
        check("2001:db8::1", &["198.51.100.1"], "2001:db8::1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("fd00::1", &["2001:db8::5"], "2001:db8::5");
        check("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1");
        check("10.0.0.1", &["[2001:db8::5]:443"], "2001:db8::5");
        check("10.0.0.1", &["[2001:db8::5]"], "2001:db8::5");
        check("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
    }

    #[test]
    fn what_the_client_put_there_itself_is_not_read() {
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["10.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["10.6.6.6", "198.51.100.1,10.0.0.2", "10.0.0.3"], "198.51.100.1");
        check("10.0.0.1", &["rubbish, 198.51.100.1"], "198.51.100.1");
    }

    #[test]
    fn the_walk_stops_at_the_last_good_hop() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &[""], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1, rubbish"], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["198.51.100.1", "", "10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check("10.0.0.1", &["unknown"], "10.0.0.1");
    }

    #[test]
    fn the_walk_is_bounded() {
        let long = format!("198.51.100.1{}", ", 10.0.0.2".repeat(HOPS_MAX));
        check("10.0.0.1", &[&long], "10.0.0.2");
        let within = format!("198.51.100.1{}", ", 10.0.0.2".repeat(HOPS_MAX - 1));
        check("10.0.0.1", &[&within], "198.51.100.1");
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let key = |text: &str| ClientKey::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("198.51.100.1"), key("::ffff:198.51.100.1"));
        assert_ne!(key("198.51.100.1"), key("198.51.100.2"));
        assert_ne!(key("0.0.0.0"), key("::"));
        assert_eq!(key("::ffff:198.51.100.1").to_string(), "198.51.100.1");
        assert_eq!(key("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }
}
