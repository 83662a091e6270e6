//! State changes per second of a ledger, each durable before it is answered.
//!
//! `ledger URL [PAYERS [SECONDS]]`: so many payers, 64 by default, claim, settle and finish payment
//! after payment, for five seconds by default. `URL` is what `gateway.toml` takes, or `postgres`
//! for a server of its own, begun for this and gone afterwards.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use tollgate::clock::Clock;
use tollgate::digest::Digest;
use tollgate::ledger::{Claim, Claimed, ExchangeId, Ledger, Step};
use tollgate::x402::{AtomicAmount, Network, PaymentIdentity};

#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the tests' own server, whole"
)]
#[path = "../support/postgres.rs"]
mod postgres;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, rest @ ..] = arguments.as_slice() else {
        return Err("ledger URL [PAYERS [SECONDS]]".into());
    };
    let payers: u64 = rest.first().map_or(Ok(64), |text| text.parse())?;
    let seconds: u64 = rest.get(1).map_or(Ok(5), |text| text.parse())?;
    let url = if url == "postgres" { postgres::database().await } else { url.clone() };
    let ledger = Ledger::open(&url.parse()?).await?;
    let (begun, changes) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let end = begun + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..payers)
        .map(|_| tokio::spawn(pay_until(end, ledger.clone(), Arc::clone(&changes))))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let (elapsed, changes) = (begun.elapsed(), changes.load(Ordering::Relaxed));
    ledger.close().await;
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    let per_second = u128::from(changes) * 1_000 / elapsed.as_millis().max(1);
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{per_second} state changes/s, {payers} payers, one takes {:?} (median), {:?} (99 of 100)",
        at(50),
        at(99)
    )?;
    Ok(())
}

/// One payer's payments: three changes each. Gives how long each change took.
async fn pay_until(
    end: Instant,
    ledger: Ledger,
    changes: Arc<AtomicU64>,
) -> Result<Vec<Duration>, BoxError> {
    let (payer, mut waits) = (ExchangeId::random()?, Vec::new());
    let payer = Address::from_word(alloy_primitives::keccak256(payer.to_string()));
    while Instant::now() < end {
        let exchange = ExchangeId::random()?;
        let claim = claim(payer, exchange);
        let identity = claim.identity.clone();
        let mut change = |begun: Instant| {
            waits.push(begun.elapsed());
            changes.fetch_add(1, Ordering::Relaxed);
        };
        let begun = Instant::now();
        if ledger.claim(claim, Clock::System.now()).await? != Claimed::Ours {
            return Err("another exchange has a new payment".into());
        }
        change(begun);
        let transaction = B256::repeat_byte(7).to_string().into();
        let settling =
            Step::Settling { facilitator: "dev".into(), transaction: None, amount: None };
        for step in [settling, Step::Settled { transaction }] {
            let begun = Instant::now();
            ledger.advance(&identity, exchange, step, Clock::System.now()).await?;
            change(begun);
        }
    }
    Ok(waits)
}

fn claim(payer: Address, exchange: ExchangeId) -> Claim {
    Claim {
        identity: PaymentIdentity {
            network: Network::eip155(84_532),
            contract: Address::repeat_byte(0x0a).into(),
            payer: payer.into(),
            nonce: alloy_primitives::keccak256(exchange.to_string()),
        },
        exchange,
        route: "POST /v1/remove-background".into(),
        facilitator: "dev".into(),
        asset: Address::repeat_byte(0x0a).into(),
        amount: AtomicAmount::new(50_000),
        pay_to: Address::repeat_byte(0x0c).into(),
        valid_before: Clock::System.now().seconds() + 600,
        sender: Digest::of(payer.as_slice()),
    }
}
