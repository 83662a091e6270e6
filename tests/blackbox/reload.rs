//! A configuration that changes while the gateway runs: taken over whole, or not at all.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

fn dearer(text: String) -> String {
    assert!(text.contains("price = \"$0.05\""));
    text.replace("price = \"$0.05\"", "price = \"$0.07\"")
}

async fn unpaid(gateway: &Gateway) -> Answer {
    gateway.ask("POST", "/paid").send().await
}

async fn price(gateway: &Gateway) -> String {
    let terms = unpaid(gateway).await.object("payment-required");
    terms["accepts"][0]["amount"].as_str().unwrap().to_owned()
}

async fn stale(gateway: &Gateway) -> String {
    gateway.metric("tollgate_configuration_stale").await.unwrap()
}

#[tokio::test]
async fn a_price_that_rose_is_told_at_once_and_the_old_one_is_taken_for_a_while() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    assert_eq!(price(&gateway).await, "50000");
    let (status, said) = gateway.reloaded(dearer).await;
    assert_eq!((status, said.as_str()), (200, "reloaded: 2 routes, 0 warnings\n"));
    assert_eq!(price(&gateway).await, "70000");
    for (wallet, first) in [(1, true), (2, false)] {
        let payment = Wallet::new(wallet).pays();
        let ask = gateway.ask("POST", "/paid");
        let paid = if first { ask.pays(&payment) } else { ask.pays_v1(&payment) };
        assert_eq!(paid.send().await.status, 200);
        assert_eq!(gateway.comes_to(&payment, "settled").await.amount(), 50_000);
    }
    // A second reload does not make the grace longer, nor forget it.
    assert_eq!(gateway.reloaded(|text| text.replace("$0.07", "$0.08")).await.0, 200);
    assert_eq!(price(&gateway).await, "80000");
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
}

#[tokio::test]
async fn without_grace_only_the_price_of_now_is_taken() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).server("price_grace = \"0s\"").start().await;
    assert_eq!(gateway.reloaded(dearer).await.0, 200);
    let (payment, other) = (Wallet::new(1).pays(), Wallet::new(1).pays());
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "payment_invalid");
    let answer = gateway.ask("POST", "/paid").pays_v1(&other).send().await;
    refused(&answer, "payment_invalid");
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_file_with_a_mistake_changes_nothing_and_is_told() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    assert_eq!(stale(&gateway).await, "0");
    let (status, said) = gateway.reloaded(|text| text.replace("$0.05", "0.07")).await;
    assert_eq!(status, 409);
    assert!(said.contains("price = \"0.07\"") && said.contains("^^^^"), "{said}");
    assert_eq!((price(&gateway).await.as_str(), stale(&gateway).await.as_str()), ("50000", "1"));
    assert_eq!(gateway.reloaded(|text| text.replace("0.07", "$0.07")).await.0, 200);
    assert_eq!((price(&gateway).await.as_str(), stale(&gateway).await.as_str()), ("70000", "0"));
    let reloads = async |outcome| {
        gateway.metric(&format!("tollgate_reloads_total{{outcome=\"{outcome}\"}}")).await
    };
    assert_eq!(reloads("done").await.as_deref(), Some("1"));
    assert_eq!(reloads("refused").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_is_read_at_the_start_only_is_named() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let before = std::fs::read_to_string(gateway.file()).unwrap();
    let grace = |text: String| text.replace("[server]", "[server]\ngrace = \"7s\"");
    let (status, said) = gateway.reloaded(|text| dearer(grace(text))).await;
    assert_eq!(status, 409);
    assert!(said.starts_with("[server] changed"), "{said}");
    assert_eq!(price(&gateway).await, "50000", "and nothing else is taken over");
    let (status, _) = gateway.reloaded(|_| dearer(before)).await;
    assert_eq!(status, 200);
    assert_eq!(price(&gateway).await, "70000");
}

#[tokio::test]
async fn requests_go_to_the_new_upstream_and_a_stream_stays_with_the_old_one() {
    let (mut old, new) = (Server::start().await, Upstream::start().await);
    let gateway = Plan::to(old.address).start().await;
    let payment = Wallet::new(1).pays();
    let open = gateway.ask("POST", "/paid").pays(&payment).open();
    let begin = async {
        let mut stream = old.call().await.stream(Reply::new(200)).await;
        stream.send("one ").await;
        stream
    };
    let (answer, mut stream) = tokio::join!(open, begin);
    let (from, to) = (old.address.to_string(), new.address.to_string());
    let (status, said) = gateway.reloaded(|text| text.replace(&from, &to)).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    assert_eq!((new.seen().len(), old.count()), (1, 1));
    stream.send("two").await;
    stream.end().await;
    assert_eq!(answer.text().await.unwrap(), "one two");
    assert_eq!(gateway.state(&payment).await, "settled");
}

#[tokio::test]
async fn a_reload_refills_no_bucket_and_takes_a_new_rate() {
    let upstream = Upstream::start().await;
    let limits = "unpaid = { rate = \"3/h\", by = \"ip\" }\nrefused = \"off\"";
    let gateway = Plan::to(upstream.address).limits(limits).start().await;
    for _ in 0..3 {
        refused(&unpaid(&gateway).await, "payment_required");
    }
    assert_eq!(gateway.reloaded(dearer).await.0, 200);
    refused(&unpaid(&gateway).await, "rate_limit_exceeded");
    assert_eq!(gateway.reloaded(|text| text.replace("3/h", "5/h")).await.0, 200);
    refused(&unpaid(&gateway).await, "payment_required");
}

