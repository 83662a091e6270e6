//! The guided filter: a mask that follows the colours of the photo, as a line per pixel.
//!
//! Source: He, Sun, "Fast Guided Filter", 2015: the lines are found on a small photo and drawn on
//! the full one.
#![expect(
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic on planes of one size"
)]

use rayon::prelude::*;

use super::plane::{Between, Plane};

/// For each pixel of the small photo, how opacity depends on colour around there:
/// `red × r + green × g + blue × b + constant`, colours from 0 to 1.
pub(super) struct Lines {
    coefficients: [Plane<f32>; 4],
}

impl Lines {
    /// The lines that fit `mask` (0 to 1) best in squares of `radius` around each pixel.
    pub(super) fn fit(guide: &[Plane<f32>; 3], mask: &Plane<f32>, radius: usize) -> Self {
        let lines = Self::sharp(guide, mask, radius);
        Self { coefficients: lines.map(|line| line.blurred(radius)) }
    }

    /// The lines of the square around each pixel alone.
    fn sharp(guide: &[Plane<f32>; 3], mask: &Plane<f32>, radius: usize) -> [Plane<f32>; 4] {
        let means = guide.each_ref().map(|channel| channel.blurred(radius));
        let mask_mean = mask.blurred(radius);
        let products = guide.each_ref().map(|channel| product(channel, mask).blurred(radius));
        let squares = PAIRS.map(|(one, other)| product(&guide[one], &guide[other]).blurred(radius));
        let line = |at: usize| {
            let mean = means.each_ref().map(|plane| plane.values[at]);
            let mask_mean = mask_mean.values[at];
            let shared: [f32; 3] =
                std::array::from_fn(|c| products[c].values[at] - mean[c] * mask_mean);
            let spread: [f32; 6] = std::array::from_fn(|entry| {
                let (one, other) = PAIRS[entry];
                let noise = if one == other { NOISE } else { 0.0 };
                squares[entry].values[at] - mean[one] * mean[other] + noise
            });
            let [red, green, blue] = solve(spread, shared);
            [red, green, blue, mask_mean - dot([red, green, blue], mean)]
        };
        let lines: Vec<[f32; 4]> = (0..mask.values.len()).into_par_iter().map(line).collect();
        std::array::from_fn(|part| Plane {
            width: mask.width,
            height: mask.height,
            values: lines.iter().map(|line| line[part]).collect(),
        })
    }

    /// The opacity of a colour at a place between the small photo's pixels.
    pub(super) fn opacity(&self, row: Between, column: Between, colour: [f32; 3]) -> f32 {
        let [red, green, blue, constant] =
            self.coefficients.each_ref().map(|plane| plane.sample(row, column));
        dot([red, green, blue], colour) + constant
    }
}

fn product(one: &Plane<f32>, other: &Plane<f32>) -> Plane<f32> {
    let values = one.values.iter().zip(&other.values).map(|(one, other)| one * other).collect();
    Plane { width: one.width, height: one.height, values }
}

/// Solves a symmetric system (upper triangle, row by row) by Cramer's rule.
fn solve([xx, xy, xz, yy, yz, zz]: [f32; 6], right: [f32; 3]) -> [f32; 3] {
    let (c0, c1, c2) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
    let determinant = xx * c0 + xy * c1 + xz * c2;
    let (c3, c4, c5) = (xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy);
    [[c0, c1, c2], [c1, c3, c4], [c2, c4, c5]].map(|row| dot(row, right) / determinant)
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
    fn halves() -> ([Plane<f32>; 3], Plane<f32>) {
        let side = |edge: usize, dark: f32, bright: f32| Plane {
            width: 40,
            height: 30,
            values: (0..1200).map(|at| if at % 40 < edge { dark } else { bright }).collect(),
        };
        ([side(20, 0.1, 0.9), side(20, 0.2, 0.3), side(20, 0.6, 0.1)], side(21, 0.0, 1.0))
    }

    #[track_caller]
    fn check(x: usize, colour: [f32; 3], expected: f32) {
        let (guide, mask) = halves();
        let lines = Lines::fit(&guide, &mask, 6);
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
