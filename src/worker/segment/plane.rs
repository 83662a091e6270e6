//! A plane: one value per pixel, row by row.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: sizes are below 10,001, so every conversion is exact"
)]

use rayon::prelude::*;

/// `width × height` values, row by row from the top left corner.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane<T> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<T>,
}

impl<T: Copy> Plane<T> {
    /// A plane of one value.
    pub(super) fn filled(width: usize, height: usize, value: T) -> Self {
        Self { width, height, values: vec![value; width * height] }
    }

    /// A plane of the same size whose values are `of` these.
    pub(super) fn map<U>(&self, of: impl FnMut(T) -> U) -> Plane<U> {
        let values = self.values.iter().copied().map(of).collect();
        Plane { width: self.width, height: self.height, values }
    }
}

impl Plane<f32> {
    /// The same values stretched so that the least is 0 and the greatest 1; a flat plane is all 0.
    pub(super) fn normalised(&self) -> Self {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = self.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = greatest - least;
        if range <= f32::EPSILON {
            return Self::filled(self.width, self.height, 0.0);
        }
        self.map(|value| (value - least) / range)
    }

    /// The plane at another size, bilinear.
    pub(super) fn scaled(&self, width: usize, height: usize) -> Self {
        let columns = Lattice::new(self.width, width);
        let rows = Lattice::new(self.height, height);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = rows.at(y);
            values.extend((0..width).map(|x| self.sample(row, columns.at(x))));
        }
        Self { width, height, values }
    }

    /// The value at a place between four pixels.
    pub(super) fn sample(&self, row: Between, column: Between) -> f32 {
        let upper = row.near * self.width;
        let lower = row.far * self.width;
        let top = column.mix(self.values[upper + column.near], self.values[upper + column.far]);
        let bottom = column.mix(self.values[lower + column.near], self.values[lower + column.far]);
        row.mix(top, bottom)
    }

    /// The mean over the square of `2 × radius + 1` pixels around each, cut off at the borders.
    pub(super) fn blurred(&self, radius: usize) -> Self {
        let across = self.blurred_rows(radius);
        across.blurred_columns(radius)
    }

    fn blurred_rows(&self, radius: usize) -> Self {
        let (width, reach) = (self.width, radius.min(self.width - 1));
        let part = |x: usize| {
            let (first, last) = (x.saturating_sub(reach), (x + reach).min(width - 1));
            1.0 / (last - first + 1) as f32
        };
        let parts: Vec<f32> = (0..width).map(part).collect();
        let mut values = vec![0.0; self.values.len()];
        let blocks = self.values.par_chunks(BLOCK_ROWS * width);
        blocks.zip(values.par_chunks_mut(BLOCK_ROWS * width)).for_each(|(rows, means)| {
            let few = ABREAST * width;
            let (whole, rest) = rows.split_at(rows.len() / few * few);
            let (whole_means, rest_means) = means.split_at_mut(whole.len());
            for (rows, means) in whole.chunks_exact(few).zip(whole_means.chunks_exact_mut(few)) {
                slide::<ABREAST>(rows, means, &parts, reach);
            }
            for (row, means) in rest.chunks_exact(width).zip(rest_means.chunks_exact_mut(width)) {
                slide::<1>(row, means, &parts, reach);
            }
        });
        Self { width, height: self.height, values }
    }

    fn blurred_columns(&self, radius: usize) -> Self {
        let (width, height) = (self.width, self.height);
        let reach = radius.min(height - 1);
        let row = |y: usize| &self.values[y * width..(y + 1) * width];
        let mut values = vec![0.0; self.values.len()];
        let blocks = values.par_chunks_mut(BLOCK_ROWS * width).enumerate();
        blocks.for_each(|(block, means)| {
            let first = block * BLOCK_ROWS;
            let mut sums = vec![0.0_f32; width];
            for y in first.saturating_sub(reach)..(first + reach).min(height) {
                sums.iter_mut().zip(row(y)).for_each(|(sum, value)| *sum += value);
            }
            for (y, means) in (first..).zip(means.chunks_exact_mut(width)) {
                if y + reach < height {
                    sums.iter_mut().zip(row(y + reach)).for_each(|(sum, value)| *sum += value);
                }
                let count = (y + reach).min(height - 1) - y.saturating_sub(reach) + 1;
                let part = 1.0 / count as f32;
                means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = sum * part);
                if let Some(leaving) = y.checked_sub(reach) {
                    sums.iter_mut().zip(row(leaving)).for_each(|(sum, value)| *sum -= value);
                }
            }
        });
        Self { width, height, values }
    }
}

/// The means along `N` rows at once, whose sums do not wait for each other.
fn slide<const N: usize>(rows: &[f32], means: &mut [f32], parts: &[f32], reach: usize) {
    let width = parts.len();
    let rows: [&[f32]; N] = std::array::from_fn(|n| &rows[n * width..(n + 1) * width]);
    let mut sums: [f32; N] = std::array::from_fn(|n| rows[n][..reach].iter().sum());
    for x in 0..width {
        for n in 0..N {
            if x + reach < width {
                sums[n] += rows[n][x + reach];
            }
            means[n * width + x] = sums[n] * parts[x];
            if x >= reach {
                sums[n] -= rows[n][x - reach];
            }
        }
    }
}

/// Rows that one core takes at once: many times the radius of a blur.
const BLOCK_ROWS: usize = 128;

/// Rows of which the sums are kept in registers.
const ABREAST: usize = 4;

/// Where the pixels of a long axis fall between the pixels of a short one, centres matched.
#[derive(Clone, Copy)]
pub(super) struct Lattice {
    ratio: f32,
    last: usize,
}

/// Two neighbours on an axis and how far the wanted place is from the first to the second.
#[derive(Clone, Copy)]
pub(super) struct Between {
    pub(super) near: usize,
    pub(super) far: usize,
    pub(super) part: f32,
}

impl Lattice {
    /// From an axis of `short` pixels to one of `long` pixels.
    pub(super) fn new(short: usize, long: usize) -> Self {
        Self { ratio: short as f32 / long as f32, last: short - 1 }
    }

    /// The place of pixel `index` of the long axis on the short one.
    pub(super) fn at(self, index: usize) -> Between {
        let place = ((index as f32 + 0.5) * self.ratio - 0.5).clamp(0.0, self.last as f32);
        let near = place as usize;
        Between { near, far: (near + 1).min(self.last), part: place - near as f32 }
    }
}

impl Between {
    /// The value between `near` and `far`.
    pub(super) fn mix(self, near: f32, far: f32) -> f32 {
        near + (far - near) * self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Plane<f32> {
        Plane { width: 3, height: 2, values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        assert_eq!(ramp().scaled(3, 2), ramp());
    }

    #[test]
    fn twice_the_size_keeps_the_corners() {
        let large = ramp().scaled(6, 4);
        assert_eq!((large.values[0], large.values[23]), (0.0, 5.0));
    }

    #[test]
    fn a_blur_is_the_mean_of_what_is_there() {
        assert_eq!(ramp().blurred(1).values, [2.0, 2.5, 3.0, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn a_blur_wider_than_the_plane_is_its_mean() {
        assert_eq!(ramp().blurred(9).values, [2.5; 6]);
    }

    #[test]
    fn a_flat_plane_is_normalised_to_nothing() {
        assert_eq!(Plane::filled(2, 1, 7.0).normalised().values, [0.0, 0.0]);
    }
}
