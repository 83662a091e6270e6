//! Clients that are many at once: addresses, networks and payers that are walked through to get
//! around a limit, and tables that are filled on purpose.

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;

use tollgate::limit::{ClientKey, Limiter, Settings};

use crate::blackbox::refusals::refused;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// A rate that gives nothing back while a test runs, and a burst of 3.
const SLOW: &str = "unpaid = { rate = \"3/h\", by = \"ip\" }\n\
                    refused = { rate = \"3/h\", by = \"ip\" }";
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";

async fn gateway(upstream: &Upstream) -> Gateway {
    Plan::to(upstream.address).limits(SLOW).server(TRUSTED).start().await
}

/// The lines of `X-Forwarded-For` at each step.
type Walk = Box<dyn Fn(usize) -> Vec<String>>;

/// How many of these get a 402 before the limit is reached.
async fn passes(gateway: &Gateway, forwarded: impl IntoIterator<Item = Vec<String>>) -> usize {
    let mut passed = 0;
    for lines in forwarded {
        let ask = gateway.ask("POST", "/paid");
        let ask = lines.iter().fold(ask, |ask, line| ask.header("x-forwarded-for", line));
        match ask.send().await.status {
            402 => passed += 1,
            status => assert_eq!(status, 429, "{lines:?}"),
        }
    }
    passed
}

#[tokio::test]
async fn one_client_is_one_however_its_address_is_written() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let walks: [(&str, Walk); 9] = [
        ("what stands before it", Box::new(|at| vec![format!("6.6.6.{at}, 192.0.2.1")])),
        ("lines before it", Box::new(|at| vec![format!("6.6.6.{at}"), "192.0.2.2".into()])),
        ("its port", Box::new(|at| vec![format!("192.0.2.3:{}", 1_000 + at)])),
        ("proxies behind it", Box::new(|at| vec![format!("192.0.2.4, 10.0.0.{at}, 10.1.1.1")])),
        (
            "an address within another",
            Box::new(|at| match at % 3 {
                0 => vec!["192.0.2.5".into()],
                1 => vec!["::ffff:192.0.2.5".into()],
                _ => vec!["[::ffff:c000:205]".into()],
            }),
        ),
        (
            "its network of 64 bits",
            Box::new(|at| vec![format!("2001:db8:0:1:{at:x}:{at:x}::{at:x}")]),
        ),
        (
            "letters and zeros",
            Box::new(|at| match at % 3 {
                0 => vec!["2001:DB8:0:2::1".into()],
                1 => vec!["2001:0db8:0000:0002:0000:0000:0000:0001".into()],
                _ => vec!["[2001:db8:0:2::1]:443".into()],
            }),
        ),
        // Whatever cannot be read is the proxy's own, and they all share its bucket.
        ("words", Box::new(|at| vec![format!("client-{at}")])),
        ("numbers that are none", Box::new(|at| vec![format!("192.0.2.0{at:03}")])),
    ];
    for (name, walk) in walks {
        let passed = passes(&gateway, (1..12).map(walk)).await;
        let expected = if name == "numbers that are none" { 0 } else { 3 };
        assert_eq!(passed, expected, "{name}");
    }
    // So many hops are not walked through; what is beyond them is nobody's word.
    let long = |at: usize| vec![format!("198.51.100.{at}{}", ", 10.9.9.9".repeat(20))];
    assert_eq!(passes(&gateway, (1..12).map(long)).await, 3);
    assert!(upstream.taken().is_empty());
}

/// Whoever makes up a payer for each forged payment is one client all the same, and takes nothing
/// from those payers.
#[tokio::test]
async fn a_walk_through_payers_is_one_clients() {
    let upstream = Upstream::start().await;
    let limits = format!("{SLOW}\nclass.ai = {{ rate = \"1/h\", by = \"payer\" }}");
    let ai = format!("{PRICED}\nclass = \"ai\"");
    let plan = Plan::to(upstream.address).limits(&limits).server(TRUSTED);
    let gateway = plan.route("match = \"POST /ai\"", &ai).start().await;
    let ask = |client: &str| gateway.ask("POST", "/ai").header("x-forwarded-for", client);
    for number in 1..10 {
        let forged = Wallet::new(number).pays().then(|it| it.signed.signature[5] ^= 1);
        let answer = ask("192.0.2.1").pays(&forged).send().await;
        refused(&answer, if number <= 3 { "payment_invalid" } else { "rate_limit_exceeded" });
        assert_eq!(gateway.state(&forged).await, "none");
    }
    for number in 1..10 {
        let wallet = Wallet::new(number);
        let client = format!("192.0.2.{}", 10 + number);
        assert_eq!(ask(&client).pays(&wallet.pays()).send().await.status, 200, "{number}");
        let second = wallet.pays();
        refused(&ask(&client).pays(&second).send().await, "rate_limit_exceeded");
        assert_eq!(gateway.state(&second).await, "none");
    }
    assert_eq!(upstream.taken().len(), 9);
}

/// Ten million clients who each ask once: the table holds as many as it may, in the memory that it
/// may have, and whoever is new shares.
#[tokio::test]
async fn ten_million_clients_fit_into_bounded_memory() {
    const CHILD: &str = "TEN_MILLION_CLIENTS";
    if std::env::var_os(CHILD).is_none() {
        // In a process of its own, whose memory nobody else uses.
        let name = "hostile::walks::ten_million_clients_fit_into_bounded_memory";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let limiter = Limiter::new(&Settings::default(), None);
    let before = resident_kb();
    let client = |at: u128| {
        // Each in a network of 64 bits of its own.
        let address = (0x2001_0db8_u128 << 96) | (at << 64) | 1;
        ClientKey::from(IpAddr::V6(Ipv6Addr::from_bits(address)))
    };
    let mut passed = 0_usize;
    for at in 0..10_000_000 {
        passed += usize::from(limiter.take_unpaid(client(at)).await.is_ok());
    }
    let (sizes, grown) = (limiter.sizes().unpaid, resident_kb() - before);
    assert!(sizes <= tollgate::limit::KEYS_MAX + SHARDS, "{sizes} keys");
    assert!(grown < 64_000, "{grown} kB for {sizes} keys");
    // Those in the table and the bursts of those who share; the other nine million are refused.
    assert!(passed < 1_000_000, "{passed} passed");
    // Those who came first keep what is theirs.
    assert!(limiter.take_unpaid(client(0)).await.is_ok());
}

/// The bound is rounded up for each part of the table.
const SHARDS: usize = 64;

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
