//! `[traces]`: whether exchanges are followed, which, and where their spans go.

use crate::observe::traces::{Sample, Server as Place, Settings};

use super::file::FileTraces;
use super::reader::Reader;
use super::server::Server;
use super::words::{Name, WebUrl, web_uri};

/// Reads `[traces]`. Nothing where there is none, and where it holds a mistake.
pub(super) fn traces(
    typed: Option<FileTraces>,
    server: &Server,
    encrypted: bool,
    reader: &mut Reader<'_>,
) -> Option<Settings> {
    let typed = typed?;
    let headers = reader.headers(typed.headers);
    let sample = reader.take_if(typed.sample).unwrap_or(Sample::ALL);
    let trusted_parents = reader.take_all(typed.trusted_parents);
    let service = reader.take_if(typed.service).map_or("tollgate".into(), |Name(name)| name);
    let WebUrl(url) = reader.take(typed.endpoint)?;
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(SIGNAL).unwrap_or(url);
    let url = format!("{url}{SIGNAL}").into();
    Some(Settings {
        url,
        headers,
        sample,
        trusted_parents,
        service,
        server: place(server, encrypted),
    })
}

/// Where clients find the gateway: its public URL, never their `Host`.
fn place(server: &Server, encrypted: bool) -> Place {
    let scheme = if encrypted { "https" } else { "http" };
    let public = server.public_url.as_deref().and_then(|url| web_uri(url).ok());
    let Some(public) = public else {
        let (host, port) = (server.listen.ip().to_string().into(), server.listen.port());
        return Place { scheme: scheme.into(), host, port };
    };
    let scheme = public.scheme_str().unwrap_or(scheme);
    let usual = if scheme == "https" { 443 } else { 80 };
    let host = public.host().unwrap_or_default().into();
    Place { scheme: scheme.into(), host, port: public.port_u16().unwrap_or(usual) }
}

/// Where a collector takes spans, behind its base URL. Source: OTLP/HTTP, "Endpoint URLs".
const SIGNAL: &str = "/v1/traces";
