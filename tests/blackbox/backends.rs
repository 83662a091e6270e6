//! Upstreams of several backends: who is asked, who is left out, and what happens to the payments.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{eventually, together};

fn urls(addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let urls = addresses.into_iter().map(|address| format!("\"http://{address}\""));
    format!("urls = [{}]", urls.collect::<Vec<_>>().join(", "))
}

/// In front of these, with more lines for the upstream.
fn plan(upstreams: &[&Upstream], more: &str) -> Plan {
    let urls = urls(upstreams.iter().map(|upstream| upstream.address));
    Plan::to_upstream(&format!("{urls}\n{more}"))
}

async fn several(count: usize) -> Vec<Upstream> {
    let mut started = Vec::new();
    for _ in 0..count {
        started.push(Upstream::start().await);
    }
    started
}

/// An address of this machine that no other test takes, though nobody listens there for now.
fn place() -> SocketAddr {
    TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap()
}

fn served(_: &crate::support::server::Seen) -> Reply {
    Reply::new(200).body("served")
}

async fn free(gateway: &Gateway) -> Answer {
    gateway.ask("GET", "/free").send().await
}

async fn pays(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).body("the body").send().await
}

async fn backends(gateway: &Gateway, state: &str) -> String {
    let name = format!("tollgate_upstream_backends{{state=\"{state}\",upstream=\"api\"}}");
    gateway.metric(&name).await.unwrap_or_default()
}

/// Waits until so many backends are in a state.
async fn come_to(gateway: &Gateway, state: &str, count: &str) {
    let look = async || (backends(gateway, state).await == count).then_some(());
    eventually(&format!("{count} backends {state}"), look).await;
}

#[tokio::test]
async fn requests_go_round_and_each_backend_is_called_by_its_name() {
    let upstreams = several(3).await;
    let gateway = plan(&upstreams.iter().collect::<Vec<_>>(), "").start().await;
    for _ in 0..5 {
        for path in ["GET /free", "POST /paid", "GET /free"] {
            let (method, path) = path.split_once(' ').unwrap();
            let payment = Wallet::new(1).pays();
            let answer = gateway.ask(method, path).pays(&payment).send().await;
            assert_eq!(answer.status, 200);
        }
    }
    for upstream in &upstreams {
        let seen = upstream.seen();
        assert_eq!(seen.len(), 5);
        let host = upstream.address.to_string();
        assert!(seen.iter().all(|seen| seen.header("host") == host));
    }
    assert_eq!(backends(&gateway, "up").await, "3");
}

/// What became of one request of a busy time.
struct Asked {
    paid: Option<Payment>,
    answer: Answer,
}

/// One request after the other, free and paid in turn, until told to stop.
async fn client(gateway: &Gateway, wallet: u8, stop: &AtomicBool) -> Vec<Asked> {
    let mut asked = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let payment = Wallet::new(wallet).pays();
        let answer = pays(gateway, &payment).await;
        asked.push(Asked { paid: Some(payment), answer });
        asked.push(Asked { paid: None, answer: free(gateway).await });
    }
    asked
}

/// A request fails only where a backend had it, and pays only for an answer.
#[tokio::test]
async fn a_backend_that_dies_under_load_costs_only_what_it_had_been_sent() {
    let (at, facilitator) = (place(), Facilitator::start().await);
    let dying = Upstream::answering_at(at, served).await;
    let upstreams = several(2).await;
    let all = [&upstreams[0], &dying, &upstreams[1]];
    let gateway = plan(&all, "").settled_by(&facilitator).start().await;
    let stop = AtomicBool::new(false);
    let asking = together((1..=8).map(|wallet| client(&gateway, wallet, &stop)));
    let dies = async {
        eventually("some load", async || (dying.seen().len() > 40).then_some(())).await;
        dying.dies().await;
        let before = upstreams[0].seen().len();
        let more = async || (upstreams[0].seen().len() > before + 60).then_some(());
        eventually("more of it", more).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (asked, ()) = tokio::join!(asking, dies);
    let asked: Vec<_> = asked.into_iter().flatten().collect();

    let (mut settled, mut released) = (0, 0);
    for Asked { paid, answer } in &asked {
        match (answer.status, paid) {
            (200, Some(payment)) => {
                assert!(facilitator.moved().contains_key(&payment.nonce()));
                settled += 1;
            }
            (200, None) => {}
            (_, paid) => {
                refused(answer, "upstream_unavailable");
                if let Some(payment) = paid {
                    gateway.comes_to(payment, "released").await;
                    released += 1;
                }
            }
        }
    }
    assert_eq!(facilitator.asked(), (settled + released, settled));
    assert_eq!(facilitator.moved().len(), settled, "each once");
    let fault = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["outcome"] == "upstream_unavailable").then(|| line["fault"].to_string())
    };
    let said = gateway.said();
    let faults: Vec<_> = said.lines().filter_map(fault).collect();
    assert_eq!(faults.len(), asked.iter().filter(|asked| asked.answer.status != 200).count());
    assert!(faults.iter().all(|fault| !fault.contains("Connect ")), "{faults:?}");
    assert!(faults.iter().all(|fault| !fault.contains("ConnectRefused")), "{faults:?}");
    assert!(faults.len() <= 16, "at most what was under way: {faults:?}");

    // Nobody is in the way of what comes later, and it is back when it is back.
    for _ in 0..20 {
        assert_eq!(pays(&gateway, &Wallet::new(1).pays()).await.status, 200);
    }
    let back = Upstream::answering_at(at, served).await;
    eventually("a request at the one that is back", async || {
        assert_eq!(free(&gateway).await.status, 200);
        (!back.seen().is_empty()).then_some(())
    })
    .await;
    come_to(&gateway, "up", "3").await;
}

