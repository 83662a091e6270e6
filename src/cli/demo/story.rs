//! What the demo tells, step by step.

use std::io::{self, Write};
use std::path::Path;

use http::header;
use serde::Serialize;

use super::KEY;
use super::gateway::Gateway;
use super::state::{Source, State};
use crate::cli::pay::{Answer, Payable, Payment, Request, Wallet};
use crate::x402::extensions::Extensions;
use crate::x402::{PaymentRequired, SettleResponse, encoding};

/// The steps, written one after another.
pub(super) struct Story<W> {
    out: W,
}

impl<W: Write> Story<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    pub(super) fn opening(&mut self, state: &State) -> io::Result<()> {
        let source = match state.source() {
            Source::Here => "./gateway.toml",
            Source::BuiltIn => "the gateway.toml that ships with tollgate",
        };
        writeln!(
            self.out,
            "tollgate demo: a photo goes in, a price comes back, a payment goes out,"
        )?;
        writeln!(self.out, "and the photo comes back without its background.\n")?;
        writeln!(
            self.out,
            "Prices from {source}; the chain is simulated, in this process's own folder."
        )
    }

    pub(super) fn asked(&mut self, request: &Request, answer: &Answer) -> io::Result<()> {
        self.step("1. Ask, without paying")?;
        self.request(request)?;
        self.head(answer)?;
        let terms = answer.headers.get("payment-required").map(header::HeaderValue::as_bytes);
        let json = terms.and_then(|value| encoding::decode(value).ok()).unwrap_or_default();
        let mut required = serde_json::from_slice::<PaymentRequired>(&json).ok();
        if let Some(required) = &mut required {
            required.extensions = Extensions::default();
        }
        writeln!(self.out, "\n   PAYMENT-REQUIRED, decoded, without its `extensions`:")?;
        self.json(&required)
    }

    pub(super) fn paying(
        &mut self,
        wallet: &Wallet,
        payable: &Payable<'_>,
        payment: &Payment,
    ) -> io::Result<()> {
        self.step("2. Ask again, with a payment")?;
        let (price, network) = (payable.price(), payable.known.name);
        writeln!(self.out, "   wallet  {}, a test key that everybody knows", wallet.address())?;
        writeln!(self.out, "   signs   {price} USDC on {network} to {}, once", payable.pay_to)?;
        writeln!(self.out, "   sends   {}: {}\n", payment.header, shortened(&payment.value))
    }

    pub(super) fn served(&mut self, answer: &Answer, file: &Path) -> io::Result<()> {
        self.head(answer)?;
        writeln!(self.out, "\n   {} bytes, written to {}", answer.body.len(), file.display())
    }

    pub(super) fn receipt(&mut self, settled: Option<&SettleResponse>) -> io::Result<()> {
        self.step("3. The receipt: PAYMENT-RESPONSE, decoded")?;
        self.json(&settled)
    }

    pub(super) fn ledger(&mut self, lines: &str) -> io::Result<()> {
        self.step("4. The gateway's ledger")?;
        for line in lines.lines() {
            writeln!(self.out, "   {line}")?;
        }
        Ok(())
    }

    pub(super) fn again(
        &mut self,
        gateway: &Gateway,
        state: &State,
        photo: &Path,
    ) -> io::Result<()> {
        let program = program();
        let (photo, url) = (photo.display(), gateway.url(super::PATH));
        self.step("Your turn. The gateway stays up until Ctrl-C.")?;
        writeln!(self.out, "   curl -i -H 'Content-Type: image/jpeg' --data-binary @{photo} \\")?;
        writeln!(self.out, "     {url}\n")?;
        writeln!(self.out, "   {program} pay {url} -d @{photo} --dry-run\n")?;
        writeln!(self.out, "   export TOLLGATE_KEY={KEY}")?;
        writeln!(self.out, "   {program} pay {url} -d @{photo} -o again.png\n")?;
        writeln!(self.out, "   {program} ledger list {}", state.config().display())?;
        writeln!(self.out, "   curl http://{}/metrics", gateway.admin)?;
        self.out.flush()
    }

    fn step(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{title}\n")
    }

    fn request(&mut self, request: &Request) -> io::Result<()> {
        writeln!(self.out, "   {} {}", request.method, request.url)?;
        if let Some(kind) = request.headers.get(header::CONTENT_TYPE) {
            let kind = String::from_utf8_lossy(kind.as_bytes());
            writeln!(self.out, "   content-type: {kind}, {} bytes", request.body.len())?;
        }
        writeln!(self.out)
    }

    fn head(&mut self, answer: &Answer) -> io::Result<()> {
        writeln!(self.out, "   HTTP/1.1 {}", answer.status)?;
        for name in SHOWN {
            if let Some(value) = answer.headers.get(name) {
                let value = String::from_utf8_lossy(value.as_bytes());
                writeln!(self.out, "   {name}: {}", shortened(&value))?;
            }
        }
        Ok(())
    }

    fn json<T: Serialize>(&mut self, object: &T) -> io::Result<()> {
        for line in serde_json::to_string_pretty(object).unwrap_or_default().lines() {
            writeln!(self.out, "     {line}")?;
        }
        Ok(())
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => {
            let start = value.get(..at).unwrap_or_default();
            format!("{start}… ({} bytes)", value.len())
        }
        None => value.to_owned(),
    }
}

/// This program, as it can be typed here.
fn program() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "tollgate".into());
    let here = std::env::current_dir().unwrap_or_default();
    let typed = program.strip_prefix(&here).unwrap_or(&program);
    typed.display().to_string()
}

/// The headers of an answer that the story shows.
const SHOWN: [&str; 5] =
    ["content-type", "cache-control", "retry-after", "payment-required", "payment-response"];
const VALUE_MAX: usize = 48;
