//! The matte: a rough mask made into soft opacity and clean colours at the photo's full size.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: what becomes a byte is clamped to 0 to 255 before"
)]

use image::RgbaImage;
use rayon::prelude::*;

use super::boxes::means;
use super::guided::{Lines, colour};
use super::plane::{Between, Lattice, Plane};

/// Everything the full photo needs, found on a small one.
pub(in crate::worker) struct Matte {
    opacity: Opacity,
    /// Around each pixel of a photo half as large, the mean colours of subject and background.
    colours: Plane<[f32; 6]>,
}

/// Where the opacity of a pixel comes from.
enum Opacity {
    /// Its colour, by the lines of a guided filter.
    Lines(Lines),
    /// A mask as large as the full photo.
    Given(image::GrayImage),
}

impl Matte {
    /// From a small photo and the mask (0 to 1) of its subject, of one size.
    pub(super) fn guided(photo: &Plane<[u8; 3]>, mask: &Plane<f32>) -> Self {
        let lines = Lines::fit(photo, mask, radius(photo));
        Self { opacity: Opacity::Lines(lines), colours: colours(photo, mask) }
    }

    /// The same with the opacity of each pixel of the full photo.
    pub(super) fn given(
        photo: &Plane<[u8; 3]>,
        mask: &Plane<f32>,
        opacity: image::GrayImage,
    ) -> Self {
        Self { opacity: Opacity::Given(opacity), colours: colours(photo, mask) }
    }

    /// Gives each pixel of the full photo its opacity, and soft ones the subject's colour.
    pub(in crate::worker) fn apply(&self, photo: &mut RgbaImage) {
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        let small = match &self.opacity {
            Opacity::Lines(lines) => lines.size(),
            Opacity::Given(_) => (width, height),
        };
        let (rows, columns) = (Lattice::new(small.1, height), Lattice::new(small.0, width));
        let columns = columns.all(width);
        let shade_rows = Lattice::new(self.colours.height, height);
        let shade_columns = Lattice::new(self.colours.width, width);
        let line = |(y, pixels): (usize, &mut [u8])| {
            let row = rows.at(y);
            let (pixels, _) = pixels.as_chunks_mut::<4>();
            for (x, (pixel, &column)) in pixels.iter_mut().zip(&columns).enumerate() {
                let [red, green, blue, _] = *pixel;
                let colour = colour([red, green, blue]);
                let opacity = match &self.opacity {
                    Opacity::Lines(lines) => firm(lines.opacity(row, column, colour)),
                    Opacity::Given(mask) => f32::from(mask.as_raw()[y * width + x]) / 255.0,
                };
                self.cut(pixel, (colour, opacity), || (shade_rows.at(y), shade_columns.at(x)));
            }
        };
        photo.par_chunks_mut(width * 4).enumerate().for_each(line);
    }

    /// Cuts a pixel of this colour and opacity out; `at` is where it is between the colours.
    fn cut(
        &self,
        pixel: &mut [u8; 4],
        (colour, opacity): ([f32; 3], f32),
        at: impl FnOnce() -> (Between, Between),
    ) {
        let [.., before] = *pixel;
        if opacity <= 0.0 {
            // One value for all that is cut away compresses best and hides nothing.
            *pixel = [0; 4];
            return;
        }
        if opacity < 1.0 {
            let [red, green, blue] = self.unmixed(colour, opacity, at()).map(byte);
            *pixel = [red, green, blue, byte(opacity * f32::from(before) / 255.0)];
        }
    }

    /// The subject's share of a mixed colour.
    ///
    /// Source: Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021.
    fn unmixed(&self, colour: [f32; 3], opacity: f32, at: (Between, Between)) -> [f32; 3] {
        let colours = self.colours.sample(at.0, at.1);
        std::array::from_fn(|c| {
            let (subject, background) = (colours[c], colours[3 + c]);
            let guess = opacity * subject + (1.0 - opacity) * background;
            (subject + opacity * (colour[c] - guess)).clamp(0.0, 1.0)
        })
    }
}

