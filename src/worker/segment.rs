//! Segmentation: which part of a photo is its subject.
//!
//! ```text
//! photo ─ square ── network ── likely ┬ guesses ─ GrabCut each ─ choice
//!   ├──── tiny ──── saliency ─────────┘                            │
//!   ├──── small ────────────────────────────────────── GrabCut again
//!   └──── medium ───────────────────────────────────────────── guided filter ─ matte
//! ```
//! The network that is built in knows things; where they end, it knows roughly, and the photo's
//! own colours say the rest. What stands out is a second guess, for where the network is not sure,
//! and of two masks the one is taken whose outline is cheapest for what the network finds likely.
//! Larger networks know outlines too, so theirs are not cut. The same photo always gives the same
//! cut-out.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbaImage;

use self::choice::badness;
use self::edges::Edges;
use self::grabcut::Task;
use self::guess::{Guess, guesses};
use self::lab::Lab;
use self::plane::Plane;

mod boxes;
mod choice;
mod edges;
mod gaussian;
mod grabcut;
mod guess;
mod guided;
mod lab;
mod matte;
mod max_flow;
pub(super) mod network;
mod palette;
mod parts;
mod plane;
mod saliency;

/// Why a photo could not be segmented.
#[derive(Debug, thiserror::Error)]
pub(super) enum SegmentError {
    /// The photo has no pixels, or its buffer is not of its size.
    #[error("the photo cannot be scaled")]
    Buffer(#[from] fast_image_resize::ImageBufferError),
    /// The resampler refused.
    #[error("the photo cannot be scaled")]
    Resize(#[from] fast_image_resize::ResizeError),
}

/// The subject of a photo, from how likely (0 to 1) a network takes each pixel for one.
///
/// # Errors
/// Only for a photo without pixels.
fn cut(photo: &RgbaImage, likely: &Plane<f32>) -> Result<Plane<bool>, SegmentError> {
    let (guess, coarse) = choice(&lab::from_rgb(&scaled(photo, TINY_SIDE)?), likely);
    let small = lab::from_rgb(&scaled(photo, SMALL_SIDE)?);
    Ok(refined(&small, &guess, &coarse))
}

/// The guess that leads to the better mask, with that mask.
fn choice(tiny: &Plane<Lab>, likely: &Plane<f32>) -> (Guess, Plane<bool>) {
    let edges = Edges::of(tiny);
    let likely = likely.scaled(tiny.width, tiny.height);
    let [first, second] = guesses(&likely, &saliency::of(tiny)).map(|guess| {
        let leaning = guess.leaning();
        let task =
            Task { photo: tiny, edges: &edges, leaning: &leaning, rounds_max: TINY_ROUNDS_MAX };
        let mask = parts::tidied(&grabcut::subject(&task, guess.mask()));
        (badness(tiny, &edges, &likely, &mask), guess, mask)
    });
    let (_, guess, mask) = if second.0 < first.0 { second } else { first };
    (guess, mask)
}

/// The mask on a larger photo, cut once more along the edges that show there.
fn refined(small: &Plane<Lab>, guess: &Guess, coarse: &Plane<bool>) -> Plane<bool> {
    let leaning = guess.leaning().scaled(small.width, small.height);
    let mask = opacity(coarse).scaled(small.width, small.height).map(|opacity| opacity > 0.5);
    let edges = Edges::of(small);
    let task =
        Task { photo: small, edges: &edges, leaning: &leaning, rounds_max: SMALL_ROUNDS_MAX };
    parts::tidied(&grabcut::subject(&task, mask))
}

fn opacity(mask: &Plane<bool>) -> Plane<f32> {
    mask.map(|subject| if subject { 1.0 } else { 0.0 })
}

/// The photo with its longer side at most `side`, on grey where it is transparent.
fn scaled(photo: &RgbaImage, side: u32) -> Result<Plane<[u8; 3]>, SegmentError> {
    let (width, height) = fitted(photo.dimensions(), side);
    let source = ImageRef::new(photo.width(), photo.height(), photo.as_raw(), PixelType::U8x4)?;
    let mut target = Image::new(width, height, PixelType::U8x4);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options)?;
    let (pixels, _) = target.buffer().as_chunks::<4>();
    Ok(Plane {
        width: pixels_of(width),
        height: pixels_of(height),
        values: pixels.iter().map(|pixel| on_grey(*pixel)).collect(),
    })
}

/// The size with the same ratio whose longer side is at most `side`; never less than one pixel.
fn fitted((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longer = width.max(height).max(1);
    if longer <= side {
        return (width, height);
    }
    let fit = |length: u32| ((length * side + longer / 2) / longer).max(1);
    (fit(width), fit(height))
}

fn on_grey([red, green, blue, opacity]: [u8; 4]) -> [u8; 3] {
    let opacity = u16::from(opacity);
    [red, green, blue].map(|value| {
        let mixed = (u16::from(value) * opacity + GREY * (255 - opacity)) / 255;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    })
}

#[expect(clippy::as_conversions, reason = "u32 to usize, exact on every machine this runs on")]
fn pixels_of(length: u32) -> usize {
    length as usize
}

/// The longer side at which guesses are tried.
const TINY_SIDE: u32 = 200;

/// Turns of learning and cutting for each guess.
const TINY_ROUNDS_MAX: usize = 6;

/// The longer side at which the chosen one is cut again.
const SMALL_SIDE: u32 = 300;

/// Turns for the chosen one, whose colours are known by then.
const SMALL_ROUNDS_MAX: usize = 2;

/// The longer side at which the edge is followed.
const MEDIUM_SIDE: u32 = 1000;

const GREY: u16 = 128;

#[cfg(test)]
mod tests;
