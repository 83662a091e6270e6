//! Files made to do harm, and a photo at which the processor itself fails.

use std::time::{Duration, Instant};

use super::*;
use crate::support::dice::{Dice, rounds};

/// Refused for what its first bytes say, at once and whatever would follow.
#[track_caller]
fn is_quick(begun: Instant, what: &str) {
    // Milliseconds; a machine that is busy with other things is allowed some more.
    assert!(begun.elapsed() < Duration::from_secs(1), "{what}");
}

/// The same file saying that it has other sides.
fn resized(name: &str, width: u16, height: u16) -> Vec<u8> {
    let mut file = pictures::odd(name);
    let at = |file: &[u8], sought: &[u8]| {
        file.windows(sought.len()).position(|window| window == sought).unwrap()
    };
    if name.ends_with(".jpg") {
        // The frame's marker, length and precision, then its sides.
        let frame = at(&file, b"\xff\xc0\0\x11\x08");
        file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    } else {
        // Fourteen bits for each side, less one.
        let sides = at(&file, b"VP8L") + 9;
        let packed = u32::from(width - 1) | (u32::from(height - 1) << 14) | (1 << 28);
        file[sides..sides + 4].copy_from_slice(&packed.to_le_bytes());
    }
    file
}

#[tokio::test]
async fn a_side_of_10_001_pixels_is_refused_in_each_format() {
    let worker = Worker::start(&[]);
    for (media_type, name) in [("image/jpeg", "subsampled.jpg"), ("image/webp", "lossless.webp")] {
        for (width, height) in [(10_001, 96), (128, 10_001)] {
            let begun = Instant::now();
            let file = resized(name, width, height);
            let response = worker.send(PATH, media_type, file).await;
            is_problem(response, "dimensions_too_large", false).await;
            is_quick(begun, name);
        }
    }
}

/// Sides as large as may be, and pixels that are not there.
#[tokio::test]
async fn a_file_that_promises_more_pixels_than_it_has_is_refused() {
    let file = resized("lossless.webp", 10_000, 10_000);
    check(PATH, "image/webp", file, (BAD, "undecodable")).await;
}

/// A kilobyte of text or profile that unfolds to a gigabyte.
#[tokio::test]
async fn metadata_that_unfolds_without_end_takes_no_memory() {
    let worker = Worker::start(&[]);
    let before = worker.memory_peak();
    for (kind, head) in [(b"zTXt", &b"Comment\0\0"[..]), (b"iCCP", &b"p\0\0"[..])] {
        let mut chunk = kind.to_vec();
        chunk.extend(head);
        chunk.extend(zeros(1 << 30));
        let mut file = png();
        // After the header's chunk.
        let mut bomb = u32::try_from(chunk.len() - 4).unwrap().to_be_bytes().to_vec();
        bomb.extend(&chunk);
        bomb.extend(crc(&chunk).to_be_bytes());
        file.splice(33..33, bomb);
        let status = worker.send(PATH, "image/png", file).await.status();
        assert!(status == StatusCode::OK || status == BAD, "{status}");
    }
    let grown = worker.memory_peak() - before;
    assert!(grown < 300_000_000, "{grown} bytes");
}

/// So many zeros as zlib packs them: one block of a literal and many repeats of it, by hand.
fn zeros(length: usize) -> Vec<u8> {
    // Fixed codes. 258 bytes, one back: length symbol 285 is eight bits, distance 0 is five.
    const REPEAT: [bool; 13] = {
        let mut bits = [false; 13];
        // 285 is 0b11000101, most significant bit first.
        (bits[0], bits[1], bits[5], bits[7]) = (true, true, true, true);
        bits
    };
    let mut bits = vec![true, true, false];
    // The literal 0 is 0b00110000.
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..length / 258 {
        bits.extend(REPEAT);
    }
    bits.extend([false; 7]);
    let bytes = bits.chunks(8).map(|byte| {
        byte.iter().enumerate().fold(0, |value, (at, bit)| value | (u8::from(*bit) << at))
    });
    let mut file = vec![0x78, 0x01];
    file.extend(bytes);
    // Adler-32 of zeros: one, and how often one was added to the second sum.
    let sum = (1 + 258 * (length / 258)) % 65_521;
    file.extend(((u32::try_from(sum).unwrap() << 16) | 1).to_be_bytes());
    file
}

/// A model that looks into a table of two by how bright a photo is finds nothing there for white.
#[tokio::test]
async fn a_photo_at_which_the_processor_fails_may_be_sent_again_and_harms_no_other() {
    let model = models::model("moody.onnx");
    let worker = Worker::start(&["--model", &model, "--engine", "rten"]);
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    let white = RgbImage::from_pixel(128, 96, Rgb([255; 3]));
    let response = worker.send(PATH, "image/png", file(&white.into(), ImageFormat::Png)).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    is_problem(response, "processing_failed", true).await;
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
}

/// Pictures of every kind with bytes changed, most of them where their headers are: each is cut out
/// or refused, in time and within its memory, by a worker that lives on.
#[tokio::test]
async fn pictures_with_changed_bytes_are_cut_out_or_refused() {
    let worker = Worker::start(&[]);
    let mut dice = Dice::new();
    let small = |name: &str| pictures::odd(name);
    let samples = [
        ("image/png", png()),
        ("image/png", small("palette-transparent.png")),
        ("image/png", small("interlaced.png")),
        ("image/jpeg", small("progressive.jpg")),
        ("image/jpeg", small("cmyk.jpg")),
        ("image/webp", small("lossless.webp")),
        ("image/webp", small("animated.webp")),
    ];
    let words = ["IHDR", "IDAT", "iCCP", "VP8L", "VP8X", "Exif", "ICC_PROFILE", "\u{ff}\u{d8}"];
    let (mut cut, mut refused) = (0, 0);
    for round in 0..rounds(120) {
        let (media_type, good) = &samples[dice.below(samples.len())];
        let mut head: Vec<u8> = good[..good.len().min(200)].to_vec();
        dice.mutate(&mut head, &words);
        let file = [&head[..], &good[good.len().min(200)..]].concat();
        let begun = Instant::now();
        let status = worker.send(PATH, media_type, file).await.status();
        let told = || format!("SEED={} round {round}: {status}", dice.seed());
        match status.as_u16() {
            200 => cut += 1,
            400..=499 => refused += 1,
            _ => panic!("{}", told()),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", told());
    }
    assert!(cut > 0 && refused > 10, "{cut} cut out, {refused} refused");
    assert!(worker.memory_peak() < 800_000_000, "{}", worker.memory_peak());
}
