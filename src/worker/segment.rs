//! Segmentation: which part of a photo is its subject, without any model unless one is given.
//!
//! ```text
//! photo ─ tiny ── saliency ─ guesses ─ GrabCut each ─ choice
//!   ├──── small ───────────────────────── GrabCut again ─┤
//!   └──── medium ───────────────────────── guided filter ─ matte ─ photo with opacity
//! ```
//! The same photo always gives the same cut-out. It works well for one subject before a background
//! of other colours, and poorly in crowds, in clutter and where the subject fills the photo.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbaImage;
use serde::Serialize;

use self::choice::badness;
use self::edges::Edges;
use self::grabcut::Task;
use self::guess::{Guess, guesses};
use self::lab::Lab;
use self::matte::Matte;
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
#[cfg(feature = "models")]
pub(super) mod network;
mod palette;
mod parts;
mod plane;
mod saliency;

/// What finds the subject.
pub(super) enum Segmenter {
    /// What is built in.
    Classical,
    /// A model that was brought along.
    #[cfg(feature = "models")]
    Network(Box<network::Network>),
}

/// What the probe tells of a segmenter.
#[derive(Serialize)]
pub(super) struct Description {
    /// The model's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    engine: &'static str,
}

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

impl Segmenter {
    /// What is the subject: applied to the photo, it leaves everything else transparent.
    ///
    /// # Errors
    /// A photo without pixels, or an engine that failed.
    pub(super) fn matte(
        &self,
        photo: &RgbaImage,
    ) -> Result<Matte, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Classical => Ok(matte(photo)?),
            #[cfg(feature = "models")]
            Self::Network(network) => Ok(network.matte(photo)?),
        }
    }

    /// Memory that an image takes beside its pixels.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Classical => CLASSICAL_BYTES,
            #[cfg(feature = "models")]
            Self::Network(network) => MATTE_BYTES.saturating_add(network.bytes()),
        }
    }

    /// For people who look.
    pub(super) fn description(&self) -> Description {
        match self {
            Self::Classical => Description { model: None, engine: "classical" },
            #[cfg(feature = "models")]
            Self::Network(network) => {
                let model = network.file().display().to_string();
                Description { model: Some(model), engine: network.engine() }
            }
        }
    }
}

/// The subject, without any model.
///
/// # Errors
/// Only for a photo without pixels.
fn matte(photo: &RgbaImage) -> Result<Matte, SegmentError> {
    let medium = scaled(photo, MEDIUM_SIDE)?;
    let (guess, coarse) = choice(&lab::from_rgb(&scaled(photo, TINY_SIDE)?));
    let small = lab::from_rgb(&scaled(photo, SMALL_SIDE)?);
    let subject = refined(&small, &guess, &coarse);
    let mask = opacity(&subject).scaled(medium.width, medium.height);
    Ok(Matte::guided(&medium, &mask))
}

/// The guess that leads to the best mask, with that mask.
fn choice(tiny: &Plane<Lab>) -> (Guess, Plane<bool>) {
    let edges = Edges::of(tiny);
    let saliency = saliency::of(tiny);
    let tried = guesses(&saliency).map(|guess| {
        let leaning = guess.leaning();
        let task =
            Task { photo: tiny, edges: &edges, leaning: &leaning, rounds_max: TINY_ROUNDS_MAX };
        let mask = parts::tidied(&grabcut::subject(&task, guess.mask()));
        (badness(tiny, &edges, &saliency, &mask), guess, mask)
    });
    let [first, rest @ ..] = tried;
    let best = rest.into_iter().fold(first, |best, next| if next.0 < best.0 { next } else { best });
    (best.1, best.2)
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

/// The small planes of classical segmentation, whatever the photo's size.
const CLASSICAL_BYTES: u64 = 100 << 20;

/// Those of the matte alone.
#[cfg(feature = "models")]
const MATTE_BYTES: u64 = 80 << 20;

#[cfg(test)]
mod tests;