fn radius(photo: &Plane<[u8; 3]>) -> usize {
    (photo.width.max(photo.height) / EDGE_PART).max(RADIUS_MIN)
}

/// The mean colours around each two by two pixels: red, green and blue of the subject, then of the
/// background; those of everything where there is none of either.
fn colours(photo: &Plane<[u8; 3]>, mask: &Plane<f32>) -> Plane<[f32; 6]> {
    let weighed = fours(photo, mask);
    let (size, radius) = ((weighed.width, weighed.height), (radius(photo) / 2).max(RADIUS_MIN));
    means(
        size,
        radius,
        |at| weighed.values[at],
        |means| {
            let [r, g, b, front, back_r, back_g, back_b, back] = means;
            [r / front, g / front, b / front, back_r / back, back_g / back, back_b / back]
        },
    )
}

/// Of each two by two pixels, the colour and the share of the subject, then of the background.
fn fours(photo: &Plane<[u8; 3]>, mask: &Plane<f32>) -> Plane<[f32; 8]> {
    let (width, height) = (photo.width.div_ceil(2), photo.height.div_ceil(2));
    let weighed = |x: usize, y: usize| {
        // The last column and row stand for those behind them.
        let at = y.min(photo.height - 1) * photo.width + x.min(photo.width - 1);
        let ([r, g, b], mask) = (colour(photo.values[at]), mask.values[at]);
        let (front, back) = (mask + WEIGHT_MIN, 1.0 - mask + WEIGHT_MIN);
        [front * r, front * g, front * b, front, back * r, back * g, back * b, back]
    };
    let mut values = vec![[0.0; 8]; width * height];
    values.par_chunks_mut(width).enumerate().for_each(|(row, values)| {
        for (column, sum) in values.iter_mut().enumerate() {
            let (x, y) = (2 * column, 2 * row);
            for part in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                let part = weighed(part.0, part.1);
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
    });
    Plane { width, height, values }
}

/// Opacity with the ends pulled out, so that the inside is opaque and the outside empty.
fn firm(opacity: f32) -> f32 {
    let part = ((opacity - FIRM) / (1.0 - 2.0 * FIRM)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

fn byte(value: f32) -> u8 {
    (value * 255.0).round() as u8
}

/// The soft edge is about this part of the longer side.
const EDGE_PART: usize = 120;

const RADIUS_MIN: usize = 2;

/// Opacities this near to nothing or to all are taken for it.
const FIRM: f32 = 0.12;

/// What counts where nothing counts.
const WEIGHT_MIN: f32 = 1e-4;

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    #[test]
    fn the_ends_are_firm_and_the_middle_stays() {
        assert_eq!((firm(0.1), firm(0.9)), (0.0, 1.0));
        assert!((firm(0.5) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_mixed_colour_becomes_the_subjects() {
        let photo = Plane {
            width: 40,
            height: 40,
            values: (0..1600)
                .map(|at| match at % 40 {
                    0..20 => [200, 40, 40],
                    20 => [120, 120, 120],
                    _ => [40, 200, 200],
                })
                .collect(),
        };
        let mask = photo.map(|[red, ..]| (f32::from(red) - 40.0) / 160.0);
        let mut image = RgbaImage::from_fn(40, 40, |x, y| {
            let [red, green, blue] = photo.values[(y * 40 + x) as usize];
            Rgba([red, green, blue, 255])
        });
        Matte::guided(&photo, &mask).apply(&mut image);
        let Rgba([red, green, _, opacity]) = *image.get_pixel(20, 20);
        assert!((90..170).contains(&opacity), "{opacity}");
        assert!(red > 150 && green < 90, "{red} {green}");
        assert_eq!(image.get_pixel(5, 20), &Rgba([200, 40, 40, 255]));
        assert_eq!(image.get_pixel(35, 20), &Rgba([0; 4]));
    }
}
