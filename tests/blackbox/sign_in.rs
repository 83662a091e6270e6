//! `sign-in-with-x`: a wallet that has paid for a route is let in again by what it signs.

use alloy_primitives::hex;
use serde_json::Value;
use tollgate::clock::{Clock, UnixMillis, date};
use tollgate::x402::SignInReason;

use super::refusals::refused;
use crate::support::asker::{KINDS, asks, verdict};
use crate::support::client::{Answer, Ask};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::sign_in::{Offered, Proof};
use crate::support::solana::{Payer, SECTION};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Wallet, high_s};
use crate::support::{eventually, postgres, together};

const FOR_AN_HOUR: &str = "sign_in = \"1h\"";

/// `/let-in` by two methods, `/other` and `/items/{id}`, each with sign-ins.
fn plan(upstream: &Upstream) -> Plan {
    let route = format!("{PRICED}\n{FOR_AN_HOUR}");
    let on_two = "price = \"$0.05\"\nnetworks = [\"base-sepolia\", \"solana-devnet\"]";
    Plan::to(upstream.address)
        .section(SECTION)
        .route("match = \"POST /let-in\"", &route)
        .route("match = \"GET /let-in\"", &route)
        .route("match = \"POST /other\"", &route)
        .route("match = \"POST /items/{id}\"", &route)
        .route("match = \"POST /two\"", &format!("{on_two}\n{FOR_AN_HOUR}"))
}

async fn pays(gateway: &Gateway, path: &str, wallet: &Wallet) {
    let answer = gateway.ask("POST", path).pays(&wallet.pays()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What the 402 of a path offers.
async fn offered(gateway: &Gateway, (method, path): (&str, &str)) -> Offered {
    Offered::of(&gateway.ask(method, path).send().await).expect("it offers a sign-in")
}

fn signs_in(gateway: &Gateway, (method, path): (&str, &str), proof: &Proof) -> Ask {
    gateway.ask(method, path).header("SIGN-IN-WITH-X", &proof.header())
}

/// Checks that a sign-in was answered with the 402 and this reason.
#[track_caller]
fn turned_away(answer: &Answer, reason: SignInReason) {
    refused(answer, "sign_in_invalid");
    assert_eq!(answer.json()["reason"], reason.code(), "{}", answer.text());
    assert!(Offered::of(answer).is_some(), "another one can be signed");
}

const LET_IN: (&str, &str) = ("POST", "/let-in");

#[tokio::test]
async fn who_has_paid_is_let_in_without_paying() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let wallet = Wallet::new(1);
    pays(&gateway, "/let-in", &wallet).await;
    for _ in 0..2 {
        let proof = offered(&gateway, LET_IN).await.signed(&wallet);
        let answer = signs_in(&gateway, LET_IN, &proof)
            .header("x-tollgate-payer", "0xme")
            .body("the body")
            .send()
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("payment-response"), "");
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    for seen in &seen[1..] {
        assert_eq!(seen.header("x-tollgate-payer"), wallet.address().to_string());
        assert_eq!(seen.header("x-tollgate-network"), "eip155:84532");
        assert_eq!(seen.header("x-tollgate-free"), "signed-in");
        assert_eq!((seen.header("x-tollgate-amount"), seen.header("sign-in-with-x")), ("", ""));
    }
    assert_eq!((gateway.ledger().await.len(), gateway.transfers().len()), (1, 1));
    let line = gateway.logged("it", |line| line["outcome"] == "signed_in").await;
    assert_eq!(line["signed_in"], wallet.address().to_string());
    assert_eq!((&line["route"], &line["payment"]), (&"POST /let-in".into(), &Value::Null));
    let count = "tollgate_exchanges_total{outcome=\"signed_in\",route=\"POST /let-in\"}";
    gateway.counts(count, "2").await;
}

#[tokio::test]
async fn each_402_has_a_nonce_and_a_moment_of_its_own() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let mut nonces = Vec::new();
    for (method, path) in [LET_IN, LET_IN, ("GET", "/let-in"), ("POST", "/items/a-b")] {
        let before = Clock::System.now();
        let Offered { info, chains } = offered(&gateway, (method, path)).await;
        assert_eq!(info["domain"], "api.example.com");
        assert_eq!(info["uri"], format!("https://api.example.com{path}"));
        assert_eq!(info["version"], "1");
        let moment = |name: &str| date::read(info[name].as_str().unwrap()).unwrap();
        let issued = moment("issuedAt");
        assert!(before <= issued && issued <= Clock::System.now(), "{info}");
        assert_eq!(moment("expirationTime").millis() - issued.millis(), 300_000);
        let chain: Vec<&Value> = chains.iter().map(|chain| &chain["chainId"]).collect();
        assert_eq!((chain, &chains[0]["type"]), (vec![&"eip155:84532".into()], &"eip191".into()));
        let nonce = info["nonce"].as_str().unwrap().to_owned();
        assert!(nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()));
        nonces.push(nonce);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
    let two = offered(&gateway, ("POST", "/two")).await;
    assert_eq!((two.chains.len(), &two.chains[1]["type"]), (2, &"ed25519".into()));
    // Where nobody is let in, nothing is said of it.
    assert!(Offered::of(&gateway.ask("POST", "/paid").send().await).is_none());
}

