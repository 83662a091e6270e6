//! Colour: from the space that a file's ICC profile names to sRGB.

use std::sync::Arc;

use image::RgbaImage;
use moxcms::{
    CmsError, ColorProfile, DataColorSpace, Layout, ParsingOptions, TransformExecutor,
    TransformOptions,
};
use tracing::debug;

/// What turns the colours of one file into sRGB.
pub(super) struct Profile(Transform);

type Executor = Arc<dyn TransformExecutor<u8> + Send + Sync>;

enum Transform {
    /// Opacity passes through.
    Rgba(Executor),
    /// What each grey becomes.
    Grey(Box<[[u8; 3]; 256]>),
}

impl Profile {
    /// The profile of a file; nothing if it is damaged or of colours that are not decoded.
    ///
    /// A CMYK file is decoded to RGB without its profile, which then fits no more.
    pub(super) fn read(icc: &[u8]) -> Option<Self> {
        Self::try_read(icc).unwrap_or_else(|fault| {
            debug!(%fault, "an ICC profile is not used");
            None
        })
    }

    fn try_read(icc: &[u8]) -> Result<Option<Self>, CmsError> {
        let options = ParsingOptions { max_profile_size: PROFILE_BYTES_MAX, ..Default::default() };
        let profile = ColorProfile::new_from_slice_with_options(icc, options)?;
        let between = |from, to| {
            let srgb = ColorProfile::new_srgb();
            profile.create_transform_8bit(from, &srgb, to, TransformOptions::default())
        };
        let transform = match profile.color_space {
            DataColorSpace::Rgb => Transform::Rgba(between(Layout::Rgba, Layout::Rgba)?),
            DataColorSpace::Gray => Transform::Grey(greys(&between(Layout::Gray, Layout::Rgb)?)?),
            _ => return Ok(None),
        };
        Ok(Some(Self(transform)))
    }

    /// The same picture in sRGB.
    pub(super) fn to_srgb(&self, photo: &mut RgbaImage) {
        match &self.0 {
            Transform::Rgba(executor) => {
                let row_bytes = photo.sample_layout().height_stride.max(1);
                let mut before = Vec::with_capacity(row_bytes);
                for row in photo.chunks_exact_mut(row_bytes) {
                    before.clear();
                    before.extend_from_slice(row);
                    // Lengths that agree are all it asks for.
                    let _ = executor.transform(&before, row);
                }
            }
            Transform::Grey(table) => {
                for pixel in photo.pixels_mut() {
                    let [grey, .., opacity] = pixel.0;
                    if let Some([red, green, blue]) = table.get(usize::from(grey)) {
                        pixel.0 = [*red, *green, *blue, opacity];
                    }
                }
            }
        }
    }
}

fn greys(executor: &Executor) -> Result<Box<[[u8; 3]; 256]>, CmsError> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let mut table = Box::new([[0; 3]; 256]);
    executor.transform(&all, table.as_flattened_mut())?;
    Ok(table)
}

/// The longest profile that is read; those of printers take two megabytes.
const PROFILE_BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn converted(profile: &ColorProfile, pixel: [u8; 4]) -> [u8; 4] {
        let mut photo = RgbaImage::from_pixel(3, 2, Rgba(pixel));
        Profile::read(&profile.encode().unwrap()).unwrap().to_srgb(&mut photo);
        photo.get_pixel(2, 1).0
    }

    #[test]
    fn srgb_stays_as_it_is() {
        let srgb = ColorProfile::new_srgb();
        for pixel in [[0, 0, 0, 9], [255, 255, 255, 0], [200, 40, 90, 255]] {
            let after = converted(&srgb, pixel);
            assert!(after.iter().zip(pixel).all(|(one, two)| one.abs_diff(two) < 2), "{after:?}");
        }
    }

    #[test]
    fn a_wide_red_is_as_red_as_srgb_can_be_and_opacity_passes() {
        let [red, green, blue, opacity] =
            converted(&ColorProfile::new_display_p3(), [200, 60, 50, 77]);
        assert!(red > 212 && green < 52 && blue < 45, "{red} {green} {blue}");
        assert_eq!(opacity, 77);
    }

    #[test]
    fn a_grey_follows_its_curve() {
        let linear = ColorProfile::new_gray_with_gamma(1.0);
        let [red, green, blue, opacity] = converted(&linear, [55, 55, 55, 8]);
        assert!((125..131).contains(&red), "{red}");
        assert_eq!((red, red, 8), (green, blue, opacity));
    }

    #[test]
    fn what_is_no_profile_is_none() {
        assert!(Profile::read(b"").is_none());
        assert!(Profile::read(&[7; 999]).is_none());
        let mut cut = ColorProfile::new_display_p3().encode().unwrap();
        cut.truncate(200);
        assert!(Profile::read(&cut).is_none());
    }
}
