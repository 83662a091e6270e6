//! Image files from outside: what their first bytes say they are, and whether they end.

/// The kinds of image that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Png,
    Jpeg,
    WebP,
}

impl Kind {
    /// The kind a media type names, parameters and case aside.
    pub(super) fn of_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let named = |kind: &Self| essence.eq_ignore_ascii_case(kind.media_type());
        [Self::Png, Self::Jpeg, Self::WebP].into_iter().find(named)
    }

    /// The kind whose magic bytes a file starts with.
    pub(super) fn of_magic(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    /// As it stands in `Content-Type`.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }

    /// Whether the file reaches its own end. Bytes after that are nobody's business.
    ///
    /// Asked before decoding, because decoders paint the missing part of a photo grey.
    pub(super) fn is_whole(self, bytes: &[u8]) -> bool {
        match self {
            Self::Png => png_ends(bytes),
            Self::Jpeg => jpeg_ends(bytes),
            Self::WebP => webp_ends(bytes),
        }
    }
}

/// A PNG is chunks of length, name, content and checksum; the last is named `IEND`.
fn png_ends(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some(next) = length.checked_add(8).and_then(|length| after.get(length..)) else {
            return false;
        };
        if after.starts_with(b"IEND") {
            return true;
        }
        rest = next;
    }
    false
}

/// A JPEG is segments up to the first scan, then scans in which the end marker cannot occur but
/// at the end. Segments are stepped over, because a thumbnail in one of them has its own end.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match rest {
            [0xff, 0xff, ..] => rest = rest.get(1..).unwrap_or_default(),
            [0xff, SCAN, scan @ ..] => return scan.windows(2).any(|pair| pair == [0xff, END]),
            [0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(length.saturating_add(2)..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

/// A WebP says its length after the first four bytes.
fn webp_ends(bytes: &[u8]) -> bool {
    let length = bytes.get(4..).and_then(|rest| rest.first_chunk());
    length.is_some_and(|length| {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        length.checked_add(8).is_some_and(|end| end <= bytes.len())
    })
}

/// The marker before a JPEG's first coded scan.
const SCAN: u8 = 0xda;

/// The marker after a JPEG's last.
const END: u8 = 0xd9;

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x01tEXtx1234\0\0\0\0IEND5678";
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe1\0\x06th\xff\xd9\xff\xff\xda\0\x04\0\0\x12\xff\0\x34\xff\xd9";
    const WEBP: &[u8] = b"RIFF\x0a\0\0\0WEBPVP8L12";

    #[track_caller]
    fn check(kind: Kind, bytes: &[u8]) {
        assert_eq!(Kind::of_magic(bytes), Some(kind));
        assert!(kind.is_whole(bytes));
        assert!(kind.is_whole(&[bytes, b"more"].concat()));
        for length in 0..bytes.len() {
            assert!(!kind.is_whole(&bytes[..length]), "cut to {length}");
        }
    }

    #[test]
    fn a_png_ends_with_its_last_chunk() {
        check(Kind::Png, PNG);
    }

    #[test]
    fn a_jpeg_ends_after_its_scan_and_not_in_a_thumbnail() {
        check(Kind::Jpeg, JPEG);
    }

    #[test]
    fn a_webp_ends_where_it_says() {
        check(Kind::WebP, WEBP);
    }

    #[test]
    fn a_chunk_of_four_gigabytes_is_no_trouble() {
        assert!(!Kind::Png.is_whole(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDATabcdefgh"));
    }

    #[test]
    fn a_segment_shorter_than_its_own_length_still_moves_on() {
        assert!(!Kind::Jpeg.is_whole(b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0"));
    }

    #[test]
    fn a_media_type_may_have_parameters_and_any_case() {
        assert_eq!(Kind::of_media_type("Image/PNG; q=1"), Some(Kind::Png));
        assert_eq!(Kind::of_media_type("image/jpg"), None);
        assert_eq!(Kind::of_media_type(""), None);
    }
}
