//! The footprint: how much memory this process has and had, by the system's own account.

use std::fs;

/// Bytes in memory now; 0 where the system does not say.
pub(super) fn now() -> u64 {
    line("VmRSS:")
}

/// The most there ever was.
pub(super) fn most() -> u64 {
    line("VmHWM:")
}

fn line(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_most_is_at_least_what_is_now() {
        let now = now();
        assert!(now > 1 << 20 && most() >= now);
    }
}
