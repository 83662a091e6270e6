//! A plane: one value per pixel, row by row.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: sizes are below 10,001, so every conversion is exact"
)]

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
        let columns = Lattice::new(self.width, width).all(width);
        let rows = Lattice::new(self.height, height);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = rows.at(y);
            let [upper, lower] = [row.near, row.far].map(|y| &self.values[y * self.width..]);
            values.extend(columns.iter().map(|column| {
                let mix = |line: &[f32]| column.mix(line[column.near], line[column.far]);
                row.mix(mix(upper), mix(lower))
            }));
        }
        Self { width, height, values }
    }
}

impl<const N: usize> Plane<[f32; N]> {
    /// The values at a place between four pixels.
    pub(super) fn sample(&self, row: Between, column: Between) -> [f32; N] {
        let [upper, lower] = [row.near, row.far].map(|y| {
            let [near, far] = [column.near, column.far].map(|x| &self.values[y * self.width + x]);
            column.mixed(near, far)
        });
        row.mixed(&upper, &lower)
    }
}

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

    /// The places of all pixels of the long axis.
    pub(super) fn all(self, long: usize) -> Vec<Between> {
        (0..long).map(|index| self.at(index)).collect()
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

    fn mixed<const N: usize>(self, near: &[f32; N], far: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|n| self.mix(near[n], far[n]))
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
    fn a_flat_plane_is_normalised_to_nothing() {
        assert_eq!(Plane::filled(2, 1, 7.0).normalised().values, [0.0, 0.0]);
    }
}
