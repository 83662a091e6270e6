//! The log for people: one line for each exchange, which nobody can write for another.

use crate::support::eventually;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

#[tokio::test]
async fn an_exchange_is_one_line_for_people() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).server("access_log = \"human\"").start().await;
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    assert_eq!(gateway.ask("GET", "/%0aGET%20/paid").send().await.status, 400);
    let line = async |what: &str, holds: &[&str]| {
        let holds = |line: &&str| holds.iter().all(|part| line.contains(part));
        let said = async || gateway.said().lines().find(holds).map(str::to_owned);
        eventually(what, said).await
    };
    let paid = line("the paid one", &[" POST /paid 200 paid "]).await;
    for part in [" payer=0x", " amount=50000 network=eip155:84532 transaction=0x", " settle="] {
        assert!(paid.contains(part), "{paid}");
    }
    assert!(paid.starts_with("20") && paid.contains("Z POST"), "{paid}");
    line("the other", &[" GET /%0aGET%20/paid 400 ", " client=127.0.0.1 "]).await;
}

#[test]
fn how_diagnostics_are_written_is_one_of_two_words() {
    let said = |form: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let command = command.arg("check").arg("no/such.toml").env("TOLLGATE_LOG_FORMAT", form);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, why) = said("xml");
    assert_eq!(
        (code, &*why),
        (Some(64), "tollgate: TOLLGATE_LOG_FORMAT is \"xml\": write json or human\n",)
    );
    for form in ["json", "human"] {
        let (code, why) = said(form);
        assert!(code == Some(64) && why.contains("no/such.toml"), "{code:?} {why}");
    }
}
