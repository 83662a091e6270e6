//! `tollgate pay URL`: asks for a resource, pays its price once, prints the answer and the receipt.

use std::path::PathBuf;

use clap::Args;

use crate::clock::Clock;

mod approval;
mod choice;
mod client;
mod demand;
mod error;
mod output;
mod receipt;
mod report;
mod request;
mod verdict;
mod wallet;

pub use approval::{Otherwise, Unapproved};
pub use choice::{Payable, Price, Terms, Unpayable};
pub use client::{Answer, Asked, Client, Paid, Patience};
pub use demand::{Demand, DemandError, Offer};
pub use error::{Exit, PayError};
pub use receipt::Receipt;
pub use request::{HeaderLine, Request};
pub use wallet::{KeyError, Payment, Wallet};

/// What may be typed after `tollgate pay`.
#[derive(Args, Debug)]
#[command(after_help = EXITS)]
pub struct Arguments {
    /// What to ask for.
    url: String,
    /// Request method; GET, or POST when there is data.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// Request body: a text, @FILE, or @- for standard input.
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// A request header; may be given again.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderLine>,
    /// Where the answer's body goes; standard output when not given.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The most that is paid, in dollars of USDC.
    #[arg(long, value_name = "PRICE", default_value = "$0.10")]
    max_price: Price,
    /// Pay on this network only: a name such as `base`, or CAIP-2 such as `eip155:8453`.
    #[arg(long, value_name = "NETWORK", value_parser = choice::network_named)]
    network: Option<crate::x402::Network>,
    /// Environment variable with the payer's private key, 64 hex digits.
    #[arg(long, value_name = "NAME", default_value = "TOLLGATE_KEY")]
    key_env: String,
    /// File with the payer's private key, instead of the environment variable.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A node of the network, to look whether Permit2 may take what is paid; if not, an approval
    /// comes along where the server takes one. Only for offers that want Permit2.
    #[arg(long, value_name = "URL")]
    rpc: Option<crate::chain::evm::RpcUrl>,
    /// Show the answer's status and headers, on standard error.
    #[arg(short, long)]
    include: bool,
    /// Show what is asked for and pay nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs `tollgate pay`.
///
/// # Errors
/// See [`PayError`]; its [`PayError::exit`] is the process's exit code.
pub async fn run(arguments: Arguments, clock: Clock) -> Result<Exit, PayError> {
    let request = Request::typed(&arguments)?;
    let terms =
        Terms { price_max: arguments.max_price.clone(), network: arguments.network.clone() };
    let patience = Patience { on_wait: report::waiting, ..Patience::default() };
    let client = Client::new(clock, patience, &request.url)?;
    let demand = match client.ask(&request).await? {
        Asked::Answer(answer) => return output::unpriced(&arguments, &answer),
        Asked::Payment(_, demand) => demand,
    };
    report::demand(&request, &demand);
    let payable = terms.choose(&demand);
    if arguments.dry_run {
        report::choice(&payable);
        return Ok(Exit::Done);
    }
    let payable = payable.map_err(PayError::NothingPayable)?;
    output::prepare(arguments.output.as_deref())?;
    let wallet = Wallet::load(&arguments.key_env, arguments.key_file.as_deref())?;
    let (payer, node) = (wallet.address(), arguments.rpc.as_ref());
    let payable = approval::looked_up(payable, &demand, payer, node).await?;
    let payment = wallet.pay(&payable, &demand, client.now())?;
    report::paying(&payable, &payment);
    let paid = client.pay(&request, &payment).await?;
    match approval::refused(&paid.answer, &payable, &demand, payer) {
        Some(unapproved) => Err(PayError::NotApproved(unapproved)),
        None => output::paid(&arguments, &paid, &payable),
    }
}

const EXITS: &str = "Exit codes:
   0  the answer is here
   1  no answer; nothing was paid, as far as the server says
  64  a mistake on the command line
  75  no answer, and money has moved or may have; the message says what is known";

#[cfg(test)]
mod tests;
