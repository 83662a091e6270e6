//! Networks: masks from a model file that the operator brought along.
//!
//! ```text
//! photo ─ square ─ tensor ─ engine ─ plane ─ matte ─ photo with opacity
//! ```
//! Nothing is fetched: the file is the operator's, and its manifest says how it is to be fed.

use std::path::{Path, PathBuf};

use image::RgbaImage;
use tracing::{info, warn};

use self::engine::Engine;
pub use self::engine::Runtime;
use self::manifest::{Edges, Manifest};
use super::matte::Matte;
use super::plane::Plane;
use super::{MEDIUM_SIDE, SegmentError, scaled};

mod engine;
mod footprint;
mod manifest;
mod seats;
mod tensor;

/// A model, loaded, tried and ready.
pub(in crate::worker) struct Network {
    manifest: Manifest,
    engine: Engine,
    file: PathBuf,
    bytes: u64,
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
    /// Images at once.
    pub(in crate::worker) parallel: usize,
    /// Threads for each of them.
    pub(in crate::worker) threads: usize,
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
        let mut network = Self { manifest, engine, file: wish.model.to_owned(), bytes: 0 };
        let before = footprint::now();
        network.warm(wish.parallel)?;
        let runs = u64::try_from(wish.parallel.max(1)).unwrap_or(u64::MAX);
        network.bytes = footprint::most().saturating_sub(before).div_ceil(runs);
        network.log(wish);
        Ok(network)
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

    fn log(&self, wish: &Wish<'_>) {
        let manifest = &self.manifest;
        let (model, engine) = (self.file.display(), self.engine.name());
        let megabytes = self.bytes / 1_000_000;
        let (parallel, threads) = (wish.parallel, wish.threads);
        let license = &manifest.license;
        info!(%model, engine, %license, parallel, threads, megabytes, "the model is ready");
        if !manifest.commercial_use {
            warn!(%license, "what this model makes may not be sold");
        }
    }

    /// The engine's name.
    pub(in crate::worker) fn engine(&self) -> &'static str {
        self.engine.name()
    }

    /// The model's file.
    pub(in crate::worker) fn file(&self) -> &Path {
        &self.file
    }

    /// The most memory that one run takes beside the photo, as it was when the model was tried.
    pub(in crate::worker) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The subject.
    pub(super) fn matte(&self, photo: &RgbaImage) -> Result<Matte, NetworkError> {
        let mask = self.mask(photo)?;
        let medium = scaled(photo, MEDIUM_SIDE)?;
        let small = mask.scaled(medium.width, medium.height);
        match self.manifest.edges {
            Edges::Guided => Ok(Matte::guided(&medium, &small)),
            Edges::Plain => {
                let opacity = tensor::stretched(&mask, photo.dimensions())?;
                Ok(Matte::given(&medium, &small, opacity))
            }
        }
    }

    /// The mask (0 to 1) at the size of the model.
    fn mask(&self, photo: &RgbaImage) -> Result<Plane<f32>, NetworkError> {
        let (width, height) = self.manifest.size.of(photo.dimensions());
        let square = tensor::squeezed(photo, width, height)?;
        let input = tensor::input(&square, &self.manifest);
        let output = self.engine.run(input, self.manifest.output)?;
        let (width, height) = (super::pixels_of(width), super::pixels_of(height));
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