/// Whoever has seen one gets nothing by it: not at once, not later, not after a crash.
#[tokio::test]
async fn a_sign_in_lets_in_once() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let wallet = Wallet::new(1);
    pays(&gateway, "/let-in", &wallet).await;
    let proof = offered(&gateway, LET_IN).await.signed(&wallet);
    let both = (0..8).map(|_| signs_in(&gateway, LET_IN, &proof).send());
    let (let_in, others): (Vec<_>, Vec<_>) =
        together(both).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(let_in.len(), 1);
    others.iter().for_each(|answer| turned_away(answer, SignInReason::Used));
    // In other words it is the same one.
    let more = proof.clone().then(|said| said["signatureScheme"] = "eip191".into());
    turned_away(&signs_in(&gateway, LET_IN, &more).send().await, SignInReason::Used);
    let gateway = gateway.killed_and_restarted().await;
    turned_away(&signs_in(&gateway, LET_IN, &proof).send().await, SignInReason::Used);
    assert_eq!(upstream.seen().len(), 2);
    // The payment is still known.
    let next = offered(&gateway, LET_IN).await.signed(&wallet);
    assert_eq!(signs_in(&gateway, LET_IN, &next).send().await.status, 200);
}

#[tokio::test]
async fn what_was_paid_and_used_at_one_gateway_is_known_to_the_other() {
    let upstream = Upstream::start().await;
    let url = postgres::database().await;
    let start = || plan(&upstream).ledger(&url).start();
    let (one, two) = (start().await, start().await);
    let wallet = Wallet::new(1);
    pays(&one, "/let-in", &wallet).await;
    let proof = offered(&one, LET_IN).await.signed(&wallet);
    let both = [&one, &two].map(|gateway| signs_in(gateway, LET_IN, &proof).send());
    let answers = together(both).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 402]);
    for gateway in [&one, &two] {
        turned_away(&signs_in(gateway, LET_IN, &proof).send().await, SignInReason::Used);
        let next = offered(&one, LET_IN).await.signed(&wallet);
        assert_eq!(signs_in(gateway, LET_IN, &next).send().await.status, 200);
    }
}

#[tokio::test]
async fn it_opens_nothing_else_than_what_was_paid_for() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let wallet = Wallet::new(1);
    pays(&gateway, "/let-in", &wallet).await;
    for other in [("GET", "/let-in"), ("POST", "/other"), ("POST", "/items/1")] {
        let proof = offered(&gateway, other).await.signed(&wallet);
        turned_away(&signs_in(&gateway, other, &proof).send().await, SignInReason::NotPaid);
        // What was signed for one URL is not good for another.
        let answer = signs_in(&gateway, ("POST", "/two"), &proof).send().await;
        turned_away(&answer, SignInReason::Uri);
    }
    // Where nobody is let in, it says nothing.
    let proof = offered(&gateway, LET_IN).await.signed(&wallet);
    let answer = signs_in(&gateway, ("POST", "/paid"), &proof).send().await;
    refused(&answer, "payment_required");
    // Another wallet has not paid, and can say so only of itself.
    let other = Wallet::new(2);
    let proof = offered(&gateway, LET_IN).await.signed(&other);
    turned_away(&signs_in(&gateway, LET_IN, &proof).send().await, SignInReason::NotPaid);
    let stolen = proof.then(|said| said["address"] = wallet.address().to_string().into());
    turned_away(&signs_in(&gateway, LET_IN, &stolen).send().await, SignInReason::Signature);
    // All paths of a route are one.
    pays(&gateway, "/items/1", &wallet).await;
    let proof = offered(&gateway, ("POST", "/items/2")).await.signed(&wallet);
    assert_eq!(signs_in(&gateway, ("POST", "/items/2"), &proof).send().await.status, 200);
}

/// A change before the wallet signs, and what is said of it.
type Row = (fn(&mut Value), SignInReason);

/// So many seconds from now.
fn seconds_from_now(seconds: i64) -> Value {
    let now = Clock::System.now().millis();
    date::stamp(UnixMillis::new(now + seconds * 1_000)).into()
}

