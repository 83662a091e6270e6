//! Guesses: where the subject may be, before its colours are known.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: sizes are a few hundred, so every conversion is exact"
)]

use super::plane::Plane;

/// One guess, to be tried.
pub(super) struct Guess {
    /// How likely each pixel is the subject, 0 to 1.
    pub(super) likely: Plane<f32>,
    /// How much to trust that against colours: the most it says about a pixel, in nats.
    pub(super) nats_max: f32,
}

impl Guess {
    /// The mask to start from.
    pub(super) fn mask(&self) -> Plane<bool> {
        let threshold = threshold(&self.likely);
        self.likely.map(|value| value > threshold)
    }

    /// Nats by which each pixel leans to the subject.
    pub(super) fn leaning(&self) -> Plane<f32> {
        let threshold = threshold(&self.likely);
        self.likely.map(|value| self.nats_max * leaning(value, threshold))
    }
}

/// A thing that stands out, a person who stands out, and somebody who just stands there.
///
/// People leave a photo at its lower edge, things do not.
pub(super) fn guesses(saliency: &Plane<f32>) -> [Guess; 3] {
    let floating = middle(saliency, 1.0, 1.0);
    let standing = middle(saliency, 1.0, 0.3);
    [
        Guess { likely: mixed(saliency, &floating, 0.5), nats_max: 2.0 },
        Guess { likely: mixed(saliency, &standing, 0.7), nats_max: 4.0 },
        Guess { likely: middle(saliency, 0.8, 0.3), nats_max: 2.0 },
    ]
}

/// 1 in the middle, falling to 0 where the photo ends; slower for less `falling`, and downwards
/// slower again for less `below`.
fn middle(size: &Plane<f32>, falling: f32, below: f32) -> Plane<f32> {
    let (width, height) = (size.width, size.height);
    let mut values = Vec::with_capacity(size.values.len());
    for at in 0..size.values.len() {
        let x = off(at % width, width);
        let y = off(at / width, height);
        let y = if y > 0.0 { y * below } else { y };
        values.push((1.0 - falling * x.hypot(y)).max(0.0));
    }
    Plane { width, height, values }
}

/// Where a pixel is on an axis: -1 at the start, 0 in the middle, 1 at the end.
fn off(at: usize, length: usize) -> f32 {
    (2 * at + 1) as f32 / length as f32 - 1.0
}

fn mixed(one: &Plane<f32>, other: &Plane<f32>, share: f32) -> Plane<f32> {
    let both = one.values.iter().zip(&other.values);
    let values = both.map(|(one, other)| one + (other - one) * share).collect();
    Plane { width: one.width, height: one.height, values }.normalised()
}

/// How strongly a pixel leans to the subject (up to 1) or to the background (down to -1).
fn leaning(likely: f32, threshold: f32) -> f32 {
    if likely >= threshold {
        (likely - threshold) / (1.0 - threshold).max(f32::EPSILON)
    } else {
        (likely - threshold) / threshold.max(f32::EPSILON)
    }
}

/// The value that parts the plane into two groups as unlike as can be (Otsu).
fn threshold(plane: &Plane<f32>) -> f32 {
    let mut histogram = [0.0_f32; LEVELS];
    for value in &plane.values {
        histogram[((value * LEVELS as f32) as usize).min(LEVELS - 1)] += 1.0;
    }
    let total: f32 = histogram.iter().sum();
    let sum: f32 = histogram.iter().enumerate().map(|(level, count)| level as f32 * count).sum();
    let (mut below, mut sum_below, mut best, mut at) = (0.0, 0.0, -1.0, 0);
    for (level, count) in histogram.iter().enumerate() {
        below += count;
        sum_below += level as f32 * count;
        if below == 0.0 || below == total {
            continue;
        }
        let apart = sum_below / below - (sum - sum_below) / (total - below);
        let between = below * (total - below) * apart * apart;
        if between > best {
            (best, at) = (between, level);
        }
    }
    (at + 1) as f32 / LEVELS as f32
}

const LEVELS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_likely_and_the_corners_are_not() {
        let middle = middle(&Plane::filled(41, 31, 0.0), 1.0, 1.0);
        assert_eq!(middle.values[15 * 41 + 20], 1.0);
        assert_eq!(middle.values[0], 0.0);
    }

    #[test]
    fn who_stands_is_likely_at_the_lower_edge_but_not_at_the_upper() {
        let middle = middle(&Plane::filled(41, 31, 0.0), 1.0, 0.3);
        assert!(middle.values[30 * 41 + 20] > 0.6);
        assert!(middle.values[20] < 0.1);
    }
}
