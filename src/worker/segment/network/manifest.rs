//! Manifests: what a model file does not say about itself.
#![expect(clippy::float_arithmetic, reason = "values of a mask, from 0 to 1")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::plane::Plane;
use super::NetworkError;

/// How a model is fed and read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// The name of the model's licence.
    pub(super) license: Box<str>,
    /// Whether it lets images be sold.
    pub(super) commercial_use: bool,
    pub(super) size: Size,
    #[serde(default)]
    pub(super) layout: Layout,
    /// What becomes 1 before mean and deviation.
    #[serde(default)]
    pub(super) white: White,
    pub(super) mean: [f32; 3],
    pub(super) deviation: [f32; 3],
    /// Which output is the mask, counted from 0.
    #[serde(default)]
    pub(super) output: usize,
    #[serde(default)]
    pub(super) values: Values,
    #[serde(default)]
    pub(super) range: Range,
    #[serde(default)]
    pub(super) edges: Edges,
}

/// The size at which a photo is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum Size {
    /// Width and height; the photo's ratio is not kept.
    Fixed([u32; 2]),
    /// Ratio kept up to [`RATIO_MAX`], each side a multiple.
    Shorter {
        /// Of the shorter side.
        pixels: u32,
        multiple: u32,
    },
}

/// How colours and pixels follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    /// A plane for each colour.
    #[default]
    Nchw,
    /// Three colours for each pixel.
    Nhwc,
}

/// What becomes 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum White {
    /// 255.
    #[default]
    Full,
    /// The greatest value in the photo.
    Brightest,
}

/// What the output's numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Values {
    #[default]
    Opacity,
    /// They become opacity by the logistic function.
    Logits,
}

/// What is opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Range {
    /// Values of 1.
    #[default]
    Absolute,
    /// The photo's greatest value; its least is transparent.
    Stretched,
}

/// How a mask becomes as large as the photo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Edges {
    /// Along the photo's edges, by a guided filter.
    #[default]
    Guided,
    /// By Lanczos resampling alone, as rembg does it.
    Plain,
    /// Cut anew by the photo's colours first: for small models, which know roughly and are asked
    /// twice, once about the mirror image.
    Cut,
}

impl Manifest {
    /// The manifest that was named, or the one beside the model, or the one of the model's name.
    ///
    /// # Errors
    /// `Read`, `NoManifest`, `Manifest`.
    pub(super) fn find(model: &Path, named: Option<&str>) -> Result<Self, NetworkError> {
        let mut known = known();
        if let Some(named) = named {
            return match known.remove(named) {
                Some(manifest) => Ok(manifest),
                None if named.ends_with(".toml") => Self::read(Path::new(named)),
                None => Err(Self::missing(model, &known)),
            };
        }
        let beside = beside(model);
        if beside.is_file() {
            return Self::read(&beside);
        }
        let stem = model.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        known.remove(stem).ok_or_else(|| Self::missing(model, &known))
    }

    /// That of the network that is part of the program.
    pub(super) fn built_in() -> Self {
        Self {
            license: "Apache-2.0".into(),
            commercial_use: true,
            size: Size::Fixed([256, 256]),
            layout: Layout::Nchw,
            white: White::Full,
            mean: [0.498; 3],
            deviation: [0.502; 3],
            output: 0,
            values: Values::Opacity,
            range: Range::Absolute,
            edges: Edges::Cut,
        }
    }

    fn missing(model: &Path, known: &BTreeMap<String, Self>) -> NetworkError {
        let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        NetworkError::NoManifest { model: model.to_owned(), beside: beside(model), known }
    }

    fn read(path: &Path) -> Result<Self, NetworkError> {
        let text = fs::read_to_string(path)
            .map_err(|source| NetworkError::Read(path.to_owned(), source))?;
        let wrong = |text: String| NetworkError::Manifest { path: path.to_owned(), text };
        let manifest: Self = toml::from_str(&text).map_err(|fault| wrong(fault.to_string()))?;
        manifest.checked().map_err(|text| wrong(text.to_owned()))
    }

    fn checked(self) -> Result<Self, &'static str> {
        let side = |pixels: u32| (SIDE_MIN..=SIDE_MAX).contains(&pixels);
        let size = match self.size {
            Size::Fixed([width, height]) => side(width) && side(height),
            Size::Shorter { pixels, multiple } => side(pixels) && (1..=pixels).contains(&multiple),
        };
        if !size {
            return Err("`size` is outside of 16 to 4096 pixels");
        }
        let fits = |value: &f32| value.is_finite() && value.abs() >= f32::EPSILON;
        if !self.deviation.iter().all(fits) || !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err("`mean` and `deviation` are three numbers each, the latter not 0");
        }
        Ok(self)
    }

    /// The output as opacity, from 0 to 1.
    pub(super) fn mask(&self, mut plane: Plane<f32>) -> Plane<f32> {
        if self.values == Values::Logits {
            plane.values.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
        }
        match self.range {
            Range::Absolute => plane.map(|value| value.clamp(0.0, 1.0)),
            Range::Stretched => plane.normalised(),
        }
    }
}

