//! Prices by network and by request: what a 402 asks, and what is taken for it.

use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{AMOY, PAY_TO, Payment, Wallet};

const RULES: &str = r#"
price = "$0.01"
networks = ["base-sepolia"]
price_rules = [
    { query = "hd", is = "1", price = "$0.02" },
    { header = "x-tier", is = "gold", price = "$0.03" },
    { body = "mode", is = "expert", price = "$0.05" },
]"#;

fn plan(upstream: &Upstream) -> Plan {
    Plan::to(upstream.address).route("match = \"POST /ruled\"", RULES)
}

fn ask(gateway: &Gateway, query: &str, body: &str) -> Ask {
    let ask = gateway.ask("POST", &format!("/ruled{query}"));
    ask.header("content-type", "application/json").body(body.to_owned())
}

/// What a 402 asks, in both versions.
fn asked(answer: &Answer) -> String {
    assert_eq!(answer.status, 402, "{answer:?}");
    let (header, body) = (answer.object("payment-required"), answer.json());
    assert_eq!(header["accepts"][0]["amount"], body["accepts"][0]["maxAmountRequired"]);
    header["accepts"][0]["amount"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_network_has_its_own_price_and_any_of_them_is_taken() {
    let upstream = Upstream::start().await;
    let section = format!(
        "[networks.polygon-amoy]\npay_to = \"{PAY_TO}\"\nfacilitator = \"peer\"\n\
         [networks.coarse]\npay_to = \"{PAY_TO}\"\nfacilitator = \"peer\"\nworth = \"testnet\"\n\
         chain_id = 84532\nasset = \"{PAY_TO}\"\ndecimals = 2\n\
         eip712 = {{ name = \"Coarse\", version = \"1\" }}"
    );
    let price = "price = { base-sepolia = \"$0.05\", polygon-amoy = \"$0.06\", coarse = \"$7\" }\n\
                 networks = [\"base-sepolia\", \"polygon-amoy\", \"coarse\"]";
    let plan = Plan::to(upstream.address).section(&section);
    let gateway = plan.route("match = \"POST /each\"", price).start().await;
    let answer = gateway.ask("POST", "/each").send().await;
    let accepts = answer.object("payment-required")["accepts"].clone();
    let told = |at: usize, key: &str| accepts[at][key].as_str().unwrap().to_owned();
    let offers: Vec<_> = (0..3).map(|at| (told(at, "network"), told(at, "amount"))).collect();
    let expected = [("eip155:84532", "50000"), ("eip155:80002", "60000"), ("eip155:84532", "700")];
    assert_eq!(offers, expected.map(|(network, amount)| (network.to_owned(), amount.to_owned())));

    let pays = async |payment| gateway.ask("POST", "/each").pays(&payment).send().await;
    assert_eq!(pays(Wallet::new(1).pays_units(50_000)).await.status, 200);
    assert_eq!(pays(Wallet::new(1).pays_at(AMOY, 60_000)).await.status, 200);
    refused(&pays(Wallet::new(1).pays_at(AMOY, 50_000)).await, "payment_invalid");
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn the_first_rule_that_is_met_sets_the_price_of_the_402_and_of_the_payment() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let expert = r#"{"mode":"expert"}"#;
    for (query, tier, body, amount) in [
        ("", "", "{}", 10_000),
        ("", "", "", 10_000),
        ("?hd=1", "gold", expert, 20_000),
        ("?hd=0", "gold", expert, 30_000),
        ("", "iron", expert, 50_000),
        ("", "", r#"{"a":1,"mode":"fast"}"#, 10_000),
    ] {
        let ask = || match tier {
            "" => ask(&gateway, query, body),
            tier => ask(&gateway, query, body).header("x-tier", tier),
        };
        assert_eq!(asked(&ask().send().await), amount.to_string(), "{query} {tier} {body}");
        let payment = Wallet::new(1).pays_units(amount);
        assert_eq!(ask().pays(&payment).send().await.status, 200);
        assert_eq!(gateway.comes_to(&payment, "settled").await.amount(), amount);
        assert_eq!(upstream.seen().last().unwrap().body, body.as_bytes());
        assert_eq!(ask().pays_v1(&Wallet::new(2).pays_units(amount)).send().await.status, 200);
        let other = Wallet::new(1).pays_units(if amount == 10_000 { 20_000 } else { 10_000 });
        refused(&ask().pays(&other).send().await, "payment_invalid");
        assert_eq!(ask().pays_v1(&other).send().await.status, 402);
        assert_eq!(gateway.state(&other).await, "none");
    }
    assert_eq!(upstream.seen().len(), 12);
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_told_a_price_and_never_sold() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays_units(10_000);
    for (query, body, code) in [
        ("", r#"{"mode":"fast","mode":"expert"}"#, "bad_request"),
        ("", r#"{"mode":"fast","Mode":"expert"}"#, "bad_request"),
        ("", "{\"mode\":", "bad_request"),
        ("?hd=0&hd=1", "{}", "bad_request"),
        ("?HD=1", "{}", "bad_request"),
    ] {
        assert_eq!(asked(&ask(&gateway, query, body).send().await), "10000", "{query} {body}");
        refused(&ask(&gateway, query, body).pays(&payment).send().await, code);
    }
    let form = || gateway.ask("POST", "/ruled").header("content-type", "text/plain").body("{}");
    assert_eq!(asked(&form().send().await), "10000");
    refused(&form().pays(&payment).send().await, "unsupported_media_type");
    assert_eq!((upstream.seen().len(), &*gateway.state(&payment).await), (0, "none"));
    assert_eq!(ask(&gateway, "", "{}").pays(&payment).send().await.status, 200);
}

#[tokio::test]
async fn a_body_that_was_read_first_goes_on_whole_up_to_its_bound() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let filled = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let (whole, longer) = (filled(64 * 1024), filled(64 * 1024 + 1));
    assert_eq!(asked(&ask(&gateway, "", &longer).send().await), "10000");
    let payment = Wallet::new(1).pays_units(10_000);
    refused(&ask(&gateway, "", &longer).pays(&payment).send().await, "body_too_large");
    let first = ask(&gateway, "", &whole).pays(&payment).send().await;
    assert_eq!(first.status, 200);
    assert_eq!(upstream.seen().last().unwrap().body, whole.as_bytes());
    // It comes back: the same body gets the same answer, another one does not.
    let again = ask(&gateway, "", &whole).pays(&payment).send().await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    refused(&ask(&gateway, "", "{}").pays(&payment).send().await, "payment_used");
    assert_eq!(upstream.seen().len(), 1);
    // Sent in pieces of unknown number, and without a single one.
    let chunked = |payment: Option<&Payment>, chunks: &str| {
        let paid = payment.map(|payment| format!("PAYMENT-SIGNATURE: {}\r\n", payment.v2()));
        format!(
            "POST /ruled HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{}\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}0\r\n\r\n",
            paid.unwrap_or_default(),
        )
    };
    let (expert, chunks) =
        (Wallet::new(1).pays_units(50_000), "7\r\n{\"mode\"\r\na\r\n:\"expert\"}\r\n");
    let status = async |request: &str| raw::exchange(gateway.public, request).await.unwrap().0;
    assert_eq!(status(&chunked(None, chunks)).await, 402);
    assert_eq!(status(&chunked(Some(&expert), "")).await, 400);
    assert_eq!(status(&chunked(Some(&expert), chunks)).await, 200);
    assert_eq!(upstream.seen().last().unwrap().body, br#"{"mode":"expert"}"#);
}

#[tokio::test]
async fn what_is_owed_for_one_price_is_not_given_for_another() {
    let mut upstream = Server::start().await;
    let rules = format!("{RULES}\nsettle = \"before-upstream\"");
    let plan = Plan::to(upstream.address).route("match = \"POST /ruled\"", &rules);
    let gateway = plan.start().await;
    let payment = Wallet::new(1).pays_units(10_000);
    let asking = ask(&gateway, "", "{}").pays(&payment).send();
    let fails = async { upstream.call().await.answer(Reply::new(500)).await };
    let (answer, _) = tokio::join!(asking, fails);
    refused(&answer, "paid_not_served");
    let expert = r#"{"mode":"expert"}"#;
    refused(&ask(&gateway, "", expert).pays(&payment).send().await, "payment_used");
    let asking = ask(&gateway, "", r#"{"mode":"fast"}"#).pays(&payment).send();
    let serves = async { upstream.call().await.answer(Reply::new(200)).await };
    let (answer, _) = tokio::join!(asking, serves);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_rule_keeps_its_old_price_for_a_while_after_a_reload() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let expert = r#"{"mode":"expert"}"#;
    // The other route costs $0.05 too.
    let dearer = |text: String| {
        text.replace("\"expert\", price = \"$0.05\"", "\"expert\", price = \"$0.09\"")
    };
    assert_eq!(gateway.reloaded(dearer).await.0, 200);
    assert_eq!(asked(&ask(&gateway, "", expert).send().await), "90000");
    let old = Wallet::new(1).pays_units(50_000);
    assert_eq!(ask(&gateway, "", expert).pays(&old).send().await.status, 200);
    let fast = Wallet::new(1).pays_units(10_000);
    refused(&ask(&gateway, "", expert).pays(&fast).send().await, "payment_invalid");
}

#[tokio::test]
async fn check_says_each_price() {
    let upstream = Upstream::start().await;
    let dir = plan(&upstream).folder();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = command.arg("check").arg(dir.path().join("gateway.toml")).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().map(str::trim_end).collect();
    let at = lines.iter().position(|line| *line == "POST /ruled").expect("the route");
    let mut lines = lines[at..].iter();
    for wanted in [
        "  where      query hd is \"1\"",
        "  price      $0.02 on base-sepolia (eip155:84532)",
        "  where      header x-tier is \"gold\"",
        "  price      $0.03 on base-sepolia (eip155:84532)",
        "  where      body mode is \"expert\"",
        "  price      $0.05 on base-sepolia (eip155:84532)",
        "  otherwise",
        "  price      $0.01 on base-sepolia (eip155:84532)",
    ] {
        assert!(lines.any(|line| *line == wanted), "{wanted}\n---\n{said}");
    }
}
