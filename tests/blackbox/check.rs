//! Routes that another proxy forwards: it asks first, and hears 200 once for each payment.

use super::refusals::refused;
use crate::support::asker::{KINDS, asks, verdict};
use crate::support::client::{self, Answer, Ask};
use crate::support::gateway::Gateway;
use crate::support::ledger::{locked, locked_answers};
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PRICE, Payment, Wallet};
use crate::support::{eventually, together};

async fn asked(kind: &str, gateway: &Gateway, request: (&str, &str)) -> Answer {
    verdict(kind, gateway, asks(kind, gateway, request.0, request.1)).await
}

async fn pays(kind: &str, gateway: &Gateway, payment: &Payment) -> Answer {
    verdict(kind, gateway, asks(kind, gateway, "POST", "/asked").pays(payment)).await
}

#[tokio::test]
async fn one_payment_lets_one_request_pass() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        let unpaid = asked(kind, &gateway, ("POST", "/asked?a=b")).await;
        refused(&unpaid, "payment_required");
        let terms = unpaid.object("payment-required");
        assert_eq!(terms["resource"]["url"], "https://api.example.com/asked", "{kind}");
        assert_eq!(terms["accepts"][0]["amount"], PRICE.to_string());
        assert_eq!(unpaid.json()["accepts"][0]["maxAmountRequired"], PRICE.to_string());

        let (wallet, payment) = (Wallet::new(1), Wallet::new(1).pays());
        let passed = pays(kind, &gateway, &payment).await;
        assert_eq!((passed.status, passed.body.len()), (200, 0), "{kind}");
        assert_eq!(passed.header("x-tollgate-payer"), wallet.address().to_string());
        assert_eq!(passed.header("x-tollgate-amount"), PRICE.to_string());
        assert_eq!(passed.header("x-tollgate-network"), "eip155:84532");
        assert_eq!(passed.header("x-tollgate-exchange").len(), 32);
        assert_eq!(passed.header("cache-control"), "no-store");
        let receipt = passed.object("payment-response");
        assert_eq!(receipt["success"], true);
        assert_eq!(gateway.state(&payment).await, "settled");
        let line = gateway.logged("it", |line| line["outcome"] == "paid").await;
        assert_eq!((&line["method"], &line["route"]), (&"POST".into(), &"GET,POST /asked".into()));

        for method in ["POST", "GET"] {
            let again = asks(kind, &gateway, method, "/asked").pays_v1(&payment);
            let again = verdict(kind, &gateway, again).await;
            refused(&again, "payment_used");
            assert_eq!(again.json()["transaction"], receipt["transaction"]);
        }
        assert_eq!((gateway.transfers().len(), upstream.seen().len()), (1, 0), "{kind}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_passes() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).asked_by("traefik").start().await;
    let payment = Wallet::new(1).pays();
    let all = (0..30).map(|_| pays("traefik", &gateway, &payment));
    let answers = together(all.map(Box::pin)).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    // Who comes while the money moves is told that the outcome is not known yet.
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 503)), "{answers:?}");
    assert_eq!((passed, gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn what_costs_nothing_passes_and_what_is_no_route_does_not() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        let open = asked(kind, &gateway, ("GET", "/open")).await;
        assert_eq!((open.status, open.header("x-tollgate-payer")), (200, ""), "{kind}");
        assert!(!open.headers.contains_key("payment-response"));
        let head = asked(kind, &gateway, ("HEAD", "/open")).await;
        assert_eq!(head.status, 200);
        refused(&asked(kind, &gateway, ("GET", "/nothing")).await, "not_found");
        refused(&asked(kind, &gateway, ("DELETE", "/open")).await, "method_not_allowed");
        // 204 would let it pass.
        refused(&asked(kind, &gateway, ("OPTIONS", "/asked")).await, "method_not_allowed");
        refused(&asked(kind, &gateway, ("GET", "//asked")).await, "path_not_canonical");
        for page in ["/openapi.json", "/.well-known/x402", "/llms.txt"] {
            refused(&asked(kind, &gateway, ("GET", page)).await, "not_found");
        }
    }
}

