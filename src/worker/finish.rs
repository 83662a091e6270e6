//! The finish: from a cut-out to the picture that was ordered.

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage, imageops};

use super::request::{Crop, Order, Output};

/// What is to be encoded. Takes no more memory than the cut-out and its copy.
pub(super) fn finish(cut: RgbaImage, order: Order) -> DynamicImage {
    let cut = match order.crop {
        Crop::Whole => cut,
        Crop::Subject => cropped(cut),
    };
    match order.output {
        Output::CutOut => cut.into(),
        Output::Mask => mask(&cut).into(),
        Output::Before(colour) => before(&cut, colour).into(),
    }
}

fn mask(cut: &RgbaImage) -> GrayImage {
    let mut mask = GrayImage::new(cut.width(), cut.height());
    for (to, Rgba([.., opacity])) in mask.pixels_mut().zip(cut.pixels()) {
        *to = Luma([*opacity]);
    }
    mask
}

fn before(cut: &RgbaImage, colour: [u8; 3]) -> RgbImage {
    let mut picture = RgbImage::new(cut.width(), cut.height());
    for (to, Rgba([red, green, blue, opacity])) in picture.pixels_mut().zip(cut.pixels()) {
        let [back_red, back_green, back_blue] = colour;
        let mixed = |front, back| mixed(front, back, *opacity);
        *to = Rgb([mixed(*red, back_red), mixed(*green, back_green), mixed(*blue, back_blue)]);
    }
    picture
}

fn mixed(front: u8, back: u8, opacity: u8) -> u8 {
    let (front, back, opacity) = (u16::from(front), u16::from(back), u16::from(opacity));
    let mixed = (front * opacity + back * (255 - opacity) + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

/// The smallest rectangle that holds every pixel one would see; the whole without any.
fn cropped(mut cut: RgbaImage) -> RgbaImage {
    let mut sides: Option<[u32; 4]> = None;
    for (x, y, Rgba([.., opacity])) in cut.enumerate_pixels() {
        if *opacity >= SEEN {
            let [left, top, right, bottom] = sides.unwrap_or([x, y, x, y]);
            sides = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
        }
    }
    let Some([left, top, right, bottom]) = sides else { return cut };
    imageops::crop(&mut cut, left, top, right - left + 1, bottom - top + 1).to_image()
}

/// Opacity below which nobody sees a pixel: a twentieth.
const SEEN: u8 = 13;

#[cfg(test)]
mod tests {
    use super::super::request::Format;
    use super::*;

    /// Five by four, with three pixels that are not transparent and a speck nobody sees.
    fn cut() -> RgbaImage {
        let mut cut = RgbaImage::new(5, 4);
        cut.put_pixel(0, 0, Rgba([9, 9, 9, SEEN - 1]));
        cut.put_pixel(1, 1, Rgba([200, 100, 0, 255]));
        cut.put_pixel(2, 1, Rgba([200, 100, 0, 51]));
        cut.put_pixel(3, 2, Rgba([1, 2, 3, SEEN]));
        cut
    }

    fn finished(output: Output, crop: Crop) -> DynamicImage {
        finish(cut(), Order { format: Format::Png, output, crop })
    }

    #[test]
    fn the_cut_out_is_left_alone() {
        assert_eq!(finished(Output::CutOut, Crop::Whole), cut().into());
    }

    #[test]
    fn a_mask_is_opacity() {
        let mask = finished(Output::Mask, Crop::Whole).into_luma8();
        let values = mask.pixels().map(|pixel| pixel.0[0]);
        let expected = [12, 0, 0, 0, 0, 0, 255, 51, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0];
        assert!(values.eq(expected));
    }

    #[test]
    fn a_background_shows_through_what_is_transparent() {
        let picture = finished(Output::Before([0, 100, 255]), Crop::Whole);
        let DynamicImage::ImageRgb8(picture) = picture else { panic!("{:?}", picture.color()) };
        assert_eq!(picture.get_pixel(4, 3), &Rgb([0, 100, 255]));
        assert_eq!(picture.get_pixel(1, 1), &Rgb([200, 100, 0]));
        assert_eq!(picture.get_pixel(2, 1), &Rgb([40, 100, 204]));
    }

    #[test]
    fn a_crop_holds_all_that_is_seen() {
        let picture = finished(Output::CutOut, Crop::Subject).into_rgba8();
        assert_eq!(picture.dimensions(), (3, 2));
        assert_eq!(picture.get_pixel(0, 0), &Rgba([200, 100, 0, 255]));
        assert_eq!(picture.get_pixel(2, 1), &Rgba([1, 2, 3, SEEN]));
    }

    #[test]
    fn where_nothing_is_seen_nothing_is_cropped() {
        let order = Order { crop: Crop::Subject, ..Order::default() };
        assert_eq!(finish(RgbaImage::new(5, 4), order).into_rgba8().dimensions(), (5, 4));
    }
}
