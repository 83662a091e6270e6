//! A fee payer on a cluster that loses, drops, fails and forgets.

mod cluster;
mod judged;
mod settled;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use self::cluster::{Cluster, Mood};
use super::keys::FeePayer;
use super::*;
use crate::chain::rpc::RpcUrl;
use crate::clock::UnixMillis;
use crate::x402::svm::{fixture, signature_text};
use crate::x402::{AtomicAmount, PaymentIdentity};

/// A cluster, and our fee payer on it.
struct Place {
    cluster: Arc<Cluster>,
    svm: Svm,
}

impl Place {
    fn new() -> Self {
        Self::with(BOUNDS)
    }

    fn with(bounds: Bounds) -> Self {
        let cluster = Arc::new(Cluster::new());
        let svm = start(vec![cluster::url(&cluster)], bounds);
        Self { cluster, svm }
    }

    async fn settle(&self, number: u64) -> Outcome {
        let payment = fixture::payment(number);
        let sought = sought(&payment, self.cluster.now());
        self.svm.settle(payment, sought).await
    }

    fn name(&self, number: u64) -> Box<str> {
        self.svm.name_of(&fixture::payment(number)).unwrap()
    }
}

fn start(rpc: Vec<RpcUrl>, bounds: Bounds) -> Svm {
    rustls::crypto::ring::default_provider().install_default().ok();
    let both = fixture::key(fixture::FEE_PAYER).to_keypair_bytes();
    let fee_payer = FeePayer::parse(&signature_text(&both)).unwrap();
    Svm::start(Settings { network: devnet(), rpc, fee_payer, bounds }).unwrap()
}

fn sought(payment: &SvmPayment, since: UnixMillis) -> Sought {
    let extra = fixture::extra();
    let due = fixture::due(&extra);
    Sought {
        identity: PaymentIdentity {
            network: devnet(),
            contract: due.asset.into(),
            payer: payment.payer().into(),
            nonce: payment.hash(),
        },
        asset: due.asset.into(),
        amount: AtomicAmount::new(50_000),
        pay_to: due.pay_to.into(),
        valid_before: since.seconds() + 120,
        since,
        transaction: None,
    }
}

fn devnet() -> Network {
    "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse().unwrap()
}

const BOUNDS: Bounds = Bounds {
    depth: Depth::Confirmed,
    fee_max: 100_000,
    balance_low: 10_000_000,
    rpc_timeout: Duration::from_secs(2),
    settle_timeout: Duration::from_secs(400),
    resend_after: Duration::from_secs(2),
    poll: Duration::from_millis(400),
};
