//! `/openapi.json` before a published validator, and the API before a published fuzzer that holds
//! it against that document.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use super::install;
use crate::support::example::{Demo, gateway_after};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::{eventually, in_time};

/// What the gateway answers, whatever it is asked, is in its document.
async fn says_what_it_answers(gateway: &Gateway) {
    let document = gateway.ask("GET", "/openapi.json").send().await;
    let file = gateway.dir().join("openapi.json");
    std::fs::write(&file, &document.body).unwrap();
    let file = file.to_str().unwrap();
    let found = run(gateway.dir(), "openapi-spec-validator", &["--schema", "3.1", file]).await;
    assert_eq!(found.0, 0, "{}", found.1);

    let url = gateway.url("");
    let checks = "status_code_conformance,content_type_conformance,response_schema_conformance,\
                  response_headers_conformance,not_a_server_error,allow_header_conformance";
    let bounds = ["--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "402"];
    let asks = [&["run", file, "--url", &url, "--checks", checks][..], &bounds].concat();
    let found = run(gateway.dir(), "schemathesis", &asks).await;
    assert_eq!(found.0, 0, "{}", found.1);
}

/// Exit code and output of a program.
async fn run(dir: &Path, program: &str, arguments: &[&str]) -> (i32, String) {
    let program = install::file(&format!(".venv-checks/bin/{program}"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).kill_on_drop(true);
    let Output { status, stdout, stderr } = in_time("its end", command.output()).await.unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (status.code().unwrap(), text.concat())
}

#[tokio::test]
async fn the_assistants_document_says_what_an_unpaid_request_is_answered() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let unlimited = |_: &Path, text: String| {
        text.replace("unpaid = { rate = \"30/min\", by = \"ip\" }", "unpaid = \"off\"")
    };
    let gateway = gateway_after("assistant.toml", &demo, facilitator.url(), unlimited).await;
    // Until the facilitator has said who pays the fees, Solana's routes are away.
    let offers = async || {
        let unpaid = gateway.ask("POST", "/x402/solana/chat").send().await;
        (unpaid.status == 402).then_some(())
    };
    eventually("an offer", offers).await;
    says_what_it_answers(&gateway).await;
}

#[tokio::test]
async fn the_document_of_an_api_without_one_says_what_is_answered() {
    let upstream = Upstream::start().await;
    let typed = format!("{PRICED}\nbody = {{ types = [\"application/json\"], max = \"1KB\" }}");
    let plan = Plan::to(upstream.address)
        .route("match = \"GET,PUT /items/{id}\"", "price = \"free\"")
        .route("match = \"PATCH,DELETE /items/{id}/parts/{part}\"", &typed)
        .route("match = \"/docs/*\"", "price = \"free\"\nmime_type = \"text/plain\"");
    says_what_it_answers(&plan.start().await).await;
}
