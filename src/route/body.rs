//! Screens what a request says of its body, before any money is looked at.

use super::BodyRules;
use crate::refusal::Refusal;

impl BodyRules {
    /// Judges `Content-Type` and `Content-Length`. A body without a declared length passes here
    /// and is counted while it is read.
    ///
    /// # Errors
    /// `BodyTypeUnsupported`: the route lists types and this is none of them, or there is none.
    /// `BodyTooLarge`: more bytes are announced than the route takes.
    pub fn screen(
        &self,
        content_type: Option<&str>,
        content_length: Option<u64>,
    ) -> Result<(), Refusal> {
        if !self.takes_type(content_type) {
            return Err(Refusal::BodyTypeUnsupported);
        }
        match (self.bytes_max, content_length) {
            (Some(bytes_max), Some(length)) if length > bytes_max => {
                Err(Refusal::BodyTooLarge { bytes_max })
            }
            _ => Ok(()),
        }
    }

    fn takes_type(&self, content_type: Option<&str>) -> bool {
        let Some(content_type) = content_type else {
            return self.types.is_empty();
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self.types.is_empty() || self.types.iter().any(|taken| taken.eq_ignore_ascii_case(essence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: Option<&str>, length: Option<u64>, expected: Result<(), Refusal>) {
        let types = vec!["image/png".into(), "image/jpeg".into()];
        let rules = BodyRules { types, bytes_max: Some(100) };
        assert_eq!(rules.screen(content_type, length), expected, "{content_type:?} {length:?}");
    }

    #[test]
    fn a_listed_type_passes_in_any_case_and_with_parameters() {
        for listed in ["image/png", "IMAGE/PNG", "image/jpeg; q=1", " image/png ;charset=x"] {
            check(Some(listed), Some(1), Ok(()));
        }
    }

    #[test]
    fn another_type_or_none_is_unsupported() {
        for other in ["", "image", "image/pngx", "text/html; image/png", "image/png, image/jpeg"] {
            check(Some(other), Some(1), Err(Refusal::BodyTypeUnsupported));
        }
        check(None, Some(1), Err(Refusal::BodyTypeUnsupported));
    }

    #[test]
    fn the_announced_length_is_bounded() {
        check(Some("image/png"), Some(100), Ok(()));
        check(Some("image/png"), None, Ok(()));
        check(Some("image/png"), Some(101), Err(Refusal::BodyTooLarge { bytes_max: 100 }));
    }

    #[test]
    fn without_rules_everything_passes() {
        assert_eq!(BodyRules::default().screen(None, Some(u64::MAX)), Ok(()));
        assert_eq!(BodyRules::default().screen(Some("x"), None), Ok(()));
    }
}
