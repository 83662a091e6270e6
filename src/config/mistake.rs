//! Every mistake that a configuration can hold, in words, with what to write instead.

use std::io;

use crate::facilitator::chain::evm::keys::KeyError;
use crate::facilitator::chain::svm::keys::KeyError as FeePayerKeyError;
use crate::facilitator::http::cdp::CdpKeyError;
use crate::ledger::LedgerUrlError;
use crate::limit::{RateError, StoreUrlError};
use crate::route::{DocumentError, PatternError, RouteConflict, Undercut};

/// What is wrong with a value, or a whole file. Displayed as one line without a full stop.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A folder in which included files are looked for cannot be read.
    #[error("the files cannot be listed: {0}")]
    IncludedUnlisted(#[source] io::Error),
    /// A file that is included and is not there.
    #[error("there is no such file")]
    NotIncluded,
    /// A pattern that no file is for.
    #[error("no file is there that this is for")]
    NothingIncluded,
    /// A folder whose name cannot be part of a pattern.
    #[error("the name of this file's folder is not UTF-8")]
    FolderName,
    /// A key beside the routes of an included file. Its value is not repeated: it may be a secret.
    #[error("`{key}` does not belong in a file that is included")]
    RoutesOnly {
        /// As typed.
        key: Box<str>,
    },
    /// A path that leads out of the folder of an included file.
    #[error("a file that is included names only what is in its folder, or below")]
    NotBeside,
    /// Not TOML, or a value of another kind.
    #[error("{0}")]
    Toml(Box<str>),
    /// A key that nothing reads.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// As typed.
        key: Box<str>,
        /// The nearest key of this table.
        near: Option<Box<str>>,
        /// The keys of this table.
        known: Vec<Box<str>>,
    },
    /// A key without which nothing can start.
    #[error("`{key}` is missing")]
    MissingKey {
        /// The key.
        key: Box<str>,
        /// An example of its value, as typed.
        example: Option<&'static str>,
    },
    /// A name that no section of its kind has.
    #[error("no {kind} is named `{name}`")]
    UnknownName {
        /// Of the section.
        kind: &'static str,
        /// As typed.
        name: Box<str>,
        /// The nearest name.
        near: Option<Box<str>>,
        /// The names there are.
        known: Vec<Box<str>>,
    },
    /// A text that stands for nothing of the kind that belongs here.
    #[error("`{text}` is not {kind}")]
    Not {
        /// What belongs here, with its article.
        kind: &'static str,
        /// As typed, cut to 60 characters.
        text: Box<str>,
        /// What to write instead.
        instead: Box<str>,
    },
    /// A price finer than the asset.
    #[error("the amount has {places} decimals, the asset of `{network}` has {decimals}")]
    AmountTooFine {
        /// Of the price.
        places: usize,
        /// Of the asset.
        decimals: u8,
        /// Its section's name.
        network: Box<str>,
    },
    /// A price of nothing.
    #[error("a price of nothing")]
    PriceZero,
    /// A price by usage where nothing less than what was signed can be moved.
    #[error("a price by usage is paid by `upto`, which `{network}` has not")]
    NoUpto {
        /// Its section's name.
        network: Box<str>,
    },
    /// A price by usage in front of an upstream whose answers cannot be read for it.
    #[error("what an answer costs is read over HTTP/1.1, and this upstream has http = \"2\"")]
    UsageOverHttp2,
    /// A network of a route on which nothing says what it costs.
    #[error("no price on `{network}`, which this route names")]
    NoPriceOn {
        /// Its section's name.
        network: Box<str>,
    },
    /// A rule that asks nothing, or two things at once.
    #[error("a price rule asks one thing, and this asks {asked}")]
    RuleAsks {
        /// How many.
        asked: usize,
    },
    /// More rules than one request is held against.
    #[error("a route has up to {max} price rules, not {count}")]
    RuleCount {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A document that cannot be read.
    #[error("the document cannot be read: {0}")]
    DocumentUnreadable(#[source] io::Error),
    /// A list that cannot be read.
    #[error("the list cannot be read: {0}")]
    ListUnreadable(#[source] io::Error),
    /// A line of a list that does not belong there.
    #[error("line {line} of the list: {why}")]
    ListLine {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: Box<str>,
    },
    /// A document that is neither YAML nor JSON.
    #[error("the document is neither YAML nor JSON: {0}")]
    DocumentText(Box<str>),
    /// A document that says nothing of this route.
    #[error("{0}")]
    Document(#[source] DocumentError),
    /// A body that may be longer than what is read before its price is known.
    #[error("a body that a rule or a document looks at is read first, up to 64KiB of it")]
    BodyReadFirst,
    /// A wallet would be let in to more than it has paid for.
    #[error("`sign_in` lets a wallet in for one price and one method, and this route has {0}")]
    SignInToMore(&'static str),
    /// A wallet would be let in for a payment that is not known any more.
    #[error("a payment is forgotten before that, as `ledger.keep` says")]
    SignInForgotten,
    /// A length of time in which nothing can happen.
    #[error("no time at all")]
    NoTime,
    /// Mixed case that is not the address's checksum.
    #[error("the address's checksum is wrong")]
    AddressChecksum,
    /// Nobody's address.
    #[error("the zero address is nobody's: what is paid to it is lost")]
    AddressZero,
    /// A path where only an origin belongs.
    #[error("an upstream has no path of its own: requests keep the path that was matched")]
    UpstreamPath,
    /// No server, or more than anyone has.
    #[error("an upstream has one url or up to {max}, not {count}")]
    UrlCount {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Servers of which some speak TLS.
    #[error("the urls of one upstream are all http:// or all https://")]
    OneScheme,
    /// Two keys of which one is nothing without the other.
    #[error("{0} and {1} belong together")]
    Together(&'static str, &'static str),
    /// Two keys of which one belongs.
    #[error("{0} and {1} exclude each other")]
    Both(&'static str, &'static str),
    /// Two keys of which one belongs, and neither is there.
    #[error("neither {0} nor {1} is there")]
    Neither(&'static str, &'static str),
    /// A key that means nothing beside another.
    #[error("`{key}` means nothing {beside}")]
    Meaningless {
        /// The key.
        key: &'static str,
        /// With what.
        beside: &'static str,
    },
    /// An answer that would be longer than all together may be.
    #[error("an answer of this length would not be kept: `[answers]` allows less for all of them")]
    KeepTooMuch,
    /// A risk that no payment fits into.
    #[error("a risk below the price is none: no answer would go out before its payment")]
    RiskTooSmall,
    /// Planned, not built.
    #[error("{0} cannot be used yet")]
    NotYet(&'static str, &'static str),
    /// The name of a built-in network with facts of its own.
    #[error("`{key}` of the built-in network `{network}` is known")]
    NetworkKnown {
        /// The key.
        key: &'static str,
        /// Its section's name.
        network: Box<str>,
    },
    /// A network that nobody settles for, or too many do.
    #[error("a network has one facilitator or up to eight, not {count}")]
    FacilitatorCount {
        /// How many are named.
        count: usize,
    },
    /// Two chains for one network.
    #[error("test balances and a chain's own do not mix: a payment could be taken on both")]
    FacilitatorMix,
    /// A text that is no key of CDP.
    #[error("{0}")]
    CdpKey(#[source] CdpKeyError),
    /// Test balances for real money.
    #[error("`{network}` is a mainnet, and facilitator `{facilitator}` is simulated")]
    SimulatedMainnet {
        /// Its section's name.
        network: Box<str>,
        /// Its section's name.
        facilitator: Box<str>,
    },
    /// Test balances for money that may be real.
    #[error("nobody knows whether `{network}` is a testnet, and its facilitator is simulated")]
    SimulatedUnknown {
        /// Its section's name.
        network: Box<str>,
    },
    /// Real money whose payments a restart would forget.
    #[error("a ledger in memory forgets payments, and `{network}` is a mainnet")]
    MemoryMainnet {
        /// Its section's name.
        network: Box<str>,
    },
    /// Priced routes whose URL nobody can know.
    #[error("`public_url` is missing: 402s say what is paid for by its URL")]
    NoPublicUrl,
    /// Two routes with one name.
    #[error("another route has the name `{name}`")]
    NameTaken {
        /// The name.
        name: Box<str>,
        /// Where the other is.
        other: Box<str>,
    },
    /// A text that is no pattern of requests.
    #[error("this cannot be matched: {0}")]
    Pattern(#[source] PatternError),
    /// A text that is no rate.
    #[error("{0}")]
    Rate(#[source] RateError),
    /// A text that is no ledger.
    #[error("{0}")]
    Ledger(#[source] LedgerUrlError),
    /// Two routes for one request, and where the other is.
    #[error("{0}")]
    Conflict(#[source] RouteConflict, Box<str>),
    /// A price that another host gets around, and where it is.
    #[error("{0}: a client can send any Host")]
    Undercut(#[source] Undercut, Box<str>),
    /// The same word twice.
    #[error("`{0}` is here twice")]
    Twice(Box<str>),
    /// A priced route that nobody can pay.
    #[error("a priced route needs networks to be paid on")]
    NoNetworks,
    /// A 402 that clients and proxies cut off.
    #[error("the 402's header has {bytes} bytes, clients take 8192")]
    ChallengeTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A 402 that cannot be JSON.
    #[error("the 402 cannot be written: {0}")]
    ChallengeUnwritable(#[source] serde_json::Error),
    /// Two listeners on one address.
    #[error("`admin` and `listen` are one address")]
    SameAddress,
    /// Where proxies ask is where somebody else comes.
    #[error("proxies that ask need an address of their own")]
    CheckAddress,
    /// Proxies that ask, and none that is believed.
    #[error("only proxies that `trusted_proxies` names may ask, and it names none")]
    NobodyTrusted,
    /// A route that a proxy asks about, and nowhere to ask.
    #[error("a proxy asks about this route before it forwards, and there is no `[check]`")]
    NoCheck,
    /// Somewhere to ask, and nothing to ask about.
    #[error("no route has `mode = \"check\"`")]
    NothingAsked,
    /// A body that whoever asks does not send.
    #[error("a proxy asks without the body of the request, and this looks at it")]
    BodyNotSent,
    /// A price that goes by an answer that somebody else gives.
    #[error("a proxy gives the answer of this route, and this price is read from it")]
    AnswerNotSeen,
    /// A secret that is not in the environment.
    #[error("the environment has no `{0}`")]
    SecretUnset(Box<str>),
    /// A secret file that cannot be read.
    #[error("the secret's file cannot be read: {0}")]
    SecretUnreadable(#[source] io::Error),
    /// A secret with nothing in it, or bytes that no header can carry.
    #[error("the secret is empty, or no header can carry it")]
    SecretUnfit,
    /// A token that somebody may guess. It is not repeated.
    #[error("the token has less than {min} characters")]
    TokenShort {
        /// As many are enough.
        min: usize,
    },
    /// A key that passes for free, not written as its digest. It is not repeated.
    #[error("a key is kept as its digest: `sha256:` and 64 hex digits")]
    KeyDigest,
    /// A certificate's file, or its key's, that cannot be read.
    #[error("the file cannot be read: {0}")]
    CertificateUnreadable(#[source] io::Error),
    /// A certificate, or its key, that is none.
    #[error("the certificate is no good: {0}")]
    CertificateUnfit(Box<str>),
    /// More names than one certificate is for, or none.
    #[error("a certificate is for one name or up to {max}, not {count}")]
    DomainCount {
        /// How many are named.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A name that stands for others.
    #[error("a wildcard is certified by a challenge in DNS, which the gateway cannot meet")]
    Wildcard,
    /// A name with two certificates.
    #[error("a certificate of `[[certificates]]` is for `{0}`")]
    DomainCertified(Box<str>),
    /// A challenge that is met where nothing listens.
    #[error("the challenge `http-01` is met without TLS, and there is no `http`")]
    NoHttp,
    /// A listener without TLS where another is.
    #[error("requests without TLS need an address of their own")]
    HttpAddress,
    /// A key that an authority has not given. It is not repeated.
    #[error("the key of an external account is base64url")]
    ExternalKey,
    /// A signing key that is none.
    #[error("the signer's key is no good: {0}")]
    Key(#[source] KeyError),
    /// A fee payer's key that cannot be read.
    #[error("the fee payer's key cannot be read")]
    FeePayerKey(#[source] FeePayerKeyError),
    /// Several signers, and an offer names one fee payer.
    #[error("a Solana network has one fee payer")]
    OneFeePayer,
    /// A signing key for all who may read the file.
    #[error("a signer's key does not belong in this file")]
    KeyInFile,
    /// A signing key that is nowhere, or at several places.
    #[error("a signer's key is at one place")]
    KeyPlace,
    /// A node that cannot be asked. Its URL is not repeated: it may hold a key.
    #[error("a URL of `rpc` is not an http:// or https:// URL")]
    NodeUrl,
    /// A text that is not the place of shared limits. It is not repeated: it may hold a password.
    #[error("{0}")]
    Store(#[source] StoreUrlError),
    /// A password for all who may read the file.
    #[error("a URL with a password does not belong in this file")]
    StorePassword,
    /// Signers that do not know where they are.
    #[error("the signers settle on one chain, and the networks that name them are on {chains}")]
    NotOneChain {
        /// How many there are.
        chains: usize,
    },
    /// A gateway with nothing behind it.
    #[error("there are no routes: every request will be answered 404")]
    NoRoutes,
    /// A section that nothing refers to.
    #[error("no {by} uses {kind} `{name}`")]
    Unused {
        /// Of the section.
        kind: &'static str,
        /// Its name.
        name: Box<str>,
        /// Who could.
        by: &'static str,
    },
}
