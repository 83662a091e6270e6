//! Means over squares of pixels, of several values at once and without planes between them.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: sizes are below 10,001, so every conversion is exact"
)]

use rayon::prelude::*;

use super::plane::Plane;

/// For each pixel of a plane of `size` (width, height), what `then` makes of the means of its
/// `value`s over the square of `2 × radius + 1` pixels around it, cut off at the borders.
///
/// `value` is asked by the pixel's number, row by row, and several times for each.
pub(super) fn means<const N: usize, T: Copy + Default + Send>(
    (width, height): (usize, usize),
    radius: usize,
    value: impl Fn(usize) -> [f32; N] + Sync,
    then: impl Fn([f32; N]) -> T + Sync,
) -> Plane<T> {
    let mut values = vec![T::default(); width * height];
    let blocks = values.par_chunks_mut(BLOCK_ROWS * width).enumerate();
    blocks.for_each(|(block, found)| {
        let mut sums = Sums::new((width, height), radius, &value);
        let first = block * BLOCK_ROWS;
        sums.begin(first);
        for (y, found) in (first..).zip(found.chunks_exact_mut(width)) {
            sums.row(y, |x, mean| found[x] = then(mean));
        }
    });
    Plane { width, height, values }
}

/// Sums down the columns, of the rows around the present one.
struct Sums<'a, const N: usize, V> {
    columns: Vec<[f32; N]>,
    height: usize,
    /// Pixels that a square reaches to the left and right, and up and down.
    reach: (usize, usize),
    value: &'a V,
}

impl<'a, const N: usize, V: Fn(usize) -> [f32; N]> Sums<'a, N, V> {
    fn new((width, height): (usize, usize), radius: usize, value: &'a V) -> Self {
        let reach = (radius.min(width - 1), radius.min(height - 1));
        Self { columns: vec![[0.0; N]; width], height, reach, value }
    }

    /// Takes what the row before `first` would have left.
    fn begin(&mut self, first: usize) {
        let (_, reach) = self.reach;
        for y in first.saturating_sub(reach)..(first + reach).min(self.height) {
            self.change(y, add);
        }
    }

    /// Tells the means of a row, which follows the one before.
    fn row(&mut self, y: usize, mut tell: impl FnMut(usize, [f32; N])) {
        let ((reach, up), width) = (self.reach, self.columns.len());
        if y + up < self.height {
            self.change(y + up, add);
        }
        let rows = (y + up).min(self.height - 1) - y.saturating_sub(up) + 1;
        let mut sum = [0.0; N];
        for column in &self.columns[..reach] {
            add(&mut sum, column);
        }
        for x in 0..width {
            if let Some(column) = self.columns.get(x + reach) {
                add(&mut sum, column);
            }
            let columns = (x + reach).min(width - 1) - x.saturating_sub(reach) + 1;
            let part = 1.0 / (rows * columns) as f32;
            tell(x, sum.map(|sum| sum * part));
            if let Some(leaving) = x.checked_sub(reach) {
                take(&mut sum, &self.columns[leaving]);
            }
        }
        if let Some(leaving) = y.checked_sub(up) {
            self.change(leaving, take);
        }
    }

    fn change(&mut self, y: usize, by: impl Fn(&mut [f32; N], &[f32; N])) {
        let first = y * self.columns.len();
        for (at, column) in (first..).zip(&mut self.columns) {
            by(column, &(self.value)(at));
        }
    }
}

fn add<const N: usize>(sum: &mut [f32; N], values: &[f32; N]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

fn take<const N: usize>(sum: &mut [f32; N], values: &[f32; N]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum -= value);
}

/// Rows that one core takes at once: many times the radius.
const BLOCK_ROWS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(radius: usize, expected: [f32; 6]) {
        let number = |at: usize| [at as f32, 1.0];
        let found = means((3, 2), radius, number, |[mean, one]| {
            assert!((one - 1.0).abs() < 1e-6);
            mean
        });
        assert_eq!(found.values, expected);
    }

    #[test]
    fn a_mean_is_that_of_what_is_there() {
        check(1, [2.0, 2.5, 3.0, 2.0, 2.5, 3.0]);
        check(0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_square_larger_than_the_plane_is_all_of_it() {
        check(9, [2.5; 6]);
    }

    /// Over several blocks, beside the sum of each square on its own.
    #[test]
    fn all_squares_are_summed() {
        let (width, height, radius) = (37, 2 * BLOCK_ROWS + 5, 4);
        let number = |at: usize| ((at * 7919) % 101) as f32;
        let found = means((width, height), radius, |at| [number(at)], |[mean]| mean);
        for (at, found) in found.values.iter().enumerate() {
            let (x, y) = (at % width, at / width);
            let (left, right) = (x.saturating_sub(radius), (x + radius).min(width - 1));
            let (top, bottom) = (y.saturating_sub(radius), (y + radius).min(height - 1));
            let row = |y: usize| (left..=right).map(|x| number(y * width + x)).sum::<f32>();
            let count = (right - left + 1) * (bottom - top + 1);
            let mean = (top..=bottom).map(row).sum::<f32>() / count as f32;
            assert!((mean - found).abs() < 1e-3, "{mean}, not {found} at {x}, {y}");
        }
    }
}
