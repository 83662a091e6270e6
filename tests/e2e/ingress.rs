//! nginx, Caddy, Envoy and Traefik forward by themselves and ask the gateway before they do, as the
//! examples of `deploy/` have them.

mod ext_proc;
mod traefik;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use tokio::net::TcpStream;

use self::ext_proc::EXT_PROC;
use super::chain::Chain;
use super::sdk::{CLIENTS, Client};
use super::{install, own};
use crate::blackbox::refusals::refused;
use crate::support::client::{self, Ask};
use crate::support::eventually;
use crate::support::gateway::{FILE, Gateway};
use crate::support::plan::{JOURNAL, LEDGER};
use crate::support::raw::exchange;
use crate::support::server::{Reply, Seen};
use crate::support::upstream::Upstream;
use crate::support::wallet::{PAY_TO, Wallet};

/// A proxy and its example.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// The file that it is started with first.
    examples: &'static [&'static str],
}

const KINDS: [Kind; 4] = [
    Kind { name: "nginx", examples: &["nginx.conf"] },
    Kind { name: "caddy", examples: &["Caddyfile"] },
    Kind { name: "envoy", examples: &["envoy.yaml"] },
    Kind { name: EXT_PROC, examples: &["envoy-ext-proc.yaml"] },
];

/// All that could be had.
fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().chain(traefik::found())
}

/// A running proxy; killed when dropped.
pub(super) struct Proxy {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Proxy {
    /// The example on a free port, before this gateway and this API. Nothing else is changed.
    async fn start(kind: Kind, gateway: &Gateway, api: SocketAddr) -> Self {
        let address = free();
        let mut texts: Vec<_> = kind.examples.iter().map(|name| example(name)).collect();
        // Where all is told of, the documents for agents are too.
        let pages = (kind.name != EXT_PROC).then_some(("127.0.0.1:8402", gateway.public));
        let usual = [
            ("127.0.0.1:8080", address),
            ("127.0.0.1:9000", api),
            ("127.0.0.1:8403", gateway.check.unwrap()),
        ];
        for (usual, other) in usual.into_iter().chain(pages) {
            let usual: SocketAddr = usual.parse().unwrap();
            let whole = |address: SocketAddr| address.to_string();
            let any_host = |address: SocketAddr| format!("http://:{} ", address.port());
            let port = |address: SocketAddr| format!("port_value: {} ", address.port());
            let spellings = [&whole as &dyn Fn(_) -> _, &any_host, &port];
            let has = |text: &String| spellings.iter().any(|one| text.contains(&one(usual)));
            assert!(texts.iter().any(has), "{} has no {usual}", kind.name);
            for text in &mut texts {
                for spelled in spellings {
                    *text = text.replace(&spelled(usual), &spelled(other));
                }
            }
        }
        let dir = gateway.dir();
        for (name, text) in kind.examples.iter().zip(texts) {
            fs::write(dir.join(name), kind.whole(text)).unwrap();
        }
        let proxy = Self::run(kind.command(dir), address, dir).await;
        if kind.name == "traefik" {
            traefik::is_configured(&proxy).await;
        }
        proxy
    }

    /// Starts a program in this folder, and waits until it listens there.
    pub(super) async fn run(mut command: Command, address: SocketAddr, dir: &Path) -> Self {
        let log = fs::File::create(dir.join("proxy.log")).unwrap();
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut proxy = Self { child: command.spawn().unwrap(), address };
        eventually("it listens", async || {
            let ended = proxy.child.try_wait().unwrap();
            let said = || fs::read_to_string(dir.join("proxy.log")).unwrap();
            assert!(ended.is_none(), "{command:?} did not start:\n{}", said());
            TcpStream::connect(address).await.ok()
        })
        .await;
        proxy
    }

