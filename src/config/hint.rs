//! What to write instead, for each mistake that has such a thing.

use super::mistake::Mistake;
use crate::facilitator::http::cdp::CdpKeyError;
use crate::ledger::LedgerUrlError;

impl Mistake {
    /// A mistake that the TOML reader found, in our words where it has others.
    pub(super) fn of_toml(message: &str) -> Self {
        let mut quoted = message.split('`').skip(1).step_by(2).map(Box::<str>::from);
        if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let key = quoted.next().unwrap_or_default();
            return match quoted.collect::<Vec<_>>() {
                // Nothing else is taken there.
                known if matches!(&*known, [only] if &**only == "routes") => {
                    Self::RoutesOnly { key }
                }
                known => Self::unknown_key(&key, known),
            };
        }
        if message.starts_with("missing field") {
            return Self::missing_key(&quoted.next().unwrap_or_default());
        }
        let mut message = message.lines().collect::<Vec<_>>().join(", ");
        for (theirs, ours) in REPHRASED {
            message = message.replace(theirs, ours);
        }
        Self::Toml(message.into())
    }

    /// A key without which nothing can start.
    pub(super) fn missing_key(key: &str) -> Self {
        let example = EXAMPLES.iter().find(|(name, _)| *name == key).map(|(_, example)| *example);
        Self::MissingKey { key: key.into(), example }
    }

    /// Whether it is about a key that nobody knows, whose value may be a secret: it is not near to
    /// a key that holds none.
    pub(super) fn hides_value(&self) -> bool {
        match self {
            Self::UnknownKey { near, .. } => near.as_deref().is_none_or(super::hidden::is_secret),
            Self::RoutesOnly { .. } => true,
            _ => false,
        }
    }

    /// Whether what it is about is a secret where none belongs.
    pub(super) fn is_of_a_secret(&self) -> bool {
        matches!(self, Self::Ledger(LedgerUrlError::Password))
    }

    /// The same without what it quotes of the file.
    pub(super) fn without_quotes(self) -> Self {
        match self {
            Self::Toml(message) => {
                let expected = message.split_once("expected").map_or("", |(_, rest)| rest);
                Self::Toml(match expected {
                    "" => "this cannot be read".into(),
                    expected => format!("this cannot be read: expected{expected}").into(),
                })
            }
            other => other,
        }
    }

    /// Whether a key is missing.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::MissingKey { .. })
    }

    /// A text that is not what belongs here.
    pub(super) fn not(kind: &'static str, text: &str, instead: &str) -> Self {
        let text = text.chars().take(TEXT_CHARS_MAX).collect::<String>().into();
        Self::Not { kind, text, instead: instead.into() }
    }

    /// A key that this table does not have.
    pub(super) fn unknown_key(key: &str, known: Vec<Box<str>>) -> Self {
        let near = nearest(key, known.iter().map(|name| &**name)).map(Into::into);
        Self::UnknownKey { key: key.into(), near, known }
    }

    /// A name that no section of this kind has.
    pub(super) fn unknown_name<'a>(
        kind: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<Box<str>> = known.map(Into::into).collect();
        let near = nearest(name, known.iter().map(|name| &**name)).map(Into::into);
        Self::UnknownName { kind, name: name.into(), near, known }
    }

    /// What to write instead, when that can be said.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownKey { key, .. } if &**key == "include" => {
                "write it above the first section, as in include = \"routes.d/*.toml\"".to_owned()
            }
            Self::UnknownKey { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::UnknownKey { known, .. } => format!("the keys here are {}", listed(known)),
            Self::MissingKey { key, example: Some(example) } => format!("write {key} = {example}"),
            Self::UnknownName { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::UnknownName { kind, known, .. } if known.is_empty() => {
                format!("the file has no {kind} yet")
            }
            Self::UnknownName { known, .. } if known.len() == 1 => {
                format!("there is only {}", listed(known))
            }
            Self::UnknownName { known, .. } => format!("there are {}", listed(known)),
            Self::Not { instead, .. } => format!("write {instead} instead"),
            Self::AmountTooFine { decimals, .. } => {
                format!("write an amount with at most {decimals} decimals instead")
            }
            Self::SimulatedUnknown { network } => {
                format!("write worth = \"testnet\" under [networks.{network}] if it is one")
            }
            Self::NameTaken { name, other } => {
                format!("write name = \"{name}-2\", or any other; the other route is at {other}")
            }
            Self::Undercut(_, other) => format!(
                "give it the same price, or an upstream of its own, if need be with the same url; \
                 the other route is at {other}"
            ),
            Self::Conflict(_, other) => format!("remove it, or the other route, at {other}"),
            _ => {
                let fixed = self.fixed_hint().or_else(|| self.secret_hint());
                let fixed = fixed.or_else(|| self.check_hint()).or_else(|| self.acme_hint());
                return fixed.map(str::to_owned);
            }
        };
        Some(hint)
    }

    /// The hints that do not depend on what was typed.
    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::RoutesOnly { .. } => {
                "only `[[routes]]` do; write it in the file that includes this"
            }
            Self::NothingIncluded => "remove it if no file is to come",
            Self::NotBeside => "write the path of a file beside this one, such as \"api.yaml\"",
            Self::PriceZero => "write \"free\" for a route that costs nothing",
            Self::UsageOverHttp2 => "give it another upstream, over HTTP/1.1, or one price",
            Self::NoUpto { .. } => {
                "leave it out of `networks`, or write one price such as \"$0.05\": only EVM \
                 networks have `upto`"
            }
            Self::NoPriceOn { .. } => "write its price into the table, or one price for all",
            Self::RuleAsks { .. } => {
                "write one of `method`, `query`, `header` and `body`; of two rules the first that \
                 is met counts"
            }
            Self::RuleCount { .. } => "let other paths have other prices",
            Self::BodyReadFirst => {
                "write max = \"64KiB\" or less, or let other paths have other prices"
            }
            Self::SignInToMore(_) => "give each of them a route of its own, or remove it",
            Self::SignInForgotten => "write a shorter time, or a longer one there",
            Self::ListLine { .. } => "write one to a line; what follows `#` is not read",
            Self::NoTime => "write \"2s\", or another length of time, instead",
            Self::AddressChecksum => {
                "copy the address again: a character is wrong, or one is in the wrong case"
            }
            Self::AddressZero => "write the address that is to be paid",
            Self::UpstreamPath => {
                "write only scheme, host and port, as in \"http://127.0.0.1:9000\""
            }
            Self::OneScheme => "give the others an upstream of their own",
            Self::Both(..) => "remove one of them",
            Self::Neither(..) => "write one of them",
            Self::Meaningless { .. } => "remove it",
            Self::KeepTooMuch => "raise `total` and `memory` under [answers], or lower this",
            Self::RiskTooSmall => "raise it, or leave the key out",
            Self::NotYet(_, instead) => instead,
            Self::NetworkKnown { key: "worth", .. } => "remove it",
            Self::NetworkKnown { .. } => "remove it, or give the section a name of your own",
            Self::SimulatedMainnet { .. } => "name a facilitator with a url, or use a testnet",
            Self::MemoryMainnet { .. } => "write url = \"sqlite://tollgate.db\" instead",
            Self::FacilitatorCount { count: 0 } => "write the name of a section of [facilitators]",
            Self::FacilitatorCount { .. } => "remove some",
            Self::FacilitatorMix => "name only simulated ones here, or none",
            Self::CdpKey(CdpKeyError::Id) => "copy the key's id again, as CDP shows it",
            Self::CdpKey(_) => "copy the secret again, as CDP has handed it out",
            Self::NoPublicUrl => "write public_url = \"https://api.example.com\" under [server]",
            Self::Twice(_) => "remove one of the two",
            Self::NoNetworks => "write networks = [\"base\"], or price = \"free\"",
            Self::ChallengeTooLarge { .. } => "shorten the description, or offer fewer networks",
            Self::SameAddress => "write admin = \"127.0.0.1:9402\", or another port",
            Self::NodeUrl => "write rpc = [\"https://…\"], or { env = \"NAME\" } in place of a URL",
            Self::NotOneChain { .. } => "write one section with `chain` for each chain",
            Self::Unused { .. } => "remove the section if it is not needed",
            _ => return None,
        })
    }

    /// The same, of keys and other secrets.
    fn secret_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::SecretUnset(_) => "set the variable before the start",
            Self::Key(_) => "it is 64 hex digits, or a keystore of version 3 with its password",
            Self::FeePayerKey(_) => {
                "it is what solana-keygen writes, or what wallets export: 64 bytes in base58"
            }
            Self::OneFeePayer => "write one `signer`",
            Self::TokenShort { .. } => "`openssl rand -hex 16` prints one",
            Self::KeyDigest => "`printf %s KEY | sha256sum` prints them",
            Self::KeyInFile | Self::KeyPlace => {
                "write signer = { env = \"NAME\" }, { file = \"PATH\" } or { keystore = \"PATH\", \
                 password = { env = \"NAME\" } }"
            }
            Self::StorePassword => "write store = { env = \"NAME\" } or { file = \"PATH\" }",
            Self::SecretUnfit => "a secret is one line of visible characters",
            _ => return None,
        })
    }

    /// The same, of what a proxy asks about.
    fn check_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::CheckAddress => "write another port here, or there",
            Self::NobodyTrusted => {
                "write trusted_proxies = [\"10.0.0.0/8\"] under [server]: from where it asks"
            }
            Self::NoCheck => {
                "write [check] with listen = \"127.0.0.1:8403\" and asked_by = \"nginx\""
            }
            Self::NothingAsked => "remove [check] if no proxy asks",
            Self::BodyNotSent => "let the method, the query or a header decide, or forward it here",
            Self::AnswerNotSeen => "write one price, such as \"$0.05\", or forward it here",
            _ => return None,
        })
    }

    /// The same, of what an authority issues.
    fn acme_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Wildcard => "write each name, or name a certificate under [[certificates]]",
            Self::DomainCertified(_) => "remove the name here, or the certificate there",
            Self::NoHttp => "write http = \"0.0.0.0:80\", or challenge = \"tls-alpn-01\"",
            Self::HttpAddress => "write another port here, or there",
            Self::ExternalKey => "copy it again: it is the authority's, beside the `kid`",
            _ => return None,
        })
    }
}