#[tokio::test]
async fn what_is_free_at_first_passes_and_then_it_is_402() {
    let upstream = Upstream::start().await;
    let free = "[defaults]\nfree = { rate = \"2/day\", by = \"ip\" }";
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).section(free).start().await;
        for _ in 0..2 {
            let passed = asked(kind, &gateway, ("POST", "/asked")).await;
            assert_eq!((passed.status, passed.header("x-tollgate-free")), (200, "first"), "{kind}");
        }
        refused(&asked(kind, &gateway, ("POST", "/asked")).await, "payment_required");
        assert_eq!(pays(kind, &gateway, &Wallet::new(1).pays()).await.status, 200);
    }
}

/// What is free to ask about is not free to get, and the other way round.
#[tokio::test]
async fn the_two_sides_share_no_route() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).asked_by("caddy").start().await;
    refused(&asked("caddy", &gateway, ("GET", "/free")).await, "not_found");
    refused(&asked("caddy", &gateway, ("GET", "/paid")).await, "not_found");
    let payment = Wallet::new(1).pays();
    for path in ["/open", "/asked"] {
        refused(&gateway.ask("GET", path).pays(&payment).send().await, "not_found");
    }
    assert_eq!(gateway.state(&payment).await, "none");
    // What it has bought there lets nothing pass here.
    assert_eq!(gateway.ask("GET", "/paid").pays(&payment).send().await.status, 200);
    refused(&pays("caddy", &gateway, &payment).await, "payment_used");
    let document = gateway.ask("GET", "/openapi.json").send().await;
    assert!(document.json()["paths"]["/asked"]["post"].is_object(), "agents find it");
}

#[tokio::test]
async fn clients_are_counted_and_not_their_proxy() {
    let upstream = Upstream::start().await;
    let few = "unpaid = { rate = \"2/min\", by = \"ip\" }";
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).limits(few).start().await;
        let from = async |client: &str| {
            let ask = asks(kind, &gateway, "POST", "/asked").header("x-forwarded-for", client);
            verdict(kind, &gateway, ask).await
        };
        for _ in 0..2 {
            refused(&from("192.0.2.1").await, "payment_required");
        }
        refused(&from("192.0.2.1").await, "rate_limit_exceeded");
        refused(&from("192.0.2.2").await, "payment_required");
    }
}

/// Who may not ask hears so, whatever the proxy understands.
#[tokio::test]
async fn strangers_do_not_ask() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_from("10.0.0.0/8", kind).start().await;
        let payment = Wallet::new(1).pays();
        for target in ["/open", "/asked"] {
            let ask = asks(kind, &gateway, "GET", target).pays(&payment);
            refused(&ask.header("x-forwarded-for", "10.0.0.1").send().await, "not_trusted");
        }
        assert_eq!(gateway.state(&payment).await, "none");
        let line = gateway.logged("it", |line| line["outcome"] == "not_trusted").await;
        assert!(line["fault"].as_str().unwrap().contains("trusted_proxies"), "{line}");
    }
}

#[tokio::test]
async fn nothing_passes_that_cannot_be_recorded() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).asked_by("nginx").start().await;
    let payment = Wallet::new(1).pays();
    let lock = locked(&gateway).await;
    refused(&pays("nginx", &gateway, &payment).await, "ledger_unavailable");
    assert_eq!(gateway.transfers(), []);
    lock.release().await;
    let passed = eventually("the ledger is back", async || {
        Some(pays("nginx", &gateway, &payment).await).filter(|answer| answer.status != 503)
    });
    assert_eq!(passed.await.status, 200);
}

/// The process dies when the money has moved and nobody was told: whoever paid is let pass, once.
#[tokio::test]
async fn a_crash_forgets_no_payment_that_has_let_nothing_pass() {
    let upstream = Upstream::start().await;
    let slow = "simulated = { journal = \"JOURNAL\", delay = { settle = \"1h\" } }";
    let plan = Plan::to(upstream.address).facilitator(slow).asked_by("envoy");
    let gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let first = asks("envoy", &gateway, "POST", "/asked").pays(&payment).try_send();
    let dies = async {
        eventually("a transfer", async || gateway.transfers().pop()).await;
        gateway.kill();
    };
    assert!(tokio::join!(first, dies).0.is_err());
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(gateway.state(&payment).await, "settled");
    let passed = pays("envoy", &gateway, &payment).await;
    assert_eq!((passed.status, passed.object("payment-response")["success"].clone()), {
        (200, true.into())
    });
    refused(&pays("envoy", &gateway, &payment).await, "payment_used");
    assert_eq!(gateway.transfers().len(), 1);
}

