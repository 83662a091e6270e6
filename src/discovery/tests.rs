//! The documents of a configuration: an API with a document of its own beside routes without one.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::route::Tier;
use crate::x402::encoding;

const HEAD: &str = r#"
    [server]
    public_url = "https://api.example.com"
    [ledger]
    url = "memory:"
    [networks.base-sepolia]
    pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    facilitator = "dev"
    [networks.polygon-amoy]
    pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    facilitator = "dev"
    [facilitators.dev.simulated]
    [upstreams.api]
    url = "https://upstream.example.com"
"#;

fn discovery(routes: &str) -> Discovery {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("pets.yaml", PETS), ("shops.yaml", SHOPS)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let file = dir.path().join("gateway.toml");
    let config = Config::parse(&format!("{HEAD}{routes}"), &file, &|_| None);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let origin = config.server.public_url.as_deref();
    Discovery::new(&config.discovery, origin, &config.routes)
}

fn page<'a>(discovery: &'a Discovery, path: &str) -> &'a str {
    std::str::from_utf8(&discovery.page(path).unwrap().body).unwrap()
}

fn openapi(routes: &str) -> Value {
    serde_json::from_str(page(&discovery(routes), OPENAPI)).unwrap()
}

const PETS: &str = r##"
openapi: 3.0.3
info: { title: Pets, version: "1" }
paths:
  /pets/{petId}:
    parameters:
      - { name: petId, in: path, required: true, schema: { type: integer } }
    post:
      operationId: feed
      description: Feeds it.
      security: [{ key: [] }]
      parameters: [{ $ref: "#/components/parameters/Loud" }]
      requestBody:
        content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
      responses:
        "200": { $ref: "#/components/responses/Fed" }
        "400":
          description: Not hungry
          content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
  /pets/{id}/twin:
    get:
      responses:
        "200":
          description: Another
          content:
            application/json:
              schema: { $ref: "#/paths/~1pets~1{petId}/post/responses/400/content" }
components:
  parameters:
    Loud: { name: loud, in: query, schema: { type: boolean } }
  responses:
    Fed: { description: Fed }
  schemas:
    Pet: { type: object, properties: { friend: { $ref: "#/components/schemas/Pet" } } }
"##;

const SHOPS: &str = r##"
openapi: 3.1.0
info: { title: Shops, version: "1" }
paths:
  /shops:
    get:
      operationId: feed
      responses:
        "200":
          description: All
          content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
components:
  schemas:
    Pet: { type: string }
"##;

fn route(text: &str) -> String {
    format!(
        "[[routes]]\nupstream = \"api\"\nnetworks = [\"base-sepolia\"]\nprice = \"$0.01\"\n{text}\n"
    )
}

#[test]
fn an_operation_keeps_its_documents_words_and_gets_its_price() {
    let document = openapi(&route("match = \"POST /pets/{pet}\"\nopenapi = \"pets.yaml\""));
    let feed = &document["paths"]["/pets/{petId}"]["post"];
    assert_eq!(feed["description"], "Feeds it.\n\nCosts $0.01 a call.");
    assert_eq!(
        feed["x-payment-info"],
        json!({
            "price": { "mode": "fixed", "currency": "USD", "amount": "0.01" },
            "protocols": [{ "x402": { "networks": ["eip155:84532"] } }],
        })
    );
    assert_eq!(feed["security"], json!([{ "x402": [] }]));
    let names = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let parameters = feed["parameters"].as_array().unwrap().iter().map(names);
    assert_eq!(parameters.collect::<Vec<_>>(), ["petId", "loud"]);
    let answers = &feed["responses"];
    assert_eq!(answers["200"]["description"], "Fed");
    assert!(answers["200"]["headers"]["PAYMENT-RESPONSE"].is_object());
    assert_eq!(answers["402"]["$ref"], "#/components/responses/Tollgate402");
    let mixed = &answers["400"]["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!(mixed[0]["$ref"], "#/components/schemas/Pet");
    assert_eq!(mixed[1]["$ref"], "#/components/schemas/TollgateRefusal");
    let terms = &document["components"]["responses"]["Tollgate402"];
    assert!(terms["headers"]["PAYMENT-REQUIRED"].is_object(), "{terms}");
    assert!(answers.get("default").is_none(), "the document says what there is");
}

#[test]
fn documents_that_call_two_things_the_same_are_told_apart() {
    let both = format!(
        "{}{}",
        route("match = \"POST /pets/{pet}\"\nopenapi = \"pets.yaml\""),
        route("match = \"GET /shops\"\nopenapi = \"shops.yaml\""),
    );
    let document = openapi(&both);
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        (&schemas["Pet"]["type"], &schemas["doc2_Pet"]["type"]),
        (&json!("object"), &json!("string"))
    );
    let shops = &document["paths"]["/shops"]["get"];
    let schema = &shops["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/doc2_Pet");
    assert!(shops.get("operationId").is_none(), "the other has it");
}

/// What refers to a part of a path has no name of its own to refer to.
#[test]
fn references_into_paths_are_put_in_place() {
    let document = openapi(&route("match = \"GET /pets/{id}/twin\"\nopenapi = \"pets.yaml\""));
    let twin = &document["paths"]["/pets/{id}/twin"]["get"]["responses"]["200"];
    let schema = &twin["content"]["application/json"]["schema"];
    assert_eq!(schema["application/json"]["schema"]["$ref"], "#/components/schemas/Pet");
}