/// `a`, `b` and `c`.
fn listed(names: &[Box<str>]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [head @ .., last] => format!("`{}` and `{last}`", head.join("`, `")),
    }
}

/// The name that was probably meant, if one is near enough.
fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (typed.chars().count() / 3).max(1);
    names
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(NAME_CHARS_MAX).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let (mut row_before, mut char_before) = (row.clone(), None);
    for (index, typed) in from.chars().take(NAME_CHARS_MAX).enumerate() {
        let mut next = vec![index + 1];
        let mut wanted_before = None;
        for (column, wanted) in to.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&row, column) + usize::from(*wanted != typed);
            let changed = replaced.min(cell(&row, column + 1) + 1).min(cell(&next, column) + 1);
            let swapped = char_before == Some(*wanted) && wanted_before == Some(typed);
            let swap = column.checked_sub(1).filter(|_| swapped);
            next.push(swap.map_or(changed, |at| changed.min(cell(&row_before, at) + 1)));
            wanted_before = Some(*wanted);
        }
        row_before = std::mem::replace(&mut row, next);
        char_before = Some(typed);
    }
    row.last().copied().unwrap_or_default()
}

/// What to write for a key that is missing.
const EXAMPLES: [(&str, &str); 23] = [
    ("domains", "[\"api.example.com\"]"),
    ("storage", "\"acme\", a folder that outlives the process"),
    ("terms", "\"agreed\", once you have read what the authority publishes"),
    ("ledger", "{ url = \"sqlite://tollgate.db\" }"),
    ("asset", "\"0x…\", the contract of the asset"),
    ("by", "\"ip\""),
    ("chain_id", "8453"),
    ("confirmations", "1, or as many blocks as make one stay on this chain"),
    ("decimals", "6"),
    ("eip712", "{ name = \"USD Coin\", version = \"2\" }"),
    ("facilitator", "the name of a section of [facilitators]"),
    ("match", "\"POST /v1/images\""),
    ("pay_to", "\"0x…\", the address that is paid"),
    ("price", "\"$0.05\", or \"free\""),
    ("max", "\"$0.10\""),
    ("per", "\"1k tokens\""),
    ("rate", "\"$0.002\""),
    ("from", "\"usage.total_tokens\""),
    ("upstream", "the name of a section of [upstreams], or mode = \"check\""),
    ("url", "the URL, in quotes"),
    ("rate", "\"30/min\""),
    ("rpc", "[\"https://…\"], the nodes of the chain"),
    ("signer", "{ env = \"NAME\" }"),
];
/// What serde calls the kinds of values, and what a person does.
const REPHRASED: [(&str, &str); 9] = [
    ("invalid type: floating point", "invalid type: number"),
    ("invalid type: integer", "invalid type: number"),
    ("invalid type: map", "invalid type: a table"),
    ("invalid type: sequence", "invalid type: a list"),
    ("expected a sequence", "expected a list such as [\"…\"]"),
    ("expected a map", "expected a table"),
    ("expected a nonzero usize", "expected a whole number from 1 up"),
    ("expected a nonzero u32", "expected a whole number from 1 up"),
    ("wanted exactly 1 element, more than 1 element", "expected one key, not several"),
];
const TEXT_CHARS_MAX: usize = 60;
const NAME_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_one_step() {
        for (from, to, steps) in [
            ("price", "price", 0),
            ("prise", "price", 1),
            ("pirce", "price", 1),
            ("prce", "price", 1),
            ("pricee", "price", 1),
            ("", "price", 5),
            ("limit", "price", 5),
        ] {
            assert_eq!(distance(from, to), steps, "{from} {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["images", "assistant", "base", "base-sepolia"];
        let near = |typed| nearest(typed, names.into_iter());
        assert_eq!(near("image"), Some("images"));
        assert_eq!(near("base-seplia"), Some("base-sepolia"));
        assert_eq!(near("polygon"), None);
        assert_eq!(near(""), None);
    }
}
