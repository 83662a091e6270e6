//! The shared parts of several documents in one: each under a name that no other has.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::route::Document;

/// The components so far, and the documents that they come from.
#[derive(Default)]
pub(super) struct Gathered {
    documents: Vec<Arc<Document>>,
    pub(super) components: Map<String, Value>,
}

impl Gathered {
    /// A part of a document, with its references leading into this one.
    pub(super) fn take(&mut self, document: &Arc<Document>, part: Value) -> Value {
        let known = self.documents.iter().position(|known| Arc::ptr_eq(known, document));
        let at = known.unwrap_or(self.documents.len());
        let prefix = if at == 0 { String::new() } else { format!("doc{}_", at + 1) };
        let moved = Moved { document, prefix: &prefix };
        if known.is_none() {
            self.documents.push(Arc::clone(document));
            for section in SECTIONS {
                let pointer = format!("/components/{section}");
                let Some(Value::Object(parts)) = document.at(&pointer) else { continue };
                let section = self.components.entry(section).or_insert_with(|| json!({}));
                let Value::Object(section) = section else { continue };
                for (name, value) in parts {
                    section.insert(format!("{prefix}{name}"), moved.value(value.clone(), 0));
                }
            }
        }
        moved.value(part, 0)
    }
}

/// Where a document's parts go.
struct Moved<'a> {
    document: &'a Document,
    prefix: &'a str,
}

impl Moved<'_> {
    fn value(&self, value: Value, depth: usize) -> Value {
        match value {
            Value::Array(items) => {
                items.into_iter().map(|item| self.value(item, depth)).collect::<Vec<_>>().into()
            }
            Value::Object(mut object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    match self.reference(reference) {
                        Ok(moved) => drop(object.insert("$ref".to_owned(), moved.into())),
                        // It stands where it was meant. What leads around in circles ends.
                        Err(found) if depth < DEPTH_MAX => {
                            let found = found.cloned().unwrap_or_else(|| json!({}));
                            return self.value(found, depth + 1);
                        }
                        Err(_) => return json!({}),
                    }
                }
                let moved = object.into_iter().map(|(key, value)| (key, self.value(value, depth)));
                Value::Object(moved.collect())
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
        }
    }

    /// Where a reference leads now, or else what it led to.
    fn reference(&self, reference: &str) -> Result<String, Option<&Value>> {
        let kept = SECTIONS.into_iter().find_map(|section| {
            let name = reference.strip_prefix("#/components/")?.strip_prefix(section)?;
            let name = name.strip_prefix('/')?;
            Some(format!("#/components/{section}/{}{name}", self.prefix))
        });
        let pointer = reference.strip_prefix('#');
        kept.ok_or_else(|| pointer.and_then(|pointer| self.document.at(pointer)))
    }
}

/// What is taken over of `components`: all but who may call, which the gateway says, and who is
/// called back.
const SECTIONS: [&str; 7] =
    ["schemas", "parameters", "requestBodies", "responses", "headers", "examples", "links"];

/// How often a part is put in place within one that was put in place.
const DEPTH_MAX: usize = 8;
