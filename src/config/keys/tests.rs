//! The table of keys against what the reader takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::{Config, Mistake};
use super::*;

/// What the reader says it takes where a key that nobody knows is written.
fn taken_at(text: &str) -> BTreeSet<String> {
    let error = Config::parse(text, Path::new("gateway.toml"), &|_| None).unwrap_err();
    match error.findings()[0].mistake() {
        Mistake::UnknownKey { known, .. } => known.iter().map(ToString::to_string).collect(),
        other => panic!("{text}: {other}"),
    }
}

/// The keys of the table, by the text that asks for them.
fn listed() -> BTreeMap<String, BTreeSet<String>> {
    let mut by_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Key { section, name, .. } in keys().filter(|key| !key.section.is_empty()) {
        let section = section.replace("NAME", "n");
        let section = section.replace("[[routes.", "[[routes]]\n[[routes.");
        if section == "[routes.price]" {
            let by_usage = "[[routes]]\nprice = { from = \"a\", zz = \"1\" }";
            by_text.entry(by_usage.to_owned()).or_default().insert((*name).into());
            continue;
        }
        match name.split_once('.') {
            Some((table, "NAME")) => {
                by_text.entry(format!("{section}\nzz = 1")).or_default().insert(table.into());
            }
            Some((table, key)) => {
                let table = table.replace("NAME", "n");
                let inner = format!("{section}\n{table} = {{ zz = 1 }}");
                by_text.entry(inner).or_default().insert(key.into());
                if section != "[limits.class]" {
                    by_text.entry(format!("{section}\nzz = 1")).or_default().insert(table);
                }
            }
            None => {
                by_text.entry(format!("{section}\nzz = 1")).or_default().insert((*name).into());
            }
        }
    }
    by_text
}

#[test]
fn the_table_has_every_key_that_is_taken_and_no_other() {
    for (text, mut names) in listed() {
        if text.starts_with("[limits]") {
            names.insert("class".to_owned());
        }
        assert_eq!(taken_at(&text), names, "{text}");
    }
}

#[test]
fn the_table_has_every_section() {
    let sections = keys().map(|Key { section, name, .. }| match section.is_empty() {
        true => (*name).to_owned(),
        false => section.trim_matches(['[', ']']).split('.').next().unwrap().to_owned(),
    });
    assert_eq!(taken_at("zz = 1"), sections.collect());
}

#[test]
fn the_limits_of_clients_have_the_keys_of_a_class() {
    for name in ["[limits]\nunpaid", "[limits]\nrefused", "[defaults]\nfree", "[[routes]]\nfree"] {
        let taken = taken_at(&format!("{name} = {{ zz = 1 }}"));
        assert_eq!(taken, BTreeSet::from(["by".to_owned(), "rate".to_owned()]));
    }
}

#[test]
fn each_row_of_the_markdown_has_five_columns() {
    for line in markdown().lines() {
        assert_eq!(line.matches(" | ").count(), 4, "{line}");
    }
}