#[tokio::test]
async fn nobody_pays_while_all_are_dead_and_the_next_request_finds_who_is_back() {
    let (one, two) = (place(), place());
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to_upstream(&urls([one, two])).settled_by(&facilitator).start().await;
    for _ in 0..3 {
        let payment = Wallet::new(1).pays();
        refused(&pays(&gateway, &payment).await, "upstream_unavailable");
        gateway.comes_to(&payment, "released").await;
        refused(&free(&gateway).await, "upstream_unavailable");
    }
    assert_eq!(facilitator.asked(), (3, 0));
    come_to(&gateway, "resting", "2").await;
    let (status, said) = gateway.admin("/readyz").await;
    assert_eq!(status, 200, "nothing but requests has tried: {said}");
    assert!(said.contains("upstream api: 2 of 2 backends cannot be connected to"), "{said}");

    // Where all rest somebody is asked all the same.
    let back = Upstream::answering_at(two, served).await;
    let payment = Wallet::new(1).pays();
    assert_eq!(pays(&gateway, &payment).await.status, 200);
    gateway.comes_to(&payment, "settled").await;
    assert_eq!((back.seen().len(), facilitator.asked()), (1, (4, 1)));
}

/// What is settled before the upstream is asked is not settled twice on the way to another.
#[tokio::test]
async fn an_early_settlement_goes_with_its_request_to_another_backend() {
    let (dead, well) = (place(), Upstream::start().await);
    let facilitator = Facilitator::start().await;
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    let gateway = Plan::to_upstream(&urls([dead, well.address]))
        .settled_by(&facilitator)
        .route("match = \"POST /early\"", &early)
        .start()
        .await;
    for number in 1..=4 {
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask("POST", "/early").pays(&payment).body("the body").send().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
        assert_eq!((well.seen().len(), facilitator.asked()), (number, (number, number)));
    }
    assert!(well.seen().iter().all(|seen| seen.body == b"the body"));
}

#[tokio::test]
async fn what_is_priced_by_usage_goes_to_another_backend_too() {
    let usage = "price = { max = \"$0.10\", per = \"1k tokens\", rate = \"$0.002\", \
                 from = \"usage.total_tokens\" }\nnetworks = [\"base-sepolia\"]";
    let (dead, dead_too) = (place(), place());
    let well = Upstream::answering(|_| {
        let body = "{\"usage\":{\"total_tokens\":1500}}";
        Reply::new(200).header("content-type", "application/json").body(body)
    })
    .await;
    let gateway = Plan::to_upstream(&urls([dead, well.address, dead_too]))
        .no_routes()
        .route("match = \"POST /chat\"", usage)
        .start()
        .await;
    let offer = eventually("an offer", async || {
        let answer = gateway.ask("POST", "/chat").send().await;
        (answer.status == 402).then(|| answer.object("payment-required")["accepts"][0].clone())
    })
    .await;
    for number in 1..=4 {
        let payment = Wallet::new(1).permits_up_to(&offer);
        let answer = gateway.ask("POST", "/chat").pays(&payment).body("{}").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(gateway.comes_to(&payment, "settled").await.amount(), 3_000);
        assert_eq!((well.seen().len(), gateway.transfers().len()), (number, number));
        assert_eq!(well.seen()[0].header("host"), well.address.to_string());
    }
    drop(well);
    let payment = Wallet::new(1).permits_up_to(&offer);
    let answer = gateway.ask("POST", "/chat").pays(&payment).body("{}").send().await;
    refused(&answer, "upstream_unavailable");
    gateway.comes_to(&payment, "released").await;
}

