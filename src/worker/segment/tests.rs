//! The cut-outs of the sample photos against masks drawn by hand, and against an ellipse.
#![expect(clippy::float_arithmetic, reason = "scores are parts of one")]

use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage, RgbaImage, imageops};

use super::fitted;
use super::network::{Network, Share};

/// A photo, its cut-out, and which pixels are the subject to a person's eye.
struct Sample {
    name: &'static str,
    cut: RgbaImage,
    subject: Vec<bool>,
}

/// Agreement with a person: intersection over union, and the mean absolute error of opacity.
struct Score {
    union: f32,
    error: f32,
}

impl Sample {
    fn new(name: &'static str) -> Self {
        let folder = photos();
        let mut cut = image::open(folder.join(format!("{name}.jpg"))).unwrap().into_rgba8();
        network().matte(&cut).unwrap().apply(&mut cut);
        let mask = image::open(folder.join(format!("{name}.mask.png"))).unwrap().into_luma8();
        assert_eq!(mask.dimensions(), cut.dimensions());
        Self { name, cut, subject: mask.pixels().map(|pixel| pixel[0] > 127).collect() }
    }

    fn score(&self, opacity: impl Fn(u32, u32) -> f32) -> Score {
        let (mut both, mut either, mut error) = (0.0, 0.0, 0.0);
        for ((x, y, _), &subject) in self.cut.enumerate_pixels().zip(&self.subject) {
            let (opacity, wanted) = (opacity(x, y), if subject { 1.0 } else { 0.0 });
            error += (opacity - wanted).abs();
            both += if opacity > 0.5 && subject { 1.0 } else { 0.0 };
            either += if opacity > 0.5 || subject { 1.0 } else { 0.0 };
        }
        Score { union: both / either, error: error / self.subject.iter().map(|_| 1.0).sum::<f32>() }
    }

    fn cut_out(&self) -> Score {
        self.score(|x, y| f32::from(self.cut.get_pixel(x, y)[3]) / 255.0)
    }

    /// The guess of who sees no pixel: an ellipse of four fifths of the photo's sides.
    fn ellipse(&self) -> Score {
        let middle = |length: u32| f32::from(u16::try_from(length).unwrap()) / 2.0;
        let off = |at: u32, length| (middle(2 * at + 1) - middle(length)) / (0.8 * middle(length));
        let (width, height) = self.cut.dimensions();
        self.score(|x, y| {
            let (x, y) = (off(x, width), off(y, height));
            if x * x + y * y < 1.0 { 1.0 } else { 0.0 }
        })
    }

    /// Leaves the cut-out in the folder that `CUTOUTS` names, and puts it on the sheet there.
    fn keep(&self) {
        let Some(folder) = std::env::var_os("CUTOUTS").map(PathBuf::from) else { return };
        self.cut.save(folder.join(format!("{}.png", self.name))).unwrap();
        let strips = folder.join("strips");
        fs::create_dir_all(&strips).unwrap();
        self.strip().save(strips.join(format!("{}.png", self.name))).unwrap();
        sheet(&strips).save(folder.join("sheet.png")).unwrap();
    }

    /// The photo, the cut-out on squares, and what a person cut out, side by side.
    fn strip(&self) -> RgbImage {
        let photo = image::open(photos().join(format!("{}.jpg", self.name))).unwrap().into_rgb8();
        let (width, height) = photo.dimensions();
        let square =
            |x: u32, y: u32| if (x / 16 + y / 16).is_multiple_of(2) { 255_u16 } else { 204 };
        let mut three = RgbImage::new(3 * width, height);
        for (x, y, seen) in photo.enumerate_pixels() {
            let [red, green, blue, opacity] = self.cut.get_pixel(x, y).0;
            let opacity = u16::from(opacity);
            let mixed = [red, green, blue].map(|value| {
                let mixed = (u16::from(value) * opacity + square(x, y) * (255 - opacity)) / 255;
                u8::try_from(mixed).unwrap()
            });
            let subject = self.subject[usize::try_from(y * width + x).unwrap()];
            three.put_pixel(x, y, *seen);
            three.put_pixel(x + width, y, Rgb(mixed));
            three.put_pixel(x + 2 * width, y, Rgb([if subject { 255 } else { 0 }; 3]));
        }
        imageops::thumbnail(&three, SHEET_WIDTH, SHEET_WIDTH * height / (3 * width))
    }
}

