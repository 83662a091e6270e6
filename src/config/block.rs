//! `[block]`: who is turned away, in the file itself or one to a line in files beside it.

use std::path::PathBuf;

use ipnet::IpNet;
use toml::Spanned;

use crate::access::Block;
use crate::bounded;
use crate::x402::Account;

use super::accounts::{AccountText, any_account};
use super::file::FileBlock;
use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};
use super::watched::Watched;

/// Reads both lists, from both of their places.
pub(super) fn block(typed: FileBlock, reader: &mut Reader<'_>) -> Block {
    let FileBlock { addresses, payers, addresses_file, payers_file } = typed;
    let mut nets = reader.take_all(addresses);
    let mut accounts: Vec<Account> = Vec::new();
    for Text { span, said } in payers {
        match said.and_then(|AccountText(text)| any_account(&text)) {
            Ok(account) => accounts.push(account),
            Err(mistake) => reader.wrong(span, mistake),
        }
    }
    nets.extend(lines(addresses_file, <IpNet as Written>::read, reader));
    accounts.extend(lines(payers_file, any_account, reader));
    Block::new(nets, accounts)
}

/// What stands on the lines of a file; what follows `#` is a comment. The first mistake is noted.
fn lines<T>(
    typed: Option<Spanned<PathBuf>>,
    read: impl Fn(&str) -> Result<T, Mistake>,
    reader: &mut Reader<'_>,
) -> Vec<T> {
    let Some(typed) = typed else { return Vec::new() };
    let (span, path) = (typed.span(), reader.beside(typed.get_ref()));
    let read_text = bounded::read_text(&path);
    reader.watched.push(Watched::found(&path, &read_text));
    let text = match read_text {
        Ok(text) => text,
        Err(error) => {
            reader.wrong(span, Mistake::ListUnreadable(error));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match read(entry) {
            Ok(entry) => found.push(entry),
            Err(mistake) => {
                let (line, why) = (at.saturating_add(1), mistake.to_string().into());
                reader.wrong(span, Mistake::ListLine { line, why });
                return Vec::new();
            }
        }
    }
    found
}