#[tokio::test]
async fn a_slow_backend_gets_no_more_while_others_have_less() {
    let (mut slow, quick) = (Server::start().await, Upstream::start().await);
    let section =
        format!("{}\nbalance = \"least-connections\"", urls([slow.address, quick.address]));
    let gateway = Plan::to_upstream(&section).start().await;
    let payment = Wallet::new(1).pays();
    let meanwhile = async {
        let call = slow.call().await;
        assert_eq!(pays(&gateway, &payment).await.status, 200);
        for _ in 0..10 {
            // The one at the slow one; the one before this is over.
            gateway.runs(1).await;
            assert_eq!(free(&gateway).await.status, 200);
        }
        assert_eq!((slow.count(), quick.seen().len()), (1, 11));
        call.answer(Reply::new(200)).await;
    };
    let (first, ()) = tokio::join!(free(&gateway), meanwhile);
    assert_eq!(first.status, 200);
    gateway.comes_to(&payment, "settled").await;
}

#[tokio::test]
async fn a_payer_stays_with_its_backend_and_moves_only_when_that_is_gone() {
    let mut upstreams = several(3).await;
    let hashed = "balance = \"hash-payer\"";
    let gateway = plan(&upstreams.iter().collect::<Vec<_>>(), hashed).start().await;
    let payers = 1..=24;
    let ask_all = async || {
        for _ in 0..3 {
            for wallet in payers.clone() {
                assert_eq!(pays(&gateway, &Wallet::new(wallet).pays()).await.status, 200);
            }
        }
    };
    let homes = |upstreams: &[Upstream]| {
        let mut homes: BTreeMap<String, BTreeSet<SocketAddr>> = BTreeMap::new();
        for upstream in upstreams {
            for seen in upstream.taken() {
                let payer = seen.header("x-tollgate-payer").to_owned();
                homes.entry(payer).or_default().insert(upstream.address);
            }
        }
        homes
    };
    ask_all().await;
    let before = homes(&upstreams);
    assert_eq!(before.len(), 24);
    assert!(before.values().all(|homes| homes.len() == 1), "{before:?}");
    let used: BTreeSet<_> = before.values().flatten().collect();
    assert_eq!(used.len(), 3, "24 payers are at all of them");

    let gone = upstreams.remove(0);
    let was = gone.address;
    gone.dies().await;
    ask_all().await;
    let after = homes(&upstreams);
    for (payer, home) in &before {
        let stays = !home.contains(&was);
        assert_eq!(stays, after[payer] == *home, "{payer}");
        assert_eq!(after[payer].len(), 1, "{payer}");
    }
    // Who does not pay is known by the address.
    for _ in 0..6 {
        assert_eq!(free(&gateway).await.status, 200);
    }
    let free: Vec<_> = upstreams.iter().map(|upstream| upstream.seen().len()).collect();
    assert!(free == [6, 0] || free == [0, 6], "{free:?}");
}

/// An upstream that answers its health path with what this says, and everything else well.
async fn with_health(well: &Arc<AtomicBool>) -> Upstream {
    let well = Arc::clone(well);
    Upstream::answering(move |seen| match (&*seen.target, well.load(Ordering::Relaxed)) {
        ("/healthz", false) => Reply::new(500),
        _ => Reply::new(200).body("served"),
    })
    .await
}

fn asked(upstream: &Upstream) -> usize {
    upstream.taken().iter().filter(|seen| seen.target != "/healthz").count()
}

