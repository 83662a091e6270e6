//! The colours of one side of a photo as a mixture of a few Gaussians.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: indices are of this mixture's own clusters"
)]

use super::edges::squared_distance;
use super::gaussian::{Gaussian, Moments};
use super::lab::Lab;

/// A mixture of at most [`CLUSTERS_MAX`] Gaussians.
#[derive(Clone, Debug)]
pub(super) struct Palette {
    clusters: Vec<Cluster>,
}

#[derive(Clone, Debug)]
struct Cluster {
    gaussian: Gaussian,
    /// Minus the logarithm of the share of pixels in this cluster.
    rarity: f32,
}

impl Palette {
    /// The mixture that fits `colours`; `None` without any.
    ///
    /// The colours are split where they spread most, then shuffled between the parts until the
    /// centres rest. No chance is involved: the same colours give the same mixture.
    pub(super) fn of(colours: &[Lab]) -> Option<Self> {
        if colours.is_empty() {
            return None;
        }
        let mut parts = vec![moments(colours.iter())];
        let mut home = vec![0_usize; colours.len()];
        while parts.len() < CLUSTERS_MAX && split(colours, &mut home, &mut parts) {}
        for _ in 0..SHUFFLES {
            shuffle(colours, &mut home, &mut parts);
        }
        Some(Self::from_parts(&parts))
    }

    /// The same mixture with each colour given to the cluster where it is most likely, once.
    pub(super) fn refitted(&self, colours: &[Lab]) -> Self {
        let mut parts = vec![Moments::default(); self.clusters.len()];
        for &colour in colours {
            let likeliest = least(self.clusters.iter().map(|cluster| cluster.surprise(colour)));
            parts[likeliest].add(colour);
        }
        if colours.is_empty() { self.clone() } else { Self::from_parts(&parts) }
    }

    /// Minus the logarithm of how likely a colour is in this mixture.
    pub(super) fn surprise(&self, colour: Lab) -> f32 {
        let mut nearest = f32::INFINITY;
        let mut total = 0.0_f32;
        for cluster in &self.clusters {
            let surprise = cluster.surprise(colour);
            if surprise < nearest {
                total = total * (surprise - nearest).exp() + 1.0;
                nearest = surprise;
            } else {
                total += (nearest - surprise).exp();
            }
        }
        nearest - total.ln()
    }

    fn from_parts(parts: &[Moments]) -> Self {
        let count: f64 = parts.iter().map(Moments::count).sum();
        let clusters = parts.iter().filter(|part| part.count() > 0.0).map(|part| Cluster {
            gaussian: part.gaussian(),
            rarity: -((part.count() / count).ln() as f32),
        });
        Self { clusters: clusters.collect() }
    }
}

impl Cluster {
    fn surprise(&self, colour: Lab) -> f32 {
        self.gaussian.surprise(colour) + self.rarity
    }
}

/// Splits the part that spreads most along its widest axis; false if none can be split.
fn split(colours: &[Lab], home: &mut [usize], parts: &mut Vec<Moments>) -> bool {
    let spread = |part: &Moments| part.variances().into_iter().fold(0.0, f32::max);
    let weight = |part: &Moments| -spread(part) * part.count() as f32;
    let widest = least(parts.iter().map(weight));
    let axis = least(parts[widest].variances().into_iter().map(|variance| -variance));
    let middle = parts[widest].mean()[axis];
    let new = parts.len();
    for (place, colour) in home.iter_mut().zip(colours) {
        if *place == widest && colour[axis] > middle {
            *place = new;
        }
    }
    let of = |part: usize| {
        moments(colours.iter().zip(&*home).filter(|(_, place)| **place == part).map(|it| it.0))
    };
    let (left, right) = (of(widest), of(new));
    let split = right.count() > 0.0;
    if split {
        parts[widest] = left;
        parts.push(right);
    }
    split
}

/// Gives each colour to the part whose mean is nearest.
fn shuffle(colours: &[Lab], home: &mut [usize], parts: &mut [Moments]) {
    let means: Vec<Lab> = parts.iter().map(Moments::mean).collect();
    parts.fill(Moments::default());
    for (place, &colour) in home.iter_mut().zip(colours) {
        *place = least(means.iter().map(|mean| squared_distance(*mean, colour)));
        parts[*place].add(colour);
    }
}

fn moments<'a>(colours: impl Iterator<Item = &'a Lab>) -> Moments {
    let mut moments = Moments::default();
    colours.for_each(|colour| moments.add(*colour));
    moments
}

/// The place of the least value; 0 without any.
fn least(values: impl Iterator<Item = f32>) -> usize {
    values.enumerate().min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |found| found.0)
}

const CLUSTERS_MAX: usize = 5;

/// Rounds of k-means after the splits.
const SHUFFLES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn two_colours() -> Palette {
        let mut colours = vec![[80.0, 0.0, 0.0]; 300];
        colours.extend(vec![[20.0, 40.0, 0.0]; 100]);
        Palette::of(&colours).unwrap()
    }

    #[test]
    fn no_colours_make_no_palette() {
        assert!(Palette::of(&[]).is_none());
    }

    #[test]
    fn one_colour_cannot_be_split() {
        assert_eq!(Palette::of(&[[50.0, 0.0, 0.0]; 9]).unwrap().clusters.len(), 1);
    }

    #[test]
    fn two_colours_are_two_clusters() {
        assert_eq!(two_colours().clusters.len(), 2);
    }

    #[test]
    fn the_commoner_colour_surprises_least() {
        let palette = two_colours();
        assert!(palette.surprise([80.0, 0.0, 0.0]) < palette.surprise([20.0, 40.0, 0.0]));
        assert!(palette.surprise([20.0, 40.0, 0.0]) < palette.surprise([50.0, 20.0, 0.0]));
    }

    #[test]
    fn refitting_what_fits_changes_nothing() {
        let palette = two_colours();
        let mut colours = vec![[80.0, 0.0, 0.0]; 300];
        colours.extend(vec![[20.0, 40.0, 0.0]; 100]);
        let again = palette.refitted(&colours);
        assert_eq!(again.surprise([60.0, 0.0, 0.0]), palette.surprise([60.0, 0.0, 0.0]));
    }
}
