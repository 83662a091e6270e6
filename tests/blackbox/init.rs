//! `tollgate init`: a configuration out of a document, which `check` takes and a gateway serves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::rc::Rc;

use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

fn tollgate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder).output().unwrap()
}

fn init(folder: &Path, more: &[&str]) -> Output {
    tollgate(folder, &[&["init", "--openapi", "api.yaml"], more].concat())
}

fn said(output: &Output) -> String {
    format!(
        "{:?} {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const API: &str = r##"
openapi: 3.0.3
info: { title: Pets, version: "1" }
servers: [{ url: "https://pets.example.com:8443/v2/" }]
paths:
  /pets:
    get:
      summary: |
        All "pets"
        and more
      parameters: [{ name: kind, in: query, required: true, schema: { enum: [cat, dog] } }]
      responses: { "200": { description: Pets, content: { application/json: {} } } }
    head: { responses: {} }
    post:
      requestBody: { content: { "application/json; charset=utf-8": {}, text/plain: {} } }
      responses: { "201": { description: Made, content: { "image/*": {} } } }
  /pets/{petId}:
    delete: { operationId: removePet, responses: {} }
  /pets/{their}:
    delete: { responses: {} }
  /files/{name}.json:
    get: { responses: {} }
"##;

#[test]
fn every_operation_becomes_a_route_or_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("api.yaml"), API).unwrap();
    let done = init(folder.path(), &["--price", "$0.02"]);
    assert!(done.status.success(), "{}", said(&done));
    let told = said(&done);
    assert!(told.contains("gateway.toml written: 3 routes at $0.02, 3 left out"), "{told}");
    let text = fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    for part in [
        "url = \"https://pets.example.com:8443\"",
        "match = \"GET /v2/pets\"",
        "description = 'All \"pets\"'\nmime_type = \"application/json\"\nopenapi",
        "match = \"POST /v2/pets\"",
        "body = { types = [\"application/json\", \"text/plain\"] }",
        "match = \"DELETE /v2/pets/{petId}\"",
        "description = \"removePet\"",
        "price = \"$0.02\"",
        "# Left out: HEAD /v2/pets: the gateway answers it by itself",
        "# Left out: DELETE /v2/pets/{their}: another path is as good",
        "# Left out: GET /v2/files/{name}.json: a parameter is a whole segment",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    let check = tollgate(folder.path(), &["check"]);
    assert!(check.status.success(), "{}", said(&check));

    let again = init(folder.path(), &[]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("gateway.toml cannot be written"), "{}", said(&again));
    assert_eq!(fs::read_to_string(folder.path().join("gateway.toml")).unwrap(), text);
}

#[tokio::test]
async fn what_it_writes_is_served_and_screened() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("api.yaml"), API).unwrap();
    let done = init(folder.path(), &["--upstream", &format!("http://{}", upstream.address)]);
    assert!(done.status.success(), "{}", said(&done));
    let file = folder.path().join("gateway.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text =
        text.replace("127.0.0.1:8402", "127.0.0.1:0").replace("127.0.0.1:9402", "127.0.0.1:0");
    fs::write(&file, text).unwrap();
    let gateway = Gateway::start(Rc::new(folder)).await;
    let unpaid = gateway.ask("GET", "/v2/pets?kind=cat").send().await;
    assert_eq!(unpaid.status, 402);
    let bazaar = &unpaid.object("payment-required")["extensions"]["bazaar"];
    assert_eq!(bazaar["info"]["input"]["queryParams"]["kind"], "cat");
    let document = gateway.ask("GET", "/openapi.json").send().await.json();
    let price = &document["paths"]["/v2/pets"]["get"]["x-payment-info"]["price"];
    assert_eq!(price["amount"], "0.01");
}

#[test]
fn what_is_no_document_writes_nothing() {
    for (text, because) in [
        ("a: [", "neither YAML nor JSON"),
        ("swagger: '2.0'", "no OpenAPI 3 document"),
        ("openapi: 3.1.0", "no operation that could be a route"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api.yaml"), text).unwrap();
        let done = init(folder.path(), &[]);
        assert_eq!(done.status.code(), Some(1), "{text}");
        assert!(said(&done).contains(because), "{text}: {}", said(&done));
        assert!(!folder.path().join("gateway.toml").exists(), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(said(&init(folder.path(), &[])).contains("api.yaml cannot be read"));
    // What cannot be served is written all the same, with what has to be mended.
    fs::write(folder.path().join("api.yaml"), API).unwrap();
    let done = init(folder.path(), &["--price", "2 cents"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("has to be mended"), "{}", said(&done));
    assert!(folder.path().join("gateway.toml").exists());
}
