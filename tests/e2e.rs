//! Published x402 clients, unchanged, buy a cut-out from the real gateway and get it.

mod assistant;
mod chain;
#[cfg(feature = "worker")]
mod cutouts;
mod dashboard;
mod endurance;
mod grpc;
mod haproxy;
mod images;
mod ingress;
mod install;
mod openapi;
mod own;
mod payer;
mod paywall;
mod permit2;
mod process;
mod sdk;
mod sign_in;
mod solana;
mod storm;
mod tokens;
mod upto;

use std::fs;
use std::path::Path;

use alloy_primitives::U256;
use image::ImageReader;

use chain::Chain;
use sdk::{CLIENTS, Client};

use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::wallet::{PAY_TO, PRICE};

#[tokio::test]
async fn published_clients_pay_on_a_real_chain() {
    let clients = sdk::published();
    let chain = Chain::start(&sdk::payers(&clients)).await;
    let facilitator = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    let gateway = sells_cut_outs(&facilitator).await;

    for client in clients {
        let before = chain.balance(PAY_TO).await;
        let transaction = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let paid = own::of(client.payer());
        assert_eq!(chain.transfers(&transaction).await, [paid], "{}", client.name);
        assert_eq!(chain.balance(PAY_TO).await - before, U256::from(PRICE), "{}", client.name);
    }
    ends(gateway).await;
}

#[tokio::test]
async fn published_clients_pay_a_gateway_that_settles_by_itself() {
    let clients = [CLIENTS[0], CLIENTS[4]];
    let chain = Chain::start_alone(&clients.map(Client::payer)).await;
    let gateway = sells_cut_outs(&own::settles_itself(&[chain.url()], "")).await;
    for client in clients {
        let transaction = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let paid = own::of(client.payer());
        assert_eq!(chain.transfers(&transaction).await, [paid], "{}", client.name);
    }
    ends(gateway).await;
}

#[tokio::test]
async fn published_clients_pay_the_simulated_facilitator_for_a_large_photo() {
    let gateway = sells_cut_outs("simulated = {}").await;
    let photo = gateway.dir().join("large.jpg");
    fs::write(&photo, enlarged(&fs::read(PHOTO).unwrap())).unwrap();
    for client in CLIENTS {
        buy_a_cut_out(client, &gateway, &photo).await;
    }
    ends(gateway).await;
}

/// They sign anew each time, and are charged once for what they call by one name.
#[tokio::test]
async fn published_clients_name_what_they_buy() {
    let gateway = sells_cut_outs("simulated = {}").await;
    for client in [CLIENTS[0], CLIENTS[2]] {
        let client = client.naming("pay_7d5d747be160e280504c099d984bcfe0");
        let first = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let second = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        assert_eq!(first, second, "{}", client.name);
    }
    ends(gateway).await;
}

/// The same picture in a file that no socket buffer holds. Every client sends it whole before it
/// has seen the 402, and those of Python give up if the connection is closed under their hands.
fn enlarged(photo: &[u8]) -> Vec<u8> {
    const COMMENT: [u8; 4] = [0xff, 0xfe, 0xff, 0xff];
    const PAYLOAD_BYTES: usize = 0xffff - 2;
    const COMMENTS: usize = 12 * 1024 * 1024 / PAYLOAD_BYTES;

    let (start_of_image, rest) = photo.split_at(2);
    let comment = [&COMMENT, [b' '; PAYLOAD_BYTES].as_slice()].concat();
    [start_of_image, &comment.repeat(COMMENTS), rest].concat()
}

/// Lets `client` pay for one photo, checks answer and receipt, and gives back the transaction.
async fn buy_a_cut_out(client: Client, gateway: &Gateway, photo: &Path) -> String {
    let out = gateway.dir().join(client.name);
    let url = gateway.url("/v1/remove-background");
    let answer = client.post(&url, photo, "image/jpeg", &out).await;
    let transaction = answer.paid_by(client, "image/png");
    assert_cut_out(photo, &out);
    transaction
}

/// A PNG of the photo's full size with something removed and something left.
fn assert_cut_out(photo: &Path, out: &Path) {
    let cut_out =
        image::load_from_memory_with_format(&fs::read(out).unwrap(), image::ImageFormat::Png)
            .unwrap();
    let size = ImageReader::open(photo).unwrap().into_dimensions().unwrap();
    assert_eq!((cut_out.width(), cut_out.height()), size);
    assert!(cut_out.color().has_alpha());

    let alpha = |at: fn(u8) -> bool| cut_out.to_rgba8().pixels().any(|pixel| at(pixel.0[3]));
    assert!(alpha(|a| a < 32), "nothing was removed");
    assert!(alpha(|a| a > 223), "nothing was left");
}

/// A gateway with one priced route to its bundled worker, its limits as nobody has configured them.
async fn sells_cut_outs(facilitator: &str) -> Gateway {
    let body = "body = { types = [\"image/png\", \"image/jpeg\", \"image/webp\"], max = \"25MB\" }";
    let plan = Plan::to_upstream("bundled = \"background-removal\"").no_routes().limits("");
    let plan = plan.route("match = \"POST /v1/remove-background\"", &format!("{PRICED}\n{body}"));
    let key = |dir: &Path| fs::write(dir.join(own::KEY_FILE), chain::SIGNER_KEY).unwrap();
    let gateway = plan.facilitator(facilitator).start_after(key).await;
    gateway.ready().await;
    gateway
}

/// Its end, when it is asked to.
async fn ends(mut gateway: Gateway) {
    gateway.terminate();
    assert!(gateway.ended().await.success());
}

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
