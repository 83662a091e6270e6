//! Who need not pay, and who is turned away.

mod block;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::digest::Digest;

pub use block::Block;

/// Everyone who need not pay, and everyone who may not.
#[derive(Clone, Debug, Default)]
pub struct Access {
    bypasses: Vec<Bypass>,
    /// Who is turned away.
    pub block: Arc<Block>,
}

/// Some who need not pay: who comes from one of these addresses and with one of these keys. Of
/// what is empty nothing is asked; one of both is not.
#[derive(Clone, Debug)]
pub struct Bypass {
    /// What the log calls them.
    pub name: Arc<str>,
    /// From where.
    pub addresses: Vec<IpNet>,
    /// With which keys, of which only digests are kept.
    pub keys: Vec<Digest>,
    /// On which routes, by name; empty: on all.
    pub routes: Vec<Box<str>>,
}

impl Access {
    /// Access for these.
    pub fn new(bypasses: Vec<Bypass>, block: Arc<Block>) -> Self {
        Self { bypasses, block }
    }

    /// The name under which a request to this route, from this address and perhaps with a key,
    /// need not pay.
    pub fn bypass(&self, route: &str, from: IpAddr, key: Option<&[u8]>) -> Option<&Arc<str>> {
        if self.bypasses.is_empty() {
            return None;
        }
        let key = key.map(Digest::of);
        let passes = |bypass: &&Bypass| bypass.lets(route, from, key.as_ref());
        self.bypasses.iter().find(passes).map(|bypass| &bypass.name)
    }
}

impl Bypass {
    fn lets(&self, route: &str, from: IpAddr, key: Option<&Digest>) -> bool {
        let here = self.routes.is_empty() || self.routes.iter().any(|name| **name == *route);
        let from_there = self.addresses.iter().any(|block| block.contains(&from));
        // All are compared, whichever fits.
        let known = |key: &Digest| self.keys.iter().fold(false, |any, own| any | own.is(key));
        let asks = !self.addresses.is_empty() || !self.keys.is_empty();
        asks && here
            && (self.addresses.is_empty() || from_there)
            && (self.keys.is_empty() || key.is_some_and(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bypass(addresses: &[&str], keys: &[&str], routes: &[&str]) -> Access {
        let bypass = Bypass {
            name: "friends".into(),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            keys: keys.iter().map(|key| Digest::of(key.as_bytes())).collect(),
            routes: routes.iter().map(|name| (*name).into()).collect(),
        };
        Access::new(vec![bypass], Arc::default())
    }

    #[track_caller]
    fn check(access: &Access, (route, from, key): (&str, &str, &str), passes: bool) {
        let key = Some(key.as_bytes()).filter(|key| !key.is_empty());
        let found = access.bypass(route, from.parse().unwrap(), key);
        assert_eq!(found.map(|name| &**name), passes.then_some("friends"), "{route} {from}");
    }

    #[test]
    fn a_key_passes_from_anywhere() {
        let access = bypass(&[], &["one", "two"], &[]);
        for (key, passes) in [("one", true), ("two", true), ("three", false), ("", false)] {
            check(&access, ("any", "192.0.2.1", key), passes);
        }
    }

    #[test]
    fn an_address_passes_without_a_key() {
        let access = bypass(&["192.0.2.0/24", "2001:db8::/32"], &[], &[]);
        for (from, passes) in
            [("192.0.2.9", true), ("2001:db8::1", true), ("192.0.3.1", false), ("::1", false)]
        {
            check(&access, ("any", from, ""), passes);
        }
    }

    #[test]
    fn where_both_are_named_both_are_asked() {
        let access = bypass(&["192.0.2.0/24"], &["one"], &["only"]);
        check(&access, ("only", "192.0.2.1", "one"), true);
        check(&access, ("only", "192.0.2.1", ""), false);
        check(&access, ("only", "192.0.3.1", "one"), false);
        check(&access, ("other", "192.0.2.1", "one"), false);
    }

    #[test]
    fn who_is_asked_nothing_does_not_pass() {
        check(&bypass(&[], &[], &[]), ("any", "192.0.2.1", "one"), false);
        check(&Access::default(), ("any", "192.0.2.1", "one"), false);
    }
}
