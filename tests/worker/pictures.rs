//! What comes back for each kind of picture, and in each form that can be asked for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use moxcms::ColorProfile;

use super::*;

/// A file of `tests/photos/odd`, where `make.py` says what each is.
pub(super) fn odd(name: &str) -> Vec<u8> {
    std::fs::read(photos().join("odd").join(name)).unwrap()
}

fn photos() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos"))
}

pub(super) fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').unwrap().1 {
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "webp" => "image/webp",
        other => panic!("{other}"),
    }
}

/// A JPEG of `upright` as a camera held otherwise stores it.
fn turned(upright: &RgbImage, exif: u8) -> Vec<u8> {
    let inverse = match Orientation::from_exif(exif).unwrap() {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        same => same,
    };
    let mut stored = DynamicImage::from(upright.clone());
    stored.apply_orientation(inverse);
    let mut segment =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    segment.extend([0, exif, 0, 0, 0, 0, 0, 0]);
    let file = file(&stored, ImageFormat::Jpeg);
    [&file[..2], &segment, &file[2..]].concat()
}

#[tokio::test]
async fn each_form_comes_back_in_each_format() {
    let worker = Worker::start(&[]);
    for format in ["png", "webp"] {
        let path = |more: &str| format!("{PATH}?format={format}{more}");
        is_cut_photo(&worker.cut(&path(""), "image/png", png()).await);

        let mask = worker.cut(&path("&output=mask"), "image/png", png()).await;
        assert!(!mask.has_alpha());
        assert_eq!((mask.width(), mask.height()), (128, 96));
        let mask = mask.into_rgb8();
        assert_eq!((mask.get_pixel(36, 40).0, mask.get_pixel(2, 2).0), ([255; 3], [0; 3]));

        let path_before = path("&background=%230080ff");
        let before = worker.cut(&path_before, "image/png", png()).await;
        assert!(!before.has_alpha());
        assert_eq!(before.into_rgb8().get_pixel(2, 2), &Rgb([0, 128, 255]));

        let crop = worker.cut(&path("&crop=subject"), "image/png", png()).await;
        let (width, height) = (crop.width(), crop.height());
        assert!((46..54).contains(&width) && (38..46).contains(&height), "{width} {height}");
    }
}

#[tokio::test]
async fn odd_files_are_read_like_usual_ones() {
    let worker = Worker::start(&[]);
    for name in [
        "progressive.jpg",
        "cmyk.jpg",
        "subsampled.jpg",
        "palette.png",
        "palette-transparent.png",
        "interlaced.png",
        "lossy.webp",
        "lossless.webp",
        // Of an animation the first frame.
        "animated.png",
        "animated.webp",
    ] {
        eprintln!("{name}");
        is_cut_photo(&worker.cut(PATH, media_type(name), odd(name)).await);
    }
    let grey = worker.cut(PATH, "image/jpeg", odd("grey.jpg")).await;
    assert_eq!((grey.width(), grey.height()), (128, 96));
}

#[tokio::test]
async fn a_profile_is_turned_into_srgb() {
    let wide = ColorProfile::new_display_p3().encode().unwrap();
    let photo = photo();
    let mut files = [("image/png", Vec::new()), ("image/jpeg", Vec::new()), ("image/webp", vec![])];
    let [(_, png), (_, jpeg), (_, webp)] = &mut files;
    let mut encoder = PngEncoder::new(png);
    encoder.set_icc_profile(wide.clone()).unwrap();
    photo.write_with_encoder(encoder).unwrap();
    let mut encoder = JpegEncoder::new_with_quality(jpeg, 95);
    encoder.set_icc_profile(wide.clone()).unwrap();
    photo.write_with_encoder(encoder).unwrap();
    let mut encoder = WebPEncoder::new_lossless(webp);
    encoder.set_icc_profile(wide).unwrap();
    photo.write_with_encoder(encoder).unwrap();

    let worker = Worker::start(&[]);
    for (media_type, file) in files {
        let response = worker.send(PATH, media_type, file).await;
        let file = response.bytes().await.unwrap();
        assert!(!file.windows(4).any(|four| four == b"iCCP" || four == b"ICCP"));
        let cut = image::load_from_memory(&file).unwrap().into_rgba8();
        // What Display P3 calls 210, 30, 30 is redder than that in sRGB.
        let Rgba([red, green, ..]) = *cut.get_pixel(36, 40);
        assert!(red > 222 && green < 20, "{media_type}: {red} {green}");
    }
}

#[tokio::test]
async fn a_photo_cut_at_any_kilobyte_is_refused_at_once() {
    let jpeg = std::fs::read(photos().join("sample.jpg")).unwrap();
    let photo = image::load_from_memory(&jpeg).unwrap().resize(
        300,
        300,
        image::imageops::FilterType::Triangle,
    );
    let (png, webp) = (file(&photo, ImageFormat::Png), file(&photo, ImageFormat::WebP));
    let worker = Worker::start(&[]);
    for (media_type, file) in [("image/jpeg", jpeg), ("image/png", png), ("image/webp", webp)] {
        assert!(file.len() > 50_000, "{media_type}");
        for length in (1024..file.len()).step_by(1024) {
            let begun = Instant::now();
            let response = worker.send(PATH, media_type, file[..length].to_vec()).await;
            assert_eq!(response.status(), BAD, "{media_type} cut to {length}");
            is_problem(response, "truncated", false).await;
            // Milliseconds; a machine that is busy with other things is allowed some more.
            assert!(begun.elapsed() < Duration::from_secs(1), "{media_type} cut to {length}");
        }
    }
}

#[tokio::test]
async fn each_kind_of_colour_is_read() {
    let worker = Worker::start(&[]);
    let photo = DynamicImage::from(photo());
    for image in [photo.to_rgba8().into(), photo.to_rgb16().into(), photo.to_rgba16().into()] {
        is_cut_photo(&worker.cut(PATH, "image/png", file(&image, ImageFormat::Png)).await);
    }
    for image in [photo.to_luma8().into(), photo.to_luma16().into(), photo.to_luma_alpha8().into()]
    {
        let cut = worker.cut(PATH, "image/png", file(&image, ImageFormat::Png)).await;
        assert_eq!((cut.width(), cut.height()), (128, 96));
    }
}

#[tokio::test]
async fn what_was_transparent_stays_transparent() {
    let mut image = DynamicImage::from(photo()).to_rgba8();
    image.enumerate_pixels_mut().for_each(|(x, _, pixel)| pixel[3] = if x < 48 { 255 } else { 0 });
    let worker = Worker::start(&[]);
    let cut = worker.cut(PATH, "image/png", file(&image.into(), ImageFormat::Png)).await.to_rgba8();
    assert_eq!(cut.get_pixel(36, 40)[3], 255);
    assert_eq!(cut.get_pixel(60, 40)[3], 0);
}

#[tokio::test]
async fn each_orientation_is_turned_upright() {
    let worker = Worker::start(&[]);
    for exif in 1..=8 {
        is_cut_photo(&worker.cut(PATH, "image/jpeg", turned(&photo(), exif)).await);
    }
}

#[tokio::test]
async fn nothing_but_pixels_comes_back() {
    let worker = Worker::start(&[]);
    let response = worker.send(PATH, "image/jpeg", turned(&photo(), 6)).await;
    let file = response.bytes().await.unwrap();
    for name in [&b"eXIf"[..], b"tEXt", b"iTXt", b"zTXt", b"iCCP", b"tIME"] {
        assert!(!file.windows(4).any(|four| four == name));
    }
}