#[tokio::test]
async fn a_signal_and_a_changed_file_ask_for_it_too() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    gateway.rewritten(dearer);
    assert_eq!(price(&gateway).await, "50000", "nobody has asked");
    gateway.hang_up();
    let becomes = async |gateway: &Gateway, units: &str| {
        eventually("the new price", async || (price(gateway).await == units).then_some(())).await;
    };
    becomes(&gateway, "70000").await;

    let gateway = Plan::to(upstream.address).server("watch = \"on\"").start().await;
    gateway.rewritten(dearer);
    becomes(&gateway, "70000").await;
}

/// A mount may bring them later than the file that names them.
#[tokio::test]
async fn files_that_are_named_before_they_are_there_are_waited_for() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).server("watch = \"on\"").start().await;
    let becomes = async |what: &str| {
        eventually(what, async || (stale(&gateway).await == what).then_some(())).await;
    };
    let document = "price = \"$0.07\"\nopenapi = \"api.yaml\"";
    let list = "[block]\naddresses_file = \"blocked.txt\"";
    gateway.rewritten(|text| {
        format!("{}\n{list}", dearer(text).replace("price = \"$0.07\"", document))
    });
    becomes("1").await;
    assert_eq!(price(&gateway).await, "50000");
    std::fs::write(gateway.dir().join("blocked.txt"), "192.0.2.0/24\n").unwrap();
    let yaml = "openapi: 3.1.0\npaths:\n  /paid:\n    get: {}\n    post: {}\n";
    std::fs::write(gateway.dir().join("api.yaml"), yaml).unwrap();
    becomes("0").await;
    assert_eq!(price(&gateway).await, "70000");
}

/// A mount of secrets changes its files when one is rotated.
#[tokio::test]
async fn a_secret_that_is_rotated_in_its_file_is_told_from_then_on() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address)
        .server("watch = \"on\"")
        .upstream("headers = { authorization = { file = \"token\" } }")
        .start_after(|folder| std::fs::write(folder.join("token"), "Bearer old\n").unwrap())
        .await;
    let told = async || {
        assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
        upstream
            .taken()
            .iter()
            .map(|seen| seen.header("authorization").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told().await, ["Bearer old"]);
    std::fs::write(gateway.dir().join("token"), "Bearer new\n").unwrap();
    eventually("the new secret", async || (told().await == ["Bearer new"]).then_some(())).await;
}

/// An upstream that is gone is not down: an alert on it would never end.
#[tokio::test]
async fn what_a_reload_takes_away_is_told_of_no_more() {
    let upstream = Upstream::start().await;
    let old = "[upstreams.old]\nurl = \"http://nowhere.invalid:9000\"";
    let class = "class.slow = { rate = \"1/s\", by = \"payer\" }";
    let limits = format!("unpaid = \"off\"\nrefused = \"off\"\n{class}");
    let gateway = Plan::to(upstream.address).limits(&limits).section(old).start().await;
    let up =
        async |name| gateway.metric(&format!("tollgate_upstream_up{{upstream=\"{name}\"}}")).await;
    let told = async |name, value: Option<&str>| {
        eventually(name, async || (up(name).await.as_deref() == value).then_some(())).await;
    };
    let slow = "tollgate_limiter_keys{table=\"slow\"}";
    told("old", Some("0")).await;
    assert_eq!(gateway.metric(slow).await.as_deref(), Some("0"));
    let (status, said) = gateway.reloaded(|text| text.replace(old, "").replace(class, "")).await;
    assert_eq!(status, 200, "{said}");
    told("old", None).await;
    told("api", Some("1")).await;
    eventually("the class is gone", async || gateway.metric(slow).await.is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn no_request_fails_while_the_configuration_changes() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let over = AtomicBool::new(false);
    let pays = async |wallet: u8| {
        for _ in 0..20 {
            // Its price is the one of now or of a moment ago.
            let payment = Wallet::new(wallet).pays();
            let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
        }
    };
    let requests = async {
        tokio::join!(pays(1), pays(2));
        over.store(true, Ordering::Relaxed);
    };
    let reloads = async {
        let mut done = 0;
        while !over.load(Ordering::Relaxed) {
            let price = ["$0.05", "$0.06"];
            let (from, to) = (price[done % 2], price[(done + 1) % 2]);
            let (status, said) = gateway.reloaded(|text| text.replace(from, to)).await;
            assert_eq!(status, 200, "{said}");
            done += 1;
        }
        done
    };
    let ((), done) = tokio::join!(requests, reloads);
    assert!(done >= 10, "{done}");
    assert_eq!(upstream.seen().len(), 80);
}

#[tokio::test]
async fn the_command_says_what_became_of_it() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let command = |admin: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("reload").arg(gateway.file()).arg("--admin").arg(admin);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    gateway.rewritten(dearer);
    let done = command(&gateway.admin.to_string()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "reloaded: 2 routes, 0 warnings\n");
    assert!(done.status.success());
    gateway.rewritten(|text| text.replace("$0.07", "dear"));
    let refused = command(&gateway.admin.to_string()).await.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("\"dear\""));
    let nobody = command("127.0.0.1:1").await.unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no gateway answers"));

    for path in ["/reload", "/upgrade"] {
        let url = format!("http://{}{path}", gateway.admin);
        let client = crate::support::client::client();
        let ask = || crate::support::client::Ask::new(&client, "POST", &url);
        assert_eq!(ask().send().await.status, 403, "a page of a browser could send this");
        let other = ask().header("x-tollgate-other", "yes").send().await;
        assert_eq!(other.status, 403, "{path}");
        assert_eq!(gateway.admin(path).await.0, 405);
    }
}