    pub(super) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(&client::client(), method, &self.url(target))
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Kind {
    fn command(self, dir: &Path) -> Command {
        let mut command = match self.name {
            "nginx" => Command::new(program("nginx", "/usr/sbin/nginx")),
            "caddy" => Command::new(program("caddy", "/usr/bin/caddy")),
            "traefik" => traefik::command(),
            _ => Command::new(install::file(ENVOY)),
        };
        match self.name {
            // One process, which is the one that is killed.
            "nginx" => command.arg("-p").arg(dir).args(["-c", "main.conf"]),
            "caddy" => {
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(self.examples[0])
            }
            "traefik" => command.arg("--configFile").arg(self.examples[0]),
            _ => command
                .args(["-c", self.examples[0], "--concurrency", "1", "-l", "warning"])
                .args(["--disable-hot-restart"]),
        };
        command.env("HOME", dir);
        command
    }

    /// The example with what every file of its kind has.
    fn whole(self, text: String) -> String {
        if self.name == "caddy" { format!("{{\n\tadmin off\n}}\n{text}") } else { text }
    }
}

/// Around an example for `http { }`: what a package has in its nginx.conf, in one process.
const NGINX_MAIN: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c;
    uwsgi_temp_path d; scgi_temp_path e;
    include nginx.conf;
}
";

/// A program of the system, or where `tests/run` has put it.
pub(super) fn program(name: &str, usual: &str) -> PathBuf {
    if Path::new(usual).exists() { usual.into() } else { install::file(&format!("bin/{name}")) }
}

/// A port that nobody had a moment ago: these proxies do not say which one they have taken.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/check");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The gateway of the examples, asked by this kind of proxy, on a testnet at the usual price.
async fn gateway(kind: Kind, facilitator: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let mut text = example("gateway.toml");
    let ledger = format!("sqlite://{}", dir.path().join(LEDGER).display());
    for (from, to) in [
        ("127.0.0.1:8402", "127.0.0.1:0"),
        ("127.0.0.1:9402", "127.0.0.1:0"),
        ("127.0.0.1:8403", "127.0.0.1:0"),
        ("asked_by = \"nginx\"", &*format!("asked_by = \"{}\"", kind.name)),
        ("sqlite://tollgate.db", &*ledger),
        ("[networks.base]", "[networks.base-sepolia]"),
        ("networks = [\"base\"]", "networks = [\"base-sepolia\"]"),
        ("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", &*PAY_TO.to_checksum(None)),
        ("\"$0.02\"", "\"$0.05\""),
        (
            "[facilitators.hosted.http]\nurl = \"https://facilitator.example.com\"\n\
          auth.bearer = { env = \"FACILITATOR_TOKEN\" }",
            &*format!("[facilitators.hosted]\n{facilitator}"),
        ),
    ] {
        assert!(text.contains(from), "the example has no {from}");
        text = text.replace(from, to);
    }
    let journal = dir.path().join(JOURNAL).display().to_string();
    fs::write(dir.path().join(FILE), text.replace("JOURNAL", &journal)).unwrap();
    fs::write(dir.path().join("main.conf"), NGINX_MAIN).unwrap();
    Gateway::start(Rc::new(dir)).await
}

const SIMULATED: &str = "simulated = { journal = \"JOURNAL\" }";

/// An API that answers as it is told, with a receipt if it was given one.
pub(super) async fn api() -> Upstream {
    let said = |seen: &Seen| header(seen, "x-status");
    Upstream::answering(move |seen| {
        let reply = match said(seen) {
            Some(status) => Reply::new(status.parse().unwrap()).body("no"),
            None => Reply::new(200).header("content-type", "text/plain").body("served"),
        };
        let receipts = RECEIPTS.map(|name| (name, header(seen, name)));
        receipts.into_iter().fold(reply, |reply, (name, receipt)| match receipt {
            Some(receipt) => reply.header(name, &receipt),
            None => reply,
        })
    })
    .await
}

/// The value of a header, if it is there; never twice.
pub(super) fn header(seen: &Seen, wanted: &str) -> Option<String> {
    let mut found = seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let first = found.next().map(|(_, value)| value.clone());
    assert!(found.next().is_none(), "{wanted} twice");
    first
}

/// Lets a published client pay through the proxy, and gives back the transaction.
pub(super) async fn buys(client: Client, gateway: &Gateway, proxy: &Proxy) -> String {
    let (question, out) = (gateway.dir().join("question"), gateway.dir().join(client.name));
    fs::write(&question, "{}").unwrap();
    let answer = client.post(&proxy.url("/v1/answer"), &question, "application/json", &out).await;
    let transaction = answer.paid_by(client, "text/plain");
    assert_eq!(fs::read_to_string(&out).unwrap(), "served");
    transaction
}

#[tokio::test]
async fn published_clients_pay_through_a_proxy_that_asks() {
    let chain = Chain::start(&CLIENTS.map(Client::payer)).await;
    let facilitator = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    for kind in kinds() {
        let api = api().await;
        let gateway = gateway(kind, &facilitator).await;
        gateway.ready().await;
        let proxy = Proxy::start(kind, &gateway, api.address).await;
        // All of them where the recipe is longest.
        let clients = if kind.name == "nginx" { &CLIENTS[..] } else { &CLIENTS[..2] };
        for client in clients {
            let transaction = buys(*client, &gateway, &proxy).await;
            let paid = own::of(client.payer());
            assert_eq!(chain.transfers(&transaction).await, [paid], "{}", client.name);
            let [seen] = &*api.taken() else { panic!("{}: asked once", kind.name) };
            let header = |wanted: &str| header(seen, wanted);
            assert_eq!((&*seen.method, &*seen.target), ("POST", "/v1/answer"));
            assert_eq!(seen.body, b"{}");
            assert_eq!(header("x-tollgate-payer"), Some(client.payer().to_string()));
            assert_eq!(header("x-tollgate-amount").as_deref(), Some("50000"));
            assert_eq!(header("x-tollgate-network").as_deref(), Some("eip155:84532"));
            for proof in ["payment-signature", "x-payment", "x-tollgate-answer"] {
                assert_eq!(header(proof), None, "{} {proof}", kind.name);
            }
            let told = RECEIPTS.iter().any(|name| header(name).is_some());
            assert_eq!(told, kind.name == "traefik");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_asks_forwards_what_is_paid_for_once() {
    for kind in kinds() {
        let api = api().await;
        let gateway = gateway(kind, SIMULATED).await;
        let proxy = Proxy::start(kind, &gateway, api.address).await;
        let unpaid = proxy.ask("POST", "/v1/answer").body("{}").send().await;
        refused(&unpaid, "payment_required");
        let url = &unpaid.object("payment-required")["resource"]["url"];
        assert_eq!(url, "https://api.example.com/v1/answer", "{}", kind.name);

        // A body that is not read by whoever is asked, and a query that is passed on as it is.
        let payment = Wallet::new(1).pays();
        let body = vec![b'x'; 3_000_000];
        let target = "/v1/answer?a=%20&b=%2F";
        let paid = proxy.ask("POST", target).pays(&payment).body(body.clone()).send().await;
        assert_eq!((paid.status, &*paid.text()), (200, "served"), "{}", kind.name);
        assert_eq!(paid.object("payment-response")["success"], true);
        let [seen] = &*api.taken() else { panic!("asked once") };
        assert_eq!((&*seen.target, seen.body.len()), (target, body.len()));

        let again = proxy.ask("POST", target).pays(&payment).send().await;
        refused(&again, "payment_used");
        assert_eq!(gateway.transfers().len(), 1);

        // What the API says of a request is its own affair, and paid for where nobody tells of it.
        for status in ["401", "402", "404", "500"] {
            let payment = Wallet::new(1).pays();
            let ask = proxy.ask("POST", "/v1/answer").pays(&payment).header("x-status", status);
            let failed = ask.send().await;
            assert_eq!((failed.status.to_string(), &*failed.text()), (status.into(), "no"));
            if kind.name == EXT_PROC {
                assert!(!failed.headers.contains_key("payment-response"));
                gateway.comes_to(&payment, "released").await;
                continue;
            }
            assert_eq!(failed.object("payment-response")["success"], true, "{}", kind.name);
            assert_eq!(gateway.state(&payment).await, "settled");
        }
        api.taken();
        let open = proxy.ask("GET", "/status").send().await;
        assert_eq!((open.status, &*open.text()), (200, "served"));
        assert!(!open.headers.contains_key("payment-response"));
        let head = proxy.ask("HEAD", "/status").send().await;
        assert_eq!(head.status, 200);
        assert_eq!(api.taken().len(), 2);
        let document = proxy.ask("GET", "/openapi.json").send().await;
        assert!(document.json()["paths"]["/v1/answer"]["post"].is_object());
        assert!(api.taken().is_empty());
    }
}

/// Whatever a client says of its request, it gets what the request line asks for.
#[tokio::test]
async fn clients_of_a_proxy_that_asks_get_around_nothing() {
    for kind in kinds() {
        let api = api().await;
        let gateway = gateway(kind, SIMULATED).await;
        let proxy = Proxy::start(kind, &gateway, api.address).await;
        for (name, value) in [
            ("x-original-url", "http://a/status"),
            ("x-original-uri", "/status"),
            ("x-original-method", "GET"),
            ("x-forwarded-uri", "/status"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-host", "free.example.com"),
            ("x-rewrite-url", "/status"),
            ("x-http-method-override", "GET"),
            ("x-tollgate-payer", "me"),
            ("x-tollgate-answer", "eyJzdGF0dXMiOjIwMCwiaGVhZGVycyI6W10sImJvZHkiOiIifQ=="),
            ("x-envoy-original-path", "/status"),
            ("x-forwarded-for", "127.0.0.1"),
        ] {
            let ask = proxy.ask("POST", "/v1/answer").header(name, value);
            let status = ask.send().await.status;
            assert!(matches!(status, 400 | 402), "{} {name}: {status}", kind.name);
        }
        let host = "Host: a\r\nConnection: close\r\n\r\n";
        for request in [
            format!("GET //status HTTP/1.1\r\n{host}"),
            format!("GET /%73tatus HTTP/1.1\r\n{host}"),
            format!("GET /v1/../status HTTP/1.1\r\n{host}"),
            format!("GET /v1/answer HTTP/1.1\r\n{host}"),
            format!("POST /status HTTP/1.1\r\n{host}"),
            "GET /v1/answer HTTP/1.1\r\nHost: a?/status\r\nConnection: close\r\n\r\n".to_owned(),
            "POST /v1/answer HTTP/1.1\r\nHost: a/status?\r\nConnection: close\r\n\r\n".to_owned(),
            "POST /v1/answer HTTP/1.1\r\nHost: a#\r\nConnection: close\r\n\r\n".to_owned(),
            format!("OPTIONS /v1/answer HTTP/1.1\r\n{host}"),
            format!("GET /_tollgate/ask HTTP/1.1\r\n{host}"),
            format!("GET /_tollgate/answer HTTP/1.1\r\nX-Tollgate-Answer: a\r\n{host}"),
        ] {
            if kind.name == "traefik" && traefik::cleans(&request) {
                continue;
            }
            if let Some((status, text)) = exchange(proxy.address, &request).await {
                // A preflight is answered for the API where it does not pass.
                let preflight = kind.name == EXT_PROC && status == 204;
                assert!(status >= 400 || preflight, "{} {request}\n{text}", kind.name);
            }
        }
        assert!(api.seen().is_empty(), "{} {:?}", kind.name, api.seen());
    }
}

/// Where nobody answers what is asked, nothing is forwarded.
#[tokio::test]
async fn without_a_gateway_a_proxy_that_asks_forwards_nothing() {
    for kind in kinds() {
        let api = api().await;
        let mut gateway = gateway(kind, SIMULATED).await;
        let proxy = Proxy::start(kind, &gateway, api.address).await;
        gateway.terminate();
        gateway.ended().await;
        for target in ["/status", "/v1/answer"] {
            let answer = proxy.ask("GET", target).send().await;
            assert!(matches!(answer.status, 403 | 500..), "{} {answer:?}", kind.name);
        }
        assert!(api.seen().is_empty());
    }
}

const RECEIPTS: [&str; 2] = ["payment-response", "x-payment-response"];
const ENVOY: &str = ".venv-envoy/bin/envoy";
