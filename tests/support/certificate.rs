//! Certificates that are their own authority.

use std::fs;
use std::path::Path;

/// Makes one for these names, with its key beside it; gives it back to be trusted.
pub fn certify(folder: &Path, name: &str, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem().into_bytes()
}
