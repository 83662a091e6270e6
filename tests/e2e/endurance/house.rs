//! What is endured with: a gateway with a signer of its own on a chain, with PostgreSQL, Redis, an
//! API behind it and its bundled worker.

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::super::chain::{Chain, SIGNER_KEY};
use super::super::own::{KEY_FILE, settles_itself};
use super::tally::Tally;
use crate::support::client::{Ask, client};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::postgres::Own;
use crate::support::redis::Redis;
use crate::support::server::{Call, Reply, Server};
use crate::support::wallet::Wallet;

pub(super) const BUYERS: u8 = 16;
pub(super) const LISTENERS: u8 = 4;

pub(super) struct House {
    pub(super) chain: Chain,
    /// Held by whoever changes its configuration, or kills it.
    pub(super) gateway: Mutex<Option<Gateway>>,
    pub(super) postgres: Mutex<Own>,
    pub(super) redis: Mutex<Option<Redis>>,
    /// Of the ledger.
    pub(super) database: String,
    pub(super) tally: RefCell<Tally>,
    pub(super) began: Instant,
    pub(super) length: Duration,
    /// Where the gateway listens now.
    address: Cell<SocketAddr>,
    _api: Api,
}

impl House {
    pub(super) async fn start(length: Duration) -> Self {
        // One more is who sends photos.
        let payers = (0..=BUYERS + LISTENERS).map(|number| wallet(number).address());
        let payers: Vec<Address> = payers.collect();
        let chain = Chain::start_alone(&payers).await;
        chain.mine_by_hand().await;
        chain.ask("evm_setIntervalMining", json!([1])).await;
        let (postgres, redis, api) = (Own::start(), Redis::start(), Api::start().await);
        let database = postgres.database("tollgate").await;
        let limits = format!(
            "unpaid = {{ rate = \"6000/min\", by = \"ip\" }}\n\
             refused = {{ rate = \"6000/min\", by = \"ip\" }}\n\
             store = \"{}\"",
            redis.url()
        );
        let images = format!(
            "[upstreams.images]\nbundled = \"background-removal\"\nparallel = 1\n\
             [[routes]]\nmatch = \"POST /v1/remove-background\"\nupstream = \"images\"\n{PRICED}\n\
             body = {{ types = [\"image/png\"], max = \"1MB\" }}"
        );
        let plan = Plan::to(api.address)
            .ledger(&database)
            .limits(&limits)
            .facilitator(&settles_itself(&[chain.url()], ""))
            .section(&images)
            .route("match = \"POST /stream\"", PRICED)
            .route("match = \"GET /other\"", &format!("{PRICED}\ndescription = \"0\""));
        let key = |dir: &std::path::Path| fs::write(dir.join(KEY_FILE), SIGNER_KEY).unwrap();
        let gateway = plan.start_after(key).await;
        gateway.ready().await;
        Self {
            chain,
            address: Cell::new(gateway.public),
            gateway: Mutex::new(Some(gateway)),
            postgres: Mutex::new(postgres),
            redis: Mutex::new(Some(redis)),
            database,
            tally: RefCell::default(),
            began: Instant::now(),
            length,
            _api: api,
        }
    }

    /// How much of its time has gone, from 0 to 1 and beyond.
    pub(super) fn gone(&self) -> f64 {
        self.began.elapsed().as_secs_f64() / self.length.as_secs_f64()
    }

    pub(super) fn is_over(&self) -> bool {
        self.began.elapsed() >= self.length
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.get()
    }

    /// Kills the gateway in the middle of its work, and starts it again.
    pub(super) async fn gateway_dies(&self) {
        let mut gateway = self.gateway.lock().await;
        let restarted = gateway.take().unwrap().killed_and_restarted().await;
        self.address.set(restarted.public);
        *gateway = Some(restarted);
    }

    /// Nothing is under way in it any more, and nothing is unclear.
    pub(super) async fn is_at_rest(&self) {
        let gateway = self.gateway.lock().await;
        let gateway = gateway.as_ref().unwrap();
        for metric in ["tollgate_exchanges_running", "tollgate_payments_unknown"] {
            gateway.counts(metric, "0").await;
        }
    }
}

/// The wallet of this number; all have money.
pub(super) fn wallet(number: u8) -> Wallet {
    Wallet::new(number + 1)
}

/// A client of the gateway, wherever that is by now.
pub(super) struct Visitor<'a> {
    house: &'a House,
    client: reqwest::Client,
}

impl<'a> Visitor<'a> {
    pub(super) fn of(house: &'a House) -> Self {
        Self { house, client: client() }
    }

    pub(super) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(&self.client, method, &format!("http://{}{path}", self.house.address()))
    }
}

/// An API that answers at once, and one whose events come one after the other.
struct Api {
    address: SocketAddr,
    task: AbortHandle,
}

impl Api {
    async fn start() -> Self {
        let mut server = Server::start().await;
        let address = server.address;
        let answers = async move {
            while let Some(call) = server.next().await {
                if call.seen.target == "/stream" {
                    tokio::spawn(streams(call));
                } else {
                    let reply = Reply::new(200).header("content-type", "text/plain").body(SERVED);
                    tokio::spawn(call.answer(reply));
                }
            }
        };
        Self { address, task: tokio::spawn(answers).abort_handle() }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn streams(call: Call) {
    let mut answer = call.stream(Reply::new(200).header("content-type", "text/event-stream")).await;
    for _ in 0..EVENTS {
        if answer.refused(EVENT).await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    // An empty piece is the last. Whoever listened may have left.
    answer.refused("").await;
}

pub(super) const SERVED: &str = "served";
pub(super) const EVENT: &str = "data: more\n\n";
pub(super) const EVENTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);
