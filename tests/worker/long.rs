//! What takes a while: many images one after the other, and the largest there may be.
//!
//! `SOAK=2000` makes the first as long as a day of a small shop; `tests/run soak` does.

use std::sync::Arc;

use super::*;

/// What is asked, with which type and bytes, and what comes of it.
type Image = (String, &'static str, Vec<u8>, StatusCode);

/// Good files of every kind and bad ones, with the status that each has.
fn mixed() -> Vec<Image> {
    let (ok, bad) = (StatusCode::OK, BAD);
    let mut all = vec![
        (String::new(), "image/png", png(), ok),
        ("?format=webp".into(), "image/jpeg", jpeg(), ok),
        ("?output=mask".into(), "image/webp", webp(), ok),
        ("?background=%23ffffff&crop=subject".into(), "image/png", png(), ok),
        ("?size=1".into(), "image/png", png(), bad),
        (String::new(), "image/gif", png(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (String::new(), "image/png", jpeg(), bad),
        (String::new(), "image/png", b"hello".to_vec(), bad),
        (String::new(), "image/png", png_header(10_000, 10_000), bad),
        (String::new(), "image/jpeg", jpeg()[..500].to_vec(), bad),
    ];
    for name in ["progressive.jpg", "cmyk.jpg", "palette.png", "animated.png", "lossy.webp"] {
        all.push((String::new(), pictures::media_type(name), pictures::odd(name), ok));
    }
    // Sizes that change, up to a photo's.
    for width in [1, 40, 333, 700] {
        let photo = image::imageops::thumbnail(&photo(), width, 1 + width * 2 / 3);
        all.push((String::new(), "image/png", file(&photo.into(), ImageFormat::Png), ok));
    }
    all
}

/// Sends the images of this batch, a few at once.
async fn sends(worker: &Worker, mixed: &Arc<Vec<Image>>, batch: usize) {
    let mut running = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let (address, mixed) = (worker.address, Arc::clone(mixed));
        running.spawn(async move {
            let client = client();
            for at in (lane..BATCH).step_by(LANES) {
                let each = &mixed[(batch * BATCH + at) % mixed.len()];
                let (query, media_type, body, expected) = each.clone();
                let request = client.post(format!("http://{address}{PATH}{query}"));
                let request = request.header(CONTENT_TYPE, media_type).body(body);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), expected, "{query} {media_type}");
                answer.bytes().await.unwrap();
            }
        });
    }
    running.join_all().await;
}

/// What a large image had is kept by the allocator for a while, and comes and goes. What leaks
/// stays: memory never comes back to where it was.
#[tokio::test]
async fn memory_is_flat_over_many_mixed_images() {
    let images = std::env::var("SOAK").map_or(240, |images| images.parse().unwrap());
    let (worker, mixed) = (Worker::start(&[]), Arc::new(mixed()));
    let (early, batches) = ((images / BATCH / 2).max(1), (images / BATCH).max(1));
    let (mut took, mut comes_back) = (Vec::new(), false);
    for batch in 0..4 * batches {
        sends(&worker, &mixed, batch).await;
        took.push(worker.memory());
        let least = took[..took.len().min(early)].iter().min().unwrap();
        comes_back |= batch >= batches - 1 && took[batch] < least + least / 10 + 40_000_000;
        if comes_back {
            break;
        }
    }
    eprintln!("bytes after each {BATCH} images: {took:?}");
    assert!(comes_back, "{took:?}");
    assert!(worker.memory_peak() < 1_000_000_000, "{} bytes", worker.memory_peak());
}

/// Each would take half of what there is; all of them together stay within it.
#[tokio::test]
async fn the_largest_photo_is_cut_out_within_two_gigabytes() {
    // Slower than usual: the tests run without optimisation, all at once.
    let worker = Worker::start(&["--memory", "1600", "--deadline", "600s"]);
    let mut large = RgbImage::from_pixel(10_000, 10_000, Rgb([150, 150, 155]));
    for (x, y) in (3000..7000).flat_map(|y| (3000..6000).map(move |x| (x, y))) {
        large.put_pixel(x, y, if x < 4500 { Rgb([210, 30, 30]) } else { Rgb([30, 190, 40]) });
    }
    let body = file(&large.into(), ImageFormat::Jpeg);
    let mut done = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let url = format!("http://{}{PATH}?format=png", worker.address);
        let request = client().post(url).header(CONTENT_TYPE, "image/jpeg").body(body.clone());
        done.spawn(async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.bytes().await.unwrap()
        });
    }
    let files = done.join_all().await;
    let most = worker.memory_peak();
    eprintln!("{most} bytes at most");
    assert!(most < 2_000_000_000, "{most} bytes");
    let mut reader = image::ImageReader::new(Cursor::new(&files[0]));
    reader.set_format(ImageFormat::Png);
    reader.no_limits();
    let cut = reader.decode().unwrap().into_rgba8();
    let opacity = |x, y| cut.get_pixel(x, y)[3];
    assert_eq!((opacity(3700, 5000), opacity(5200, 5000), opacity(9000, 500)), (255, 255, 0));
    assert_eq!(files[0], files[1]);
}

const BATCH: usize = 20;

/// Requests at once.
const LANES: usize = 4;
