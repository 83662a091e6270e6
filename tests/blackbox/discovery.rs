//! What agents find: the documents over the wire, beside and below the routes.

use std::fs;

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::example::{Demo, gateway};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;

const PAGES: [(&str, &str); 3] = [
    ("/openapi.json", "application/json"),
    ("/.well-known/x402", "application/json"),
    ("/llms.txt", "text/markdown; charset=utf-8"),
];

async fn get(gateway: &Gateway, path: &str) -> Answer {
    gateway.ask("GET", path).send().await
}

#[tokio::test]
async fn each_document_is_free_cacheable_and_readable_from_any_origin() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for (path, media_type) in PAGES {
        let page = get(&gateway, path).await;
        assert_eq!((page.status, page.header("content-type")), (200, media_type), "{path}");
        assert_eq!(page.header("cache-control"), "public, max-age=60");
        assert_eq!(page.header("access-control-allow-origin"), "*");
        let head = gateway.ask("HEAD", path).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), page.body.len().to_string());
        let etag = page.header("etag");
        for known in [etag, &format!("W/\"x\", W/{etag}")] {
            let again = gateway.ask("GET", path).header("if-none-match", known).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
        }
        let other = gateway.ask("GET", path).header("if-none-match", "\"x\"").send().await;
        assert_eq!(other.status, 200);
        let options = gateway.ask("OPTIONS", path).send().await;
        assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
        let post = gateway.ask("POST", path).send().await;
        assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn an_agent_finds_every_priced_url_and_what_it_costs() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("assistant.toml", &demo, &facilitator).await;
    let urls = get(&gateway, "/.well-known/x402").await.json();
    let urls: Vec<_> = urls["resources"].as_array().unwrap().clone();
    let document = get(&gateway, "/openapi.json").await.json();
    let origin = document["servers"][0]["url"].as_str().unwrap();
    assert_eq!(urls.len(), document["paths"].as_object().unwrap().len());
    for url in urls {
        let path = url.as_str().unwrap().strip_prefix(origin).unwrap();
        let operation = &document["paths"][path]["post"];
        let refused = &operation["responses"]["402"]["$ref"];
        assert_eq!(refused, "#/components/responses/Tollgate402Assistant");
        let unpaid = gateway.ask("POST", path).send().await;
        let told = unpaid.json();
        let price = &operation["x-payment-info"]["price"];
        let asked = &told["paymentInstructions"]["amount"];
        assert!(price["amount"] == *asked || price["max"] == *asked, "{path}: {price} {asked}");
    }
    assert!(get(&gateway, "/llms.txt").await.text().contains("/x402/chat"));
}

#[tokio::test]
async fn a_route_keeps_its_path_unless_the_documents_are_served_always() {
    let upstream = Upstream::start().await;
    let plan = || Plan::to(upstream.address).route("match = \"GET /*\"", "price = \"free\"");
    let shadowed = plan().start().await;
    assert_eq!(get(&shadowed, "/openapi.json").await.status, 200);
    assert_eq!(upstream.seen().len(), 1, "what is behind the gateway has not changed");
    let always = plan().section("[discovery]\nserve = \"always\"").start().await;
    assert_eq!(get(&always, "/openapi.json").await.json()["openapi"], "3.1.0");
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(get(&always, "/other").await.status, 200);
    assert_eq!(upstream.seen().len(), 2);
    let off = Plan::to(upstream.address).section("[discovery]\nserve = \"off\"").start().await;
    for (path, _) in PAGES {
        assert_eq!(get(&off, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_reload_tells_the_new_price() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let price = async || {
        let document = get(&gateway, "/openapi.json").await.json();
        document["paths"]["/paid"]["get"]["x-payment-info"]["price"]["amount"].clone()
    };
    assert_eq!(price().await, "0.05");
    assert_eq!(gateway.reloaded(|text| text.replace("$0.05", "$0.07")).await.0, 200);
    assert_eq!(price().await, "0.07");
}

#[tokio::test]
async fn a_browser_that_opens_a_paid_url_gets_a_page_and_everybody_else_the_terms() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let opens = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let ask = |method: &str, accept: &str| gateway.ask(method, "/paid").header("accept", accept);
    // Twice: the second one is ready made.
    for _ in 0..2 {
        let page = ask("GET", opens).send().await;
        assert_eq!((page.status, page.header("content-type")), (402, "text/html; charset=utf-8"));
        assert_eq!((page.header("cache-control"), page.header("vary")), ("no-store", "Accept"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.object("payment-required")["accepts"][0]["amount"], "50000");
        assert!(page.text().contains("\"dollars\":\"0.05\""), "{}", page.text());
        for accept in ["*/*", "application/json", "text/plain", "text/htmlx"] {
            let terms = ask("GET", accept).send().await;
            assert_eq!((terms.status, terms.header("content-type")), (402, "application/json"));
        }
    }
    let post = ask("POST", opens).send().await;
    assert_eq!(post.header("content-type"), "application/json", "nobody opens a URL by POST");
    let off = Plan::to(upstream.address).section("[discovery]\npaywall = \"off\"").start().await;
    let terms = off.ask("GET", "/paid").header("accept", opens).send().await;
    assert_eq!(terms.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_changed_document_is_noticed() {
    let document = |said: &str| {
        format!(
            "openapi: 3.1.0\npaths:\n  /ask:\n    post:\n      summary: {said}\n      \
             responses: {{ '200': {{ description: An answer }} }}\n"
        )
    };
    let upstream = Upstream::start().await;
    let rest = format!("{PRICED}\nopenapi = \"api.yaml\"");
    let plan = Plan::to(upstream.address).server("watch = \"on\"");
    let plan = plan.route("match = \"POST /ask\"", &rest);
    let first = document("First");
    let gateway = plan.start_after(|dir| fs::write(dir.join("api.yaml"), first).unwrap()).await;
    let told = async || {
        let document = get(&gateway, "/openapi.json").await.json();
        document["paths"]["/ask"]["post"]["summary"].clone()
    };
    assert_eq!(told().await, "First");
    fs::write(gateway.dir().join("api.yaml"), document("Second")).unwrap();
    eventually("the new document", async || (told().await == "Second").then_some(())).await;
}