/// All strips below each other.
fn sheet(strips: &Path) -> RgbImage {
    let mut files: Vec<_> =
        fs::read_dir(strips).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let strips: Vec<_> = files.iter().map(|file| image::open(file).unwrap().into_rgb8()).collect();
    let mut sheet = RgbImage::new(SHEET_WIDTH, strips.iter().map(RgbImage::height).sum());
    let mut top = 0;
    for strip in strips {
        imageops::replace(&mut sheet, &strip, 0, top);
        top += i64::from(strip.height());
    }
    sheet
}

/// What is built in.
fn network() -> Network {
    Network::built_in(Share { parallel: 1, threads: 1 }).unwrap()
}

fn photos() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos"))
}

const SHEET_WIDTH: u32 = 960;

/// Cuts, keeps and scores a sample; `tests/bench/cutouts` shows the lines this writes.
fn scores(name: &'static str) -> (Score, Score) {
    let sample = Sample::new(name);
    sample.keep();
    let (cut, ellipse) = (sample.cut_out(), sample.ellipse());
    eprintln!(
        "\nscore {name:<10} {:.3} / {:.3}   {:.3} / {:.3}",
        cut.union, cut.error, ellipse.union, ellipse.error
    );
    (cut, ellipse)
}

/// At least this good, and far better than the ellipse.
#[track_caller]
fn check(name: &'static str, union_least: f32, error_most: f32) {
    let (cut, ellipse) = scores(name);
    assert!(cut.union >= union_least, "IoU {} of {name}", cut.union);
    assert!(cut.error <= error_most, "error {} of {name}", cut.error);
    assert!(cut.union > ellipse.union + 0.15, "an ellipse has IoU {}", ellipse.union);
    assert!(cut.error < ellipse.error / 2.0, "an ellipse has error {}", ellipse.error);
}

#[test]
fn a_cup_on_a_table() {
    check("sample", 0.95, 0.03);
}

#[test]
fn a_flower_before_leaves() {
    check("flower", 0.97, 0.01);
}

#[test]
fn a_raccoon_among_leaves() {
    check("raccoon", 0.94, 0.04);
}

#[test]
fn a_woman_in_a_space_suit_beside_her_helmet() {
    check("astronaut", 0.93, 0.04);
}

#[test]
fn a_woman_before_a_flag() {
    check("hopper", 0.95, 0.03);
}

#[test]
fn a_cat_that_fills_the_photo() {
    check("chelsea", 0.96, 0.03);
}

#[test]
fn the_same_photo_gives_the_same_cut_out() {
    assert_eq!(Sample::new("sample").cut, Sample::new("sample").cut);
}

#[test]
fn photos_too_small_to_have_a_subject_are_no_trouble() {
    let network = network();
    for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 2), (3, 5)] {
        let mut photo = RgbaImage::from_fn(width, height, |x, y| {
            image::Rgba([x, y, x + y, 255].map(|value| u8::try_from(value).unwrap_or(u8::MAX)))
        });
        network.matte(&photo).unwrap().apply(&mut photo);
        assert_eq!(photo.dimensions(), (width, height));
    }
}

#[test]
fn a_side_never_vanishes() {
    assert_eq!(fitted((9000, 1), 300), (300, 1));
    assert_eq!(fitted((600, 400), 300), (300, 200));
    assert_eq!(fitted((20, 30), 300), (20, 30));
}
