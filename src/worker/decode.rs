//! Decoding: from the bytes of a file to upright RGBA pixels, header first.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::LimitErrorKind::DimensionError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageResult, Limits, RgbaImage};

use super::admission::Mebibytes;
use super::colour::Profile;
use super::container::Kind;
use super::problem::Problem;
use super::request::BODY_BYTES_MAX;

/// An image of which only the header was read.
///
/// Of an animation it is the first frame.
pub(super) struct Header {
    bytes: Bytes,
    kind: Kind,
    width: u32,
    height: u32,
    /// Of one pixel as the decoder gives it.
    pixel_bytes: u8,
    orientation: Orientation,
    profile: Option<Profile>,
}

impl Header {
    /// Reads what there is to know before any pixel is decoded.
    ///
    /// # Errors
    /// `NotAnImage`, `TypeDisagrees`, `Truncated`, `Dimensions`, `Undecodable`.
    pub(super) fn read(bytes: Bytes, named: Kind) -> Result<Self, Problem> {
        let found = Kind::of_magic(&bytes).ok_or(Problem::NotAnImage)?;
        if found != named {
            return Err(Problem::TypeDisagrees { named, found });
        }
        let header = match found {
            Kind::Png => Self::of(&bytes, found, png(&bytes)),
            Kind::Jpeg => Self::of(&bytes, found, jpeg(&bytes)),
            Kind::WebP => Self::of(&bytes, found, webp(&bytes)),
        };
        // A file that ends in its header is truncated rather than damaged.
        let whole = found.is_whole(&bytes);
        let header = header.map_err(|fault| match fault {
            ImageError::Limits(limit) if limit.kind() == DimensionError => Problem::Dimensions,
            _ if whole => Problem::Undecodable,
            _ => Problem::Truncated,
        })?;
        if header.width > SIDE_MAX || header.height > SIDE_MAX {
            return Err(Problem::Dimensions);
        }
        if whole { Ok(header) } else { Err(Problem::Truncated) }
    }

    fn of<D: ImageDecoder>(
        bytes: &Bytes,
        kind: Kind,
        decoder: ImageResult<D>,
    ) -> ImageResult<Self> {
        let mut decoder = decoder?;
        let (width, height) = decoder.dimensions();
        let pixel_bytes = decoder.color_type().bytes_per_pixel();
        // Orientation is a courtesy: an image whose EXIF is damaged is still an image.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        // So is colour: a profile that is damaged counts as none.
        let profile = decoder.icc_profile().ok().flatten().and_then(|icc| Profile::read(&icc));
        let bytes = bytes.clone();
        Ok(Self { bytes, kind, width, height, pixel_bytes, orientation, profile })
    }

    /// The most memory that decoding, cutting out and encoding will take, where cutting out takes
    /// `beside` the pixels.
    pub(super) fn memory(&self, beside: u64) -> Mebibytes {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let file = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        memory(pixels, self.pixel_bytes, file.saturating_add(beside))
    }

    /// Decodes the pixels, turns them upright and makes them sRGB.
    ///
    /// # Errors
    /// `Undecodable`.
    pub(super) fn decode(self) -> Result<RgbaImage, Problem> {
        let decoded = match self.kind {
            Kind::Png => png(&self.bytes).and_then(DynamicImage::from_decoder),
            Kind::Jpeg => jpeg(&self.bytes).and_then(DynamicImage::from_decoder),
            Kind::WebP => webp(&self.bytes).and_then(DynamicImage::from_decoder),
        };
        let mut image = decoded.map_err(|_| Problem::Undecodable)?;
        image.apply_orientation(self.orientation);
        let mut photo = image.into_rgba8();
        if let Some(profile) = self.profile {
            profile.to_srgb(&mut photo);
        }
        Ok(photo)
    }
}

/// The most memory that any image takes.
pub(super) fn memory_max(beside: u64) -> Mebibytes {
    let pixels = u64::from(SIDE_MAX) * u64::from(SIDE_MAX);
    let file = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
    memory(pixels, PIXEL_BYTES_MAX, file.saturating_add(beside))
}

fn memory(pixels: u64, pixel_bytes: u8, beside: u64) -> Mebibytes {
    let decoded = u64::from(pixel_bytes);
    // Progressive JPEG keeps its coefficients; each decoder keeps about one plane of its own.
    let decoding = decoded + COEFFICIENTS_BYTES;
    let converting = decoded + RGBA_BYTES;
    // The photo, its compressed pixels while their buffer grows, and the file.
    let encoding = 3 * RGBA_BYTES + 1;
    let most = decoding.max(converting).max(encoding);
    Mebibytes::holding(pixels.saturating_mul(most).saturating_add(beside))
}

type Source<'a> = Cursor<&'a [u8]>;

fn png(bytes: &[u8]) -> ImageResult<PngDecoder<Source<'_>>> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(METADATA_BYTES_MAX);
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    PngDecoder::with_limits(Cursor::new(bytes), limits)
}

fn jpeg(bytes: &[u8]) -> ImageResult<JpegDecoder<Source<'_>>> {
    JpegDecoder::new(Cursor::new(bytes))
}

fn webp(bytes: &[u8]) -> ImageResult<WebPDecoder<Source<'_>>> {
    WebPDecoder::new(Cursor::new(bytes))
}

/// The longest side.
pub(super) const SIDE_MAX: u32 = 10_000;

/// What compressed metadata of a PNG may unfold to.
const METADATA_BYTES_MAX: u64 = 16 << 20;

const RGBA_BYTES: u64 = 4;

/// Four colours of 16 bits.
const PIXEL_BYTES_MAX: u8 = 8;

/// Three 16-bit coefficients per pixel.
const COEFFICIENTS_BYTES: u64 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(side: u32, pixel_bytes: u8) -> Header {
        let (bytes, kind) = (Bytes::from_static(&[0; 99]), Kind::Png);
        let orientation = Orientation::NoTransforms;
        let profile = None;
        Header { bytes, kind, width: side, height: side, pixel_bytes, orientation, profile }
    }

    #[test]
    fn one_pixel_takes_what_segmenting_takes() {
        assert_eq!(header(1, 4).memory(100 << 20), Mebibytes(101));
    }

    #[test]
    fn the_largest_image_of_the_deepest_colour_fits_the_usual_budget() {
        let memory = header(SIDE_MAX, 8).memory(100 << 20);
        assert_eq!(memory, Mebibytes(1436));
        let most = memory_max(100 << 20);
        assert!(memory < most && most < Mebibytes::within_megabytes(1600));
    }
}