#[tokio::test]
async fn what_is_wrong_with_one_is_said_in_the_words_of_the_published_server() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let wallet = Wallet::new(1);
    pays(&gateway, "/let-in", &wallet).await;
    let rows: [Row; 12] = [
        (|said| said["domain"] = "evil.example".into(), SignInReason::Domain),
        (|said| said["domain"] = "api.example.com:443".into(), SignInReason::Domain),
        (|said| said["uri"] = "https://api.example.com/other".into(), SignInReason::Uri),
        (|said| said["uri"] = "https://evil.example/let-in".into(), SignInReason::Uri),
        (|said| said["chainId"] = "eip155:1".into(), SignInReason::Chain),
        (|said| said["issuedAt"] = seconds_from_now(-301), SignInReason::TooOld),
        (|said| said["issuedAt"] = seconds_from_now(120), SignInReason::TooEarly),
        (|said| said["issuedAt"] = "yesterday".into(), SignInReason::Malformed),
        (|said| said["expirationTime"] = seconds_from_now(-1), SignInReason::Expired),
        (|said| said["notBefore"] = seconds_from_now(240), SignInReason::NotYet),
        (|said| said["version"] = "2".into(), SignInReason::Malformed),
        (|said| said["statement"] = "a\n\nURI: b".into(), SignInReason::Malformed),
    ];
    for (change, reason) in rows {
        let proof = offered(&gateway, LET_IN).await.signed_after(&wallet, change);
        turned_away(&signs_in(&gateway, LET_IN, &proof).send().await, reason);
    }
    let good = offered(&gateway, LET_IN).await.signed(&wallet);
    let forged: [fn(&mut Value); 4] = [
        |said| said["nonce"] = "0123456789abcdef0123456789abcdef".into(),
        |said| said["statement"] = "Sign in.".into(),
        |said| said["signature"] = "0x".into(),
        |said| {
            let mut signature = hex::decode(said["signature"].as_str().unwrap()).unwrap();
            high_s(&mut signature);
            said["signature"] = hex::encode_prefixed(signature).into();
        },
    ];
    for change in forged {
        let proof = good.clone().then(change);
        turned_away(&signs_in(&gateway, LET_IN, &proof).send().await, SignInReason::Signature);
    }
    for header in ["", "!", "e30=", "bnVsbA=="] {
        let answer = gateway.ask("POST", "/let-in").header("SIGN-IN-WITH-X", header).send().await;
        turned_away(&answer, SignInReason::Malformed);
    }
    let twice = signs_in(&gateway, LET_IN, &good).header("SIGN-IN-WITH-X", &good.header());
    turned_away(&twice.send().await, SignInReason::Malformed);
    let line = gateway.logged("it", |line| line["outcome"] == "sign_in_invalid").await;
    assert_eq!(line["reason"], SignInReason::Domain.code());
    // None of that has used it up.
    assert_eq!(signs_in(&gateway, LET_IN, &good).send().await.status, 200);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_payment_lets_in_for_as_long_as_it_says() {
    let upstream = Upstream::start().await;
    let short = format!("{PRICED}\nsign_in = \"2s\"");
    let plan = plan(&upstream).route("match = \"POST /short\"", &short);
    let gateway = plan.start().await;
    let (wallet, short) = (Wallet::new(1), ("POST", "/short"));
    pays(&gateway, "/short", &wallet).await;
    eventually("its end", async || {
        let proof = offered(&gateway, short).await.signed(&wallet);
        let answer = signs_in(&gateway, short, &proof).send().await;
        (answer.status != 200).then(|| turned_away(&answer, SignInReason::NotPaid))
    })
    .await;
    // Whoever pays again is let in again, and a payment that comes along is taken.
    let proof = offered(&gateway, short).await.signed(&wallet);
    let both = signs_in(&gateway, short, &proof).pays(&wallet.pays()).send().await;
    assert_eq!((both.status, both.header("payment-response").is_empty()), (200, false));
    assert_eq!(gateway.transfers().len(), 2);
}

