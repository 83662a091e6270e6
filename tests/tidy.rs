//! The shape of the source: sizes, first lines, who may use whom, and who alone may do what.

use std::fs;
use std::path::PathBuf;

/// Each module of `src/` and the modules it may use. A row names only rows above it.
const LAYERS: &[(&str, &[&str])] = &[
    ("x402", &[]),
    ("bounded", &[]),
    ("digest", &[]),
    ("metric", &[]),
    ("outgoing", &[]),
    ("certificate", &[]),
    ("clock", &["x402"]),
    ("fault", &[]),
    ("acme", &["outgoing", "bounded", "certificate", "clock", "fault"]),
    ("refusal", &["x402", "fault"]),
    ("limit", &["clock"]),
    ("access", &["x402", "digest"]),
    ("route", &["x402", "clock", "limit", "refusal"]),
    ("chain", &["x402", "outgoing", "bounded", "clock", "fault"]),
    ("facilitator", &["x402", "outgoing", "clock", "fault", "chain"]),
    ("ledger", &["x402", "digest", "clock", "fault"]),
    ("payment", &["x402", "digest", "clock", "fault", "refusal", "route", "facilitator", "ledger"]),
    ("discovery", &["x402", "digest", "refusal", "route"]),
    (
        "observe",
        &[
            "x402", "metric", "outgoing", "clock", "fault", "refusal", "limit", "route", "ledger",
            "payment",
        ],
    ),
    ("dashboard", &["x402", "digest", "clock", "fault", "ledger"]),
    ("proxy", ALL_ABOVE),
    (
        "config",
        &[
            "x402",
            "bounded",
            "digest",
            "access",
            "certificate",
            "acme",
            "limit",
            "route",
            "discovery",
            "dashboard",
            "facilitator",
            "ledger",
            "observe",
        ],
    ),
    ("server", ALL_ABOVE),
    ("worker", &["metric"]),
    // The commands hand out the clock, read the ledger, compare it with the chain, look at it for
    // whoever pays, rehearse a configuration, and are the worker's own process.
    (
        "cli",
        &[
            "config",
            "server",
            "x402",
            "bounded",
            "clock",
            "fault",
            "limit",
            "chain",
            "facilitator",
            "ledger",
            "payment",
            "route",
            "worker",
        ],
    ),
    ("manual", &[]),
];

/// Who alone may write this. The last column says why.
const ALONE: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["clock.rs"], "only clock.rs reads a clock"),
    ("Instant::now", &["clock.rs", "worker"], "only clock.rs reads a clock"),
    ("pingora::", &["proxy", "server"], "only proxy/ and server/ know pingora"),
    ("write_response_header", &["proxy/answer.rs"], "only proxy/answer.rs answers"),
    ("respond_error", &["proxy/answer.rs"], "only proxy/answer.rs answers"),
    (".inc()", &["observe", "worker/metrics.rs"], "only observe/ counts, and the worker its own"),
    (".inc_by(", &["observe"], "only observe/ counts"),
];

const ALL_ABOVE: &[&str] = &["*"];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