/// The money has moved, and that it is spent cannot be written down: it lets something pass later.
#[tokio::test]
async fn what_cannot_be_recorded_as_spent_passes_once_it_can() {
    let upstream = Upstream::start().await;
    let slow = "simulated = { journal = \"JOURNAL\", delay = { settle = \"1s\" } }";
    let gateway = Plan::to(upstream.address).facilitator(slow).asked_by("caddy").start().await;
    let payment = Wallet::new(1).pays();
    let locks = async {
        eventually("a transfer", async || gateway.transfers().pop()).await;
        locked_answers(&gateway).await
    };
    let (first, lock) = tokio::join!(pays("caddy", &gateway, &payment), locks);
    refused(&first, "paid_not_served");
    assert_eq!(gateway.state(&payment).await, "settled");
    lock.release().await;
    // Its turn was not given back either: it ends with its time, or its process.
    let gateway = gateway.killed_and_restarted().await;
    let passed = pays("caddy", &gateway, &payment).await;
    assert_eq!(passed.status, 200);
    assert_eq!(passed.object("payment-response")["transaction"], first.json()["transaction"]);
    refused(&pays("caddy", &gateway, &payment).await, "payment_used");
    assert_eq!(gateway.transfers().len(), 1);
}

/// Prices that go by a header, the method or the query are asked for as anywhere.
#[tokio::test]
async fn prices_go_by_what_is_sent_along() {
    let upstream = Upstream::start().await;
    let rules = "price = \"$0.01\"\nnetworks = [\"base-sepolia\"]\nprice_rules = [\
                 { query = \"size\", is = \"large\", price = \"$0.05\" }]";
    for kind in KINDS {
        let plan = Plan::to(upstream.address).asked_by(kind);
        let gateway = plan.asked("match = \"GET /sized\"", rules).start().await;
        for (target, amount) in [("/sized?size=large", "50000"), ("/sized", "10000")] {
            let unpaid = asked(kind, &gateway, ("GET", target)).await;
            let terms = unpaid.object("payment-required");
            assert_eq!(terms["accepts"][0]["amount"], amount, "{kind} {target}");
        }
        let cheap = asks(kind, &gateway, "GET", "/sized").pays(&Wallet::new(1).pays());
        assert_eq!(verdict(kind, &gateway, cheap).await.status, 402);
        let dear = asks(kind, &gateway, "GET", "/sized?size=large").pays(&Wallet::new(1).pays());
        assert_eq!(verdict(kind, &gateway, dear).await.status, 200);
    }
}

/// Holders of a key pass without payment, and nobody is charged.
#[tokio::test]
async fn keys_pass() {
    let upstream = Upstream::start().await;
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let bypass = format!("[[bypass]]\nname = \"us\"\nkeys = [\"sha256:{digest}\"]");
    let plan = Plan::to(upstream.address).asked_by("traefik").section(&bypass);
    let gateway = plan.start().await;
    let with = |key: &str| asks("traefik", &gateway, "GET", "/asked").header("x-tollgate-key", key);
    assert_eq!(with("secret").send().await.status, 200);
    refused(&with("other").send().await, "payment_required");
    assert_eq!(gateway.transfers(), []);
}

/// A browser that opens a paid URL pays on a page, where the proxy gives its client what it got.
#[tokio::test]
async fn browsers_get_a_page_where_answers_are_passed_on_whole() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        let ask = asks(kind, &gateway, "GET", "/asked").header("accept", "text/html");
        let answer = verdict(kind, &gateway, ask).await;
        let page = answer.header("content-type").starts_with("text/html");
        assert_eq!((answer.status, page), (402, kind != "nginx"), "{kind}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_not_given() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).asked_by("nginx").start().await;
    let url = format!("http://{}/answer", gateway.check.unwrap());
    refused(&Ask::new(&client::client(), "GET", &url).send().await, "bad_request");
}