impl Size {
    /// The size for a photo of these dimensions.
    pub(super) fn of(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Fixed([width, height]) => (width, height),
            Self::Shorter { pixels, multiple } => {
                let shorter = u64::from(width.min(height).max(1));
                let longest = pixels.saturating_mul(RATIO_MAX).min(SIDE_MAX);
                let fit = |length: u32| {
                    let length = u64::from(length) * u64::from(pixels) / shorter;
                    let length = u32::try_from(length).unwrap_or(longest).min(longest);
                    (length / multiple).max(1) * multiple
                };
                (fit(width), fit(height))
            }
        }
    }

    /// The dimensions of a small photo that is looked at as large as any.
    pub(super) fn most(self) -> (u32, u32) {
        match self {
            Self::Fixed(_) => (64, 64),
            Self::Shorter { .. } => (64 * RATIO_MAX, 64),
        }
    }
}

fn beside(model: &Path) -> PathBuf {
    model.with_extension("toml")
}

/// The manifests that are built in, by name.
fn known() -> BTreeMap<String, Manifest> {
    // Parsed by a test, so that no mistake gets this far.
    toml::from_str(KNOWN).unwrap_or_default()
}

const KNOWN: &str = include_str!("known.toml");

const SIDE_MIN: u32 = 16;

const SIDE_MAX: u32 = 4096;

/// Longer photos are squeezed: what a run takes grows with its input, and each is admitted, and
/// sold, as the largest.
const RATIO_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_right() {
        let all: BTreeMap<String, Manifest> = toml::from_str(KNOWN).unwrap();
        assert!(all.len() >= 15);
        for (name, manifest) in all {
            assert_eq!(manifest.clone().checked(), Ok(manifest), "{name}");
        }
    }

    #[test]
    fn a_known_name_is_found_by_the_file_or_when_it_is_named() {
        let by_file = Manifest::find(Path::new("/models/u2netp.onnx"), None).unwrap();
        let by_name = Manifest::find(Path::new("/models/mine.onnx"), Some("u2netp")).unwrap();
        assert_eq!(by_file, by_name);
        assert_eq!(by_file.size, Size::Fixed([320, 320]));
        assert!(by_file.commercial_use);
    }

    #[test]
    fn a_manifest_beside_the_model_comes_first_and_mistakes_in_it_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("u2netp.onnx");
        let write = |text: &str| fs::write(folder.path().join("u2netp.toml"), text).unwrap();
        let good = "license = \"mine\"\ncommercial_use = true\nsize.fixed = [64, 32]\n\
                    mean = [0, 0, 0]\ndeviation = [1, 1, 1]\n";
        write(good);
        let found = Manifest::find(&model, None).unwrap();
        assert_eq!(found.size, Size::Fixed([64, 32]));
        for (more, said) in [
            ("heigth = 3\n", "unknown field `heigth`"),
            ("layout = \"chwn\"\n", "unknown variant `chwn`"),
        ] {
            write(&format!("{good}{more}"));
            let wrong = Manifest::find(&model, None).unwrap_err().to_string();
            assert!(wrong.contains(said) && wrong.contains("line 6"), "{wrong}");
        }
        write(&good.replace("64", "5000"));
        let wrong = Manifest::find(&model, None).unwrap_err().to_string();
        assert!(wrong.contains("`size` is outside"), "{wrong}");
    }

    #[test]
    fn without_any_manifest_one_is_asked_for() {
        let wrong = Manifest::find(Path::new("/models/mine.onnx"), None).unwrap_err().to_string();
        assert!(wrong.contains("`/models/mine.toml`") && wrong.contains("u2netp"), "{wrong}");
    }

    #[test]
    fn a_ratio_is_kept_where_the_model_takes_any_size() {
        let size = Size::Shorter { pixels: 512, multiple: 32 };
        assert_eq!(size.of((1600, 1200)), (672, 512));
        assert_eq!(size.of((100, 100)), (512, 512));
        assert_eq!(size.of((10_000, 1)), (1536, 512));
        assert_eq!(Size::Fixed([320, 200]).of((9, 9)), (320, 200));
        let wide = Size::Shorter { pixels: 2048, multiple: 32 };
        assert_eq!(wide.of((10_000, 1)), (4096, 2048));
    }

    #[test]
    fn no_photo_is_fed_larger_than_what_the_model_is_tried_with() {
        let pixels = |(width, height): (u32, u32)| width * height;
        let sizes = [(512, 32), (500, 32), (1024, 7), (2048, 64), (16, 16), (100, 99)]
            .map(|(pixels, multiple)| Size::Shorter { pixels, multiple });
        for size in sizes.into_iter().chain([Size::Fixed([320, 200])]) {
            let tried = pixels(size.of(size.most()));
            for photo in [(1, 1), (10_000, 1), (1, 10_000), (299, 100), (301, 100), (4000, 3000)] {
                assert!(pixels(size.of(photo)) <= tried, "{size:?} {photo:?}");
            }
        }
    }

    #[test]
    fn numbers_become_opacity() {
        let mask = |values, range| {
            let known = known().remove("u2netp").unwrap();
            let plane = Plane { width: 3, height: 1, values: vec![-2.0, 0.0, 2.0] };
            Manifest { values, range, ..known }.mask(plane).values
        };
        assert_eq!(mask(Values::Opacity, Range::Absolute), [0.0, 0.0, 1.0]);
        assert_eq!(mask(Values::Opacity, Range::Stretched), [0.0, 0.5, 1.0]);
        let logits = mask(Values::Logits, Range::Absolute);
        assert!((logits[0] - 0.1192).abs() < 1e-3 && (logits[1] - 0.5).abs() < 1e-6);
        assert_eq!(mask(Values::Logits, Range::Stretched)[2], 1.0);
    }
}
