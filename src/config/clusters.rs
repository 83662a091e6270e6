//! `[facilitators.NAME.chain]` on a Solana network: our own fee payer, and the nodes it speaks to.

use std::ops::Range;
use std::time::Duration;

use crate::facilitator::chain::svm::keys::FeePayer;
use crate::facilitator::chain::svm::{Bounds, Depth, Settings};
use crate::x402::Network;

use super::chains::{nodes, within};
use super::file::{FileBatch, FileChain, FileGas, FileSecret, FileSigner};
use super::mistake::Mistake;
use super::reader::Reader;
use super::units::{Coins, Timeout};

/// Reads a section; `span` is that of its name, where keys in it must not be shown.
pub(super) fn cluster(
    mut typed: FileChain,
    span: &Range<usize>,
    network: &Network,
    reader: &mut Reader<'_>,
) -> Option<Settings> {
    let rpc = nodes(std::mem::take(&mut typed.rpc), span, reader);
    let several = std::mem::take(&mut typed.signers);
    let mut signers = typed.signer.take().into_iter().chain(several);
    let fee_payer = match (signers.next(), signers.next()) {
        (Some(one), None) => reader.fee_payer(one),
        (Some(_), Some(_)) => Err(Mistake::OneFeePayer),
        (None, _) => Err(Mistake::missing_key("signer")),
    };
    let fee_payer = fee_payer.map_err(|mistake| reader.wrong(span.clone(), mistake)).ok();
    let bounds = bounds(typed, span, reader);
    let (network, rpc) = (network.clone(), rpc?);
    Some(Settings { network, rpc, fee_payer: fee_payer?, bounds: bounds? })
}

fn bounds(typed: FileChain, span: &Range<usize>, reader: &mut Reader<'_>) -> Option<Bounds> {
    let FileBatch { window, max } = typed.batch;
    let FileGas { max: fee_max, fee_max: fee, tip_max, low } = typed.gas;
    for (key, there) in [
        ("batch.window", window.is_some()),
        ("batch.max", max.is_some()),
        ("in_flight_max", typed.in_flight_max.is_some()),
        ("gas.fee_max", fee.is_some()),
        ("gas.tip_max", tip_max.is_some()),
    ] {
        if there {
            reader.wrong(span.clone(), Mistake::Meaningless { key, beside: BESIDE });
        }
    }
    let confirmations = within(typed.confirmations, CONFIRMATIONS, (0, CONFIRMATIONS_MAX), reader);
    let fee_max = within(fee_max, FEE_MAX, (FEE_LEAST, FEE_MOST), reader);
    let low = reader.take_if(low).map_or(Some(LOW), |Coins(small)| lamports(small));
    let mut time = |text, usual| reader.take_if(text).map_or(usual, |Timeout(length)| length);
    Some(Bounds {
        depth: Depth::of(confirmations?),
        fee_max: fee_max?,
        balance_low: low.unwrap_or(u64::MAX),
        rpc_timeout: time(typed.rpc_timeout, RPC_TIMEOUT),
        settle_timeout: time(typed.settle_timeout, SETTLE_TIMEOUT),
        resend_after: time(typed.replace_after, RESEND_AFTER),
        poll: time(typed.poll, POLL),
    })
}

/// Coins are read with eighteen decimals; SOL has nine.
fn lamports(coins: u128) -> Option<u64> {
    u64::try_from(coins / 1_000_000_000).ok()
}

impl Reader<'_> {
    fn fee_payer(&mut self, typed: FileSigner) -> Result<FeePayer, Mistake> {
        let text = match typed {
            FileSigner::Env(name) => self.plain(FileSecret::Env(name))?,
            FileSigner::File(path) => self.plain(FileSecret::File(path))?,
            FileSigner::Keystore(..) => {
                return Err(Mistake::Meaningless { key: "keystore", beside: BESIDE });
            }
            FileSigner::Literal => return Err(Mistake::KeyInFile),
            FileSigner::Other => return Err(Mistake::KeyPlace),
        };
        FeePayer::parse(&text).map_err(Mistake::FeePayerKey)
    }
}

const BESIDE: &str = "on a network of this kind";
/// Two thirds of the stake have voted for the block; none such was ever taken back.
const CONFIRMATIONS: u64 = 1;
/// Blocks that make one stay.
const CONFIRMATIONS_MAX: u64 = 32;
/// In lamports: ten times what a payment costs without a priority.
const FEE_MAX: u64 = 100_000;
/// Two signatures.
const FEE_LEAST: u64 = 10_000;
/// What the scheme allows at most: 1,400,000 units for 5 lamports each, and the signatures.
const FEE_MOST: u64 = 7_010_000;
/// In lamports: a thousand payments.
const LOW: u64 = 10_000_000;
const RPC_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
const RESEND_AFTER: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(400);
