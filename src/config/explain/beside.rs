//! Says what the gateway has to do with besides: other files, an authority, a collector.

use std::io::{self, Write};

use super::{counted, listed, row};
use crate::acme::{self, Challenge as Proof};
use crate::config::Included;
use crate::observe::traces;

/// Which files hold routes too.
pub(super) fn the_included(included: &[Included], out: &mut impl Write) -> io::Result<()> {
    for Included { path, routes } in included {
        row(out, "included", &format!("{}: {}", path.display(), counted(*routes, "route")))?;
    }
    Ok(())
}

/// What would be ordered, and how the authority sees that the names lead here.
pub(super) fn the_authority(acme: &acme::Settings, out: &mut impl Write) -> io::Result<()> {
    row(out, "TLS", &listed(acme.names.iter().map(ToString::to_string)))?;
    row(out, "  issued by", &acme.directory)?;
    let seen = match acme.challenge {
        Proof::TlsAlpn01 => "port 443 of each name leads to `listen`",
        Proof::Http01 => "port 80 of each name leads to `http`",
    };
    row(out, "  if", &format!("{seen} ({})", acme.challenge.name()))?;
    let account = acme.external.as_ref().map(|one| format!("; external account {}", one.kid));
    row(out, "  kept in", &format!("{}{}", acme.storage.display(), account.unwrap_or_default()))?;
    let Some(http) = acme.http else { return Ok(()) };
    row(out, "no TLS", &format!("{http}: sent to https"))
}

/// Where traces go, and which.
pub(super) fn the_traces(traces: &traces::Settings, out: &mut impl Write) -> io::Result<()> {
    let traces::Settings { url, headers, sample, trusted_parents, service, .. } = traces;
    row(out, "traces", &format!("{sample} to {url}, as {service}"))?;
    for (name, secret) in headers {
        row(out, "  header", &format!("{name}: … ({})", secret.source()))?;
    }
    if !trusted_parents.is_empty() {
        let parents = listed(trusted_parents.iter().map(ToString::to_string));
        row(out, "  kept as", &format!("said by {parents}"))?;
    }
    Ok(())
}
