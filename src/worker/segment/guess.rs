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

/// What a network takes for the subject, and what stands out and is near the middle.
pub(super) fn guesses(likely: &Plane<f32>, saliency: &Plane<f32>) -> [Guess; 2] {
    [
        Guess { likely: likely.clone(), nats_max: 4.0 },
        Guess { likely: mixed(saliency, &middle(saliency), 0.5), nats_max: 2.0 },
    ]
}

/// 1 in the middle, falling to 0 where the photo ends.
fn middle(size: &Plane<f32>) -> Plane<f32> {
    let (width, height) = (size.width, size.height);
    let mut values = Vec::with_capacity(size.values.len());
    for at in 0..size.values.len() {
        let away = off(at % width, width).hypot(off(at / width, height));
        values.push((1.0 - away).max(0.0));
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
        let middle = middle(&Plane::filled(41, 31, 0.0));
        assert_eq!(middle.values[15 * 41 + 20], 1.0);
        assert_eq!(middle.values[0], 0.0);
    }

    #[test]
    fn what_is_likelier_than_the_rest_leans_to_the_subject_however_unsure_all_is() {
        let values = (0..100).map(|at| if at % 10 < 5 { 0.02 } else { 0.3 }).collect();
        let likely = Plane { width: 10, height: 10, values };
        let [known, _] = guesses(&likely, &Plane::filled(10, 10, 0.5));
        let (mask, leaning) = (known.mask(), known.leaning());
        assert!(!mask.values[0] && leaning.values[0] < -0.5, "{}", leaning.values[0]);
        assert!(mask.values[9] && leaning.values[9] > 0.0, "{}", leaning.values[9]);
    }
}
