//! Which bytes of `gateway.toml` may be a secret, so that no message shows them.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What must not be shown of `text`, in no order.
///
/// `unknown` is the place of a key that nobody knows: its value may have been meant for one that
/// holds a secret. Where the text is not TOML, what stands on a line of a secret is hidden whole.
pub(super) fn hidden(text: &str, unknown: Option<&Range<usize>>) -> Vec<Range<usize>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { unknown, found: Vec::new() };
    walk.table(document.get_ref(), Under::Anything);
    if !errors.is_empty() {
        walk.found.extend(lines_of_secrets(text));
    }
    walk.found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    Anything,
    Secret,
}

struct Walk<'a> {
    unknown: Option<&'a Range<usize>>,
    found: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, under: Under) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let is_unknown = self.unknown.is_some_and(|span| *span == key.span());
            let under = if is_unknown || is_secret(name) { Under::Secret } else { under };
            let place = matches!(name, "env" | "file") && !is_unknown;
            if !(place && matches!(value.get_ref(), DeValue::String(_))) {
                self.value(value, under);
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, under: Under) {
        match (value.get_ref(), under) {
            (DeValue::Table(table), _) => self.table(table, under),
            (DeValue::Array(items), _) => items.iter().for_each(|item| self.value(item, under)),
            (_, Under::Secret) => self.found.push(value.span()),
            (_, Under::Anything) => {}
        }
    }
}

/// Whether what stands under this name is a secret, or holds some.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let holds = ["auth", "secret", "token", "password", "bearer", "signer", "cookie", "credential"];
    let key = name.ends_with("key") || name.ends_with("keys");
    // URLs of nodes hold keys, those of stores passwords.
    matches!(&*name, "headers" | "rpc" | "store")
        || key
        || holds.iter().any(|word| name.contains(word))
}

/// The values on lines that may hold a secret, read without TOML: in such a section, behind such
/// a name, and what goes on over the following lines.
fn lines_of_secrets(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    let (mut section, mut goes_on) = (Under::Anything, 0_usize);
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let words = names(line);
        if goes_on > 0 {
            found.push(start..end);
            goes_on = depth_after(line, goes_on);
        } else if line.trim_start().starts_with('[') {
            let secret = words.iter().any(|word| is_secret(word));
            section = if secret { Under::Secret } else { Under::Anything };
        } else if section == Under::Secret || words.iter().any(|word| is_secret(word)) {
            // Before the first `=` there is a name.
            let value = line.find('=').map_or(0, |at| at + 1);
            found.push(start + value..end);
            goes_on = depth_after(line, 0);
        }
        start += line.len();
    }
    found
}

/// The words of a line that could be names of keys.
fn names(line: &str) -> Vec<&str> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    line.split(part).filter(|word| !word.is_empty()).collect()
}

/// How many brackets are open behind a line; a text of several lines counts as one.
fn depth_after(line: &str, before: usize) -> usize {
    let quotes = line.matches("\"\"\"").count() + line.matches("'''").count();
    if quotes % 2 == 1 {
        return if before == 0 { 1 } else { before - 1 };
    }
    line.chars().fold(before, |depth, c| match c {
        '{' | '[' => depth + 1,
        '}' | ']' => depth.saturating_sub(1),
        _ => depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a text; `…` for what is hidden.
    fn shown(text: &str) -> String {
        let mut found = hidden(text, None);
        found.sort_by_key(|span| (span.start, span.end));
        let (mut shown, mut at) = (String::new(), 0);
        for span in found {
            shown += &text[at..span.start.max(at)];
            shown += if span.end > at { "…" } else { "" };
            at = at.max(span.end);
        }
        shown + &text[at..]
    }

    #[test]
    fn secrets_are_hidden_and_where_they_are_is_not() {
        for (text, left) in [
            ("a = \"b\"\nheaders = { x = \"1\" }", "a = \"b\"\nheaders = { x = … }"),
            ("[u.a.headers]\nx = 'hunter2'\n[z]\na = 1", "[u.a.headers]\nx = …\n[z]\na = 1"),
            (
                "auth.cdp = { key_id = { env = \"ID\" } }",
                "auth.cdp = { key_id = { env = \"ID\" } }",
            ),
            (
                "auth = { bearer = { env = 7, file = [\"x\"] } }",
                "auth = { bearer = { env = …, file = […] } }",
            ),
            ("signer = \"0x1\"\nkeepalive = \"1s\"", "signer = …\nkeepalive = \"1s\""),
            ("header_bytes_max = \"32KiB\"", "header_bytes_max = \"32KiB\""),
        ] {
            assert_eq!(shown(text), left, "{text}");
        }
    }

    #[test]
    fn where_it_is_no_toml_the_rest_of_the_line_is_hidden() {
        for text in [
            "headers = { authorization = Bearer hunter2 }",
            "headers = { authorization = \"hunter2 }",
            "[upstreams.api.headers]\nx-plain = hunter2",
            "headers = {\n  x-plain = hunter2\n}",
            "key_secret = \"\"\"\n-----BEGIN\nhunter2\n\"\"\nprice = 1",
            "api-key = hunter2 # ours",
        ] {
            assert!(!shown(text).contains("hunter2"), "{}", shown(text));
        }
        assert_eq!(shown("price = $0.05\nname = \"x\""), "price = $0.05\nname = \"x\"");
    }
}
