//! `tollgate demo`: one paid request from end to end, told step by step, on this machine alone.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;

use super::pay::{
    Answer, Asked, Client, Demand, Paid, Patience, PayError, Payable, Receipt, Request, Terms,
    Wallet,
};
use crate::clock::Clock;
use crate::fault::printable;
use crate::x402::network::Worth;

mod gateway;
mod state;
mod story;

pub use gateway::GatewayError;
pub(super) use gateway::announced;
use gateway::{Gateway, Signals};
use state::State;
pub use state::StateError;
use story::Story;

/// What may be typed after `tollgate demo`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The photo to send; a sample when not given.
    #[arg(long, value_name = "FILE")]
    photo: Option<PathBuf>,
    /// Where the result goes.
    #[arg(long, value_name = "FILE", default_value = "result.png")]
    out: PathBuf,
    /// Where the gateway listens; 127.0.0.1:8402 or, where that is taken, a free port.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// End after the last step instead of serving on.
    #[arg(long)]
    once: bool,
}

/// Why the demo could not go to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The photo cannot be read.
    #[error("the photo {0} cannot be read")]
    Photo(PathBuf, #[source] io::Error),
    /// No place for the demo's own files.
    #[error(transparent)]
    State(#[from] StateError),
    /// The gateway did not start, or ended.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A request failed.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// The gateway served the unpaid request.
    #[error("the unpaid request was answered with {0}, not with 402")]
    NotAsked(http::StatusCode),
    /// A `gateway.toml` of somebody who takes real money.
    #[error("this gateway.toml asks for real money on {0}; run the demo in another folder")]
    RealMoney(&'static str),
    /// The gateway did not serve the paid request.
    #[error("the paid request was answered with {0}: {1}")]
    NotServed(http::StatusCode, String),
    /// The result or the story cannot be written.
    #[error("cannot write {0}")]
    Write(PathBuf, #[source] io::Error),
    /// Nobody reads the story.
    #[error("cannot write to standard output")]
    Told(#[source] io::Error),
}

/// Runs `tollgate demo`, until Ctrl-C unless `--once` is given.
///
/// # Errors
/// See [`DemoError`]. The gateway has been ended and the demo's own files are gone then.
pub async fn run(arguments: Arguments, clock: Clock) -> Result<(), DemoError> {
    let photo = match &arguments.photo {
        Some(path) => {
            let read = std::fs::read(path);
            read.map(Bytes::from).map_err(|cause| DemoError::Photo(path.clone(), cause))?
        }
        None => Bytes::from_static(SAMPLE),
    };
    let mut signals = Signals::new()?;
    let state = State::create(arguments.listen)?;
    let mut story = Story::new(io::stdout());
    story.opening(&state).map_err(DemoError::Told)?;
    let mut gateway = Gateway::start(&state).await?;
    let (played, grace) = tokio::select! {
        biased;
        grace = signals.next() => (Ok(()), grace),
        played = play(&mut story, &arguments, (&mut gateway, &state), (photo, clock)) => {
            (played, Duration::ZERO)
        }
    };
    gateway.stop(grace).await;
    played
}

/// The whole story. Does not end while the gateway runs, unless `--once` is given.
async fn play<W: Write>(
    story: &mut Story<W>,
    arguments: &Arguments,
    (gateway, state): (&mut Gateway, &State),
    input: (Bytes, Clock),
) -> Result<(), DemoError> {
    tell(story, arguments, gateway, input).await?;
    story.ledger(&gateway.ledger(state).await?).map_err(DemoError::Told)?;
    if arguments.once {
        return Ok(());
    }
    let photo = arguments.photo.clone().map_or_else(|| state.sample(SAMPLE), Ok)?;
    story.again(gateway, state, &photo).map_err(DemoError::Told)?;
    Err(gateway.end(state).await.into())
}

/// Steps 1 to 3: ask, pay, receipt.
async fn tell<W: Write>(
    story: &mut Story<W>,
    arguments: &Arguments,
    gateway: &Gateway,
    (photo, clock): (Bytes, Clock),
) -> Result<(), DemoError> {
    let request = Request::new(&gateway.url(PATH), photo)?;
    let client = Client::new(clock, Patience::default(), &request.url)?;
    let (answer, demand) = match client.ask(&request).await? {
        Asked::Payment(answer, demand) => (answer, demand),
        Asked::Answer(answer) => return Err(DemoError::NotAsked(answer.status)),
    };
    story.asked(&request, &answer).map_err(DemoError::Told)?;

    let payable = choose(&demand)?;
    let wallet = Wallet::from_hex(KEY).ok_or(PayError::NothingPayable(Vec::new()))?;
    let payment = wallet.pay(&payable, &demand, client.now())?;
    story.paying(&wallet, &payable, &payment).map_err(DemoError::Told)?;
    let Paid { answer, receipt } = client.pay(&request, &payment).await?;
    if !answer.status.is_success() {
        return Err(DemoError::NotServed(answer.status, text(&answer)));
    }
    let written = std::fs::write(&arguments.out, &answer.body);
    written.map_err(|cause| DemoError::Write(arguments.out.clone(), cause))?;
    story.served(&answer, &arguments.out).map_err(DemoError::Told)?;
    story.receipt(receipt.as_ref().map(|Receipt(settled)| settled)).map_err(DemoError::Told)
}

fn choose(demand: &Demand) -> Result<Payable<'_>, DemoError> {
    let price_max = PRICE_MAX.parse().map_err(|_| PayError::NothingPayable(Vec::new()))?;
    let terms = Terms { price_max, network: None };
    let payable = terms.choose(demand).map_err(PayError::NothingPayable)?;
    match payable.known.worth {
        Worth::Testnet => Ok(payable),
        Worth::Mainnet => Err(DemoError::RealMoney(payable.known.name)),
    }
}

fn text(answer: &Answer) -> String {
    printable(&String::from_utf8_lossy(&answer.body))
}

const PATH: &str = "/v1/remove-background";
/// What the demo pays at most; its money is play money.
const PRICE_MAX: &str = "$100";
/// The first account of every local test node: everybody knows its key.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SAMPLE: &[u8] = include_bytes!("../../tests/photos/sample.jpg");
