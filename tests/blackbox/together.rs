//! Two gateways on one Redis let through what one would; without it, each lets its part through.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// Rates that give nothing back while a test runs. On a busy machine a Redis is slow, not away.
fn plan(upstream: SocketAddr, store: &str) -> Plan {
    let limits = format!(
        r#"
unpaid = {{ rate = "20/h", by = "ip" }}
refused = {{ rate = "8/h", by = "ip" }}
class.ai = {{ rate = "6/h", by = "payer" }}
store = "{store}"
timeout = "20s"
replicas = 2"#
    );
    let ai = format!("{PRICED}\nclass = \"ai\"");
    Plan::to(upstream).limits(&limits).route("match = \"POST /ai\"", &ai)
}

/// Answers to so many requests at once, in turn at each of them.
async fn at_once(
    gateways: &[&Gateway],
    requests: usize,
    path: &str,
    payer: Option<u8>,
) -> Vec<Answer> {
    let mut asked = JoinSet::new();
    for gateway in gateways.iter().cycle().take(requests) {
        let ask = gateway.ask("POST", path);
        let ask = match payer {
            Some(payer) => ask.pays(&Wallet::new(payer).pays()),
            None => ask,
        };
        asked.spawn(ask.send());
    }
    asked.join_all().await
}

/// How many were not stopped by a limit; nothing else happens to anybody.
fn passed(answers: &[Answer], status: u16) -> usize {
    for answer in answers.iter().filter(|answer| answer.status != status) {
        refused(answer, "rate_limit_exceeded");
    }
    answers.iter().filter(|answer| answer.status == status).count()
}

async fn shared(gateway: &Gateway, value: &str) {
    let name = "tollgate_limits_shared{store=\"redis\"}";
    let is_so = async || gateway.metric(name).await.filter(|found| found == value);
    eventually("the metric of shared limits", is_so).await;
}

