//! GrabCut: colours of subject and background, learnt and cut apart in turns.
//!
//! Source: Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004. Instead of a person's rectangle a
//! guess says what is likely the subject, softly and to the end.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: costs are clamped far inside i32 before they are rounded"
)]

use super::edges::Edges;
use super::lab::Lab;
use super::max_flow::{Grid, Neighbour, Side};
use super::palette::Palette;
use super::plane::Plane;

/// What to cut, and what is known about it.
pub(super) struct Task<'a> {
    pub(super) photo: &'a Plane<Lab>,
    pub(super) edges: &'a Edges,
    /// Nats by which each pixel leans to the subject, whatever its colour.
    pub(super) leaning: &'a Plane<f32>,
    /// Turns of learning and cutting, at most.
    pub(super) rounds_max: usize,
}

/// Which pixels are the subject, starting from a rough mask of it.
pub(super) fn subject(task: &Task<'_>, mut mask: Plane<bool>) -> Plane<bool> {
    let grid = joined(task.photo, task.edges);
    let mut palettes: Option<Palettes> = None;
    for _ in 0..task.rounds_max {
        let learnt = Palettes::learn(task.photo, &mask, palettes.as_ref());
        let Some(learnt) = learnt else { break };
        let cut = cut(task, grid.clone(), &learnt);
        let both = cut.values.iter().zip(&mask.values);
        let changed = both.filter(|(after, before)| after != before).count();
        mask = cut;
        if changed * REST_PART < mask.values.len() {
            break;
        }
        palettes = Some(learnt);
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

/// The photo as a grid, neighbours joined and nothing tied yet.
fn joined(photo: &Plane<Lab>, edges: &Edges) -> Grid {
    let (width, height) = (photo.width, photo.height);
    let mut grid = Grid::new(width, height);
    for y in 0..height {
        for x in 0..width {
            let colour = photo.values[y * width + x];
            for (neighbour, dx, dy, distance) in NEIGHBOURS {
                let inside = x.checked_add_signed(dx).filter(|&x| x < width);
                if let (Some(x_there), true) = (inside, y + dy < height) {
                    let other = photo.values[(y + dy) * width + x_there];
                    let flatness = edges.flatness(colour, other);
                    grid.join(x, y, neighbour, units(EDGE_WEIGHT * flatness / distance));
                }
            }
        }
    }
    grid
}

fn cut(task: &Task<'_>, mut grid: Grid, known: &Palettes) -> Plane<bool> {
    let (width, height) = (task.photo.width, task.photo.height);
    for (at, (&colour, leaning)) in task.photo.values.iter().zip(&task.leaning.values).enumerate() {
        let evidence = known.background.surprise(colour) - known.subject.surprise(colour);
        let evidence = evidence.clamp(-EVIDENCE_MAX, EVIDENCE_MAX);
        grid.tie(at % width, at / width, units(evidence + leaning));
    }
    let values = grid.cut().into_iter().map(|side| side == Side::Source).collect();
    Plane { width, height, values }
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

/// The mask rests when less than one part in this of it changes.
const REST_PART: usize = 200;

/// Cost of a cut where the photo is flat, against one nat of surprise.
const EDGE_WEIGHT: f32 = 50.0;

/// The most that a colour says, in nats.
const EVIDENCE_MAX: f32 = 12.0;

/// Whole units of flow per nat.
const UNITS: f32 = 256.0;
