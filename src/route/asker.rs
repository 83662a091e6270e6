//! Proxies that ask before they forward, and how each names the request that it asks about.

/// A kind of proxy that asks.
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

impl Asker {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Traefik, Self::Caddy, Self::Envoy];

    /// Its name in `gateway.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Envoy => "envoy",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|asker| asker.name() == name)
    }
}
