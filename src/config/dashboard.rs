//! `[dashboard]`: whether there is a page for operators, and who may see it.

use crate::digest::Digest;

use super::file::FileDashboard;
use super::mistake::Mistake;
use super::reader::Reader;

/// Reads `[dashboard]`. Of the token only a digest is kept.
pub(super) fn dashboard(typed: FileDashboard, reader: &mut Reader<'_>) -> Option<Digest> {
    let token = typed.token?;
    let span = token.span();
    let (token, _) = reader.secret_text(token)?;
    if token.len() < TOKEN_LEN_MIN {
        reader.wrong(span, Mistake::TokenShort { min: TOKEN_LEN_MIN });
        return None;
    }
    Some(Digest::of(token.as_bytes()))
}

/// Nobody guesses so many characters.
const TOKEN_LEN_MIN: usize = 16;
