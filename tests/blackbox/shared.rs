//! Two gateways on one PostgreSQL: what was paid at one is answered at the other, once.

use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::server::{Reply, Server};
use crate::support::wallet::{Payment, Wallet};
use crate::support::{eventually, postgres};

/// Two gateways, whom they ask, and who settles for both.
struct Pair {
    one: Gateway,
    two: Gateway,
    upstream: Server,
    facilitator: Facilitator,
}

async fn pair() -> Pair {
    let (upstream, facilitator) = (Server::start().await, Facilitator::start().await);
    let url = postgres::database().await;
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    let plan = || {
        Plan::to(upstream.address)
            .settled_by(&facilitator)
            .ledger(&url)
            .route("match = \"POST /early\"", &early)
    };
    let (one, two) = (plan().start().await, plan().start().await);
    Pair { one, two, upstream, facilitator }
}

fn asks(gateway: &Gateway, path: &str, payment: &Payment) -> Ask {
    gateway.ask_alone("POST", path).pays(payment).body("the body")
}

impl Pair {
    /// Asks the first one, and the upstream answers so.
    async fn answered(&mut self, path: &str, payment: &Payment, reply: Reply) -> Answer {
        let answers = async { self.upstream.call().await.answer(reply).await };
        tokio::join!(asks(&self.one, path, payment).send(), answers).0
    }
}

/// Asks until the answer that another gateway has given is written.
async fn comes_back(gateway: &Gateway, path: &str, payment: &Payment) -> Answer {
    eventually("the kept answer", async || {
        let answer = asks(gateway, path, payment).send().await;
        match answer.status {
            200 => Some(answer),
            _ => {
                refused(&answer, "answer_under_way");
                None
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_paid_at_one_finds_the_answer_at_the_other() {
    let mut pair = pair().await;
    let payment = Wallet::new(1).pays();
    let first = pair.answered("/paid", &payment, Reply::new(200).body("served")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
    let again = comes_back(&pair.two, "/paid", &payment).await;
    assert_eq!((again.text(), again.header("idempotent-replayed")), ("served".into(), "true"));
    assert_eq!(again.header("payment-response"), first.header("payment-response"));
    let other = pair.two.ask("POST", "/paid").pays(&payment).body("another").send().await;
    refused(&other, "payment_used");
    // It is there for whoever is left.
    pair.one.killed().await;
    let again = asks(&pair.two, "/paid", &payment).send().await;
    assert_eq!((again.status, again.text().as_str()), (200, "served"));
    assert_eq!((pair.upstream.count(), pair.facilitator.moved().len()), (1, 1));
}

#[tokio::test]
async fn while_one_gives_the_answer_the_other_says_so() {
    let mut pair = pair().await;
    for (path, wallet) in [("/paid", 1), ("/early", 2)] {
        let payment = Wallet::new(wallet).pays();
        let open = asks(&pair.one, path, &payment).open();
        let begin = async { pair.upstream.call().await.stream(Reply::new(200)).await };
        let (mut answer, mut stream) = tokio::join!(open, begin);
        stream.send("one ").await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "one ");
        refused(&asks(&pair.two, path, &payment).send().await, "answer_under_way");
        stream.send("two").await;
        stream.end().await;
        assert_eq!(answer.text().await.unwrap(), "two");
        assert_eq!(comes_back(&pair.two, path, &payment).await.text(), "one two");
    }
    assert_eq!(pair.upstream.count(), 2);
}

/// Dies between the settlement and the answer; as soon as that is known, the other one serves.
#[tokio::test]
async fn what_one_owes_when_it_dies_the_other_gives() {
    let mut pair = pair().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&pair.one, "/early", &payment).try_send();
    let dies = async {
        let call = pair.upstream.call().await;
        pair.one.comes_to(&payment, "settled").await;
        refused(&asks(&pair.two, "/early", &payment).send().await, "answer_under_way");
        pair.one.kill();
        call
    };
    let (first, call) = tokio::join!(first, dies);
    assert!(first.is_err());
    drop(call);
    let serves = async { pair.upstream.call().await.answer(Reply::new(200).body("served")).await };
    let (again, ()) = tokio::join!(comes_back(&pair.two, "/early", &payment), serves);
    assert_eq!((again.text(), again.header("idempotent-replayed")), ("served".into(), ""));
    let third = asks(&pair.two, "/early", &payment).send().await;
    assert_eq!((third.text(), third.header("idempotent-replayed")), ("served".into(), "true"));
    assert_eq!((pair.upstream.count(), pair.facilitator.moved().len()), (2, 1));
}

/// One debt is one answer, wherever it is asked for.
#[tokio::test]
async fn a_debt_is_paid_by_one_of_them() {
    let mut pair = pair().await;
    let payment = Wallet::new(1).pays();
    let first = pair.answered("/early", &payment, Reply::new(503)).await;
    refused(&first, "paid_not_served");
    let call = async {
        let call = pair.upstream.call().await;
        refused(&asks(&pair.two, "/early", &payment).send().await, "answer_under_way");
        call.answer(Reply::new(200).body("served")).await;
    };
    let (second, ()) = tokio::join!(asks(&pair.one, "/early", &payment).send(), call);
    assert_eq!((second.status, second.text().as_str()), (200, "served"));
    assert_eq!(comes_back(&pair.two, "/early", &payment).await.text(), "served");
    assert_eq!((pair.upstream.count(), pair.facilitator.moved().len()), (2, 1));
}

/// A name holds everywhere: whatever is signed under it, wherever it is sent, is bought once.
#[tokio::test]
async fn what_was_named_at_one_is_not_bought_again_at_the_other() {
    let mut pair = pair().await;
    let pays = || Wallet::new(1).pays().named("bought_at_either_gateway");
    let first = pays();
    let call = async {
        let call = pair.upstream.call().await;
        let second = pays();
        refused(&asks(&pair.two, "/paid", &second).send().await, "payment_in_use");
        pair.two.comes_to(&second, "released").await;
        call.answer(Reply::new(200).body("served")).await;
    };
    let (served, ()) = tokio::join!(asks(&pair.one, "/paid", &first).send(), call);
    assert_eq!(served.text(), "served");
    let again = comes_back(&pair.two, "/paid", &pays()).await;
    assert_eq!((again.text(), again.header("idempotent-replayed")), ("served".into(), "true"));
    assert_eq!(again.header("payment-response"), served.header("payment-response"));
    let other = pair.two.ask("POST", "/paid").pays(&pays()).body("another").send().await;
    refused(&other, "payment_id_used");
    // The first one's gateway dies before it has settled: the name is free when its lease is over.
    let pays = || Wallet::new(1).pays().named("its_gateway_dies_on_the_way");
    let (lost, mine) = (pays(), pays());
    let dies = async {
        let call = pair.upstream.call().await;
        pair.one.kill();
        call
    };
    let ask = asks(&pair.one, "/paid", &lost).try_send();
    let (lost, call) = tokio::join!(ask, dies);
    assert!(lost.is_err());
    drop(call);
    let waits = eventually("the name is free", async || {
        let answer = asks(&pair.two, "/paid", &mine).send().await;
        (answer.status == 200).then_some(answer)
    });
    let serves = async { pair.upstream.call().await.answer(Reply::new(200).body("mine")).await };
    let (answer, ()) = tokio::join!(waits, serves);
    assert_eq!((answer.text(), answer.header("idempotent-replayed")), ("mine".into(), ""));
    assert_eq!((pair.upstream.count(), pair.facilitator.moved().len()), (3, 2));
}
