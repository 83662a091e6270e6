//! The cut-outs of the sample photos.

use super::{cut_out, fitted};

#[test]
fn the_corners_of_the_sample_are_cut_away_and_its_middle_stays() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
    let mut photo = image::open(path).unwrap().into_rgba8();
    let (width, height) = photo.dimensions();
    cut_out(&mut photo).unwrap();
    assert_eq!(photo.get_pixel(0, 0)[3], 0);
    assert_eq!(photo.get_pixel(width - 1, height - 1)[3], 0);
    assert_eq!(photo.get_pixel(width / 2, height / 2)[3], 255);
}

#[test]
fn a_side_never_vanishes() {
    assert_eq!(fitted((9000, 1), 300), (300, 1));
    assert_eq!(fitted((600, 400), 300), (300, 200));
    assert_eq!(fitted((20, 30), 300), (20, 30));
}
