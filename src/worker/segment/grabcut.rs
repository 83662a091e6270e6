//! GrabCut: colours of subject and background, learnt and cut apart in turns.
//!
//! Source: Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004. Instead of a person's rectangle a
//! saliency map says what is likely the subject, softly and to the end.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: costs are clamped far inside i32 before they are rounded"
)]

use super::lab::Lab;
use super::max_flow::{Grid, Neighbour, Side};
use super::palette::{Palette, squared_distance};
use super::plane::Plane;

/// Which pixels are the subject, given how likely each is to be (0 to 1).
pub(super) fn subject(photo: &Plane<Lab>, likely: &Plane<f32>) -> Plane<bool> {
    let threshold = threshold(likely);
    let mut mask = likely.map(|value| value > threshold);
    let leaning = likely.map(|value| leaning(value, threshold));
    let edges = Edges::of(photo);
    let mut palettes: Option<Palettes> = None;
    for _ in 0..ROUNDS {
        let Some(learnt) = Palettes::learn(photo, &mask, palettes.as_ref()) else { break };
        let cut = cut(photo, &leaning, &edges, &learnt);
        let rests = cut == mask;
        mask = cut;
        palettes = Some(learnt);
        if rests {
            break;
        }
    }
    mask
}

/// What each side of the cut looks like.
struct Palettes {
    subject: Palette,
    background: Palette,
}

impl Palettes {
    /// `None` when all pixels are on one side.
    fn learn(photo: &Plane<Lab>, mask: &Plane<bool>, before: Option<&Self>) -> Option<Self> {
        let side = |subject: bool| -> Vec<Lab> {
            let both = photo.values.iter().zip(&mask.values);
            both.filter(|(_, is_subject)| **is_subject == subject).map(|(lab, _)| *lab).collect()
        };
        let (subject, background) = (side(true), side(false));
        if subject.is_empty() || background.is_empty() {
            return None;
        }
        Some(match before {
            Some(before) => Self {
                subject: before.subject.refitted(&subject),
                background: before.background.refitted(&background),
            },
            None => Self { subject: Palette::of(&subject)?, background: Palette::of(&background)? },
        })
    }
}

/// What it costs to cut between a pixel and its neighbours.
struct Edges {
    /// One over twice the mean squared difference of neighbours: what counts as an edge here.
    sharpness: f32,
}

impl Edges {
    fn of(photo: &Plane<Lab>) -> Self {
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

    fn cost(&self, one: Lab, other: Lab, distance: f32) -> i32 {
        units(EDGE_WEIGHT * (-self.sharpness * squared_distance(one, other)).exp() / distance)
    }
}

fn cut(photo: &Plane<Lab>, leaning: &Plane<f32>, edges: &Edges, known: &Palettes) -> Plane<bool> {
    let (width, height) = (photo.width, photo.height);
    let mut grid = Grid::new(width, height);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let colour = photo.values[at];
            let evidence = known.background.surprise(colour) - known.subject.surprise(colour);
            let evidence = evidence.clamp(-EVIDENCE_MAX, EVIDENCE_MAX);
            grid.tie(x, y, units(evidence + leaning.values[at]));
            for (neighbour, dx, dy, distance) in NEIGHBOURS {
                let inside = x.checked_add_signed(dx).filter(|&x| x < width);
                if let (Some(x_there), true) = (inside, y + dy < height) {
                    let other = photo.values[(y + dy) * width + x_there];
                    grid.join(x, y, neighbour, edges.cost(colour, other, distance));
                }
            }
        }
    }
    let values = grid.cut().into_iter().map(|side| side == Side::Source).collect();
    Plane { width, height, values }
}

/// How strongly a pixel leans to the subject (above 0) or to the background.
fn leaning(likely: f32, threshold: f32) -> f32 {
    if likely >= threshold {
        LEANING_MAX * (likely - threshold) / (1.0 - threshold).max(f32::EPSILON)
    } else {
        LEANING_MAX * (likely - threshold) / threshold.max(f32::EPSILON)
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

fn units(cost: f32) -> i32 {
    (cost * UNITS).round() as i32
}

const NEIGHBOURS: [(Neighbour, isize, usize, f32); 4] = [
    (Neighbour::Right, 1, 0, 1.0),
    (Neighbour::Below, 0, 1, 1.0),
    (Neighbour::BelowRight, 1, 1, std::f32::consts::SQRT_2),
    (Neighbour::BelowLeft, -1, 1, std::f32::consts::SQRT_2),
];

/// Turns of learning and cutting.
const ROUNDS: usize = 6;

/// Cost of a cut where the photo is flat, against one nat of surprise.
const EDGE_WEIGHT: f32 = 50.0;

/// The most that the saliency map says, in nats.
const LEANING_MAX: f32 = 4.0;

/// The most that a colour says, in nats.
const EVIDENCE_MAX: f32 = 12.0;

const LEVELS: usize = 256;

/// Whole units of flow per nat.
const UNITS: f32 = 256.0;
