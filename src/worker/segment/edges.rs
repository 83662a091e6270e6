//! Edges: how different neighbours are, measured by what is usual in the photo.
#![expect(
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: a mean of colour differences is far inside f32"
)]

use super::lab::Lab;
use super::plane::Plane;

/// What counts as an edge in one photo.
pub(super) struct Edges {
    /// One over twice the mean squared difference of neighbours.
    sharpness: f32,
}

impl Edges {
    /// Learns what is usual.
    pub(super) fn of(photo: &Plane<Lab>) -> Self {
        let across = photo.values.chunks_exact(photo.width).flat_map(|row| {
            row.iter().zip(row.iter().skip(1)).map(|(one, other)| squared_distance(*one, *other))
        });
        let down = photo.values.iter().zip(photo.values.iter().skip(photo.width));
        let down = down.map(|(one, other)| squared_distance(*one, *other));
        let (sum, count) =
            across.chain(down).fold((0.0_f64, 0.0_f64), |(sum, count), difference| {
                (sum + f64::from(difference), count + 1.0)
            });
        let mean = (sum / count.max(1.0)) as f32;
        Self { sharpness: 1.0 / (2.0 * mean).max(f32::EPSILON) }
    }

    /// 1 between equal colours, towards 0 across an edge.
    pub(super) fn flatness(&self, one: Lab, other: Lab) -> f32 {
        (-self.sharpness * squared_distance(one, other)).exp()
    }
}

/// The square of the distance between two colours.
pub(super) fn squared_distance(one: Lab, other: Lab) -> f32 {
    one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flat_is_one_and_what_is_usual_is_not_an_edge() {
        let values = vec![[0.0; 3], [10.0, 0.0, 0.0], [20.0, 0.0, 0.0]];
        let edges = Edges::of(&Plane { width: 3, height: 1, values });
        assert_eq!(edges.flatness([5.0; 3], [5.0; 3]), 1.0);
        assert!(edges.flatness([0.0; 3], [10.0, 0.0, 0.0]) > 0.5);
        assert!(edges.flatness([0.0; 3], [50.0, 0.0, 0.0]) < 1e-3);
    }

    #[test]
    fn a_flat_photo_is_no_trouble() {
        let edges = Edges::of(&Plane::filled(1, 1, [1.0; 3]));
        assert!(edges.flatness([1.0; 3], [2.0; 3]).is_finite());
    }
}