#[test]
fn the_source_keeps_its_shape() {
    let sources = sources("src");
    assert!(sources.len() > 10, "the source has moved");
    let found: Vec<String> = sources.iter().flat_map(Source::mistakes).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_tests_keep_their_lines_short() {
    let found: Vec<String> = sources("tests").iter().flat_map(Source::long_lines).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn rows_name_only_rows_above_them() {
    for (at, (module, uses)) in LAYERS.iter().enumerate() {
        for used in uses.iter().filter(|used| **used != "*") {
            let above = LAYERS[..at].iter().any(|(name, _)| name == used);
            assert!(above, "{module} uses {used}, which is not above it");
        }
    }
}

#[test]
fn the_dockerfile_copies_what_there_is() {
    let text = fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    let copies = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: Vec<&str> = copies
        .filter(|words| !words.starts_with("--from"))
        .flat_map(|words| {
            let words: Vec<&str> = words.split_whitespace().collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    assert!(copied.contains(&"src") && copied.contains(&"gateway.toml"), "{copied:?}");
    for path in copied {
        assert!(root().join(path).exists(), "deploy/Dockerfile copies {path}");
    }
}

/// A source file, its path relative to its folder: `src` or `tests`.
struct Source {
    folder: &'static str,
    path: String,
    text: String,
}

impl Source {
    fn mistakes(&self) -> Vec<String> {
        let mut found = self.long_lines();
        let first = self.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") {
            found.push(self.mistake(1, "the first line does not say what the file owns"));
        }
        let lines = self.code().lines().count();
        if lines > FILE_LINES_MAX {
            found.push(self.mistake(lines, "the file is longer than 400 lines"));
        }
        found.extend(self.long_functions());
        found.extend(self.wrong_uses());
        found.extend(self.trespasses());
        found
    }

    /// The file without its tests.
    fn code(&self) -> &str {
        let is_test = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        let trailing = self.text.find("\n#[cfg(test)]\nmod tests");
        match trailing {
            _ if is_test => "",
            Some(at) => self.text.get(..at).unwrap_or_default(),
            None => &self.text,
        }
    }

    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn long_lines(&self) -> Vec<String> {
        let long = |line: &str| line.chars().count() > COLUMNS_MAX && !is_literal(line);
        let numbered = self.text.lines().enumerate().filter(|(_, line)| long(line));
        numbered.map(|(at, _)| self.mistake(at + 1, "more than 100 columns")).collect()
    }

    fn long_functions(&self) -> Vec<String> {
        let lines: Vec<&str> = self.code().lines().collect();
        let starts = lines.iter().enumerate().filter(|(_, line)| starts_function(line));
        let long = starts.filter(|(at, line)| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let ends = |line: &str| {
                line.strip_prefix(indent).is_some_and(|rest| {
                    rest == "}" || (rest.starts_with(')') && rest.ends_with(';'))
                })
            };
            // One line is a function whole, or one without a body.
            let whole = line.ends_with('}') || line.ends_with(';');
            let length = lines[*at..].iter().position(|line| ends(line)).map_or(0, |end| end + 1);
            !whole && length > FUNCTION_LINES_MAX
        });
        long.map(|(at, _)| self.mistake(at + 1, "a function of more than 70 lines")).collect()
    }

    fn wrong_uses(&self) -> Vec<String> {
        let module = self.module();
        if matches!(module, "lib" | "main") {
            return Vec::new();
        }
        let Some(row) = LAYERS.iter().position(|(name, _)| *name == module) else {
            return vec![self.mistake(1, "the module has no row in LAYERS")];
        };
        let (_, uses) = LAYERS[row];
        let allowed = |used: &str| {
            let above = LAYERS[..row].iter().any(|(name, _)| *name == used);
            used == module || uses.contains(&used) || (uses == ALL_ABOVE && above)
        };
        let wrong = self.uses().into_iter().filter(|(_, used)| !allowed(used));
        wrong.map(|(at, used)| self.mistake(at, &format!("{module} may not use {used}"))).collect()
    }

    /// Modules of the crate's root that the code names, each with its line.
    fn uses(&self) -> Vec<(usize, String)> {
        let code = without_comments(self.code());
        let depth = self.path.split('/').filter(|part| *part != "mod.rs").count();
        let to_root = "super::".repeat(depth);
        let mut found = Vec::new();
        for way in ["crate::", to_root.as_str()] {
            for (at, _) in code.match_indices(way) {
                let before = code[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                    continue;
                }
                let line = code[..at].matches('\n').count() + 1;
                let names = first_names(&code[at + way.len()..]);
                found.extend(names.into_iter().map(|name| (line, name)));
            }
        }
        found.retain(|(_, name)| name.starts_with(|c: char| c.is_ascii_lowercase()));
        found
    }

    fn trespasses(&self) -> Vec<String> {
        let code = without_comments(self.code());
        let mut found = Vec::new();
        for (needle, owners, why) in ALONE {
            let owned = owners.iter().any(|owner| self.path == *owner || self.module() == *owner);
            for (at, line) in code.lines().enumerate() {
                if !owned && line.contains(needle) {
                    found.push(self.mistake(at + 1, &format!("{needle}: {why}")));
                }
            }
        }
        found
    }

    fn mistake(&self, line: usize, what: &str) -> String {
        format!("{}/{}:{line}: {what}", self.folder, self.path)
    }
}

/// A line that cannot be broken: a constant from elsewhere, such as a payment as it was sent.
fn is_literal(line: &str) -> bool {
    line.starts_with("const ") && line.contains("r#\"")
}

fn starts_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let mut rest = words.skip_while(|word| {
        word.starts_with("pub") || matches!(*word, "async" | "const" | "unsafe" | "extern")
    });
    rest.next() == Some("fn")
}

/// The code with its comments emptied, line for line.
fn without_comments(code: &str) -> String {
    let bare = code.lines().map(|line| match line.find("//") {
        // The two strokes of a URL are no comment.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    });
    bare.collect::<Vec<_>>().join("\n")
}

/// `a::b` names `a`; `{a::{b, c}, d}` names `a` and `d`.
fn first_names(text: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![word(text)] };
    let mut names = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(word(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below a folder.
fn sources(folder: &'static str) -> Vec<Source> {
    let mut found = Vec::new();
    let top = root().join(folder);
    let mut folders = vec![top.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
                found.push(Source { folder, path, text });
            }
        }
    }
    found
}

#[track_caller]
fn finds(path: &str, text: &str, expected: &[&str]) {
    let source =
        Source { folder: "src", path: path.to_owned(), text: format!("//! A file.\n{text}") };
    assert_eq!(source.mistakes(), expected);
}

#[test]
fn a_file_that_keeps_the_rules_has_no_mistakes() {
    finds("payment/settle.rs", "use crate::{clock::Clock, ledger};\nuse super::verify;\n", &[]);
    finds("proxy.rs", "use crate::payment::{self, Stage};\nuse pingora::Error;\n", &[]);
    finds("route.rs", "// crate::server is far away\nfn short() {}\n", &[]);
}

#[test]
fn a_use_of_a_higher_module_is_found_in_every_spelling() {
    let wrong: &[&str] = &["src/ledger/writer.rs:2: ledger may not use payment"];
    finds("ledger/writer.rs", "use crate::payment::Stage;\n", wrong);
    finds("ledger/writer.rs", "use crate::{payment::{A, B}, clock::Clock};\n", wrong);
    finds("ledger/writer.rs", "use super::super::payment::Stage;\n", wrong);
    finds("ledger/writer.rs", "fn f() -> crate::payment::Stage { todo() }\n", wrong);
    finds("ledger.rs", "use super::payment;\n", &["src/ledger.rs:2: ledger may not use payment"]);
    finds("proxy.rs", "use crate::server;\n", &["src/proxy.rs:2: proxy may not use server"]);
    finds("till.rs", "", &["src/till.rs:1: the module has no row in LAYERS"]);
}

#[test]
fn a_group_over_several_lines_is_read_whole() {
    let text = "use crate::{\n    clock::{self, Clock},\n    payment::Stage,\n};\n";
    finds("ledger.rs", text, &["src/ledger.rs:2: ledger may not use payment"]);
}

#[test]
fn tests_may_use_what_they_need() {
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::server;\n}\n";
    finds("ledger.rs", &format!("fn f() {{}}\n\n{tests}"), &[]);
    finds("ledger/tests.rs", "use crate::server;\n", &[]);
}

#[test]
fn long_files_functions_and_lines_are_found() {
    let long = "x();\n".repeat(FILE_LINES_MAX);
    finds("clock.rs", &long, &["src/clock.rs:401: the file is longer than 400 lines"]);
    let body = "        x();\n".repeat(FUNCTION_LINES_MAX - 1);
    let function = format!("impl A {{\n    pub async fn f(\n    ) {{\n{body}    }}\n}}\n");
    finds("clock.rs", &function, &["src/clock.rs:3: a function of more than 70 lines"]);
    let wide = format!("// {}\n", "é".repeat(98));
    finds("clock.rs", &wide, &["src/clock.rs:2: more than 100 columns"]);
}

#[test]
fn a_declaration_without_a_body_has_no_length() {
    let rest = "    // more\n".repeat(FUNCTION_LINES_MAX);
    finds("clock.rs", &format!("trait T {{\n    fn f(\n        a: A,\n    );\n{rest}}}\n"), &[]);
    finds("clock.rs", &format!("trait T {{\n    fn f(a: A);\n{rest}}}\n"), &[]);
}

#[test]
fn a_file_that_does_not_say_what_it_owns_is_found() {
    let source =
        Source { folder: "src", path: "clock.rs".to_owned(), text: "use std::fmt;\n".to_owned() };
    let found = source.mistakes();
    assert_eq!(found, ["src/clock.rs:1: the first line does not say what the file owns"]);
}

#[test]
fn what_one_module_alone_may_do_is_found_elsewhere() {
    let text = "let now = SystemTime::now();\n";
    let expected: &[&str] = &["src/limit.rs:2: SystemTime::now: only clock.rs reads a clock"];
    finds("limit.rs", text, expected);
    finds("clock.rs", text, &[]);
    finds(
        "payment.rs",
        "use pingora::Error;\n",
        &["src/payment.rs:2: pingora::: only proxy/ and server/ know pingora"],
    );
}