#[tokio::test]
async fn who_fails_its_check_is_out_until_it_passes() {
    let healths = [true, true].map(|well| Arc::new(AtomicBool::new(well)));
    let upstreams = [with_health(&healths[0]).await, with_health(&healths[1]).await];
    let facilitator = Facilitator::start().await;
    let check = "health = { path = \"/healthz\", every = \"20ms\", fails = 2, passes = 2 }\n\
                 headers = { x-key = \"known\" }";
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    let gateway = plan(&[&upstreams[0], &upstreams[1]], check)
        .settled_by(&facilitator)
        .route("match = \"POST /early\"", &early)
        .start()
        .await;
    gateway.ready().await;
    eventually("a look", async || upstreams[0].seen().into_iter().next()).await;
    let look = upstreams[0].seen().remove(0);
    assert_eq!((look.method.as_str(), look.header("x-key")), ("GET", "known"));
    assert_eq!(look.header("host"), upstreams[0].address.to_string());

    healths[0].store(false, Ordering::Relaxed);
    come_to(&gateway, "failed", "1").await;
    let (status, said) = gateway.admin("/readyz").await;
    assert_eq!(
        (status, said.contains("upstream api: 1 of 2 backends failed")),
        (200, true),
        "{said}"
    );
    asked(&upstreams[0]);
    asked(&upstreams[1]);
    for _ in 0..10 {
        assert_eq!(free(&gateway).await.status, 200);
    }
    assert_eq!((asked(&upstreams[0]), asked(&upstreams[1])), (0, 10));

    // A reload of something else changes nothing of it.
    let (status, said) = gateway.reloaded(|text| text.replace("$0.05", "$0.06")).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(backends(&gateway, "failed").await, "1");
    assert_eq!(free(&gateway).await.status, 200);
    assert_eq!((asked(&upstreams[0]), asked(&upstreams[1])), (0, 1));

    // With none left nobody is asked, and nothing is taken: not even early.
    healths[1].store(false, Ordering::Relaxed);
    come_to(&gateway, "failed", "2").await;
    eventually("not ready", async || (gateway.admin("/readyz").await.0 == 503).then_some(())).await;
    let (_, said) = gateway.admin("/readyz").await;
    assert!(said.contains("upstream api: the checks of all its backends fail"), "{said}");
    let up = gateway.metric("tollgate_upstream_up{upstream=\"api\"}").await;
    assert_eq!(up.as_deref(), Some("0"));
    let payment = Wallet::new(1).pays();
    refused(&pays(&gateway, &payment).await, "upstream_away");
    refused(&gateway.ask("POST", "/early").pays(&payment).send().await, "upstream_away");
    refused(&free(&gateway).await, "upstream_away");
    assert_eq!(facilitator.asked(), (0, 0));
    assert_eq!((asked(&upstreams[0]), asked(&upstreams[1])), (0, 0));

    healths[0].store(true, Ordering::Relaxed);
    come_to(&gateway, "up", "1").await;
    assert_eq!(pays(&gateway, &payment).await.status, 200);
    assert_eq!((asked(&upstreams[0]), asked(&upstreams[1])), (1, 0));
}

#[tokio::test]
async fn a_check_without_a_path_is_a_connection() {
    let (at, well) = (place(), Upstream::start().await);
    let urls = urls([at, well.address]);
    let check = "health = { every = \"20ms\", passes = 1 }";
    let gateway = Plan::to_upstream(&format!("{urls}\n{check}")).start().await;
    come_to(&gateway, "failed", "1").await;
    let _back = Upstream::answering_at(at, served).await;
    come_to(&gateway, "up", "2").await;
    assert_eq!(well.seen().len(), 0, "a connection, and no request");
}

#[tokio::test]
async fn a_name_without_an_address_is_told_and_the_others_serve() {
    let well = Upstream::start().await;
    let section = format!("urls = [\"http://{}\", \"http://nowhere.invalid:9000\"]", well.address);
    let gateway = Plan::to_upstream(&section).start().await;
    gateway.ready().await;
    for _ in 0..3 {
        assert_eq!(free(&gateway).await.status, 200);
    }
    let (_, said) = gateway.admin("/readyz").await;
    assert!(said.contains("upstream api: 1 of its urls lead nowhere"), "{said}");
}

#[tokio::test]
async fn a_reload_brings_and_takes_backends() {
    let upstreams = several(3).await;
    let gateway = plan(&[&upstreams[0], &upstreams[1]], "").start().await;
    let counts = async || {
        for _ in 0..6 {
            assert_eq!(free(&gateway).await.status, 200);
        }
        upstreams.iter().map(|upstream| upstream.taken().len()).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [3, 3, 0]);
    let to = |of: &[usize]| urls(of.iter().map(|at| upstreams[*at].address));
    let (status, said) = gateway.reloaded(|text| text.replace(&to(&[0, 1]), &to(&[0, 1, 2]))).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(counts().await, [2, 2, 2]);
    let (status, said) = gateway.reloaded(|text| text.replace(&to(&[0, 1, 2]), &to(&[2]))).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(counts().await, [0, 0, 6]);
    come_to(&gateway, "up", "1").await;
}
