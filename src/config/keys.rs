//! Every key of `gateway.toml`: what it is, what it is when left out, and what it means.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table that it stands in, as typed; empty where it stands above all of them.
    pub section: &'static str,
    /// As typed; with a point where it stands in an inline table.
    pub name: &'static str,
    /// What its value is.
    pub kind: &'static str,
    /// Its value when it is left out.
    pub default: Default,
    /// What it means.
    pub meaning: &'static str,
}

/// What a key is when it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It cannot be left out.
    Required,
    /// It says nothing.
    Nothing,
    /// This, as it would be typed or said.
    Is(&'static str),
}

/// All keys, in the order of the file.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    gateway::KEYS.iter().chain(routes::KEYS)
}

/// All keys as one table in Markdown.
pub fn markdown() -> String {
    let mut table = String::from("| section | key | value | default | meaning |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for Key { section, name, kind, default, meaning } in keys() {
        let default = match default {
            Default::Required => "**required**",
            Default::Nothing => "–",
            Default::Is(value) => value,
        };
        let section = if section.is_empty() { "–".to_owned() } else { format!("`{section}`") };
        table.push_str(&format!("| {section} | `{name}` | {kind} | {default} | {meaning} |\n"));
    }
    table
}

macro_rules! keys {
    ($($section:literal { $($name:literal: $kind:expr, $default:expr, $meaning:expr;)* })*) => {
        &[$($(Key {
            section: $section,
            name: $name,
            kind: $kind,
            default: $default,
            meaning: $meaning,
        },)*)*]
    };
}

mod gateway;
mod routes;

#[cfg(test)]
mod tests;
