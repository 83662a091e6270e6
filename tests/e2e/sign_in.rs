//! The published client pays once, and signs in from then on.

use std::fs;

use super::chain::{Chain, SIGNER_KEY};
use super::own::{KEY_FILE, of, settles_itself};
use super::sdk::{Answer, Client, SIGNS_IN};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, PUBLIC_URL, Plan};
use crate::support::solana::Payer;
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, PRICE};

/// A gateway whose public URL is its own: the client signs for no other than the one that it asks.
async fn gateway(plan: Plan) -> Gateway {
    let both = "price = \"$0.05\"\nnetworks = [\"base-sepolia\", \"solana-devnet\"]";
    let plan = plan
        .section(SOLANA)
        .section("[facilitators.aside]\nsimulated = {}")
        .route("match = \"POST /let-in\"", &format!("{PRICED}\nsign_in = \"1h\""))
        .route("match = \"POST /two\"", &format!("{both}\nsign_in = \"1h\""));
    let gateway = plan.start_after(|dir| fs::write(dir.join(KEY_FILE), SIGNER_KEY).unwrap()).await;
    let address = gateway.public.to_string();
    let gateway = gateway
        .restarted_with(|text| {
            let text = text.replacen("127.0.0.1:0", &address, 1);
            text.replace(PUBLIC_URL, &format!("http://{address}"))
        })
        .await;
    gateway.ready().await;
    gateway
}

async fn asks(gateway: &Gateway, client: Client, path: &str, more: &[(&str, &str)]) -> Answer {
    let (body, out) = (gateway.dir().join("body"), gateway.dir().join("out"));
    fs::write(&body, "a question").unwrap();
    client.post_with(more, &gateway.url(path), (&body, "text/plain"), &out).await
}

#[tokio::test]
async fn a_published_client_pays_once_and_signs_in_from_then_on() {
    let upstream = Upstream::start().await;
    let gateway = gateway(Plan::to(upstream.address)).await;
    let first = asks(&gateway, SIGNS_IN, "/let-in", &[]).await;
    assert_eq!((first.status, first.paid), (200, true), "{first:?}");
    for _ in 0..2 {
        let again = asks(&gateway, SIGNS_IN, "/let-in", &[]).await;
        assert_eq!((again.status, again.paid), (200, false), "{again:?}");
    }
    let line = gateway.logged("it", |line| line["outcome"] == "signed_in").await;
    assert_eq!(line["signed_in"], SIGNS_IN.payer().to_string());
    assert_eq!((gateway.transfers().len(), upstream.seen().len()), (1, 3));
    // What it has not paid for it pays.
    let other = asks(&gateway, SIGNS_IN, "/two", &[]).await;
    assert_eq!((other.status, other.paid), (200, true), "{other:?}");
}

#[tokio::test]
async fn a_published_client_signs_in_on_solana() {
    let upstream = Upstream::start().await;
    let gateway = gateway(Plan::to(upstream.address)).await;
    let asked = gateway.ask("POST", "/two").send().await;
    let offers = asked.object("payment-required")["accepts"].clone();
    let transfer = Payer::new(SIGNS_IN.number()).pays(&offers[1]).v2();
    let paid = gateway.ask("POST", "/two").header("PAYMENT-SIGNATURE", &transfer).send().await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    let again = asks(&gateway, SIGNS_IN, "/two", &[("X402_ON", "solana")]).await;
    assert_eq!((again.status, again.paid), (200, false), "{again:?}");
    let line = gateway.logged("it", |line| line["outcome"] == "signed_in").await;
    assert_eq!(line["signed_in"], Payer::new(SIGNS_IN.number()).address());
}

/// Its chain is asked whether the contract has signed.
#[tokio::test]
async fn a_published_client_signs_in_for_a_contract_wallet() {
    let chain = Chain::start_alone(&[]).await;
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).facilitator(&settles_itself(&[chain.url()], ""));
    let gateway = gateway(plan).await;
    let owner = SIGNS_IN.payer();
    let wallet = chain.wallet_of(owner).await;
    chain.deploy(owner).await;
    chain.mint(ASSET, wallet, 2 * PRICE).await;
    let told = wallet.to_string();
    let first = asks(&gateway, SIGNS_IN, "/let-in", &[("X402_WALLET", &told)]).await;
    assert_eq!((first.status, first.paid), (200, true), "{first:?}");
    assert_eq!(chain.transfers(&first.transaction.unwrap()).await, [of(wallet)]);
    let again = asks(&gateway, SIGNS_IN, "/let-in", &[("X402_WALLET", &told)]).await;
    assert_eq!((again.status, again.paid), (200, false), "{again:?}");
    // Somebody else's key is not the contract's.
    let stranger = SIGNS_IN.with_key(0x99);
    let refused = asks(&gateway, stranger, "/let-in", &[("X402_WALLET", &told)]).await;
    assert_eq!((refused.status, refused.paid), (402, false), "{refused:?}");
    let line = gateway.logged("it", |line| line["outcome"] == "sign_in_invalid").await;
    assert_eq!(line["reason"], "invalid_siwx_signature");
    assert_eq!(upstream.seen().len(), 2);
}

/// Settled by nobody's signer.
const SOLANA: &str = "[networks.solana-devnet]\n\
     pay_to = \"8izNrokeuYU5o8gxzcSV5g7w1NJifoBuqXXpfYhYUueU\"\nfacilitator = \"aside\"";
