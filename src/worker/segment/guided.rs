//! The guided filter: a mask that follows the colours of the photo, as a line per pixel.
//!
//! Source: He, Sun, "Fast Guided Filter", 2015: the lines are found on a small photo and drawn on
//! the full one.
#![expect(
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic on planes of one size"
)]

use super::boxes::means;
use super::plane::{Between, Plane};

/// For each pixel of the small photo, how opacity depends on colour around there:
/// `red × r + green × g + blue × b + constant`, colours from 0 to 1.
pub(super) struct Lines {
    coefficients: Plane<[f32; 4]>,
}

impl Lines {
    /// The lines that fit `mask` (0 to 1) best in squares of `radius` around each pixel.
    pub(super) fn fit(photo: &Plane<[u8; 3]>, mask: &Plane<f32>, radius: usize) -> Self {
        let size = (photo.width, photo.height);
        let moments = |at: usize| moments(colour(photo.values[at]), mask.values[at]);
        let sharp = means(size, radius, moments, line);
        let each = |at: usize| sharp.values[at];
        Self { coefficients: means(size, radius, each, |mean| mean) }
    }

    /// Width and height of the small photo.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.coefficients.width, self.coefficients.height)
    }

    /// The opacity of a colour at a place between the small photo's pixels.
    pub(super) fn opacity(&self, row: Between, column: Between, colour: [f32; 3]) -> f32 {
        let [red, green, blue, constant] = self.coefficients.sample(row, column);
        dot([red, green, blue], colour) + constant
    }
}

/// From 0 to 1.
pub(super) fn colour(bytes: [u8; 3]) -> [f32; 3] {
    bytes.map(|byte| f32::from(byte) * (1.0 / 255.0))
}

/// What a line is made from, once there are means of it: the colour, the mask, the products of
/// both, and those of each pair of colours.
fn moments(colour: [f32; 3], mask: f32) -> [f32; 13] {
    let [r, g, b] = colour;
    let [rr, rg, rb, gg, gb, bb] = PAIRS.map(|(one, other)| colour[one] * colour[other]);
    [r, g, b, mask, r * mask, g * mask, b * mask, rr, rg, rb, gg, gb, bb]
}

/// The line of the square around a pixel alone.
fn line(means: [f32; 13]) -> [f32; 4] {
    let [r, g, b, mask, shared_r, shared_g, shared_b, squares @ ..] = means;
    let mean = [r, g, b];
    let shared = [shared_r - r * mask, shared_g - g * mask, shared_b - b * mask];
    let spread: [f32; 6] = std::array::from_fn(|entry| {
        let (one, other) = PAIRS[entry];
        let noise = if one == other { NOISE } else { 0.0 };
        squares[entry] - mean[one] * mean[other] + noise
    });
    let [red, green, blue] = solve(spread, shared);
    [red, green, blue, mask - dot([red, green, blue], mean)]
}

/// Solves a symmetric system (upper triangle, row by row) by Cramer's rule.
fn solve([xx, xy, xz, yy, yz, zz]: [f32; 6], right: [f32; 3]) -> [f32; 3] {
    let (c0, c1, c2) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
    let part = 1.0 / (xx * c0 + xy * c1 + xz * c2);
    let (c3, c4, c5) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
    [[c0, c1, c2], [c1, c3, c4], [c2, c4, c5]].map(|row| dot(row, right) * part)
}

fn dot(one: [f32; 3], other: [f32; 3]) -> f32 {
    one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
}

/// The upper triangle of a three by three matrix, row by row.
const PAIRS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)];

/// Variance of colour (0 to 1) below which a difference is noise and no edge.
const NOISE: f32 = 1e-4;

#[cfg(test)]
mod tests {
    use super::super::plane::Lattice;
    use super::*;

    /// A photo of two halves whose mask is off by one column.
    fn halves() -> (Plane<[u8; 3]>, Plane<f32>) {
        let columns =
            Plane { width: 40, height: 30, values: (0..1200).map(|at| at % 40).collect() };
        let photo = columns.map(|x: usize| if x < 20 { [25, 51, 153] } else { [230, 77, 25] });
        (photo, columns.map(|x| if x < 21 { 0.0 } else { 1.0 }))
    }

    #[track_caller]
    fn check(x: usize, colour: [f32; 3], expected: f32) {
        let (photo, mask) = halves();
        let lines = Lines::fit(&photo, &mask, 6);
        let opacity =
            lines.opacity(Lattice::new(30, 30).at(15), Lattice::new(40, 40).at(x), colour);
        assert!((opacity - expected).abs() < 0.2, "{opacity}, not about {expected}");
    }

    #[test]
    fn the_edge_of_the_mask_moves_to_the_edge_of_the_photo() {
        check(20, [0.9, 0.3, 0.1], 0.85);
        check(19, [0.1, 0.2, 0.6], 0.0);
    }

    #[test]
    fn far_from_the_edge_the_mask_is_kept() {
        check(3, [0.1, 0.2, 0.6], 0.0);
        check(36, [0.9, 0.3, 0.1], 1.0);
    }

    #[test]
    fn a_system_is_solved() {
        let [x, y, z] = solve([2.0, 0.0, 1.0, 3.0, 0.0, 2.0], [5.0, 6.0, 7.0]);
        assert!((x - 1.0).abs() + (y - 2.0).abs() + (z - 3.0).abs() < 1e-5);
    }
}