#[test]
fn every_reference_leads_somewhere() {
    let both = format!(
        "{}{}{}",
        route("match = \"POST /pets/{pet}\"\nopenapi = \"pets.yaml\"\nrefusals = \"assistant\""),
        route("match = \"GET /shops\"\nopenapi = \"shops.yaml\""),
        "[[routes]]\nmatch = \"GET,POST /free/*\"\nupstream = \"api\"\nprice = \"free\"\n",
    );
    let document = openapi(&both);
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let found = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                references.push(reference.clone());
            }
            object.values().for_each(|value| collect(value, references));
        }
        _ => {}
    }
}

#[test]
fn routes_without_a_document_are_told_as_far_as_they_are_known() {
    let document = openapi(&format!(
        "{}{}",
        route(
            "match = \"POST /a/{id}/*\"\nmime_type = \"image/png\"\ndescription = \"Cuts it out\"\n\
             body = { types = [\"image/png\"] }"
        ),
        "[[routes]]\nmatch = \"api.other.com/free\"\nupstream = \"api\"\nprice = \"free\"\n",
    ));
    let paid = &document["paths"]["/a/{id}/{rest}"]["post"];
    assert_eq!(paid["summary"], "Cuts it out");
    assert_eq!(paid["requestBody"]["content"], json!({ "image/png": {} }));
    assert_eq!(paid["parameters"].as_array().unwrap().len(), 2);
    assert_eq!(paid["responses"]["200"]["content"], json!({ "image/png": {} }));
    let free = &document["paths"]["/free"];
    let methods: Vec<_> = free.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(methods, ["delete", "get", "patch", "post", "put"]);
    let get = &free["get"];
    assert_eq!(get["servers"], json!([{ "url": "https://api.other.com" }]));
    assert_eq!(get["security"], json!([]));
    assert!(get.get("x-payment-info").is_none());
    assert!(get["responses"].get("402").is_none() && get["responses"].get("502").is_some());
}

#[test]
fn prices_that_depend_are_told_as_they_depend() {
    let text = "match = \"POST /ask\"\nprice_rules = [{ body = \"mode\", is = \"fast\", \
                price = { base-sepolia = \"$0.002\" } }]";
    let discovery = discovery(&route(text));
    let document: Value = serde_json::from_str(page(&discovery, OPENAPI)).unwrap();
    let ask = &document["paths"]["/ask"]["post"];
    let price = json!({ "mode": "dynamic", "currency": "USD", "min": "0.002", "max": "0.01" });
    assert_eq!(ask["x-payment-info"]["price"], price);
    let said = "Costs $0.002 where body mode is \"fast\", $0.01 otherwise.";
    assert_eq!(ask["description"], said);
    let agents = page(&discovery, LLMS);
    let line = "- [POST /ask](https://api.example.com/ask): $0.002 to $0.01 on base-sepolia \
                (eip155:84532). ";
    assert!(agents.contains(&format!("{line}{said}\n")), "{agents}");
}

#[test]
fn the_lists_name_what_is_listed() {
    let discovery = discovery(&format!(
        "{}{}{}{}",
        route("match = \"GET /report\"\ndescription = \"A report.\""),
        route("match = \"GET /item/{id}\""),
        route("match = \"GET /secret\"\ndiscovery = \"off\""),
        "[[routes]]\nmatch = \"GET /docs\"\nupstream = \"api\"\nprice = \"free\"\n\
         [discovery]\ntitle = \"My API\"\ndescription = \"It\\ncounts.\"\n",
    ));
    let urls: Value = serde_json::from_str(page(&discovery, WELL_KNOWN)).unwrap();
    assert_eq!(urls["version"], 1);
    assert_eq!(urls["resources"], json!(["https://api.example.com/report"]));
    let agents = page(&discovery, LLMS);
    assert!(agents.starts_with("# My API\n\n> It counts.\n"), "{agents}");
    for line in [
        "- [GET /report](https://api.example.com/report): A report, $0.01 on base-sepolia \
         (eip155:84532)",
        "- [GET /docs](https://api.example.com/docs): free",
    ] {
        assert!(agents.lines().any(|known| known == line), "{line}\n---\n{agents}");
    }
    for page in discovery.make() {
        assert!(!String::from_utf8_lossy(&page.body).contains("secret"), "{}", page.path);
    }
}

/// The example that ships: nine endpoints, each told whole.
#[test]
fn the_assistants_example_is_told_whole() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/assistant.toml");
    let text = fs::read_to_string(&file).unwrap();
    let config = Config::parse(&text, &file, &|_| Some("a token".to_owned())).unwrap();
    let origin = config.server.public_url.as_deref();
    let discovery = Discovery::new(&config.discovery, origin, &config.routes);
    let document: Value = serde_json::from_str(page(&discovery, OPENAPI)).unwrap();
    for route in &config.routes {
        let post = &document["paths"][route.pattern.path.to_string()]["post"];
        assert!(post["x-payment-info"]["price"].is_object(), "{}", route.name);
        assert!(post["requestBody"].is_object(), "{}", route.name);
        let Some(terms) = route.charge.terms(Tier::Otherwise) else { panic!("{}", route.name) };
        let declared = terms.declared.bazaar.as_ref().unwrap();
        let holds = jsonschema::draft202012::new(&declared["schema"]).unwrap();
        assert!(holds.is_valid(&declared["info"]), "{declared:#}");
        // There is no 402 on Solana before it is known who pays the fee.
        if !terms.offers.is_empty() {
            let header = encoding::decode(&terms.challenge.header).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header["extensions"]["bazaar"], *declared, "there is room for it");
        }
        assert_eq!(post["responses"]["401"]["$ref"], "#/components/responses/Tollgate401Assistant");
    }
}
