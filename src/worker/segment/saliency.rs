//! Saliency: how much each pixel stands out from what touches the border of the photo.
//!
//! Source: Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", ICCV 2015 (MB+).
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: sizes are a few hundred, so every conversion is exact"
)]

use super::boxes::means;
use super::gaussian::Moments;
use super::lab::Lab;
use super::plane::Plane;

/// From 0 (background) to 1 (subject).
pub(super) fn of(photo: &Plane<Lab>) -> Plane<f32> {
    let barriers = sum((0..3).map(|channel| barrier(&photo.map(|lab| lab[channel]))));
    let strangeness = strangeness(photo);
    let both = sum([barriers.normalised(), strangeness.normalised()].into_iter());
    let both = both.normalised();
    let size = (both.width, both.height);
    let smooth = means(size, SMOOTHING, |at| [both.values[at]], |[mean]| mean).normalised();
    centred(&smooth).normalised()
}

/// The minimum barrier distance of every pixel from the border, by raster scans.
///
/// The barrier of a path is the range of values on it; here is the least over all paths found.
fn barrier(channel: &Plane<f32>) -> Plane<f32> {
    let (width, height) = (channel.width, channel.height);
    let mut paths = Paths {
        values: &channel.values,
        distance: vec![f32::INFINITY; channel.values.len()],
        highest: channel.values.clone(),
        lowest: channel.values.clone(),
    };
    for y in 0..height {
        for x in 0..width {
            if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
                paths.distance[y * width + x] = 0.0;
            }
        }
    }
    for round in 0..SCANS {
        for step in 0..channel.values.len() {
            let (at, neighbours) = if round % 2 == 0 {
                (step, [step.wrapping_sub(1), step.wrapping_sub(width)])
            } else {
                let at = channel.values.len() - 1 - step;
                (at, [at + 1, at + width])
            };
            if paths.distance[at] > 0.0 {
                neighbours.into_iter().for_each(|from| paths.extend(from, at));
            }
        }
    }
    Plane { width, height, values: paths.distance }
}

/// The best path from the border to each pixel so far.
struct Paths<'a> {
    values: &'a [f32],
    distance: Vec<f32>,
    highest: Vec<f32>,
    lowest: Vec<f32>,
}

impl Paths<'_> {
    /// Lets the path to `from` go on to `at` if that is better than what leads there.
    ///
    /// `at` is no border pixel, so its neighbours are inside the photo.
    fn extend(&mut self, from: usize, at: usize) {
        let value = self.values[at];
        let highest = self.highest[from].max(value);
        let lowest = self.lowest[from].min(value);
        if self.distance[from].is_finite() && highest - lowest < self.distance[at] {
            self.distance[at] = highest - lowest;
            self.highest[at] = highest;
            self.lowest[at] = lowest;
        }
    }
}

/// How unlike each pixel is to the colours along the borders.
///
/// The least like of the four borders is left out: it may be where the subject leaves the photo.
fn strangeness(photo: &Plane<Lab>) -> Plane<f32> {
    let band = (photo.width.min(photo.height) / BAND_PART).max(1);
    let borders = [
        distances(photo, |_, y| y < band),
        distances(photo, |_, y| y + band >= photo.height),
        distances(photo, |x, _| x < band),
        distances(photo, |x, _| x + band >= photo.width),
    ];
    let [top, bottom, left, right] = &borders;
    let mut values = Vec::with_capacity(photo.values.len());
    for at in 0..photo.values.len() {
        let four = [top.values[at], bottom.values[at], left.values[at], right.values[at]];
        values.push(four.iter().sum::<f32>() - four.into_iter().fold(0.0, f32::max));
    }
    Plane { width: photo.width, height: photo.height, values }
}

fn distances(photo: &Plane<Lab>, belongs: impl Fn(usize, usize) -> bool) -> Plane<f32> {
    let mut moments = Moments::default();
    for (at, &colour) in photo.values.iter().enumerate() {
        if belongs(at % photo.width, at / photo.width) {
            moments.add(colour);
        }
    }
    let gaussian = moments.gaussian();
    photo.map(|colour| gaussian.distance(colour).max(0.0).sqrt()).normalised()
}

/// Pixels count less towards the corners, where subjects rarely are.
fn centred(plane: &Plane<f32>) -> Plane<f32> {
    let (middle_x, middle_y) = (plane.width as f32 / 2.0, plane.height as f32 / 2.0);
    let mut values = Vec::with_capacity(plane.values.len());
    for (at, value) in plane.values.iter().enumerate() {
        let x = ((at % plane.width) as f32 + 0.5 - middle_x) / middle_x;
        let y = ((at / plane.width) as f32 + 0.5 - middle_y) / middle_y;
        let distance = ((x * x + y * y) / 2.0).sqrt();
        values.push(value * (1.0 - CENTRE_WEIGHT * distance));
    }
    Plane { width: plane.width, height: plane.height, values }
}

fn sum(mut planes: impl Iterator<Item = Plane<f32>>) -> Plane<f32> {
    let mut total = planes.next().unwrap_or_else(|| Plane::filled(0, 0, 0.0));
    for plane in planes {
        total.values.iter_mut().zip(plane.values).for_each(|(sum, value)| *sum += value);
    }
    total
}

/// Raster scans, alternately from the top and from the bottom.
const SCANS: usize = 4;

/// The bands along the borders are this part of the shorter side.
const BAND_PART: usize = 10;

/// Radius of the blur that joins patches of one subject.
const SMOOTHING: usize = 3;

/// How much of its saliency a corner loses.
const CENTRE_WEIGHT: f32 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;

    fn dot() -> Plane<Lab> {
        let mut photo = Plane::filled(40, 30, [60.0, 0.0, 0.0]);
        for y in 10..20 {
            for x in 14..26 {
                photo.values[y * 40 + x] = [40.0, 50.0, 20.0];
            }
        }
        photo
    }

    #[test]
    fn a_dot_stands_out() {
        let saliency = of(&dot());
        assert!(saliency.values[15 * 40 + 20] > 0.9);
        assert!(saliency.values[2 * 40 + 2] < 0.1);
    }

    #[test]
    fn a_flat_photo_has_no_subject() {
        let saliency = of(&Plane::filled(20, 20, [50.0, 5.0, 5.0]));
        assert!(saliency.values.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn what_reaches_the_border_is_behind_no_barrier() {
        let mut channel = Plane::filled(9, 9, 0.0);
        (0..9).for_each(|y| channel.values[y * 9 + 4] = 7.0);
        assert!(barrier(&channel).values.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn one_pixel_is_no_trouble() {
        assert_eq!(of(&Plane::filled(1, 1, [1.0, 2.0, 3.0])).values, [0.0]);
    }
}
