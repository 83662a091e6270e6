//! Tensors: from the pixels of a photo to a model's numbers, and masks to the photo's size.
#![expect(
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: what becomes a byte is clamped to 0 to 255 before"
)]

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, RgbaImage};

use super::super::SegmentError;
use super::super::plane::Plane;
use super::manifest::{Layout, Manifest, White};

/// What an engine takes.
pub(super) struct Input {
    /// One, then colours, height and width in the model's order.
    pub(super) shape: [usize; 4],
    pub(super) values: Vec<f32>,
}

/// What an engine gives back.
pub(super) struct Output {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Pixels of the size that the model takes.
pub(super) struct Square {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

impl Square {
    /// Width and height.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Left becomes right.
    pub(super) fn mirror(&mut self) {
        mirror(&mut self.pixels, self.width);
    }
}

/// Turns each row of `width` values round.
pub(super) fn mirror<T>(values: &mut [T], width: usize) {
    values.chunks_mut(width.max(1)).for_each(<[T]>::reverse);
}

/// The photo resampled; what is transparent keeps its colour.
pub(super) fn squeezed(photo: &RgbaImage, width: u32, height: u32) -> Result<Square, SegmentError> {
    let source = ImageRef::new(photo.width(), photo.height(), photo.as_raw(), PixelType::U8x4)?;
    let mut target = Image::new(width, height, PixelType::U8x4);
    Resizer::new().resize(&source, &mut target, &lanczos())?;
    let (pixels, _) = target.buffer().as_chunks::<4>();
    let (width, height) = (width as usize, height as usize);
    Ok(Square { width, height, pixels: pixels.to_vec() })
}

/// A mask as large as the photo, by resampling alone.
pub(super) fn stretched(
    mask: &Plane<f32>,
    (width, height): (u32, u32),
) -> Result<GrayImage, SegmentError> {
    // Cut off rather than rounded, as rembg does it.
    let bytes: Vec<u8> = mask.values.iter().map(|value| (value * 255.0) as u8).collect();
    let source = ImageRef::new(mask.width as u32, mask.height as u32, &bytes, PixelType::U8)?;
    let mut opacity = GrayImage::new(width, height);
    let mut target = Image::from_slice_u8(width, height, &mut opacity, PixelType::U8)?;
    Resizer::new().resize(&source, &mut target, &lanczos())?;
    Ok(opacity)
}

fn lanczos() -> ResizeOptions {
    let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
    ResizeOptions::new().resize_alg(lanczos).use_alpha(false)
}

/// The numbers of the pixels, as the manifest has them.
pub(super) fn input(square: &Square, manifest: &Manifest) -> Input {
    let colours = || square.pixels.iter().map(|[red, green, blue, _]| [*red, *green, *blue]);
    let white = match manifest.white {
        White::Full => u8::MAX,
        White::Brightest => colours().flatten().max().unwrap_or(1).max(1),
    };
    // For each colour, what each of its 256 values becomes.
    let scale = |mean: f32, deviation: f32| -> [f32; 256] {
        std::array::from_fn(|value| (value as f32 / f32::from(white) - mean) / deviation)
    };
    let [mean_red, mean_green, mean_blue] = manifest.mean;
    let [deviation_red, deviation_green, deviation_blue] = manifest.deviation;
    let tables = [
        scale(mean_red, deviation_red),
        scale(mean_green, deviation_green),
        scale(mean_blue, deviation_blue),
    ];
    let number =
        |table: &[f32; 256], value: u8| table.get(usize::from(value)).copied().unwrap_or_default();
    let Square { width, height, .. } = *square;
    match manifest.layout {
        Layout::Nchw => {
            let plane = |(colour, table)| {
                square.pixels.iter().map(move |pixel: &[u8; 4]| {
                    number(table, pixel.get::<usize>(colour).copied().unwrap_or_default())
                })
            };
            let values = tables.iter().enumerate().flat_map(plane).collect();
            Input { shape: [1, 3, height, width], values }
        }
        Layout::Nhwc => {
            let [reds, greens, blues] = &tables;
            let pixel = |[red, green, blue]: [u8; 3]| {
                [number(reds, red), number(greens, green), number(blues, blue)]
            };
            Input { shape: [1, height, width, 3], values: colours().flat_map(pixel).collect() }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn manifest(more: &str) -> Manifest {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "license = \"x\"\ncommercial_use = true\nsize.fixed = [16, 16]\n\
             mean = [0.5, 0, 0]\ndeviation = [1, 2, 1]\n{more}"
        );
        std::fs::write(folder.path().join("m.toml"), text).unwrap();
        Manifest::find(&folder.path().join("m.onnx"), None).unwrap()
    }

    fn square() -> Square {
        let mut photo = RgbaImage::from_pixel(2, 1, Rgba([51, 102, 0, 0]));
        photo.put_pixel(1, 0, Rgba([0, 204, 51, 255]));
        squeezed(&photo, 2, 1).unwrap()
    }

    #[track_caller]
    fn check(more: &str, shape: [usize; 4], expected: [f32; 6]) {
        let input = input(&square(), &manifest(more));
        assert_eq!(input.shape, shape);
        let far = |(one, two): (&f32, f32)| (one - two).abs() > 1e-6;
        assert!(!input.values.iter().zip(expected).any(far), "{:?}", input.values);
    }

    #[test]
    fn colours_become_planes_and_what_is_transparent_keeps_its_colour() {
        check("", [1, 3, 1, 2], [-0.3, -0.5, 0.2, 0.4, 0.0, 0.2]);
    }

    #[test]
    fn colours_become_pixels() {
        check("layout = \"nhwc\"", [1, 1, 2, 3], [-0.3, 0.2, 0.0, -0.5, 0.4, 0.2]);
    }

    #[test]
    fn the_brightest_value_becomes_one() {
        check("white = \"brightest\"", [1, 3, 1, 2], [-0.25, -0.5, 0.25, 0.5, 0.0, 0.25]);
    }

    #[test]
    fn a_mask_is_stretched_to_the_photo() {
        let mask = Plane { width: 2, height: 1, values: vec![0.0, 1.0] };
        let opacity = stretched(&mask, (40, 8)).unwrap();
        assert_eq!((opacity.get_pixel(0, 3)[0], opacity.get_pixel(39, 3)[0]), (0, 255));
    }

    #[test]
    fn rows_are_mirrored_each_by_itself() {
        let mut values = [1, 2, 3, 4, 5, 6];
        mirror(&mut values, 3);
        assert_eq!(values, [3, 2, 1, 6, 5, 4]);
        mirror::<u8>(&mut [], 0);
    }
}
