//! `tollgate init`: a `gateway.toml` to start from, out of a document of OpenAPI.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use crate::bounded;
use crate::config::{Config, ConfigError};
use crate::route::{Document, DocumentError, Pattern, Verb, shape};

/// What may be typed after `tollgate init`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Document of OpenAPI 3, YAML or JSON; its operations become routes
    #[arg(long, value_name = "FILE")]
    openapi: PathBuf,
    /// The API behind the gateway [default: the document's first server]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// What every operation costs, to begin with
    #[arg(long, value_name = "PRICE", default_value = "$0.01")]
    price: String,
    /// Where the configuration goes; a file that is there stays as it is
    #[arg(long, value_name = "FILE", default_value = super::DEFAULT_FILE)]
    out: PathBuf,
}

/// Why nothing was written, or what was written cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The document cannot be read.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] io::Error),
    /// Neither YAML nor JSON.
    #[error("{0} is neither YAML nor JSON")]
    Text(PathBuf, #[source] serde_yaml_ng::Error),
    /// No document of OpenAPI 3.
    #[error("{0} cannot be used")]
    Document(PathBuf, #[source] DocumentError),
    /// A path that is no text.
    #[error("the path {0:?} is not UTF-8")]
    Path(PathBuf),
    /// The document has no operation that could be a route.
    #[error("{0} has no operation that could be a route")]
    NoOperation(PathBuf),
    /// The configuration is there already, or cannot be written.
    #[error("{0} cannot be written")]
    Write(PathBuf, #[source] io::Error),
    /// It was written, and has mistakes.
    #[error("{0} was written, and has to be mended before it can be served:\n{1}")]
    Mend(PathBuf, ConfigError),
}

/// Writes the configuration.
///
/// # Errors
/// See [`InitError`]; nothing is ever overwritten.
pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, InitError> {
    let Arguments { openapi, upstream, price, out: file } = arguments;
    let text = bounded::read_text(openapi);
    let text = text.map_err(|error| InitError::Read(openapi.clone(), error))?;
    // JSON is YAML.
    let document: Value =
        serde_yaml_ng::from_str(&text).map_err(|error| InitError::Text(openapi.clone(), error))?;
    let document =
        Document::new(document).map_err(|error| InitError::Document(openapi.clone(), error))?;
    let routes = Routes::of(&document);
    if routes.good.is_empty() {
        return Err(InitError::NoOperation(openapi.clone()));
    }
    let place = beside(openapi, file)?;
    let upstream = upstream.clone().unwrap_or_else(|| document.origin());
    let written = routes.written(&[&upstream, &place, price]);
    let whole = |error| InitError::Write(file.clone(), error);
    let mut created = File::create_new(file).map_err(whole)?;
    created.write_all(written.as_bytes()).map_err(whole)?;
    if let Err(error) = Config::parse(&written, file, &|_| None) {
        return Err(InitError::Mend(file.clone(), error));
    }
    let (taken, left) = (routes.good.len(), routes.left.len());
    let left = if left == 0 { String::new() } else { format!(", {left} left out (see its end)") };
    let file = file.display();
    writeln!(
        out,
        "{file} written: {taken} routes at {price}{left}.\nNext: say in it who is paid \
         (pay_to), then `tollgate check {file}` and `tollgate serve {file}`."
    )
    .map_err(|error| InitError::Write("the standard output".into(), error))?;
    Ok(ExitCode::SUCCESS)
}

/// How a configuration names a document: configurations look beside themselves.
fn beside(openapi: &Path, file: &Path) -> Result<String, InitError> {
    let here = |path: &Path| path.parent().is_none_or(|parent| parent.as_os_str().is_empty());
    let named = if here(file) {
        openapi.to_owned()
    } else {
        std::path::absolute(openapi).map_err(|error| InitError::Read(openapi.to_owned(), error))?
    };
    let text = named.to_str().ok_or_else(|| InitError::Path(named.clone()))?;
    Ok(text.to_owned())
}

/// A document's operations as routes.
struct Routes {
    good: Vec<Route>,
    /// Those that cannot be routes, and why.
    left: Vec<String>,
}

struct Route {
    pattern: String,
    description: String,
    mime_type: Option<String>,
    types: Vec<String>,
}

impl Routes {
    fn of(document: &Document) -> Self {
        let mut routes = Self { good: Vec::new(), left: Vec::new() };
        let mut known = HashSet::new();
        for (path, verb, operation) in document.operations() {
            let pattern = format!("{} {path}", verb.name());
            let taken = known.contains(&shape(&pattern));
            let why = match (verb, pattern.parse::<Pattern>()) {
                (Verb::Head | Verb::Options, _) => "the gateway answers it by itself".to_owned(),
                (_, Err(error)) => error.to_string(),
                (_, Ok(_)) if taken => "another path is as good".to_owned(),
                (_, Ok(_)) => {
                    known.insert(shape(&pattern));
                    routes.good.push(Route::of(pattern, &operation, document));
                    continue;
                }
            };
            routes.left.push(format!("{pattern}: {why}"));
        }
        routes
    }

    fn written(&self, [upstream, openapi, price]: &[&str; 3]) -> String {
        let mut text = HEAD.replace("UPSTREAM", &quoted(upstream));
        for route in &self.good {
            text.push_str(&format!(
                "\n[[routes]]\nmatch = {}\nupstream = \"api\"\nprice = {}\nnetworks = \
                 [\"base-sepolia\"]\ndescription = {}\n",
                quoted(&route.pattern),
                quoted(price),
                quoted(&route.description),
            ));
            if let Some(mime_type) = &route.mime_type {
                text.push_str(&format!("mime_type = {}\n", quoted(mime_type)));
            }
            if !route.types.is_empty() {
                let types: Vec<String> = route.types.iter().map(|name| quoted(name)).collect();
                text.push_str(&format!("body = {{ types = [{}] }}\n", types.join(", ")));
            }
            text.push_str(&format!("openapi = {}\n", quoted(openapi)));
        }
        for left in &self.left {
            text.push_str(&format!("\n# Left out: {}\n", one_line(left)));
        }
        text
    }
}

impl Route {
    fn of(pattern: String, operation: &Map<String, Value>, document: &Document) -> Self {
        let said = ["summary", "description", "operationId"];
        let said = said.iter().find_map(|key| operation.get(*key)?.as_str());
        let of = |key: &str| document.whole(operation.get(key)?, 0);
        let types = of("requestBody").map(|body| media_types(&body)).unwrap_or_default();
        let good = of("responses").and_then(|responses| {
            let responses = responses.as_object()?;
            let (_, good) = responses.iter().find(|(status, _)| status.starts_with('2'))?;
            Some(media_types(good))
        });
        let mime_type = good.filter(|types| types.len() == 1).and_then(|mut types| types.pop());
        Self { pattern, description: one_line(said.unwrap_or_default()), mime_type, types }
    }
}

/// The media types of a body or an answer; none where one of them is a range of several.
fn media_types(holder: &Value) -> Vec<String> {
    let content = holder.get("content").and_then(Value::as_object);
    let names: Vec<&String> = content.into_iter().flat_map(Map::keys).collect();
    if names.iter().any(|name| name.contains('*')) {
        return Vec::new();
    }
    let bare = |name: &&String| name.split(';').next().unwrap_or_default().trim().to_lowercase();
    names.iter().map(bare).collect()
}

/// The first line of a text, and not too much of it: it stands in every 402.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().chars().take(DESCRIPTION_CHARS_MAX).collect()
}

/// As TOML writes a text.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

const DESCRIPTION_CHARS_MAX: usize = 120;

const HEAD: &str = r#"# Every operation of an API at one price, paid for on a simulated testnet: no chain, no
# account. `tollgate check` says what it means; the README has every key.

[server]
listen = "127.0.0.1:8402"
admin = "127.0.0.1:9402"            # /metrics, /livez, /readyz: for you, not for clients
# public_url = "https://api.example.com"   # what clients call this gateway

[ledger]
url = "sqlite://tollgate.db"        # which payments are held, settled, released

[networks.base-sepolia]
pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"   # a well-known test account: use your own
facilitator = "dev"

# For real money: a network such as [networks.base], and a facilitator that settles there.
[facilitators.dev.simulated]

[upstreams.api]
url = UPSTREAM
"#;