#[tokio::test]
async fn two_gateways_let_through_what_one_would() {
    let (upstream, redis) = (Upstream::start().await, Redis::start());
    let plan = || plan(upstream.address, &redis.url());
    let (one, two) = (plan().start().await, plan().start().await);
    let both = [&one, &two];

    let unpaid = at_once(&both, 60, "/paid", None).await;
    assert_eq!(passed(&unpaid, 402), 20, "by address");
    let last = unpaid.iter().find(|answer| answer.status == 429).unwrap();
    let wait: u64 = last.header("retry-after").parse().unwrap();
    assert!((170..=180).contains(&wait), "one in three minutes: {wait}");
    assert_eq!(last.header("ratelimit-policy"), "\"unpaid\";q=20;w=3600");

    // A payment is tried at most eight times at once, and a good one is given back each time.
    for _ in 0..4 {
        let paid = at_once(&both, 4, "/ai", Some(1)).await;
        passed(&paid, 200);
    }
    let by_payer = upstream.seen().iter().filter(|seen| seen.target == "/ai").count();
    assert_eq!(by_payer, 6, "by payer");
    let other = one.ask("POST", "/ai").pays(&Wallet::new(2).pays()).send().await;
    assert_eq!(other.status, 200, "another payer has its own");
    // Seven payments have settled: each has earned one request, at whichever gateway.
    assert_eq!(passed(&at_once(&both, 30, "/paid", None).await, 402), 7);

    let bad = async |gateway: &Gateway| {
        let forged = Wallet::new(3).pays().then(|payment| payment.signed.signature[5] ^= 1);
        gateway.ask("POST", "/paid").pays(&forged).send().await
    };
    let mut tried = Vec::new();
    for _ in 0..6 {
        tried.extend([bad(&one).await, bad(&two).await]);
    }
    let stopped = tried.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(stopped, 4, "eight are looked at");
    shared(&one, "1").await;
    assert_eq!(two.admin("/readyz").await, (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn who_is_left_without_redis_takes_its_part_and_comes_back() {
    let (upstream, redis) = (Upstream::start().await, Redis::start());
    let plan = || plan(upstream.address, &redis.url());
    let (one, two) = (plan().start().await, plan().start().await);
    shared(&one, "1").await;
    shared(&two, "1").await;
    assert_eq!(passed(&at_once(&[&one, &two], 8, "/paid", None).await, 402), 8);

    // Killed in the middle: whoever asks then is told what limits say, and nothing else.
    let both = [&one, &two];
    let asked = at_once(&both, 80, "/paid", None);
    let killed = async { redis.killed() };
    let (answers, dead) = tokio::join!(asked, killed);
    passed(&answers, 402);
    for gateway in [&one, &two] {
        passed(&at_once(&[gateway], 30, "/paid", None).await, 402);
        shared(gateway, "0").await;
        eventually("a line behind `ready`", async || {
            let (status, text) = gateway.admin("/readyz").await;
            assert_eq!(status, 200, "{text}");
            text.contains("Redis is away").then_some(())
        })
        .await;
        let warned = gateway.said().matches("limits are this gateway's own").count();
        assert_eq!(warned, 1, "one line for each change");
    }
    // By now each has given its part away, and nothing more.
    assert_eq!(passed(&at_once(&[&one, &two], 30, "/paid", None).await, 402), 0);
    let paid = one.ask("POST", "/paid").pays(&Wallet::new(4).pays()).send().await;
    assert_eq!(paid.status, 200);

    let _redis = dead.comes_back();
    shared(&one, "1").await;
    shared(&two, "1").await;
    assert_eq!(passed(&at_once(&[&one, &two], 60, "/paid", None).await, 402), 20);
    assert_eq!(one.said().matches("limits are shared with other gateways again").count(), 1);
}

/// Each gateway alone lets half of twenty through.
#[tokio::test]
async fn a_gateway_starts_without_redis_and_with_its_part() {
    let upstream = Upstream::start().await;
    // Nobody answers here.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("redis://{}", silent.local_addr().unwrap());
    let gateway = plan(upstream.address, &place).start().await;
    let began = Instant::now();
    assert_eq!(passed(&at_once(&[&gateway], 40, "/paid", None).await, 402), 10);
    assert!(began.elapsed() < Duration::from_secs(15), "nobody waits for who never answered");
    shared(&gateway, "0").await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_once() {
    let (upstream, redis) = (Upstream::start().await, Redis::start());
    let limits = format!(
        "unpaid = {{ rate = \"1000/h\", by = \"ip\" }}\nstore = \"{}\"\ntimeout = \"2s\"",
        redis.url()
    );
    let gateway = Plan::to(upstream.address).limits(&limits).start().await;
    shared(&gateway, "1").await;
    redis.hangs();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(gateway.ask("POST", "/paid").send().await.status, 402);
    }
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(2) || gateway.said().contains("own"), "{waited:?}");
    assert!(waited < Duration::from_secs(12), "every request has waited: {waited:?}");
    shared(&gateway, "0").await;
    redis.goes_on();
    shared(&gateway, "1").await;
}

#[tokio::test]
async fn check_says_where_limits_are_and_whether_they_can_be_shared() {
    let (upstream, redis) = (Upstream::start().await, Redis::with_password("hunter2"));
    let check = |url: String, options: &[&str]| {
        let store = "store = { env = \"LIMITS\" }";
        let dir = Plan::to(upstream.address).limits(store).folder();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("check").args(options).arg(dir.path().join("gateway.toml"));
        let output = command.env("LIMITS", url).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains("hunter2") && !said.contains("swordfish"), "{said}");
        (output.status.success(), said)
    };
    let (good, said) = check(redis.url(), &[]);
    assert!(good && said.contains(&format!("shared   in {}", redis.place())), "{said}");
    let (good, said) = check(redis.url(), &["--online"]);
    assert!(good && said.contains("gateways count together"), "{said}");
    let wrong = redis.url().replace("hunter2", "swordfish");
    let (good, said) = check(wrong, &["--online"]);
    assert!(!good && said.contains("each gateway would count for itself"), "{said}");
}
