//! Networks: masks from the model that is built in, or from a file that the operator brought along.
//!
//! ```text
//! photo ─ square ─ tensor ─ engine ─ plane ─ matte ─ photo with opacity
//! ```
//! Nothing is fetched: a file is the operator's, and its manifest says how it is to be fed.

use std::path::{Path, PathBuf};

use image::RgbaImage;
use serde::Serialize;
use tracing::{info, warn};

use self::engine::Engine;
pub use self::engine::Runtime;
use self::manifest::{Edges, Manifest};
use super::matte::Matte;
use super::plane::Plane;
use super::{MEDIUM_SIDE, SegmentError, cut, opacity, scaled};

mod engine;
mod footprint;
mod manifest;
mod seats;
mod tensor;

/// A model, loaded, tried and ready.
pub(in crate::worker) struct Network {
    manifest: Manifest,
    engine: Engine,
    /// None for what is built in.
    file: Option<PathBuf>,
    bytes: u64,
}

/// How many images are worked on at once, and how many threads each of them has.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct Share {
    pub(in crate::worker) parallel: usize,
    pub(in crate::worker) threads: usize,
}

/// What the probe tells.
#[derive(Serialize)]
pub(in crate::worker) struct Description {
    /// Its file, or that it is built in.
    model: String,
    engine: &'static str,
}

/// What is to be loaded and how.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Wish<'a> {
    /// The `.onnx` file.
    pub(in crate::worker) model: &'a Path,
    /// `model.toml` or a name we know; found beside the file or by its name otherwise.
    pub(in crate::worker) manifest: Option<&'a str>,
    /// Which engine; the fastest that is there otherwise.
    pub(in crate::worker) engine: Option<Runtime>,
    pub(in crate::worker) share: Share,
}

