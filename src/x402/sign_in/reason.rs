//! Why a wallet is not let in by its signature, in the words of the published server.

/// One reason, closed: clients and metrics may match on its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInReason {
    /// The header is not what this extension sends.
    Malformed,
    /// Signed for a network on which this route cannot be paid.
    Chain,
    /// Said to somebody else.
    Domain,
    /// Said of something else.
    Uri,
    /// Asked for too long ago.
    TooOld,
    /// Asked for in the future.
    TooEarly,
    /// Its own end has passed.
    Expired,
    /// Its own beginning is still to come.
    NotYet,
    /// The wallet has not signed it.
    Signature,
    /// It has been sent before.
    Used,
    /// The wallet has not paid for this route, or too long ago.
    NotPaid,
}

impl SignInReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Chain,
        Self::Domain,
        Self::Uri,
        Self::TooOld,
        Self::TooEarly,
        Self::Expired,
        Self::NotYet,
        Self::Signature,
        Self::Used,
        Self::NotPaid,
    ];

    /// Its code. The first and the last are ours, the others those of npm `@x402/extensions` 2.27.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "invalid_siwx_header",
            Self::Chain => "invalid_siwx_unsupported_chain",
            Self::Domain => "invalid_siwx_domain_mismatch",
            Self::Uri => "invalid_siwx_uri_mismatch",
            Self::TooOld => "invalid_siwx_issued_at_too_old",
            Self::TooEarly => "invalid_siwx_issued_at_in_future",
            Self::Expired => "invalid_siwx_expired",
            Self::NotYet => "invalid_siwx_not_yet_valid",
            Self::Signature => "invalid_siwx_signature",
            Self::Used => "invalid_siwx_nonce",
            Self::NotPaid => "invalid_siwx_not_paid",
        }
    }

    /// The same for a person.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Malformed => "the sign-in cannot be read",
            Self::Chain => "the sign-in is signed for a network that this route does not have",
            Self::Domain => "the sign-in names another domain",
            Self::Uri => "the sign-in names another URL",
            Self::TooOld => "the sign-in is too old; sign the one of this answer",
            Self::TooEarly => "the sign-in was issued in the future",
            Self::Expired => "the sign-in has expired; sign the one of this answer",
            Self::NotYet => "the sign-in is not valid yet",
            Self::Signature => "the wallet has not signed this sign-in",
            Self::Used => "the sign-in has been used; sign the one of this answer",
            Self::NotPaid => "this wallet has not paid for this route lately",
        }
    }
}
