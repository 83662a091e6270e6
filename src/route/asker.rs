//! Proxies that ask before they forward, and how each names the request that it asks about.

/// How a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// Once, before it forwards: money moves then.
    Once(Asker),
    /// `ext_proc` of Envoy: it tells of the answer too, before its client gets it.
    ExtProc,
}

/// A kind of proxy that asks once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// `auth_request` of nginx, and `auth-url` of ingress-nginx.
    Nginx,
    /// `ForwardAuth` of Traefik.
    Traefik,
    /// `forward_auth` of Caddy.
    Caddy,
    /// `ext_authz` of Envoy, over HTTP.
    Envoy,
}

impl AskedBy {
    /// All ways.
    pub const ALL: [Self; 5] = [
        Self::Once(Asker::Nginx),
        Self::Once(Asker::Traefik),
        Self::Once(Asker::Caddy),
        Self::Once(Asker::Envoy),
        Self::ExtProc,
    ];

    /// Its name in `gateway.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once(Asker::Nginx) => "nginx",
            Self::Once(Asker::Traefik) => "traefik",
            Self::Once(Asker::Caddy) => "caddy",
            Self::Once(Asker::Envoy) => "envoy",
            Self::ExtProc => "envoy-ext-proc",
        }
    }

    /// The way of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|asked_by| asked_by.name() == name)
    }
}
