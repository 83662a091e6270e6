//! Quotas as headers.

use std::time::Duration;

use super::Quota;

/// The values of `RateLimit` and `RateLimit-Policy`, such as `"unpaid";r=0;t=2` and
/// `"unpaid";q=30;w=60`.
///
/// Source: draft-ietf-httpapi-ratelimit-headers-08 §3, §4.
pub fn rate_limit_headers(name: &str, quota: &Quota) -> (String, String) {
    // A structured-field string takes visible ASCII; the two that need an escape are left out.
    let fits = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    let name: String = name.chars().filter(fits).collect();
    let Quota { limit, remaining, window, reset } = quota;
    let left = format!("\"{name}\";r={remaining};t={}", whole_seconds(*reset));
    let policy = format!("\"{name}\";q={limit};w={}", whole_seconds(*window));
    (left, policy)
}

/// Seconds for `Retry-After`: whoever waits that long has waited long enough.
pub fn whole_seconds(length: Duration) -> u64 {
    length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_read_as_in_the_draft() {
        let quota = |remaining, millis| Quota {
            limit: 30,
            remaining,
            window: Duration::from_secs(60),
            reset: Duration::from_millis(millis),
        };
        let check = |name, quota, left: &str, policy: &str| {
            let expected = (left.to_owned(), policy.to_owned());
            assert_eq!(rate_limit_headers(name, &quota), expected);
        };
        check("unpaid", quota(0, 2000), "\"unpaid\";r=0;t=2", "\"unpaid\";q=30;w=60");
        check("ai", quota(29, 1001), "\"ai\";r=29;t=2", "\"ai\";q=30;w=60");
        check("a\"\\\r\né", quota(1, 0), "\"a\";r=1;t=0", "\"a\";q=30;w=60");
    }
}