#[tokio::test]
async fn it_is_limited_like_a_payment_and_lets_nobody_in_who_is_blocked() {
    let upstream = Upstream::start().await;
    let (wallet, thief) = (Wallet::new(1), Wallet::new(2));
    let limits = "unpaid = { rate = \"6/h\", by = \"ip\" }\n\
                  refused = { rate = \"3/h\", by = \"ip\" }\n\
                  class.few = { rate = \"4/h\", by = \"payer\" }";
    let few = format!("{PRICED}\n{FOR_AN_HOUR}\nclass = \"few\"");
    let block = "[block]\npayers_file = \"blocked.txt\"";
    let plan = plan(&upstream).limits(limits).section(block);
    let gateway = plan
        .route("match = \"POST /few\"", &few)
        .start_after(|folder| std::fs::write(folder.join("blocked.txt"), "# nobody\n").unwrap())
        .await;
    let few = ("POST", "/few");
    pays(&gateway, "/few", &wallet).await;
    pays(&gateway, "/let-in", &thief).await;
    let list = format!("{}\n", thief.address());
    std::fs::write(gateway.dir().join("blocked.txt"), list).unwrap();
    assert_eq!(gateway.reloaded(|text| text).await.0, 200);
    // Each gives its place among the unpaid requests back; the class has three left.
    for _ in 0..3 {
        let proof = offered(&gateway, few).await.signed(&wallet);
        assert_eq!(signs_in(&gateway, few, &proof).send().await.status, 200);
    }
    let proof = offered(&gateway, few).await.signed(&wallet);
    let limited = signs_in(&gateway, few, &proof).send().await;
    refused(&limited, "rate_limit_exceeded");
    assert!(limited.header("ratelimit-policy").starts_with("\"class\""), "{limited:?}");

    let stolen = offered(&gateway, LET_IN).await.signed(&thief);
    refused(&signs_in(&gateway, LET_IN, &stolen).send().await, "payer_blocked");
    let forged = proof.then(|said| said["signature"] = "0x00".into());
    for _ in 0..2 {
        turned_away(&signs_in(&gateway, few, &forged).send().await, SignInReason::Signature);
    }
    let limited = signs_in(&gateway, few, &forged).send().await;
    refused(&limited, "rate_limit_exceeded");
    assert!(limited.header("ratelimit-policy").starts_with("\"refused\""), "{limited:?}");
}

#[tokio::test]
async fn who_has_paid_on_solana_signs_there() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let (payer, two) = (Payer::new(1), ("POST", "/two"));
    let asked = gateway.ask("POST", "/two").send().await;
    let offers = asked.object("payment-required")["accepts"].clone();
    let transfer = payer.pays(&offers[1]);
    let paid = gateway.ask("POST", "/two").header("PAYMENT-SIGNATURE", &transfer.v2()).send().await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    let proof = offered(&gateway, two).await.signed_on_solana(&payer);
    let other = proof.clone().then(|said| said["nonce"] = "00000000".into());
    turned_away(&signs_in(&gateway, two, &other).send().await, SignInReason::Signature);
    assert_eq!(signs_in(&gateway, two, &proof).send().await.status, 200);
    turned_away(&signs_in(&gateway, two, &proof).send().await, SignInReason::Used);
    let nobody = offered(&gateway, two).await.signed_on_solana(&Payer::new(2));
    turned_away(&signs_in(&gateway, two, &nobody).send().await, SignInReason::NotPaid);
}

#[tokio::test]
async fn the_first_route_that_lets_in_takes_a_restart_and_knows_who_paid_before() {
    let upstream = Upstream::start().await;
    let gateway =
        Plan::to(upstream.address).route("match = \"POST /let-in\"", PRICED).start().await;
    let wallet = Wallet::new(1);
    pays(&gateway, "/let-in", &wallet).await;
    let change = |text: String| {
        let route = "match = \"POST /let-in\"";
        text.replace(route, &format!("{route}\n{FOR_AN_HOUR}"))
    };
    let (status, told) = gateway.reloaded(change).await;
    assert!(status != 200 && told.contains("restart"), "{status} {told}");
    let gateway = gateway.killed_and_restarted().await;
    let proof = offered(&gateway, LET_IN).await.signed(&wallet);
    assert_eq!(signs_in(&gateway, LET_IN, &proof).send().await.status, 200);
}

/// The proxy forwards the header too; it is used up by then.
#[tokio::test]
async fn a_proxy_that_asks_lets_it_pass() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let route = format!("{PRICED}\n{FOR_AN_HOUR}");
        let plan = Plan::to(upstream.address).asked_by(kind);
        let gateway = plan.asked("match = \"POST /let-in\"", &route).start().await;
        let ask = || asks(kind, &gateway, "POST", "/let-in");
        let wallet = Wallet::new(1);
        let paid = verdict(kind, &gateway, ask().pays(&wallet.pays())).await;
        assert_eq!(paid.status, 200, "{kind}");
        let unpaid = verdict(kind, &gateway, ask()).await;
        let proof = Offered::of(&unpaid).unwrap().signed(&wallet).header();
        let passed = verdict(kind, &gateway, ask().header("SIGN-IN-WITH-X", &proof)).await;
        assert_eq!((passed.status, passed.body.len()), (200, 0), "{kind}");
        assert_eq!(passed.header("x-tollgate-payer"), wallet.address().to_string());
        assert_eq!(passed.header("x-tollgate-free"), "signed-in");
        let again = verdict(kind, &gateway, ask().header("SIGN-IN-WITH-X", &proof)).await;
        turned_away(&again, SignInReason::Used);
    }
}