/// Why a model is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The model or its manifest cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// Nobody says how the model is to be fed.
    #[error(
        "{} needs a manifest: a `{}` beside it, or `--manifest` with a file or one of {known}",
        model.display(), beside.display()
    )]
    NoManifest {
        /// The model.
        model: PathBuf,
        /// Where a manifest was looked for.
        beside: PathBuf,
        /// The names of those that are built in.
        known: String,
    },
    /// The manifest is wrong.
    #[error("{}:\n{text}", path.display())]
    Manifest {
        /// Where it is.
        path: PathBuf,
        /// What is wrong, with the line.
        text: String,
    },
    /// The engine that was asked for is not there.
    #[error("ONNX Runtime cannot be loaded; `--engine rten` needs none")]
    Library(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine does not take the model.
    #[error("{engine} does not take the model")]
    Load {
        /// Which one.
        engine: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model is not the one that its manifest describes.
    #[error("the model's {part} is not as its manifest says: expected {expected}, found {found}")]
    Unlike {
        /// Input or output.
        part: &'static str,
        /// By the manifest.
        expected: String,
        /// In the file.
        found: String,
    },
    /// The model failed at work.
    #[error("{engine} failed")]
    Run {
        /// Which one.
        engine: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The photo could not be scaled.
    #[error("the photo cannot be scaled")]
    Scale(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SegmentError> for NetworkError {
    fn from(source: SegmentError) -> Self {
        Self::Scale(source.into())
    }
}

impl Network {
    /// Loads the model, looks at its shape and runs it once for each image that may be at work.
    ///
    /// # Errors
    /// Each of [`NetworkError`]; a model that comes back from here works.
    pub(in crate::worker) fn load(wish: &Wish<'_>) -> Result<Self, NetworkError> {
        let manifest = Manifest::find(wish.model, wish.manifest)?;
        let engine = Engine::load(wish, &manifest)?;
        let file = Some(wish.model.to_owned());
        Self { manifest, engine, file, bytes: 0 }.tried(wish.share)
    }

    /// The network that is part of this program, in the engine that is.
    ///
    /// # Errors
    /// `Load`, `Unlike` and `Run`, all of them against what the tests saw.
    pub(in crate::worker) fn built_in(share: Share) -> Result<Self, NetworkError> {
        let manifest = Manifest::built_in();
        let engine = Engine::built_in(BUILT_IN, share, &manifest)?;
        Self { manifest, engine, file: None, bytes: 0 }.tried(share)
    }

    fn tried(mut self, share: Share) -> Result<Self, NetworkError> {
        let before = footprint::now();
        self.warm(share.parallel)?;
        let runs = u64::try_from(share.parallel.max(1)).unwrap_or(u64::MAX);
        self.bytes = footprint::most().saturating_sub(before).div_ceil(runs);
        self.log(share);
        Ok(self)
    }

    /// As many runs at once as there may be, each of the largest input that a photo can become: the
    /// first image finds all in place, and what was taken is the most that one takes.
    fn warm(&self, parallel: usize) -> Result<(), NetworkError> {
        let (width, height) = self.manifest.size.most();
        let grey = RgbaImage::from_pixel(width, height, image::Rgba([128, 128, 128, 255]));
        let panicked =
            || Err(NetworkError::Run { engine: self.engine.name(), source: "it panicked".into() });
        std::thread::scope(|scope| {
            let run = || self.mask(&grey).map(drop);
            let runs: Vec<_> = (0..parallel).map(|_| scope.spawn(run)).collect();
            runs.into_iter().try_for_each(|run| run.join().unwrap_or_else(|_| panicked()))
        })
    }

    fn log(&self, Share { parallel, threads }: Share) {
        let (model, engine, license) = (self.name(), self.engine.name(), &self.manifest.license);
        let megabytes = self.bytes / 1_000_000;
        info!(%model, engine, %license, parallel, threads, megabytes, "the model is ready");
        if !self.manifest.commercial_use {
            warn!(%license, "what this model makes may not be sold");
        }
    }

    /// The model's file, or that there is none.
    fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "built in".to_owned(), |file| file.display().to_string())
    }

    /// For people who look.
    pub(in crate::worker) fn description(&self) -> Description {
        Description { model: self.name(), engine: self.engine.name() }
    }

    /// The most memory that an image takes beside its pixels: that of a run, as it was when the
    /// model was tried, and the matte's.
    pub(in crate::worker) fn bytes(&self) -> u64 {
        self.bytes.saturating_add(MATTE_BYTES)
    }

    /// What is the subject: applied to the photo, it leaves everything else transparent.
    ///
    /// # Errors
    /// `Scale` for a photo without pixels, `Run` and `Unlike` for an engine that failed.
    pub(in crate::worker) fn matte(&self, photo: &RgbaImage) -> Result<Matte, NetworkError> {
        let mut mask = self.mask(photo)?;
        if self.manifest.edges == Edges::Cut {
            mask = opacity(&cut(photo, &mask)?);
        }
        let medium = scaled(photo, MEDIUM_SIDE)?;
        let small = mask.scaled(medium.width, medium.height);
        match self.manifest.edges {
            Edges::Guided | Edges::Cut => Ok(Matte::guided(&medium, &small)),
            Edges::Plain => {
                let opacity = tensor::stretched(&mask, photo.dimensions())?;
                Ok(Matte::given(&medium, &small, opacity))
            }
        }
    }

    /// The mask (0 to 1) at the size of the model; of one that is cut anew, the mean of what it
    /// says of the photo and of its mirror image, for it is not sure of itself.
    fn mask(&self, photo: &RgbaImage) -> Result<Plane<f32>, NetworkError> {
        let (width, height) = self.manifest.size.of(photo.dimensions());
        let mut square = tensor::squeezed(photo, width, height)?;
        let mut mask = self.seen(&square)?;
        if self.manifest.edges == Edges::Cut {
            square.mirror();
            let mut other = self.seen(&square)?;
            tensor::mirror(&mut other.values, other.width);
            let both = mask.values.iter_mut().zip(other.values);
            both.for_each(|(value, other)| *value = f32::midpoint(*value, other));
        }
        Ok(mask)
    }

    /// What the model says of a square.
    fn seen(&self, square: &tensor::Square) -> Result<Plane<f32>, NetworkError> {
        let (width, height) = square.size();
        let output =
            self.engine.run(tensor::input(square, &self.manifest), self.manifest.output)?;
        let planes = output.shape.iter().product::<usize>();
        if !output.shape.ends_with(&[height, width]) || planes != width * height {
            return Err(NetworkError::Unlike {
                part: "output",
                expected: format!("one plane of {height} × {width}"),
                found: engine::by_times(&output.shape),
            });
        }
        Ok(self.manifest.mask(Plane { width, height, values: output.values }))
    }
}

/// What a model may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its name.
    pub name: Box<str>,
    /// Whether images made with the model may be sold.
    pub commercial_use: bool,
}

/// What the manifest of a model says of its licence.
///
/// # Errors
/// `Read`, `NoManifest`, `Manifest`.
pub fn license(model: &Path) -> Result<License, NetworkError> {
    let Manifest { license, commercial_use, .. } = Manifest::find(model, None)?;
    Ok(License { name: license, commercial_use })
}

/// Made by `tests/bench/subject/learn`.
const BUILT_IN: &[u8] = include_bytes!("network/subject.onnx");

/// The small planes of the matte, whatever the photo's size.
const MATTE_BYTES: u64 = 80 << 20;
