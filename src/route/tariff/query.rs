//! One part of a query, read as any server behind us would read it, or not at all.

use super::folded;

/// The part has two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TwoReadings;

/// The value of this name, unescaped; nothing when it is not there.
///
/// # Errors
/// It is there twice, in another spelling or as a list; an escape is bad; or `;` may separate.
pub(super) fn value(query: &[u8], name: &str) -> Result<Option<Vec<u8>>, TwoReadings> {
    if query.contains(&b';') {
        return Err(TwoReadings);
    }
    let mut found = None;
    let wanted = loosely(name);
    for part in query.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let key = unescaped(halves.next().unwrap_or_default())?;
        let key = String::from_utf8(key).map_err(|_| TwoReadings)?;
        let value = unescaped(halves.next().unwrap_or_default())?;
        // Some servers cut a name here, and some make a list or a table of it.
        let end = key.find(|c: char| c == '[' || c.is_control()).unwrap_or(key.len());
        if key == name && found.is_none() {
            found = Some(value);
        } else if key.get(..end).is_some_and(|start| loosely(start) == wanted) {
            return Err(TwoReadings);
        }
    }
    Ok(found)
}

/// All values of this name, as most servers read it; none where an escape is bad.
pub(in crate::route) fn values(query: &[u8], name: &str) -> Vec<String> {
    let text = |part: &[u8]| String::from_utf8(unescaped(part).ok()?).ok();
    let parts = query.split(|byte| *byte == b'&').filter_map(|part| {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let key = text(halves.next()?)?;
        let value = text(halves.next().unwrap_or_default())?;
        (key == name).then_some(value)
    });
    parts.collect()
}

/// A name as the laxest server reads it.
fn loosely(name: &str) -> String {
    folded(name.trim()).replace(['.', ' '], "_")
}

fn unescaped(text: &[u8]) -> Result<Vec<u8>, TwoReadings> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let digit = char::from(*bytes.next()?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (high, low) = digit().zip(digit()).ok_or(TwoReadings)?;
                (high << 4) | low
            }
            byte => *byte,
        });
    }
    Ok(plain)
}
