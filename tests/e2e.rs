//! Published x402 clients, unchanged, buy a cut-out from the real gateway and get it.

mod assistant;
mod chain;
#[cfg(feature = "models")]
mod cutouts;
mod install;
mod own;
mod payer;
mod permit2;
mod process;
mod sdk;
mod solana;
mod storm;
mod tokens;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use alloy_primitives::{Address, U256, address};
use image::ImageReader;

use chain::{Chain, Transfer};
use process::Process;
use sdk::{Answer, CLIENTS, Client};

#[tokio::test]
async fn published_clients_pay_on_a_real_chain() {
    let chain = Chain::start(&CLIENTS.map(Client::payer)).await;
    let facilitator = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    let gateway = Gateway::start(&facilitator);

    for client in CLIENTS {
        let before = chain.balance(PAY_TO).await;
        let transaction = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let paid = Transfer { from: client.payer(), to: PAY_TO, value: PRICE };
        assert_eq!(chain.transfers(&transaction).await, [paid], "{}", client.name);
        assert_eq!(chain.balance(PAY_TO).await - before, PRICE, "{}", client.name);
    }
    gateway.process.stop();
}

#[tokio::test]
async fn published_clients_pay_a_gateway_that_settles_by_itself() {
    let clients = [CLIENTS[0], CLIENTS[4]];
    let chain = Chain::start_alone(&clients.map(Client::payer)).await;
    let gateway = Gateway::start(&own::settles_itself(&[chain.url()], ""));
    for client in clients {
        let transaction = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let paid = Transfer { from: client.payer(), to: PAY_TO, value: PRICE };
        assert_eq!(chain.transfers(&transaction).await, [paid], "{}", client.name);
    }
    gateway.process.stop();
}

#[tokio::test]
async fn published_clients_pay_the_simulated_facilitator_for_a_large_photo() {
    let gateway = Gateway::start("simulated = {}");
    let photo = gateway.dir.path().join("large.jpg");
    fs::write(&photo, enlarged(&fs::read(PHOTO).unwrap())).unwrap();
    for client in CLIENTS {
        buy_a_cut_out(client, &gateway, &photo).await;
    }
    gateway.process.stop();
}

/// They sign anew each time, and are charged once for what they call by one name.
#[tokio::test]
async fn published_clients_name_what_they_buy() {
    let gateway = Gateway::start("simulated = {}");
    for client in [CLIENTS[0], CLIENTS[2]] {
        let client = client.naming("pay_7d5d747be160e280504c099d984bcfe0");
        let first = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        let second = buy_a_cut_out(client, &gateway, Path::new(PHOTO)).await;
        assert_eq!(first, second, "{}", client.name);
    }
    gateway.process.stop();
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
    let out = gateway.dir.path().join(client.name);
    let url = format!("http://{}/v1/remove-background", gateway.address);
    let answer = client.post(&url, photo, "image/jpeg", &out).await;

    let expected = Answer {
        status: 200,
        paid: true,
        network: Some(client.network().to_owned()),
        payer: Some(client.payer()),
        content_type: Some("image/png".to_owned()),
        ..answer.clone()
    };
    assert_eq!(answer, expected, "{}", client.name);
    assert_cut_out(photo, &out);
    answer.transaction.unwrap()
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

/// The gateway as its users start it, with one priced route to its bundled worker.
struct Gateway {
    process: Process,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Gateway {
    fn start(facilitator: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("gateway.toml");
        fs::write(&config, config_text(dir.path(), facilitator)).unwrap();
        fs::write(dir.path().join(own::KEY_FILE), chain::SIGNER_KEY).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("serve").arg(config).current_dir(dir.path());
        let (process, address) = Process::listening(&mut command, "tollgate listening on ");
        Self { process, address, dir }
    }
}

fn config_text(dir: &Path, facilitator: &str) -> String {
    let ledger = dir.join("tollgate.db");
    format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        public_url = "https://api.example.com"

        [ledger]
        url = "sqlite://{}"

        [networks.base-sepolia]
        pay_to = "{PAY_TO}"
        facilitator = "peer"

        [facilitators.peer]
        {facilitator}

        [upstreams.images]
        bundled = "background-removal"

        [[routes]]
        match = "POST /v1/remove-background"
        upstream = "images"
        price = "$0.05"
        networks = ["base-sepolia"]
        description = "Remove the background from an image"
        body = {{ types = ["image/png", "image/jpeg", "image/webp"], max = "25MB" }}
        "#,
        ledger.display()
    )
}

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
const PAY_TO: Address = address!("0x00000000000000000000000000000000000Ca5e0");
/// $0.05 in USDC's six decimals.
const PRICE: U256 = U256::from_limbs([50_000, 0, 0, 0]);
