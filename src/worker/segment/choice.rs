//! The choice among masks: the one whose outline is cheapest for what it encloses.
#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    reason = "pixel arithmetic: counts are below a hundred thousand, so every conversion is exact"
)]

use super::edges::Edges;
use super::lab::Lab;
use super::plane::Plane;

/// How bad a mask is; less is better, infinity is no subject at all.
///
/// The outline's cost over the smaller of what it parts (a ratio cut), and that the better the
/// likelier (0 to 1) the inside is the subject than the outside.
pub(super) fn badness(
    photo: &Plane<Lab>,
    edges: &Edges,
    likely: &Plane<f32>,
    mask: &Plane<bool>,
) -> f32 {
    let (inside, outside) = (mean(likely, mask, true), mean(likely, mask, false));
    let area = mask.values.iter().filter(|subject| **subject).count();
    let smaller = area.min(mask.values.len() - area);
    if smaller == 0 || inside <= outside {
        return f32::INFINITY;
    }
    outline(photo, edges, mask) / smaller as f32 * outside / inside
}

fn outline(photo: &Plane<Lab>, edges: &Edges, mask: &Plane<bool>) -> f32 {
    let width = photo.width;
    let mut cost = 0.0;
    for at in 0..photo.values.len() {
        let right = (at + 1 < photo.values.len() && (at + 1) % width != 0).then_some(at + 1);
        let below = Some(at + width).filter(|below| *below < photo.values.len());
        for other in [right, below].into_iter().flatten() {
            if mask.values[at] != mask.values[other] {
                cost += edges.flatness(photo.values[at], photo.values[other]);
            }
        }
    }
    cost
}

fn mean(plane: &Plane<f32>, mask: &Plane<bool>, side: bool) -> f32 {
    let both = plane.values.iter().zip(&mask.values);
    let (sum, count) = both
        .filter(|(_, subject)| **subject == side)
        .fold((0.0, 0.0), |(sum, count), (value, _)| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright square on the dark left, and the masks to judge.
    fn badness_of(belongs: impl Fn(usize, usize) -> bool) -> f32 {
        let square = |x: usize, y: usize| (4..10).contains(&x) && (4..10).contains(&y);
        let plane = |of: &dyn Fn(usize, usize) -> f32| Plane {
            width: 20,
            height: 14,
            values: (0..280).map(|at| of(at % 20, at / 20)).collect(),
        };
        let likely = plane(&|x, y| if square(x, y) { 1.0 } else { 0.1 });
        let photo = likely.map(|value| [value * 90.0, 0.0, 0.0]);
        let mask = plane(&|x, y| if belongs(x, y) { 1.0 } else { 0.0 }).map(|value| value > 0.5);
        badness(&photo, &Edges::of(&photo), &likely, &mask)
    }

    #[test]
    fn the_outline_of_the_thing_is_best() {
        let exact = badness_of(|x, y| (4..10).contains(&x) && (4..10).contains(&y));
        let wide = badness_of(|x, y| (3..11).contains(&x) && (3..11).contains(&y));
        let half = badness_of(|x, y| (4..10).contains(&x) && (4..7).contains(&y));
        assert!(exact < wide && exact < half, "{exact} {wide} {half}");
    }

    #[test]
    fn nothing_all_and_what_is_not_likely_are_no_subjects() {
        assert_eq!(badness_of(|_, _| false), f32::INFINITY);
        assert_eq!(badness_of(|_, _| true), f32::INFINITY);
        assert_eq!(badness_of(|x, _| x > 12), f32::INFINITY);
    }
}
