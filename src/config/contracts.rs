//! `openapi`: the document that paid requests of a route must fit.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;

use crate::bounded;
use crate::route::{Contract, Document, Methods, Pattern, Verb};

use super::mistake::Mistake;
use super::reader::Reader;
use super::watched::Watched;

/// Whether a body is read whole before money is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Body,
    Nothing,
}

impl Reads {
    /// What a contract needs.
    pub(super) fn of(contract: Option<&Contract>) -> Self {
        if contract.is_some_and(Contract::reads_body) { Self::Body } else { Self::Nothing }
    }
}

/// What a document says of the requests of a route; a mistake is noted.
pub(super) fn contract(
    typed: Spanned<PathBuf>,
    pattern: &Pattern,
    reader: &mut Reader<'_>,
) -> Option<Contract> {
    let span = typed.span();
    let verbs: Vec<_> = match &pattern.methods {
        Methods::Any => Verb::ALL.into(),
        Methods::Listed(set) => Verb::ALL.into_iter().filter(|verb| set.has(*verb)).collect(),
    };
    let path = reader.beside_its_own(&span, typed.get_ref());
    let document = path.and_then(|path| reader.document(path));
    let contract = document
        .and_then(|document| document.contract(&pattern.path, &verbs).map_err(Mistake::Document));
    contract.map_err(|mistake| reader.wrong(span, mistake)).ok()
}

impl Reader<'_> {
    /// A document, which several routes may share.
    fn document(&mut self, path: PathBuf) -> Result<Arc<Document>, Mistake> {
        if let Some(document) = self.documents.get(&path) {
            return Ok(Arc::clone(document));
        }
        let read = bounded::read_text(&path);
        self.watched.push(Watched::found(&path, &read));
        let text = read.map_err(Mistake::DocumentUnreadable)?;
        // JSON is YAML.
        let value: Value = serde_yaml_ng::from_str(&text)
            .map_err(|error| Mistake::DocumentText(error.to_string().into()))?;
        let document = Arc::new(Document::new(value).map_err(Mistake::Document)?);
        self.documents.insert(path, Arc::clone(&document));
        Ok(document)
    }
}
