//! A Gaussian over colours: where they lie, how they spread, how likely another one is.
#![expect(
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "three by three matrices, indexed by constants"
)]

use super::lab::Lab;

/// A normal distribution in three dimensions.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    mean: Lab,
    inverse: Symmetric,
    /// Half the logarithm of the covariance's determinant.
    spread: f32,
}

/// A symmetric matrix: the upper triangle, row by row.
type Symmetric = [f32; 6];

/// Sums from which a [`Gaussian`] is made. In 64 bits, so that their order matters little.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    first: [f64; 3],
    second: [f64; 6],
}

impl Gaussian {
    /// The squared Mahalanobis distance of a colour from the mean.
    pub(super) fn distance(&self, [l, a, b]: Lab) -> f32 {
        let (x, y, z) = (l - self.mean[0], a - self.mean[1], b - self.mean[2]);
        let [xx, xy, xz, yy, yz, zz] = self.inverse;
        x * (xx * x + 2.0 * (xy * y + xz * z)) + y * (yy * y + 2.0 * yz * z) + zz * z * z
    }

    /// Minus the logarithm of the density at a colour, without the constant of all Gaussians.
    pub(super) fn surprise(&self, colour: Lab) -> f32 {
        0.5 * self.distance(colour) + self.spread
    }
}

impl Moments {
    pub(super) fn add(&mut self, [l, a, b]: Lab) {
        let [l, a, b] = [f64::from(l), f64::from(a), f64::from(b)];
        self.count += 1.0;
        for (sum, value) in self.first.iter_mut().zip([l, a, b]) {
            *sum += value;
        }
        for (sum, value) in self.second.iter_mut().zip([l * l, l * a, l * b, a * a, a * b, b * b]) {
            *sum += value;
        }
    }

    /// How many colours were added.
    pub(super) fn count(&self) -> f64 {
        self.count
    }

    /// The mean colour.
    pub(super) fn mean(&self) -> Lab {
        self.first.map(|sum| narrow(sum / self.count.max(1.0)))
    }

    /// The spread along each axis.
    pub(super) fn variances(&self) -> Lab {
        let covariance = self.covariance();
        [covariance[0], covariance[3], covariance[5]].map(narrow)
    }

    /// The Gaussian of the colours added.
    ///
    /// A little noise is added to the spread, so that one flat colour still has a shape.
    pub(super) fn gaussian(&self) -> Gaussian {
        let [xx, xy, xz, yy, yz, zz] = self.covariance();
        let (xx, yy, zz) = (xx + NOISE, yy + NOISE, zz + NOISE);
        let (c0, c1, c2) = (yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy);
        let determinant = xx * c0 + xy * c1 + xz * c2;
        let inverse = [c0, c1, c2, xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy];
        Gaussian {
            mean: self.mean(),
            inverse: inverse.map(|cofactor| narrow(cofactor / determinant)),
            spread: narrow(0.5 * determinant.ln()),
        }
    }

    fn covariance(&self) -> [f64; 6] {
        let count = self.count.max(1.0);
        let [l, a, b] = self.first.map(|sum| sum / count);
        let products = [l * l, l * a, l * b, a * a, a * b, b * b];
        std::array::from_fn(|entry| self.second[entry] / count - products[entry])
    }
}

#[expect(clippy::as_conversions, reason = "colours and their spreads are far inside f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Variance that every colour has, in L*a*b* units squared.
const NOISE: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Moments {
        let mut moments = Moments::default();
        for (l, a, b) in [(10.0, 0.0, 0.0), (30.0, 0.0, 0.0), (20.0, 8.0, 0.0), (20.0, -8.0, 0.0)] {
            moments.add([l, a, b]);
        }
        moments
    }

    #[test]
    fn the_mean_is_no_surprise() {
        assert_eq!(cloud().gaussian().distance([20.0, 0.0, 0.0]), 0.0);
    }

    #[test]
    fn far_along_the_spread_is_nearer_than_far_across_it() {
        let gaussian = cloud().gaussian();
        assert!(gaussian.distance([30.0, 0.0, 0.0]) < gaussian.distance([20.0, 0.0, 10.0]));
    }

    #[test]
    fn one_flat_colour_has_a_shape() {
        let mut moments = Moments::default();
        moments.add([50.0, 1.0, 1.0]);
        assert!(moments.gaussian().surprise([52.0, 1.0, 1.0]).is_finite());
    }
}
