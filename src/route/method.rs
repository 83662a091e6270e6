//! The methods that are served, and sets of them.

use std::fmt;

use http::Method;

/// A method that is served. All others are answered 405.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `GET`; routes that take it take `HEAD` too.
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
}

/// The methods of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Every one but `OPTIONS`, which the gateway answers itself unless a route lists it.
    Any,
    /// Those in the set.
    Listed(VerbSet),
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerbSet(u8);

impl Verb {
    /// All of them, in the order of `Allow`.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The method of this name; names are upper case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    /// The served method of a request.
    pub fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET => Some(Self::Get),
            Method::HEAD => Some(Self::Head),
            Method::POST => Some(Self::Post),
            Method::PUT => Some(Self::Put),
            Method::PATCH => Some(Self::Patch),
            Method::DELETE => Some(Self::Delete),
            Method::OPTIONS => Some(Self::Options),
            _ => None,
        }
    }

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    pub(super) fn list() -> String {
        VerbSet::of(&Self::ALL).to_string()
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Get => 1,
            Self::Head => 1 << 1,
            Self::Post => 1 << 2,
            Self::Put => 1 << 3,
            Self::Patch => 1 << 4,
            Self::Delete => 1 << 5,
            Self::Options => 1 << 6,
        }
    }
}

impl Methods {
    /// Exactly these.
    pub fn listed(verbs: &[Verb]) -> Self {
        Self::Listed(VerbSet::of(verbs))
    }

    /// What a client may send, for `Allow`: `HEAD` with `GET`, and always `OPTIONS`.
    pub fn allowed(self) -> VerbSet {
        match self {
            Self::Any => VerbSet::of(&Verb::ALL),
            Self::Listed(set) if set.has(Verb::Get) => {
                set.and(VerbSet::of(&[Verb::Head, Verb::Options]))
            }
            Self::Listed(set) => set.and(VerbSet::of(&[Verb::Options])),
        }
    }
}

impl VerbSet {
    /// The set of these.
    pub fn of(verbs: &[Verb]) -> Self {
        Self(verbs.iter().fold(0, |bits, verb| bits | verb.bit()))
    }

    /// Whether it holds this one.
    pub const fn has(self, verb: Verb) -> bool {
        self.0 & verb.bit() != 0
    }

    /// Both together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both hold.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for VerbSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for verb in Verb::ALL.into_iter().filter(|verb| self.has(*verb)) {
            write!(f, "{between}{}", verb.name())?;
            between = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Listed(set) => f.write_str(&set.to_string().replace(", ", ",")),
        }
    }
}
