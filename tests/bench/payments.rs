//! Payments for the load test: signs many ahead, or proves many.
//!
//! `payments sign URL COUNT FILE` writes COUNT payments for what URL asks, one header a line.
//! `payments prove COUNT` proves COUNT signatures, no two the same, as a server does: the branches
//! of a recovery depend on the signature, and a processor learns those of one that it sees again.
//! Prints the nanoseconds on a core that one takes.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};

use bytes::Bytes;
use tollgate::cli::pay::{Asked, Client, Demand, Patience, Request, Terms, Wallet};
use tollgate::clock::{Clock, UnixMillis};
use tollgate::x402::{Eip712Domain, PaymentPayload};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sign", url, count, file] => sign(url, count.parse()?, file).await,
        ["prove", count] => Ok(writeln!(std::io::stdout(), "{}", prove(count.parse()?)?)?),
        _ => Err("payments sign URL COUNT FILE | payments prove COUNT".into()),
    }
}

async fn sign(url: &str, count: u32, file: &str) -> Result<(), Box<dyn Error>> {
    let request = Request::new(url, Bytes::new())?;
    let client = Client::new(Clock::System, Patience::default(), &request.url)?;
    let Asked::Payment(_, demand) = client.ask(&request).await? else {
        return Err(format!("{url} asks for no payment").into());
    };
    let mut file = BufWriter::new(File::create(file)?);
    for _ in 0..count {
        writeln!(file, "{}", payment(&demand, client.now())?)?;
    }
    file.flush()?;
    Ok(())
}

fn payment(demand: &Demand, now: UnixMillis) -> Result<String, Box<dyn Error>> {
    let terms = Terms { price_max: "$1".parse()?, network: None };
    let payable = terms.choose(demand).map_err(|refused| format!("{refused:?}"))?;
    let wallet = Wallet::from_hex(KEY).ok_or("no key")?;
    Ok(wallet.pay(&payable, demand, now)?.value)
}

fn prove(count: u32) -> Result<u64, Box<dyn Error>> {
    let demand = Demand::from_json(DEMAND.as_bytes())?;
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse()?;
    let domain = Eip712Domain::new("USDC", "2", 84532, usdc);
    let mut signed = Vec::new();
    for _ in 0..count {
        let header = payment(&demand, Clock::System.now())?;
        let payload = PaymentPayload::decode(header.as_bytes())?;
        signed.extend(payload.payment.evm().cloned());
    }
    let before = run_nanos()?;
    for payment in &signed {
        black_box(payment).prove(black_box(&domain))?;
    }
    Ok((run_nanos()? - before) / u64::from(count))
}

/// Nanoseconds that this thread has been on a core.
fn run_nanos() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("no schedstat")?.parse()?)
}

/// The first account of every local test node; its money is play money.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const DEMAND: &str = r#"{"x402Version": 2, "accepts": [{
    "scheme": "exact", "network": "eip155:84532", "amount": "50000",
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "payTo": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "maxTimeoutSeconds": 300, "extra": {"name": "USDC", "version": "2"}}]}"#;
